package native

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
	"drover.farm/internal/secret"
)

// TestProblems is the whole table from errors to answers.
func TestProblems(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	const hidden = "internal error; the farm's log has the details"
	for _, c := range []struct {
		err    error
		status int
		code   farm.Code
		detail string
	}{
		{farm.Errorf(farm.Invalid, "m"), 400, farm.Invalid, "m"},
		{farm.Errorf(farm.Unauthorized, "m"), 401, farm.Unauthorized, "m"},
		{farm.Errorf(farm.Forbidden, "m"), 403, farm.Forbidden, "m"},
		{farm.Errorf(farm.NotFound, "m"), 404, farm.NotFound, "m"},
		{farm.Errorf(farm.Conflict, "m"), 409, farm.Conflict, "m"},
		{farm.Errorf(farm.Gone, "m"), 410, farm.Gone, "m"},
		{farm.Errorf(farm.Full, "m"), 507, farm.Full, "m"},
		{farm.Errorf(farm.Unavailable, "m"), 503, farm.Unavailable, "m"},
		{farm.Errorf(farm.Internal, "secret path"), 500, farm.Internal, hidden},
		{farm.Errorf("new code", "m"), 500, farm.Internal, hidden},
		{fmt.Errorf("op: %w", farm.Errorf(farm.NotFound, "m")), 404, farm.NotFound, "m"},
		{&farm.Error{Code: farm.Full, Message: "m", Err: errors.New("/var/lib")}, 507, farm.Full, "m"},
		{errors.New("sql: password=hunter2"), 500, farm.Internal, hidden},
		{os.ErrPermission, 500, farm.Internal, hidden},
		{context.DeadlineExceeded, 500, farm.Internal, hidden},
		{fmt.Errorf("at /x: %w", blob.ErrNotFound), 404, farm.NotFound, "the farm does not have this file"},
		{blob.ErrMismatch, 400, farm.Invalid, ""},
		{blob.ErrFull, 507, farm.Full, ""},
		{blob.ErrTooLarge, 413, farm.Invalid, ""},
		{blob.ErrIncomplete, 400, farm.Invalid, ""},
		{blob.ErrBusy, 409, farm.Conflict, ""},
		{&blob.OffsetError{Got: 1, Want: 2}, 409, farm.Conflict, ""},
		{blob.ErrInvalid, 400, farm.Invalid, ""},
		{blob.ErrTooMany, 503, farm.Unavailable, ""},
		{blob.ErrClosed, 503, farm.Unavailable, ""},
		{livelog.ErrNotFound, 404, farm.NotFound, ""},
		{livelog.ErrInvalid, 400, farm.Invalid, ""},
		{secret.ErrWeak, 400, farm.Invalid, ""},
		{&fault{status: 418, code: farm.Invalid, detail: "m"}, 418, farm.Invalid, "m"},
	} {
		p, _ := problemOf(c.err)
		if p.Status != c.status || p.Code != string(c.code) || (c.detail != "" && p.Detail != c.detail) || p.Detail == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
		w := httptest.NewRecorder()
		b.door.fail(w, httptest.NewRequestWithContext(t.Context(), get, "/x", nil), c.err)
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%v: %d %v", c.err, w.Code, w.Header())
		}
		if got := w.Header().Get("Retry-After") != ""; got != (c.status == 503) {
			t.Errorf("%v: Retry-After %v", c.err, got)
		}
		if c.code == farm.Internal && !strings.Contains(b.log.String(), strings.Split(c.err.Error(), ":")[0]) {
			t.Errorf("%v is not in the log", c.err)
		}
	}
	if len(statuses) != 9 {
		t.Errorf("%d codes have a status; this test knows 9", len(statuses))
	}
	if strings.Contains(problemText(b, errors.New("sql: password=hunter2")), "hunter2") {
		t.Error("the client is told what went wrong inside")
	}
}

func problemText(b *bundle, err error) string {
	w := httptest.NewRecorder()
	b.door.fail(w, httptest.NewRequestWithContext(b.t.Context(), get, "/x", nil), err)
	return w.Body.String()
}

// TestOverload turns away what cannot be held, and everything once the farm is
// closed.
func TestOverload(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{MaxHeld: 1})
	b.worker("rick", "box")
	b.door.held.Store(1)
	for _, path := range []string{"/workers/1/claim", "/workers/1/heartbeat"} {
		b.problem(503, "unavailable", "rick", post, path, "{}")
	}
	b.problem(503, "unavailable", "sam", get, "/events", nil)
	if n := b.door.held.Load(); n != 1 {
		t.Errorf("%d held", n)
	}
	b.door.held.Store(0)
	b.f.Close()
	a := b.send("rick", post, "/workers/1/claim", "{}")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "2" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}
