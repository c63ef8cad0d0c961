package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
	"drover.farm/internal/library"
	"drover.farm/internal/livelog"
	"drover.farm/internal/secret"
	"drover.farm/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// people are the accounts of every test farm; the password of sam is
// "sam-password".
var people = []struct {
	login string
	roles []farm.Role
}{
	{"root", []farm.Role{farm.RoleAdmin}},
	{"olga", []farm.Role{farm.RoleOperator}},
	{"sam", []farm.Role{farm.RoleSubmitter}},
	{"sue", []farm.Role{farm.RoleSubmitter}},
	{"rick", []farm.Role{farm.RoleRenderer}},
}

// hashes are their password hashes: making one takes long on purpose.
var hashes = sync.OnceValue(func() map[string]string {
	h, out := secret.NewHasher(2), map[string]string{}
	for _, p := range people {
		text, err := h.Hash(context.Background(), secret.Text(p.login+"-password"))
		if err != nil {
			panic(err)
		}
		out[p.login] = text
	}
	return out
})

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// bundle is a farm with its pages on a listener.
type bundle struct {
	testing.TB
	f     *farm.Farm
	site  *site
	srv   *httptest.Server
	blobs *disk.Store
	logs  *livelog.Store
	log   *lockedBuffer
	mu    sync.Mutex
	now   time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// thumbs looks at pictures as the farm wants it.
type thumbs struct{ blobs blob.Store }

func (p thumbs) Prove(ctx context.Context, f farm.File, _ farm.Check) (farm.File, error) {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return f, err
	}
	file, err := p.blobs.Open(ctx, h)
	if err != nil {
		return f, err
	}
	defer func() { _ = file.Close() }()
	jpeg, info, err := frame.ProveThumbnail(file, file.Size(), frame.Want{}, 64)
	var fault *frame.Fault
	if errors.As(err, &fault) {
		return f, farm.Errorf(farm.Invalid, "%s", fault.Message)
	} else if err != nil {
		return f, err
	}
	i, err := p.blobs.Put(ctx, bytes.NewReader(jpeg), nil)
	f.Thumb, f.Width, f.Height = i.SHA256.String(), info.Width, info.Height
	return f, err
}

// setup starts a farm whose clock stands still until it is set.
func setup(t testing.TB, cfg Config, sets ...farm.Settings) *bundle {
	t.Helper()
	b := &bundle{TB: t, log: new(lockedBuffer), now: start}
	var err error
	b.blobs, err = disk.Open(filepath.Join(t.TempDir(), "blobs"), disk.Options{})
	b.check(err)
	b.logs, err = livelog.Open(filepath.Join(t.TempDir(), "logs"), livelog.Options{})
	b.check(err)
	fc := farm.Config{Store: mem.New(), Blobs: blob.Sizes{Janitor: b.blobs}, Prover: thumbs{b.blobs}, Clock: b.clock}
	for _, s := range sets {
		fc.Settings = s
	}
	b.f, err = farm.Open(context.Background(), fc)
	b.check(err)
	for _, p := range people {
		_, err := b.f.Bootstrap(t.Context(), farm.User{Login: p.login, Roles: p.roles, Password: hashes()[p.login]}, farm.Token{Hash: secret.Hash(secret.NewToken()), Kind: "token"})
		b.check(err)
	}
	cfg.Farm, cfg.Blobs, cfg.Uploads, cfg.Logs = b.f, b.blobs, b.blobs.Uploads(), b.logs
	cfg.Library = library.New(b.f, b.blobs, nil, library.Limits{})
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Version = "1.2.3"
	if cfg.Fresh == 0 {
		cfg.Fresh = 10 * time.Millisecond
	}
	b.site = newSite(cfg)
	b.srv = httptest.NewServer(b.site)
	t.Cleanup(func() {
		b.f.Close()
		b.srv.Close()
		b.check(b.blobs.Close())
	})
	return b
}

func (b *bundle) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bundle) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// browser is somebody at a browser: it keeps cookies and says where requests
// come from, as browsers do.
type browser struct {
	*bundle
	http.Client
	origin string // of its requests; the farm's own unless set
}

// open opens a browser; with a login, one that is signed in.
func (b *bundle) open(login string) *browser {
	b.Helper()
	jar, err := cookiejar.New(nil)
	b.check(err)
	br := &browser{bundle: b, Client: http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, origin: b.srv.URL}
	if login == "" {
		return br
	}
	token := secret.NewToken()
	b.check(b.f.AddToken(b.Context(), farm.Principal{Login: login}, farm.Token{Hash: secret.Hash(token), Login: login, Kind: kindSession}))
	u, err := url.Parse(b.srv.URL + Prefix)
	b.check(err)
	jar.SetCookies(u, []*http.Cookie{{Name: sessionCookie, Value: token.Reveal(), Path: Prefix}})
	return br
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) send(req *http.Request) answer {
	b.Helper()
	res, err := b.Do(req)
	b.check(err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	b.check(err)
	return answer{res.StatusCode, res.Header, string(text)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.srv.URL+path, body)
	b.check(err)
	req.Header.Set("Accept", "text/html")
	return req
}

func (b *browser) get(path string) answer { b.Helper(); return b.send(b.request(get, path, nil)) }

// page gets a page that must be there.
func (b *browser) page(path string) string {
	b.Helper()
	a := b.get(path)
	if a.status != 200 {
		b.Fatalf("%s: %d %s", path, a.status, textOf(a.body))
	}
	return a.body
}

func (b *browser) post(path string, pairs ...string) answer {
	b.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req := b.request(post, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.origin != "" {
		req.Header.Set("Origin", b.origin)
	}
	return b.send(req)
}

// textOf is a page without its tags, for messages.
func textOf(html string) string {
	if _, main, ok := strings.Cut(html, "<main"); ok {
		html = main
	}
	var out strings.Builder
	in := false
	for _, r := range html {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
		case !in:
			out.WriteRune(r)
		}
	}
	return clip(strings.Join(strings.Fields(out.String()), " "), 600)
}

const frames = `specificationVersion: jobtemplate-2023-09
name: %q
steps:
- name: Render
  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: "1-%d"}]}
  script: {actions: {onRun: {command: render}}}
`

// submit submits a job of n frames.
func (b *bundle) submit(owner, name string, n int, change ...func(*farm.Spec)) *farm.Job {
	b.Helper()
	s := farm.Submission{By: principal(owner), Priority: 50, Spec: farm.Spec{Name: name, Template: fmt.Sprintf(frames, "job", n), Check: &farm.Check{}}}
	for _, c := range change {
		c(&s.Spec)
	}
	j, err := b.f.Submit(b.Context(), s)
	b.check(err)
	return j
}

func principal(login string) farm.Principal {
	for _, p := range people {
		if p.login == login {
			return farm.Principal{Login: login, Roles: p.roles}
		}
	}
	return farm.Principal{Login: login}
}

// join registers a worker.
func (b *bundle) join(name string, change ...func(*farm.Registration)) *farm.Worker {
	b.Helper()
	r := farm.Registration{By: principal("rick"), Key: name, Name: name, Door: "native", Machine: farm.Machine{Hostname: name, OS: "linux", Arch: "x86_64", Cores: 8, Memory: 16 << 30}}
	for _, c := range change {
		c(&r)
	}
	w, err := b.f.Register(b.Context(), r)
	b.check(err)
	return w
}

// build publishes a build of Blender.
func (b *bundle) build(version string) int64 {
	b.Helper()
	i, err := b.blobs.Put(b.Context(), strings.NewReader("Blender "+version), nil)
	b.check(err)
	x, _, err := b.f.PublishBuild(b.Context(), principal("olga"), farm.Build{Product: "blender", Version: version, OS: "linux", Arch: "x86_64", SHA256: i.SHA256.String(), Size: i.Size})
	b.check(err)
	return x.ID
}

// claim takes a task.
func (b *bundle) claim(w *farm.Worker) *farm.Lease {
	b.Helper()
	l, err := b.f.Claim(b.Context(), farm.ClaimRequest{By: principal("rick"), Worker: w.ID})
	b.check(err)
	if l == nil {
		b.Fatal("there was no task")
	}
	return l
}

// finish completes a lease with a picture of its own.
func (b *bundle) finish(w *farm.Worker, l *farm.Lease, name string, content []byte) {
	b.Helper()
	i, err := b.blobs.Put(b.Context(), bytes.NewReader(content), nil)
	b.check(err)
	v, err := b.f.Complete(b.Context(), farm.Result{By: principal("rick"), Worker: w.ID, Lease: l.ID, Task: l.Task, Seconds: 2, Memory: 1 << 30,
		Outputs: []farm.File{{Name: name, SHA256: i.SHA256.String(), Size: i.Size}}})
	b.check(err)
	if !v.Accepted {
		b.Fatalf("the result was refused: %s", v.Reason)
	}
}

// fails ends a lease with a failure and a log.
func (b *bundle) fails(w *farm.Worker, l *farm.Lease, text, log string) {
	b.Helper()
	i, err := b.blobs.Put(b.Context(), strings.NewReader(log), nil)
	b.check(err)
	_, err = b.f.Fail(b.Context(), farm.Result{By: principal("rick"), Worker: w.ID, Lease: l.ID, Task: l.Task, Log: i.SHA256.String(), Seconds: 1}, farm.Failure{Cause: farm.CauseJob, Text: text})
	b.check(err)
}

// drawing is a small PNG whose colour depends on n.
func drawing(n int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, 32, 18))
	for y := range 18 {
		for x := range 32 {
			m.Set(x, y, color.RGBA{uint8(40 + 7*x), uint8(20 + 11*n), uint8(200 - 9*y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// token gives an account a credential.
func (b *bundle) token(login, kind string) string {
	b.Helper()
	t := secret.NewToken()
	b.check(b.f.AddToken(b.Context(), principal(login), farm.Token{Hash: secret.Hash(t), Login: login, Kind: kind}))
	return t.Reveal()
}
