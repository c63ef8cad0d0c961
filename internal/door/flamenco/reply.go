package flamenco

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"drover.farm/internal/farm"
)

// statusOf is what each code of the farm is in this protocol.
var statusOf = map[farm.Code]int{
	farm.Invalid:      http.StatusBadRequest,
	farm.Unauthorized: http.StatusForbidden, // it knows no accounts
	farm.Forbidden:    http.StatusForbidden,
	farm.NotFound:     http.StatusNotFound,
	farm.Conflict:     http.StatusConflict,
	farm.Gone:         http.StatusNotFound,
	farm.Full:         http.StatusInsufficientStorage,
	farm.Unavailable:  http.StatusServiceUnavailable,
	farm.Internal:     http.StatusInternalServerError,
}

// fault is an answer that is an error. Message is a text, or texts by the names
// of the arguments at fault: that is how the original answered.
type fault struct {
	status  int
	message any
}

// Error is for logs.
func (f *fault) Error() string { return http.StatusText(f.status) }

// wrong is a bad argument.
func wrong(name, text string) error {
	return &fault{http.StatusBadRequest, map[string]string{name: text}}
}

func notFound() error {
	return &fault{http.StatusNotFound, "No interface defined for URL"}
}

// send answers with JSON, or with an empty body for 204.
func send(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(v); err != nil {
		status = http.StatusInternalServerError
		buf.Reset()
		buf.WriteString(`{"message": "Internal Server Error"}`)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // a client that went away misses it
}

// refuse answers with an error.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := err.(*fault) //nolint:errorlint // faults are made here and never wrapped
	if !ok {
		code := farm.CodeOf(err)
		f = &fault{statusOf[code], farm.MessageOf(err)}
		if code == farm.Internal {
			d.log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		if code == farm.Unavailable {
			w.Header().Set("Retry-After", "2")
		}
	}
	body := map[string]any{"message": f.message}
	if f.status == http.StatusNotFound {
		body["code"] = f.status
	}
	if f.status == http.StatusRequestEntityTooLarge || f.status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close")
	}
	send(w, f.status, body)
}
