package native

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
	"drover.farm/internal/secret"
)

// statuses maps the farm's codes to HTTP. A code that is not in it is internal.
var statuses = map[farm.Code]int{
	farm.Invalid:      http.StatusBadRequest,
	farm.Unauthorized: http.StatusUnauthorized,
	farm.Forbidden:    http.StatusForbidden,
	farm.NotFound:     http.StatusNotFound,
	farm.Conflict:     http.StatusConflict,
	farm.Gone:         http.StatusGone,
	farm.Full:         http.StatusInsufficientStorage,
	farm.Unavailable:  http.StatusServiceUnavailable,
	farm.Internal:     http.StatusInternalServerError,
}

// fault is an error of HTTP itself, with a status that no code stands for.
type fault struct {
	status int
	code   farm.Code
	detail string
	wait   time.Duration // for Retry-After
	allow  string
	close  bool // the rest of the body is not worth reading
}

func (f *fault) Error() string { return f.detail }

// retryAfter is what a client is told to wait when the farm is overloaded or
// about to be back.
const retryAfter = 2 * time.Second

// outside maps errors of what the door stands on, which know no codes.
var outside = []struct {
	is   error
	code farm.Code
	// status replaces that of the code; detail the error's own text.
	status int
	detail string
}{
	{is: blob.ErrNotFound, code: farm.NotFound, detail: "the farm does not have this file"},
	{is: blob.ErrMismatch, code: farm.Invalid, detail: "the content does not have the SHA-256 that was announced; nothing was kept"},
	{is: blob.ErrFull, code: farm.Full, detail: "the farm has no room for this file; nothing was kept"},
	{is: blob.ErrTooLarge, code: farm.Invalid, status: http.StatusRequestEntityTooLarge, detail: "more bytes came than were announced or are allowed"},
	{is: blob.ErrIncomplete, code: farm.Invalid, detail: "the body ended before the announced length; nothing was kept"},
	{is: blob.ErrBusy, code: farm.Conflict},
	{is: blob.ErrOffset, code: farm.Conflict},
	{is: blob.ErrInvalid, code: farm.Invalid},
	{is: blob.ErrTooMany, code: farm.Unavailable},
	{is: blob.ErrClosed, code: farm.Unavailable, detail: "the farm is shutting down; try again in a few seconds"},
	{is: livelog.ErrNotFound, code: farm.NotFound},
	{is: livelog.ErrInvalid, code: farm.Invalid},
	{is: secret.ErrWeak, code: farm.Invalid},
}

// problemOf is what a client is told of an error: never more of one that is not
// known than that there was one.
func problemOf(err error) (api.Problem, *fault) {
	var f *fault
	if errors.As(err, &f) {
		return api.Problem{Status: f.status, Code: string(f.code), Detail: f.detail}, f
	}
	var e *farm.Error
	if !errors.As(err, &e) {
		for _, o := range outside {
			if !errors.Is(err, o.is) {
				continue
			}
			p := api.Problem{Status: o.status, Code: string(o.code), Detail: o.detail}
			if p.Status == 0 {
				p.Status = statuses[o.code]
			}
			if p.Detail == "" {
				p.Detail = err.Error()
			}
			return p, nil
		}
	}
	code := farm.CodeOf(err)
	status, known := statuses[code]
	if !known {
		code, status = farm.Internal, http.StatusInternalServerError
	}
	detail := farm.MessageOf(err)
	if code == farm.Internal {
		detail = farm.MessageOf(nil) // the fixed sentence
	}
	return api.Problem{Status: status, Code: string(code), Detail: detail}, nil
}

// fail answers with an error.
func (d *door) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, f := problemOf(err)
	if p.Code == string(farm.Internal) {
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			return // nobody is there to be answered
		}
		d.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	wait := time.Duration(0)
	if p.Status == http.StatusServiceUnavailable {
		wait = retryAfter
	}
	if f != nil {
		wait = max(wait, f.wait)
		if f.allow != "" {
			w.Header().Set("Allow", f.allow)
		}
		if f.close {
			w.Header().Set("Connection", "close")
		}
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="drover"`)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p api.Problem) {
	p.Title = http.StatusText(p.Status)
	p.Detail = strings.ToValidUTF8(p.Detail, "\uFFFD")
	text, _ := json.Marshal(p) // strings and a number: cannot fail
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Disposition", "ETag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name) // of an answer that did not come about
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(text) // a client that went away misses it
}
