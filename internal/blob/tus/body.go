package tus

import (
	"io"
	"net/http"
	"time"
)

// body is the body of a request from a client that may fall silent: each read
// has a deadline of its own. After the last byte there is none, or it would
// count as the client's going away while a long file is being made. After a
// failure the deadline stays: the server reads the rest of a body before it
// sends the answer.
type body struct {
	r    io.ReadCloser
	ctl  *http.ResponseController
	idle time.Duration
}

// watch puts a body in place of that of a request, if it has one.
func watch(w http.ResponseWriter, r *http.Request, idle time.Duration) {
	if r.ContentLength == 0 {
		return
	}
	b := &body{r: r.Body, ctl: http.NewResponseController(w), idle: idle}
	// A long upload, or the making of a long file, outlasts what the server
	// allows an ordinary answer. Where deadlines cannot be set there are none.
	_ = b.ctl.SetWriteDeadline(time.Time{})
	_ = b.ctl.SetReadDeadline(time.Now().Add(idle))
	r.Body = b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.r.Read(p)
	switch {
	case err == io.EOF:
		_ = b.ctl.SetReadDeadline(time.Time{})
	case err != nil:
		err = &bodyError{err}
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return b.r.Close() }

// bodyError is a failure of the client's sending.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }
