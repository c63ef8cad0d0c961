package native

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/livelog"
	"drover.farm/internal/secret"
	"drover.farm/internal/store/mem"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The accounts of every test farm.
var people = []struct {
	login string
	roles []farm.Role
}{
	{"root", []farm.Role{farm.RoleAdmin}},
	{"olga", []farm.Role{farm.RoleOperator}},
	{"sam", []farm.Role{farm.RoleSubmitter}},
	{"sue", []farm.Role{farm.RoleSubmitter}},
	{"rick", []farm.Role{farm.RoleRenderer}},
	{"rosa", []farm.Role{farm.RoleRenderer}},
}

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// bundle is a farm with its door on a listener of its own.
type bundle struct {
	t     testing.TB
	f     *farm.Farm
	store *mem.Store
	door  *door
	srv   *httptest.Server
	blobs *disk.Store
	logs  *livelog.Store
	log   *lockedBuffer
	token map[string]string
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

// setup starts a farm whose clock stands still, so that answers are the same
// each time.
func setup(t testing.TB, cfg Config) *bundle {
	return setupFarm(t, cfg, farm.Config{Clock: func() time.Time { return start }})
}

func setupFarm(t testing.TB, cfg Config, fc farm.Config) *bundle {
	t.Helper()
	b := &bundle{t: t, store: mem.New(), token: make(map[string]string), log: new(lockedBuffer)}
	var err error
	b.blobs, err = disk.Open(filepath.Join(t.TempDir(), "blobs"), disk.Options{})
	b.check(err)
	b.logs, err = livelog.Open(filepath.Join(t.TempDir(), "logs"), livelog.Options{})
	b.check(err)
	fc.Store, fc.Blobs = b.store, blob.Sizes{Janitor: b.blobs}
	b.f, err = farm.Open(context.Background(), fc)
	b.check(err)
	for _, p := range people {
		tok := secret.NewToken()
		b.token[p.login] = tok.Reveal()
		_, err := b.f.Bootstrap(t.Context(), farm.User{Login: p.login, Roles: p.roles}, farm.Token{Hash: secret.Hash(tok), Kind: kindToken})
		b.check(err)
	}
	cfg.Farm, cfg.Blobs, cfg.Uploads, cfg.Logs = b.f, b.blobs, b.blobs.Uploads(), b.logs
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Library = library.New(b.f, b.blobs, cfg.Log, library.Limits{})
	cfg.Version = "1.2.3"
	b.door = newDoor(cfg)
	b.srv = httptest.NewServer(b.checked(b.door))
	t.Cleanup(func() {
		b.f.Close()
		b.srv.Close()
		b.check(b.blobs.Close())
	})
	return b
}

// checked holds every answer of every test to the OpenAPI document.
func (b *bundle) checked(next http.Handler) http.Handler {
	doc := parseDocument(b.t, b.door.openapi)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{statusWriter: statusWriter{ResponseWriter: w}}
		next.ServeHTTP(rec, r)
		if err := doc.verify(r, rec); err != nil {
			b.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	})
}

// recorder keeps the beginning of an answer.
type recorder struct {
	statusWriter
	body bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.body.Len() < 1<<20 {
		r.body.Write(p)
	}
	return r.statusWriter.Write(p)
}

func (b *bundle) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes a request as an account. A body that is no reader is sent as JSON.
func (b *bundle) send(who, method, path string, body any, headers ...string) answer {
	b.t.Helper()
	res := b.open(b.t.Context(), who, method, path, body, headers...)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	b.check(err)
	return answer{res.StatusCode, res.Header, text}
}

func (b *bundle) open(ctx context.Context, who, method, path string, body any, headers ...string) *http.Response {
	b.t.Helper()
	req := b.request(ctx, who, method, path, body, headers...)
	res, err := b.srv.Client().Do(req)
	b.check(err)
	return res
}

func (b *bundle) request(ctx context.Context, who, method, path string, body any, headers ...string) *http.Request {
	b.t.Helper()
	var r io.Reader
	kind := ""
	switch v := body.(type) {
	case nil:
	case io.Reader:
		r = v
	case string:
		r, kind = strings.NewReader(v), "application/json"
	default:
		text, err := json.Marshal(v)
		b.check(err)
		r, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, b.srv.URL+Prefix+path, r)
	b.check(err)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+b.token[who])
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// call makes a request that must give a status, and decodes its answer.
func call1[T any](b *bundle, status int, who, method, path string, body any) T {
	b.t.Helper()
	a := b.send(who, method, path, body)
	var out T
	if a.status != status {
		b.t.Fatalf("%s %s as %s: %d, not %d: %s", method, path, who, a.status, status, a.body)
	}
	if len(a.body) > 0 {
		b.check(json.Unmarshal(a.body, &out))
	}
	return out
}

// problem makes a request that must fail.
func (b *bundle) problem(status int, code, who, method, path string, body any) api.Problem {
	b.t.Helper()
	a := b.send(who, method, path, body)
	var p api.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		b.t.Fatalf("%s %s as %s: %d, no problem document: %s", method, path, who, a.status, a.body)
	}
	if a.status != status || p.Status != status || p.Code != code || p.Detail == "" || p.Title == "" {
		b.t.Errorf("%s %s as %s: %d %+v, not %d %s", method, path, who, a.status, p, status, code)
	}
	return p
}

var varying = regexp.MustCompile(`("(?:batches|operations|queued|held|looks)"): \d+`)

// golden compares an answer with a file.
func (b *bundle) golden(name string, a answer) {
	b.t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d", a.status)
	for _, h := range []string{"Content-Type", "Location", "Allow", "Retry-After", "WWW-Authenticate"} {
		if v := a.header.Get(h); v != "" {
			fmt.Fprintf(&out, "\n%s: %s", h, v)
		}
	}
	out.WriteString("\n\n")
	if json.Valid(a.body) {
		b.check(json.Indent(&out, bytes.TrimSpace(a.body), "", "  "))
	} else {
		out.Write(a.body)
	}
	out.WriteString("\n")
	// How often the dispatcher woke depends on the machine.
	text := varying.ReplaceAllString(out.String(), "$1: 0")
	file := filepath.Join("testdata", name+".golden")
	if *update {
		b.check(os.MkdirAll("testdata", 0o755))
		b.check(os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	b.check(err)
	if d := cmp.Diff(string(want), text); d != "" {
		b.t.Errorf("%s (-want +got; \"go test -update\" writes it anew):\n%s", name, d)
	}
}

// put uploads content and returns its hash.
func (b *bundle) put(content string) string {
	b.t.Helper()
	info, err := b.blobs.Put(b.t.Context(), strings.NewReader(content), nil)
	b.check(err)
	return info.SHA256.String()
}

// template is a job of some steps, each after the one before.
func template(frames string, steps ...string) string {
	var s strings.Builder
	s.WriteString("specificationVersion: jobtemplate-2023-09\nname: film\nparameterDefinitions: [{name: Quality, type: INT, default: 7}]\nsteps:\n")
	for i, name := range steps {
		fmt.Fprintf(&s, "- name: %q\n", name)
		if i > 0 {
			fmt.Fprintf(&s, "  dependencies: [{dependsOn: %q}]\n", steps[i-1])
		}
		fmt.Fprintf(&s, "  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: %q}]}\n", frames)
		s.WriteString("  script: {actions: {onRun: {command: echo, args: [\"{{Task.Param.Frame}}\"]}}}\n")
	}
	return s.String()
}

// submit submits a job as sam.
func (b *bundle) submit(frames string, steps ...string) api.Job {
	b.t.Helper()
	if len(steps) == 0 {
		steps = []string{"Render"}
	}
	return call1[api.Job](b, 201, "sam", post, "/jobs", api.Submission{Template: template(frames, steps...)})
}

// worker registers a worker of an account.
func (b *bundle) worker(who, key string) api.Worker {
	b.t.Helper()
	return call1[api.Worker](b, 201, who, post, "/workers", api.Registration{Key: key, Name: key, Slots: 4,
		Machine: api.Machine{Hostname: key + ".local", OS: "linux", Arch: "x86_64", Cores: 8, Memory: 16 << 30}})
}

func (b *bundle) claim(who string, w api.Worker) api.Lease {
	b.t.Helper()
	return call1[api.Lease](b, 200, who, post, fmt.Sprintf("/workers/%d/claim", w.ID), api.Claim{})
}

// result is what a worker says of a lease.
func result(w api.Worker, l api.Lease, outputs ...api.File) api.Result {
	return api.Result{Worker: w.ID, Job: l.Job, Step: l.Step, Index: l.Index, Seconds: 2, Memory: 1 << 20, Outputs: outputs}
}

func (b *bundle) complete(who string, w api.Worker, l api.Lease, outputs ...api.File) api.Verdict {
	b.t.Helper()
	return call1[api.Verdict](b, 200, who, post, fmt.Sprintf("/leases/%d/complete", l.ID), result(w, l, outputs...))
}

// decodeBody reads the JSON document of a good answer.
func decodeBody(res *http.Response, v any) error {
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%d: %s", res.StatusCode, text)
	}
	return json.NewDecoder(res.Body).Decode(v)
}

// newRecorded makes a request for record, of a client that has gone: nothing is
// held for it.
func newRecorded(t *testing.T, method, target, body string) (req *http.Request, err error) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return http.NewRequestWithContext(ctx, method, "http://x"+target, strings.NewReader(body))
}

// record lets the door answer without a listener.
func (b *bundle) record(req *http.Request) *httptest.ResponseRecorder {
	req.RemoteAddr, req.RequestURI = "192.0.2.1:1", req.URL.RequestURI()
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, req)
	return w
}
