package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDepot answers as it is told and remembers what it was given.
type fakeDepot struct {
	dir  string
	err  error
	got  string
	name string
}

func (d *fakeDepot) Temp() (*os.File, error) { return os.CreateTemp(d.dir, "upload-*.buf") }

func (d *fakeDepot) Take(_ context.Context, f *os.File, name string) (*library.Taken, error) {
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, err
	}
	d.got, d.name = string(b), name
	if d.err != nil {
		return nil, d.err
	}
	return &library.Taken{Version: library.VRayVersion{Major: 6, Minor: 20, Release: 10, Hash: "e8197af2"}, Dir: "/tmp/VRay/vray-6.20.10-e8197af2"}, nil
}

func (d *fakeDepot) Queue(temp, name string) (string, error) {
	if d.err != nil {
		return "", d.err
	}
	d.name = name
	return "/tmp/VRay/import/" + name, os.Remove(temp)
}

// bundle is a door on a listener of its own.
type bundle struct {
	t     *testing.T
	depot *fakeDepot
	srv   *httptest.Server
}

func setup(t *testing.T, c Config) *bundle {
	t.Helper()
	b := &bundle{t: t, depot: &fakeDepot{dir: t.TempDir()}}
	c.Depot, c.Queue = b.depot, b.depot
	b.srv = httptest.NewServer(New(c))
	t.Cleanup(func() {
		b.srv.Close()
		if left, _ := os.ReadDir(b.depot.dir); len(left) != 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
	return b
}

// body is a form of fields in their order; "file" is a file.
func body(t testing.TB, fields ...string) (string, io.Reader) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for i := 0; i < len(fields); i += 2 {
		var part io.Writer
		var err error
		if fields[i] == "file" {
			part, err = w.CreateFormFile("file", "vray-lin-df715d3c8ff9.tar")
		} else {
			part, err = w.CreateFormField(fields[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, fields[i+1])
	}
	w.Close()
	return w.FormDataContentType(), &buf
}

// post uploads and returns status and answer.
func (b *bundle) post(headers http.Header, fields ...string) (int, string) {
	b.t.Helper()
	kind, r := body(b.t, fields...)
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.srv.URL+"/api/vray/upload", r)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = headers.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", kind)
	return b.do(req)
}

func (b *bundle) do(req *http.Request) (int, string) {
	b.t.Helper()
	res, err := b.srv.Client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

var temporary = regexp.MustCompile(`"[^"]*upload-\d+\.buf"`)

// golden compares an answer with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	text = temporary.ReplaceAllString(text, `"TEMP"`) + "\n"
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
}

// TestAnswers holds the answers to the document's, byte for byte, whatever the
// order of the parts.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields []string
		err    error
		status int
	}{
		"rapid":          {[]string{"queued", "false", "file", "content"}, nil, 200},
		"rapid-reversed": {[]string{"file", "content", "queued", " false\n"}, nil, 200},
		"queued":         {[]string{"queued", "true", "file", "content"}, nil, 200},
		"existing":       {[]string{"file", "content", "queued", "false"}, &library.Exists{Version: library.VRayVersion{Major: 7, Minor: 10, Hash: "e8197af2"}}, 200},
		"unknown":        {[]string{"queued", "false", "file", "content"}, &library.Unknown{Why: "the version of this V-Ray cannot be told"}, 200},
		"refused":        {[]string{"queued", "false", "file", "content"}, &archive.Refusal{Entry: "../x", Why: "has a part \"..\" in its path"}, 200},
		"elsewhere":      {[]string{"queued", "false", "file", "content"}, &library.Elsewhere{OS: "plan9", Arch: "mips"}, 200},
		"full":           {[]string{"queued", "false", "file", "content"}, blob.ErrFull, 507},
		"full-queue":     {[]string{"queued", "true", "file", "content"}, blob.ErrFull, 507},
		"broken":         {[]string{"queued", "false", "file", "content"}, errors.New("a path that nobody is to see"), 500},
		"unavailable":    {[]string{"queued", "false", "file", "content"}, farm.Errorf(farm.Unavailable, "the farm is stopping"), 503},
		"encrypted":      {[]string{"queued", "false", "file", "content"}, archive.ErrPassword, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{})
			b.depot.err = c.err
			status, text := b.post(nil, c.fields...)
			if status != c.status || !json.Valid([]byte(text)) {
				t.Errorf("status %d, want %d: %s", status, c.status, text)
			}
			if name != "elsewhere" { // it names this machine's system
				golden(t, name, text)
			}
			if name == "rapid" && (b.depot.got != "content" || b.depot.name != "vray-lin-df715d3c8ff9.tar") {
				t.Errorf("the depot got %q as %q", b.depot.got, b.depot.name)
			}
		})
	}
}

func TestFormsThatLackSomething(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for _, c := range []struct {
		says   string
		fields []string
	}{
		{"Field queued not found", []string{"file", "x"}}, {"File file not found", []string{"queued", "true"}}, {"Field queued not found", nil},
		{"not true or false", []string{"queued", "1", "file", "x"}}, {"two files", []string{"file", "x", "file", "y", "queued", "false"}},
	} {
		status, text := b.post(nil, c.fields...)
		if status != 400 || !strings.HasPrefix(text, "Could not decode multipart mime body:") || !strings.Contains(text, c.says) {
			t.Errorf("%v: %d %s", c.fields, status, text)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.srv.URL+"/api/vray/upload", strings.NewReader("x"))
	if status, text := b.do(req); status != 400 {
		t.Errorf("no form at all: %d %s", status, text)
	}
}

func TestExecutablesAreReportedOnly(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[bool]string{false: `{"allowExecutables":false}`, true: `{"allowExecutables":true}`} {
		b := setup(t, Config{AllowExecutables: allowed})
		for range 2 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.srv.URL+"/debug/allowExecutables", nil)
			if status, text := b.do(req); status != 200 || text != want {
				t.Errorf("%d %s, want %s", status, text, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{MaxUpload: 10, PerMinute: 3})
	if status, text := b.post(nil, "queued", "false", "file", "12345678901"); status != 413 || !strings.Contains(text, `"FailUR"`) {
		t.Errorf("a file that is too large: %d %s", status, text)
	}
	if status, text := b.post(nil, "queued", "false", "file", "1234567890"); status != 200 || !strings.Contains(text, `"RapidUR"`) {
		t.Errorf("a file that just fits: %d %s", status, text)
	}
	b.post(nil, "queued", "true", "file", "x")
	if status, text := b.post(nil, "queued", "true", "file", "x"); status != 429 || !strings.Contains(text, "3 uploads a minute") {
		t.Errorf("the fourth upload: %d %s", status, text)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Token: "s3cret"})
	for want, headers := range map[int][]http.Header{
		401: {nil, {"X-Drover-Token": {"s3cre"}}, {"Authorization": {"Bearer "}}},
		200: {{"X-Drover-Token": {"s3cret"}}, {"Authorization": {"Bearer s3cret"}}},
	} {
		for _, h := range headers {
			if status, text := b.post(h, "queued", "false", "file", "x"); status != want {
				t.Errorf("%v: %d %s, want %d", h, status, text, want)
			}
		}
	}
}

func TestPagesOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	if status, text := b.post(http.Header{"Origin": {"http://evil.example"}}, "queued", "false", "file", "x"); status != 403 {
		t.Errorf("%d %s", status, text)
	}
}

// raw sends the beginning of a request by hand and returns what is answered.
func (b *bundle) raw(head string) string {
	b.t.Helper()
	c, err := net.Dial("tcp", b.srv.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, head); err != nil {
		b.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	n, _ := c.Read(buf)
	return string(buf[:n])
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{MaxUpload: 1000})
	head := "POST /api/vray/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: "
	if got := b.raw(head + "500\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n") {
		t.Errorf("an upload that waits: %q", got)
	}
	if got := b.raw(head + "50000000\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, "FailUR") {
		t.Errorf("one that is too large: %q", got)
	}
}

func TestUploadsThatBreakOff(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Idle: 50 * time.Millisecond})
	got := b.raw("POST /api/vray/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nhalf")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("a client that sends nothing more: %q", got)
	}
}

func FuzzUpload(f *testing.F) {
	kind, r := body(f, "queued", "false", "file", "content")
	text, _ := io.ReadAll(r)
	f.Add(kind, text)
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=queued\r\n\r\ntrue\r\n--b--"))
	dir := f.TempDir()
	h := New(Config{Depot: &fakeDepot{dir: dir}, Queue: &fakeDepot{dir: dir}, PerMinute: 1 << 30})
	f.Fuzz(func(t *testing.T, kind string, text []byte) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/vray/upload", bytes.NewReader(text))
		req.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
}
