package tus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/blob"
)

// fake is a store of uploads whose verbs fail as told.
type fake struct {
	p                                  blob.Progress
	create, append, info, finish, drop error
}

func (f *fake) Create(context.Context, blob.Upload) (string, error) {
	return strings.Repeat("0", 32), f.create
}

func (f *fake) Append(context.Context, string, int64, io.Reader) (int64, error) { return 0, f.append }
func (f *fake) Info(context.Context, string) (blob.Progress, error)             { return f.p, f.info }
func (f *fake) Finish(context.Context, string) (blob.Info, error) {
	return blob.Info{SHA256: blob.Hash{1}}, f.finish
}
func (f *fake) Remove(context.Context, string) error           { return f.drop }
func (f *fake) Expire(context.Context, time.Time) (int, error) { return 0, nil }

var _ blob.Uploads = (*fake)(nil)

func TestEveryErrorHasItsStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{blob.ErrNotFound, 404, "not_found"},
		{&blob.OffsetError{Got: 5, Want: 7}, 409, "offset"},
		{blob.ErrMismatch, 460, "mismatch"},
		{blob.ErrTooLarge, 413, "too_large"},
		{blob.ErrBusy, 423, "busy"},
		{blob.ErrFull, 507, "full"},
		{blob.ErrTooMany, 429, "too_many"},
		{blob.ErrIncomplete, 400, "incomplete"},
		{blob.ErrInvalid, 400, "invalid"},
		{blob.ErrClosed, 503, "unavailable"},
		{&bodyError{os.ErrDeadlineExceeded}, 408, "timeout"},
		{&bodyError{io.ErrUnexpectedEOF}, 400, "cut"},
		{blob.ErrCorrupt, 500, "internal"},
		{errors.New("secret of the disk"), 500, "internal"},
	} {
		f := &fake{append: fmt.Errorf("append: %w", c.err), p: blob.Progress{Upload: blob.Upload{Size: 9}}}
		req := httptest.NewRequestWithContext(t.Context(), "PATCH", "/"+strings.Repeat("0", 32), strings.NewReader("x"))
		for k, v := range map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": offsetType} {
			req.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		Handler(f, Options{}).ServeHTTP(w, req)
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the client is told %s", w.Body)
		}
	}
}

// TestHeadFinishes asks for an upload whose bytes are all there, but of which
// no blob was made before the server died.
func TestHeadFinishes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		finish error
		status int
		hash   string
	}{
		{nil, http.StatusOK, blob.Hash{1}.String()},
		{blob.ErrBusy, http.StatusLocked, ""},
		{blob.ErrMismatch, statusMismatch, ""},
	} {
		f := &fake{finish: c.finish, p: blob.Progress{Upload: blob.Upload{Size: 9}, Offset: 9}}
		req := httptest.NewRequestWithContext(t.Context(), "HEAD", "/"+strings.Repeat("0", 32), nil)
		req.Header.Set("Tus-Resumable", "1.0.0")
		w := httptest.NewRecorder()
		Handler(f, Options{}).ServeHTTP(w, req)
		if w.Code != c.status || w.Header().Get("Drover-Sha256") != c.hash {
			t.Errorf("%v: %d, hash %q", c.finish, w.Code, w.Header().Get("Drover-Sha256"))
		}
	}
}
