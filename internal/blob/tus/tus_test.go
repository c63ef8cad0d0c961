package tus

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
	"drover.farm/internal/blob/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a server of uploads and a client.
type bench struct {
	*testing.T
	store *disk.Store
	srv   *httptest.Server
}

func setup(t *testing.T, opt Options, store disk.Options) *bench {
	t.Helper()
	s, err := disk.Open(t.TempDir(), store)
	if err != nil {
		t.Fatal(err)
	}
	if opt.Path == "" {
		opt.Path = "/up"
	}
	b := &bench{T: t, store: s, srv: httptest.NewServer(Handler(s.Uploads(), opt))}
	t.Cleanup(func() {
		b.srv.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// do makes a request; header is in pairs of name and value.
func (b *bench) do(method, path string, body io.Reader, header ...string) *http.Response {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.srv.URL+path, body)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	res, err := b.srv.Client().Do(req)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// want holds an answer to a status and headers, in pairs.
func (b *bench) want(res *http.Response, status int, header ...string) {
	b.Helper()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != status {
		b.Errorf("status %d, want %d: %s", res.StatusCode, status, text)
	}
	if got := res.Header.Get("Tus-Resumable"); got != "1.0.0" {
		b.Errorf("Tus-Resumable is %q", got)
	}
	for i := 0; i < len(header); i += 2 {
		if got := res.Header.Get(header[i]); got != header[i+1] {
			b.Errorf("%s is %q, want %q", header[i], got, header[i+1])
		}
	}
	if status < 400 || res.Request.Method == http.MethodHead {
		return
	}
	var p struct {
		Title, Code, Detail string
		Status              int
	}
	if err := json.Unmarshal(text, &p); err != nil || p.Status != status || p.Title == "" || p.Code == "" || p.Detail == "" {
		b.Errorf("the problem says %s (%v)", text, err)
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		b.Errorf("the problem has type %q", got)
	}
}

func meta(key, value string) string {
	return key + " " + base64.StdEncoding.EncodeToString([]byte(value))
}

// create opens an upload and gives its path.
func (b *bench) create(length string, header ...string) string {
	b.Helper()
	res := b.do("POST", "/up", nil, append([]string{"Upload-Length", length}, header...)...)
	b.want(res, http.StatusCreated)
	return res.Header.Get("Location")
}

func (b *bench) patch(path, offset string, body io.Reader, header ...string) *http.Response {
	b.Helper()
	return b.do("PATCH", path, body, append([]string{"Upload-Offset", offset, "Content-Type", offsetType}, header...)...)
}

func TestUpload(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Expiry: time.Hour}, disk.Options{})
	data := blobtest.Content(1, 100_000)
	hash := blobtest.HashOf(data).String()
	path := b.create("100000", "Upload-Metadata", meta("sha256", hash)+", "+meta("filename", "scène.blend")+",empty")
	if !strings.HasPrefix(path, "/up/") || !blob.ValidUploadID(path[4:]) {
		t.Fatalf("the location is %q", path)
	}
	res := b.do("HEAD", path, nil)
	b.want(res, http.StatusOK, "Upload-Offset", "0", "Upload-Length", "100000", "Cache-Control", "no-store",
		"Upload-Metadata", "empty,"+meta("filename", "scène.blend")+","+meta("sha256", hash))
	if _, err := http.ParseTime(res.Header.Get("Upload-Expires")); err != nil {
		t.Errorf("Upload-Expires: %v", err)
	}
	b.want(b.patch(path, "0", bytes.NewReader(data[:60_000])), http.StatusNoContent, "Upload-Offset", "60000", "Drover-Sha256", "")
	b.want(b.patch(path, "60000", bytes.NewReader(data[60_000:])), http.StatusNoContent, "Upload-Offset", "100000", "Drover-Sha256", hash)
	b.want(b.do("HEAD", path, nil), http.StatusOK, "Upload-Offset", "100000", "Drover-Sha256", hash, "Upload-Expires", "")
	if err := b.store.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
	b.want(b.do("DELETE", path, nil), http.StatusNoContent)
	b.want(b.do("HEAD", path, nil), http.StatusNotFound)
	b.want(b.do("DELETE", path, nil), http.StatusNotFound)
}

func TestOptionsSayWhatIsSpoken(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{MaxSize: 1000}, disk.Options{})
	b.want(b.do("OPTIONS", "/up/", nil, "Tus-Resumable", ""), http.StatusNoContent,
		"Tus-Version", "1.0.0", "Tus-Extension", "creation,creation-with-upload,expiration,termination", "Tus-Max-Size", "1000")
}

func TestCreationWithUpload(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, disk.Options{})
	data := blobtest.Content(1, 1000)
	hash := blobtest.HashOf(data).String()
	post := func(body []byte, header ...string) *http.Response {
		return b.do("POST", "/up/", bytes.NewReader(body),
			append([]string{"Upload-Length", "1000", "Content-Type", offsetType, "Upload-Metadata", meta("sha256", hash)}, header...)...)
	}
	b.want(post(data), http.StatusCreated, "Upload-Offset", "1000", "Drover-Sha256", hash)
	res := post(data[:400])
	b.want(res, http.StatusCreated, "Upload-Offset", "400")
	b.want(b.patch(res.Header.Get("Location"), "400", bytes.NewReader(data[400:])), http.StatusNoContent, "Upload-Offset", "1000")
	b.want(post(data, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	b.want(post(append(data, 1)), http.StatusRequestEntityTooLarge, "Location", "")
	b.want(post(blobtest.Content(2, 1000)), statusMismatch, "Location", "")
	b.want(b.do("POST", "/up/", nil, "Upload-Length", "0"), http.StatusCreated, "Upload-Offset", "0", "Drover-Sha256", blobtest.HashOf(nil).String())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{MaxSize: 5000}, disk.Options{Limit: 4000})
	path := b.create("1000", "Upload-Metadata", meta("sha256", blobtest.HashOf([]byte("x")).String()))
	thousand := bytes.Repeat([]byte("x"), 1000)
	for name, c := range map[string]struct {
		res    *http.Response
		status int
	}{
		"no version":           {b.do("HEAD", path, nil, "Tus-Resumable", ""), http.StatusPreconditionFailed},
		"other version":        {b.do("POST", "/up", nil, "Tus-Resumable", "0.2.2", "Upload-Length", "1"), http.StatusPreconditionFailed},
		"no length":            {b.do("POST", "/up", nil), http.StatusBadRequest},
		"length unknown yet":   {b.do("POST", "/up", nil, "Upload-Defer-Length", "1"), http.StatusBadRequest},
		"negative length":      {b.do("POST", "/up", nil, "Upload-Length", "-1"), http.StatusBadRequest},
		"signed length":        {b.do("POST", "/up", nil, "Upload-Length", "+1"), http.StatusBadRequest},
		"length no number":     {b.do("POST", "/up", nil, "Upload-Length", "1e3"), http.StatusBadRequest},
		"length too long":      {b.do("POST", "/up", nil, "Upload-Length", "99999999999999999999"), http.StatusBadRequest},
		"over the maximum":     {b.do("POST", "/up", nil, "Upload-Length", "5001"), http.StatusRequestEntityTooLarge},
		"over the quota":       {b.do("POST", "/up", nil, "Upload-Length", "4001"), http.StatusInsufficientStorage},
		"bad metadata":         {b.do("POST", "/up", nil, "Upload-Length", "1", "Upload-Metadata", "a ???"), http.StatusBadRequest},
		"bad hash":             {b.do("POST", "/up", nil, "Upload-Length", "1", "Upload-Metadata", meta("sha256", "12")), http.StatusBadRequest},
		"no content type":      {b.do("PATCH", path, nil, "Upload-Offset", "0"), http.StatusUnsupportedMediaType},
		"no offset":            {b.do("PATCH", path, nil, "Content-Type", offsetType), http.StatusBadRequest},
		"negative offset":      {b.patch(path, "-1", nil), http.StatusBadRequest},
		"too much":             {b.patch(path, "0", bytes.NewReader(make([]byte, 1001))), http.StatusRequestEntityTooLarge},
		"too much, in chunks":  {b.patch(path, "0", io.MultiReader(bytes.NewReader(make([]byte, 1001)))), http.StatusRequestEntityTooLarge},
		"unknown upload":       {b.patch("/up/"+strings.Repeat("0", 32), "0", nil), http.StatusNotFound},
		"no id":                {b.do("HEAD", "/up/..%2f..%2fetc", nil), http.StatusNotFound},
		"another folder":       {b.do("HEAD", "/uploads/x", nil), http.StatusNotFound},
		"GET of an upload":     {b.do("GET", path, nil), http.StatusMethodNotAllowed},
		"PATCH of the folder":  {b.patch("/up/", "0", nil), http.StatusMethodNotAllowed},
		"strange override":     {b.do("POST", path, nil, "X-HTTP-Method-Override", "GET"), http.StatusMethodNotAllowed},
		"override of a DELETE": {b.do("DELETE", "/up", nil, "X-HTTP-Method-Override", "POST"), http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) { (&bench{T: t}).want(c.res, c.status) })
	}
	b.want(b.patch(path, "10", nil), http.StatusConflict, "Upload-Offset", "0")
	b.want(b.patch(path, "0", bytes.NewReader(thousand)), statusMismatch)
	b.want(b.do("HEAD", path, nil), http.StatusNotFound)
	// No refused request left space reserved.
	u, err := b.store.Usage(t.Context())
	if err != nil || u.Reserved != 0 || u.Bytes != 0 {
		t.Errorf("the store has %+v, %v", u, err)
	}
}

func TestMethodOverride(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, disk.Options{})
	path := b.create("4")
	res := b.do("POST", path, strings.NewReader("word"), "X-HTTP-Method-Override", "PATCH", "Upload-Offset", "0", "Content-Type", offsetType)
	b.want(res, http.StatusNoContent, "Upload-Offset", "4")
}

func TestTooManyUploads(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, disk.Options{MaxUploads: 1})
	b.create("4")
	b.want(b.do("POST", "/up", nil, "Upload-Length", "4"), http.StatusTooManyRequests, "Retry-After", "1")
}

func TestUploadsOfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Owner: func(r *http.Request) string { return r.Header.Get("Who") }}, disk.Options{})
	path := b.create("4", "Who", "ada")
	for _, who := range []string{"", "bob"} {
		b.want(b.do("HEAD", path, nil, "Who", who), http.StatusNotFound)
		b.want(b.patch(path, "0", strings.NewReader("evil"), "Who", who), http.StatusNotFound)
		b.want(b.do("DELETE", path, nil, "Who", who), http.StatusNotFound)
	}
	b.want(b.patch(path, "0", strings.NewReader("good"), "Who", "ada"), http.StatusNoContent)
}

func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Path: "/", PublicPath: "/farm/files"}, disk.Options{})
	res := b.do("POST", "/", nil, "Upload-Length", "4", "X-Forwarded-Host", "evil.example")
	b.want(res, http.StatusCreated)
	id, ok := strings.CutPrefix(res.Header.Get("Location"), "/farm/files/")
	if !ok {
		t.Fatalf("the location is %q", res.Header.Get("Location"))
	}
	b.want(b.patch("/"+id, "0", strings.NewReader("word")), http.StatusNoContent)
}

// TestABrokenLine cuts the connection in the middle of a body: what came is
// kept, and the client goes on.
func TestABrokenLine(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, disk.Options{})
	path := b.create("1000")
	conn := b.dial()
	b.send(conn, "PATCH "+path+" HTTP/1.1\r\nHost: farm\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: "+offsetType+"\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("a", 300))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	b.eventually(func() bool { return b.do("HEAD", path, nil).Header.Get("Upload-Offset") == "300" })
	b.eventually(func() bool {
		res := b.patch(path, "300", strings.NewReader(strings.Repeat("b", 700)))
		return res.StatusCode == http.StatusNoContent
	})
}

// TestASilentClient holds an upload open and sends nothing: another gets 423
// until the silence has lasted too long.
func TestASilentClient(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Idle: 300 * time.Millisecond}, disk.Options{})
	path := b.create("1000")
	conn := b.dial()
	defer conn.Close()
	b.send(conn, "PATCH "+path+" HTTP/1.1\r\nHost: farm\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: "+offsetType+"\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("a", 300))
	line := make([]byte, len("HTTP/1.1 408"))
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "HTTP/1.1 408" {
		t.Errorf("the silent client is told %q, %v", line, err)
	}
	b.want(b.patch(path, "300", strings.NewReader(strings.Repeat("b", 700))), http.StatusNoContent, "Upload-Offset", "1000")
}

// TestASilentClientThatIsRefused gets its answer although its body, which nobody
// wants, does not come.
func TestASilentClientThatIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Idle: 300 * time.Millisecond}, disk.Options{})
	path := b.create("1000")
	conn := b.dial()
	defer conn.Close()
	b.send(conn, "PATCH "+path+" HTTP/1.1\r\nHost: farm\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 5\r\nContent-Type: "+offsetType+"\r\nContent-Length: 900\r\n\r\nabc")
	line := make([]byte, len("HTTP/1.1 409"))
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "HTTP/1.1 409" {
		t.Errorf("the client is told %q, %v", line, err)
	}
}

func TestTwoWritersAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, disk.Options{})
	path := b.create("4")
	pr, pw := io.Pipe()
	first := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", b.srv.URL+path, pr)
		if err != nil {
			t.Error(err)
			return
		}
		for k, v := range map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": offsetType} {
			req.Header.Set(k, v)
		}
		res, err := b.srv.Client().Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = res.Body.Close()
		first <- res.StatusCode
	}()
	if _, err := pw.Write([]byte("wo")); err != nil { // returns when the client took it
		t.Fatal(err)
	}
	// Until the server has it, a second writer that sends nothing changes
	// nothing.
	b.eventually(func() bool { return b.patch(path, "0", nil).StatusCode == http.StatusLocked })
	res := b.patch(path, "0", strings.NewReader("evil"))
	b.want(res, http.StatusLocked, "Retry-After", "1")
	b.want(b.do("DELETE", path, nil), http.StatusLocked)
	if _, err := pw.Write([]byte("rd")); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got != http.StatusNoContent {
		t.Errorf("the first writer got %d", got)
	}
	if err := b.store.Verify(t.Context(), blobtest.HashOf([]byte("word"))); err != nil {
		t.Error(err)
	}
}

func (b *bench) dial() net.Conn {
	b.Helper()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", b.srv.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

func (b *bench) send(conn net.Conn, text string) {
	b.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		b.Fatal(err)
	}
}

// eventually polls for what another connection brings about.
func (b *bench) eventually(cond func() bool) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			b.Fatal("it did not come about in 30 s")
		case <-tick.C:
		}
	}
}

func FuzzMeta(f *testing.F) {
	f.Add("")
	f.Add("a")
	f.Add(meta("filename", "scène.blend") + "," + meta("sha256", "00") + ",flag")
	f.Add(" a  YQ== , b ")
	f.Add(",,,")
	f.Add("a YQ==,a YQ==")
	f.Fuzz(func(t *testing.T, header string) {
		got, err := parseMeta(header)
		if err != nil {
			return
		}
		again, err := parseMeta(formatMeta(got))
		if err != nil {
			t.Fatalf("%q: its own form is refused: %v", header, err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%q does not come back:\n%s", header, diff)
		}
	})
}
