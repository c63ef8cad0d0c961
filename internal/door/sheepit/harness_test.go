package sheepit

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/secret"
	"drover.farm/internal/store/mem"
)

var updating = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// prover looks at frames as a farm does.
type prover struct{ blob.Store }

func (s prover) Prove(ctx context.Context, f farm.File, want farm.Check) (farm.File, error) {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return f, err
	}
	file, err := s.Open(ctx, h)
	if err != nil {
		return f, err
	}
	defer file.Close()
	_, err = frame.Prove(file, file.Size(), frame.Want{Format: frame.Format(want.Format), Width: want.Width, Height: want.Height})
	var fault *frame.Fault
	if errors.As(err, &fault) {
		return f, &farm.Error{Code: farm.Invalid, Message: fault.Message, Err: fault}
	}
	return f, err
}

var (
	root   = farm.Principal{Login: "root", Roles: []farm.Role{farm.RoleAdmin}}
	start  = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	people = map[string][]farm.Role{"rick": {farm.RoleRenderer}, "rosa": {farm.RoleRenderer}, "sam": {farm.RoleSubmitter}}
)

const password = "correct horse"

// bundle is a farm with this door on a listener. Its clock moves only when a test
// moves it.
type bundle struct {
	t     testing.TB
	f     *farm.Farm
	store *mem.Store
	blobs *disk.Store
	door  *Door
	srv   *httptest.Server
	log   *lockedBuffer
	now   atomic.Int64
	cfg   Config
	set   farm.Settings
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

func setup(t testing.TB, cfg Config, set farm.Settings) *bundle {
	t.Helper()
	set.Scan = 5 * time.Millisecond
	b := &bundle{t: t, store: mem.New(), log: new(lockedBuffer), cfg: cfg, set: set}
	b.now.Store(start.UnixNano())
	var err error
	b.blobs, err = disk.Open(filepath.Join(t.TempDir(), "blobs"), disk.Options{})
	b.check(err)
	b.open()
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.door.ServeHTTP(w, r) }))
	hash, err := secret.NewHasher(1).Hash(t.Context(), password)
	b.check(err)
	_, err = b.f.Bootstrap(t.Context(), farm.User{Login: root.Login, Roles: root.Roles}, farm.Token{})
	b.check(err)
	for login, roles := range people {
		b.check(b.f.AddUser(t.Context(), root, farm.User{Login: login, Roles: roles, Password: hash}))
	}
	t.Cleanup(func() {
		b.srv.Close()
		b.close()
		b.check(b.blobs.Close())
	})
	return b
}

func (b *bundle) open() {
	b.t.Helper()
	var err error
	b.f, err = farm.Open(context.Background(), farm.Config{
		Store: b.store, Blobs: blob.Sizes{Janitor: b.blobs}, Prover: prover{b.blobs}, Settings: b.set,
		Clock:     func() time.Time { return time.Unix(0, b.now.Load()).UTC() },
		Obstacles: map[string]func(*farm.Spec) string{Name: Obstacle},
	})
	b.check(err)
	cfg := b.cfg
	cfg.Farm, cfg.Blobs = b.f, b.blobs
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.door = New(cfg)
}

func (b *bundle) close() {
	b.door.Close()
	b.f.Close()
}

// restart is what a kill -9 and a new start come to.
func (b *bundle) restart() {
	b.t.Helper()
	b.close()
	b.open()
}

func (b *bundle) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// pass moves the clock and waits until the farm has looked at it.
func (b *bundle) pass(d time.Duration) {
	b.t.Helper()
	b.now.Add(int64(d))
	n := b.f.Metrics().Batches
	for b.f.Metrics().Batches < n+3 { // the dispatcher's own ticker is waited for
		b.check(b.f.Ready())
		runtime.Gosched()
	}
}

func (b *bundle) blob(content []byte) farm.File {
	b.t.Helper()
	info, err := b.blobs.Put(b.t.Context(), bytes.NewReader(content), nil)
	b.check(err)
	return farm.File{SHA256: info.SHA256.String(), Size: info.Size}
}

// build publishes a Blender for a system: a script that says how it was called.
func (b *bundle) build(version, system, arch string) *farm.Build {
	b.t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	script := "#!/bin/sh\necho Blender " + version + "\necho \"called with $*\"\necho 'drover: the scene is open'\necho done\nexit 3\n"
	b.check(tw.WriteHeader(&tar.Header{Name: "blender-" + version + "/blender", Mode: 0o755, Size: int64(len(script))}))
	_, err := io.WriteString(tw, script)
	b.check(err)
	b.check(tw.Close())
	b.check(gz.Close())
	f := b.blob(buf.Bytes())
	out, _, err := b.f.PublishBuild(b.t.Context(), root, farm.Build{Product: "blender", Version: version, OS: system, Arch: arch, SHA256: f.SHA256,
		Layout: farm.Layout{Root: "blender-" + version, Program: "blender"}})
	b.check(err)
	return out
}

// job submits frames of a scene. change may alter the submission.
func (b *bundle) job(frames string, change ...func(*farm.Submission)) *farm.Job {
	b.t.Helper()
	f := b.blob([]byte("BLENDER-v304 " + frames))
	f.Name = "shots/one.blend"
	s := farm.Submission{By: farm.Principal{Login: "sam", Roles: people["sam"]}, Priority: 50, Spec: farm.Spec{
		Template: blender.Template, Renderer: "blender", Files: []farm.File{f},
		Roots: []farm.Root{{Path: "/home/sam/film", Format: "POSIX"}, {Path: "/home/sam/out", Format: "POSIX", Output: true}},
		Check: &farm.Check{Format: "PNG", Width: 16, Height: 9},
		Parameters: map[string]string{"JobName": "film <1>", "Scene": "/home/sam/film/shots/one.blend", "Frames": frames, "OutputDir": "/home/sam/out",
			"OutputName": "f_####", "Format": "PNG"},
	}}
	for _, c := range change {
		c(&s)
	}
	j, err := b.f.Submit(b.t.Context(), s)
	b.check(err)
	return j
}

// picture is a frame of one colour.
func picture(c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 16, 9))
	for i := range 16 * 9 {
		img.Set(i%16, i/16, c)
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // writing to memory
	return b.Bytes()
}

var (
	good  = picture(color.RGBA{200, 100, 50, 255})
	black = picture(color.RGBA{0, 0, 0, 255})
)

// client is a client's connection with its cookies.
type client struct {
	b    *bundle
	http *http.Client
	base string
}

func (b *bundle) client() *client {
	jar, _ := cookiejar.New(nil) // never fails
	return &client{b, &http.Client{Jar: jar, Transport: b.srv.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("a client does not follow redirects")
	}}, b.srv.URL}
}

type reply struct {
	code   int
	header http.Header
	body   string
}

func (c *client) do(method, path, contentType string, body io.Reader) reply {
	c.b.t.Helper()
	req, err := http.NewRequestWithContext(c.b.t.Context(), method, c.base+path, body)
	c.b.check(err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("User-Agent", "Java/17")
	res, err := c.http.Do(req)
	c.b.check(err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	c.b.check(err)
	return reply{res.StatusCode, res.Header, string(data)}
}

func (c *client) get(path string) reply { c.b.t.Helper(); return c.do(http.MethodGet, path, "", nil) }

// hello is what a client of 2022 says of itself.
func hello(login, pass string) url.Values {
	return url.Values{"login": {login}, "password": {pass}, "version": {"6.22324.0"}, "os": {"linux"}, "os_version": {"linux debian 12"},
		"bits": {"64bit"}, "cpu_family": {"6"}, "cpu_model": {"85"}, "cpu_model_name": {"A processor"}, "cpu_cores": {"8"}, "ram": {"16777216"},
		"hostname": {"box"}, "ui": {"GuiText"}, "extras": {""}, "headless": {"1"}, "hwid": {"abc"}}
}

// login opens a session and fails the test when there is none.
func (c *client) login(login string, change ...func(url.Values)) *client {
	c.b.t.Helper()
	v := hello(login, password)
	for _, f := range change {
		f(v)
	}
	r := c.do(http.MethodPost, pathConfig, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
	if !strings.Contains(r.body, `<config status="0"`) {
		c.b.t.Fatalf("the login failed: %d %s", r.code, r.body)
	}
	return c
}

const ask2022 = "?computemethod=1&network_dl=0&network_up=0&cpu_cores=8&ram_max=8388608&rendertime_max=-1"

// ask requests work as a client of 2022 does.
func (c *client) ask() reply {
	c.b.t.Helper()
	return c.do(http.MethodPost, pathRequest+ask2022, "application/xml; charset=utf-8", strings.NewReader("<cache/>"))
}

// upload sends a frame by the given path and query.
func (c *client) upload(path string, data []byte) reply {
	c.b.t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="1000_0001.png"`}, "Content-Type": {"image/png"}})
	c.b.check(err)
	_, err = p.Write(data)
	c.b.check(err)
	b := w.Boundary()
	c.b.check(w.Close())
	return c.do(http.MethodPost, path, "multipart/form-data; boundary="+b, &buf)
}

// send validates a frame of a job.
func (c *client) send(job int64, frame string, data []byte) reply {
	c.b.t.Helper()
	return c.upload(fmt.Sprintf("%s?job=%d&frame=%s&rendertime=12&memoryused=131250", pathFrame, job, frame), data)
}

var statusRE = regexp.MustCompile(`<\w+ status="(\d+)"`)

// status is the status of an answer.
func (r reply) status() string {
	if m := statusRE.FindStringSubmatch(r.body); m != nil && r.code == 200 {
		return m[1]
	}
	return fmt.Sprintf("HTTP %d", r.code)
}

var attrRE = regexp.MustCompile(`<job [^>]*`)

// attr is an attribute of the job in an answer.
func (r reply) attr(name string) string {
	m := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(attrRE.FindString(r.body))
	if m == nil {
		return ""
	}
	return m[1]
}

func (b *bundle) want(r reply, status string) {
	b.t.Helper()
	if got := r.status(); got != status {
		b.t.Errorf("status %s, want %s: %.300s", got, status, r.body)
	}
}

var (
	tokenRE  = regexp.MustCompile(`drv_[A-Za-z0-9_-]{43}`)
	scriptRE = regexp.MustCompile(`(?s)<script>.*</script>`)
	md5RE    = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
)

// golden compares an answer with the stored one. What is another each time is
// replaced.
func (b *bundle) golden(name string, r reply) {
	b.t.Helper()
	text := fmt.Sprintf("%d %s\n", r.code, r.header.Get("Content-Type"))
	for _, h := range []string{"Set-Cookie", "Retry-After"} {
		if v := r.header.Get(h); v != "" {
			text += h + ": " + v + "\n"
		}
	}
	text += "\n" + r.body
	text = strings.ReplaceAll(text, url.QueryEscape(b.srv.URL), "FARM-ENCODED")
	text = strings.ReplaceAll(text, b.srv.URL, "FARM")
	text = tokenRE.ReplaceAllString(text, "TOKEN")
	text = scriptRE.ReplaceAllString(text, "<script>SCRIPT</script>")
	text = md5RE.ReplaceAllString(text, "MD5")
	file := filepath.Join("testdata", name+".golden")
	if *updating {
		b.check(os.MkdirAll("testdata", 0o755))
		b.check(os.WriteFile(file, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	b.check(err)
	if d := cmp.Diff(string(want), text); d != "" {
		b.t.Errorf("%s: -want +got\n%s", name, d)
	}
}

// content reads a blob.
func (b *bundle) content(sha string) []byte {
	b.t.Helper()
	h, err := blob.ParseHash(sha)
	b.check(err)
	f, err := b.blobs.Open(b.t.Context(), h)
	b.check(err)
	defer f.Close()
	data, err := io.ReadAll(f)
	b.check(err)
	return data
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
