package sheepit

import (
	"io"
	"net/http"
	"time"

	"drover.farm/internal/blob"
)

type readSeeker = io.ReadSeeker

// steady moves the deadline of an answer on with each piece that is read for it:
// a client that takes nothing is let go, one that is slow is not.
type steady struct {
	io.ReadSeeker
	ctl  *http.ResponseController
	idle time.Duration
}

func (s *steady) Read(p []byte) (int, error) {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(s.idle)) // where there is no deadline the server's holds
	return s.ReadSeeker.Read(p)
}

func section(f blob.File, from, n int64) io.ReadSeeker { return io.NewSectionReader(f, from, n) }

// patientBody moves the deadline of a request's body on with each piece that
// comes.
type patientBody struct {
	io.Reader
	ctl  *http.ResponseController
	idle time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.idle)) // as above
	return b.Reader.Read(p)
}
