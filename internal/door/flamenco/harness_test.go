package flamenco

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
	"drover.farm/internal/store/mem"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var admin = farm.Principal{Login: "admin", Roles: []farm.Role{farm.RoleAdmin}}

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

// bundle is a farm with its door on a listener of its own.
type bundle struct {
	t     *testing.T
	store *mem.Store
	blobs *disk.Store
	logs  *livelog.Store
	f     *farm.Farm
	door  *Door
	srv   *httptest.Server
	set   Settings
	log   *lockedBuffer
	mu    sync.Mutex
}

// quick are settings under which a test waits for little.
func quick() Settings {
	return Settings{Tick: 20 * time.Millisecond, Probe: 2 * time.Second, Lease: 2 * time.Second, PullLease: 3 * time.Second, Retry: 20 * time.Millisecond}
}

func setup(t *testing.T, set Settings) *bundle {
	t.Helper()
	b := &bundle{t: t, store: mem.New(), set: set, log: new(lockedBuffer)}
	var err error
	b.blobs, err = disk.Open(filepath.Join(t.TempDir(), "blobs"), disk.Options{})
	b.check(err)
	b.logs, err = livelog.Open(filepath.Join(t.TempDir(), "logs"), livelog.Options{})
	b.check(err)
	b.start()
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		d := b.door
		b.mu.Unlock()
		d.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		b.srv.Close()
		b.door.Stop()
		b.f.Close()
		b.check(b.blobs.Close())
		if t.Failed() {
			t.Log(b.log.String())
		}
	})
	return b
}

func (b *bundle) start() {
	b.t.Helper()
	f, err := farm.Open(context.Background(), farm.Config{Store: b.store, Blobs: blob.Sizes{Janitor: b.blobs},
		Settings: farm.Settings{Scan: 20 * time.Millisecond}, Obstacles: map[string]func(*farm.Spec) string{Name: Obstacle}})
	b.check(err)
	_, err = f.Bootstrap(context.Background(), farm.User{Login: "admin", Roles: admin.Roles}, farm.Token{})
	b.check(err)
	d, err := New(Config{Farm: f, Blobs: b.blobs, Logs: b.logs, Settings: b.set, Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	b.check(err)
	b.mu.Lock()
	b.f, b.door = f, d
	b.mu.Unlock()
}

// restart is what a kill -9 of the farm and a new start come to: the store alone
// remains.
func (b *bundle) restart() {
	b.t.Helper()
	b.f.Close()
	b.door.Stop()
	b.start()
}

func (b *bundle) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// answer is a reply as it came.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request; a body that is url.Values goes as a form.
func (b *bundle) send(method, path string, body any, headers ...string) answer {
	b.t.Helper()
	var r io.Reader
	kind := ""
	switch v := body.(type) {
	case nil:
	case url.Values:
		r, kind = strings.NewReader(v.Encode()), "application/x-www-form-urlencoded"
	case string:
		r, kind = strings.NewReader(v), "application/json"
	case io.Reader:
		r = v
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.srv.URL+path, r)
	b.check(err)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	b.check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	b.check(err)
	return answer{res.StatusCode, res.Header, string(text)}
}

func (b *bundle) want(status int, a answer) answer {
	b.t.Helper()
	if a.status != status {
		b.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// post posts a task.
func (b *bundle) post(id int, kind, settings string, more ...string) answer {
	b.t.Helper()
	v := url.Values{"task_id": {fmt.Sprint(id)}, "type": {kind}, "parser": {"blender_render"}, "settings": {settings}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return b.send("POST", "/tasks", v)
}

// until waits for a condition that other goroutines bring about.
func (b *bundle) until(what string, done func() bool) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(end) {
			b.t.Fatalf("not within 30 s: %s\n%s", what, b.log)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// status waits until a posted task is in a state.
func (b *bundle) status(id int, want string) {
	b.t.Helper()
	b.until(fmt.Sprintf("task %d is %s", id, want), func() bool {
		return strings.Contains(b.send("GET", fmt.Sprintf("/tasks/%d", id), nil).body, `"status":"`+want+`"`)
	})
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update writes it anew:\n%s", file, diff)
	}
}
