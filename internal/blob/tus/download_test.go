package tus

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
	"drover.farm/internal/blob/disk"
)

func get(t *testing.T, s blob.Store, h blob.Hash, method string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := ServeBlob(w, req, s, h, "scène 1.blend"); err != nil {
		t.Errorf("serve: %v", err)
	}
	return w
}

func TestDownload(t *testing.T) {
	t.Parallel()
	s, err := disk.Open(t.TempDir(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := blobtest.Content(1, 10_000)
	h := blobtest.HashOf(data)
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	etag := `"` + h.String() + `"`
	for name, c := range map[string]struct {
		method string
		header []string
		status int
		body   []byte
	}{
		"whole":               {"GET", nil, 200, data},
		"head":                {"HEAD", nil, 200, nil},
		"range":               {"GET", []string{"Range", "bytes=100-199"}, 206, data[100:200]},
		"from":                {"GET", []string{"Range", "bytes=9990-"}, 206, data[9990:]},
		"last":                {"GET", []string{"Range", "bytes=-7"}, 206, data[9993:]},
		"range of this":       {"GET", []string{"Range", "bytes=0-0", "If-Range", etag}, 206, data[:1]},
		"range of another":    {"GET", []string{"Range", "bytes=0-0", "If-Range", `"other"`}, 200, data},
		"behind the end":      {"GET", []string{"Range", "bytes=10000-"}, 416, nil},
		"has it":              {"GET", []string{"If-None-Match", etag}, 304, nil},
		"has something else":  {"GET", []string{"If-None-Match", `"other"`}, 200, data},
		"other method":        {"POST", nil, 405, nil},
		"overlapping ranges":  {"GET", []string{"Range", "bytes=" + strings.Repeat("0-9999,", 50) + "0-1"}, 200, data},
		"range of a nonsense": {"GET", []string{"Range", "bytes=x"}, 416, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, s, h, c.method, c.header...)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if c.body != nil && !bytes.Equal(w.Body.Bytes(), c.body) {
				t.Errorf("%d other bytes, want %d", w.Body.Len(), len(c.body))
			}
			if c.status >= 400 {
				return
			}
			if got := w.Header().Get("ETag"); got != etag {
				t.Errorf("ETag %s", got)
			}
			if c.status != 304 && w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("a browser may guess the type")
			}
		})
	}
	w := get(t, s, blob.Hash{1}, "GET")
	if w.Code != http.StatusNotFound {
		t.Errorf("an unknown blob: %d", w.Code)
	}
}

func TestDownloadKeepsTheCallersHeaders(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Disposition", "inline")
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if err := ServeBlob(w, req, stub{}, blob.Hash{1}, "x"); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Content-Type") != "image/png" || w.Header().Get("Content-Disposition") != "inline" || w.Body.String() != "stub" {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
}

// stub is a store with one short blob, or an error.
type stub struct {
	blob.Store
	err error
}

type stubFile struct{ *strings.Reader }

func (stubFile) Close() error { return nil }

func (s stub) Open(context.Context, blob.Hash) (blob.File, error) {
	return stubFile{strings.NewReader("stub")}, s.err
}

func TestDownloadThatFails(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	w := httptest.NewRecorder()
	broken := errors.New("secret of the disk")
	if err := ServeBlob(w, req, stub{err: broken}, blob.Hash{1}, "x"); !errors.Is(err, broken) {
		t.Errorf("the log gets %v", err)
	}
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("the client gets %d %s", w.Code, w.Body)
	}
}

func TestDisposition(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"scene.blend":                     `attachment; filename="scene.blend"`,
		"":                                `attachment; filename="file"`,
		"..":                              `attachment; filename="file"`,
		"../../etc/passwd":                `attachment; filename="passwd"`,
		`C:\Users\x\a.png`:                `attachment; filename="a.png"`,
		"a\r\nSet-Cookie: x":              `attachment; filename="a__Set-Cookie_ x"`,
		`a";filename="evil.exe`:           `attachment; filename="a__filename=_evil.exe"`,
		"scène.blend":                     `attachment; filename="sc_ne.blend"; filename*=UTF-8''sc%C3%A8ne.blend`,
		"100%.png":                        `attachment; filename="100_.png"; filename*=UTF-8''100%25.png`,
		"gnp.\u202etxt":                   `attachment; filename="gnp.txt"`,
		"\xff\xfe":                        `attachment; filename="_"`,
		"a b+c.png":                       `attachment; filename="a b+c.png"`,
		"フレーム 1.png":                      `attachment; filename="____ 1.png"; filename*=UTF-8''%E3%83%95%E3%83%AC%E3%83%BC%E3%83%A0%201.png`,
		strings.Repeat("a", 300) + ".exr": `attachment; filename="` + strings.Repeat("a", 251) + `.exr"`,
	} {
		if got := Disposition(name); got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
}

func FuzzDisposition(f *testing.F) {
	for _, name := range []string{"scene.blend", "../x", "a\r\nb", "è\u202e.png", strings.Repeat("è", 200) + ".png", `"\;`, "\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		header := Disposition(name)
		if strings.ContainsFunc(header, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
			t.Fatalf("%q: the header %q is not plain", name, header)
		}
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" {
			t.Fatalf("%q: the header %q: %v", name, header, err)
		}
		got := params["filename"]
		if got == "" || len(got) > maxName || !utf8.ValidString(got) || path.Base(got) != got || got == "." || got == ".." ||
			strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q: the name %q", name, got)
		}
	})
}
