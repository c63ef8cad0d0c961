package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"drover.farm/internal/cluster"
	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is the writer's place that the servers of a test compete for.
type place struct {
	mu      sync.Mutex
	owner   string
	epoch   int64
	address string
	freed   chan struct{}
}

// elector is one server's view of it.
type elector struct {
	p    *place
	name string
}

func (e *elector) Wait(ctx context.Context) error {
	for {
		e.p.mu.Lock()
		if e.p.owner == "" {
			e.p.owner, e.p.address = e.name, e.name
			e.p.epoch++
			e.p.mu.Unlock()
			return nil
		}
		freed := e.p.freed
		e.p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *elector) Holds(context.Context) error {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	if e.p.owner != e.name {
		return farm.Errorf(farm.Gone, "lost")
	}
	return nil
}

func (e *elector) Release() {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	if e.p.owner == e.name {
		e.p.take("")
	}
}

// take gives the place to somebody else, or to nobody.
func (p *place) take(owner string) {
	p.owner = owner
	close(p.freed)
	p.freed = make(chan struct{})
}

func (e *elector) Writer(context.Context) (int64, string, error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	return e.p.epoch, e.p.address, nil
}

// server is one server of a test's farm.
type server struct {
	*httptest.Server
	node *cluster.Node
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, p *place, store farm.Store) *server {
	t.Helper()
	s := &server{done: make(chan error, 1)}
	var handler http.Handler
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	cfg := farm.Config{Store: store}
	s.node = cluster.New(cluster.Config{
		Elector: &elector{p, s.URL}, Address: s.URL, Secret: "between us", Check: 5 * time.Millisecond,
		Lead:   func(ctx context.Context) (*farm.Farm, error) { return farm.Open(ctx, cfg) },
		Follow: func(ctx context.Context) (*farm.Farm, error) { return farm.Follow(ctx, cfg) },
		Local:  func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/files") },
		Serve: func(f *farm.Farm) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, err := f.Status(r.Context())
				fmt.Fprintf(w, "%s host=%s body=%s client=%t writes=%t secret=%q", s.URL, r.Host, body, strings.HasPrefix(r.RemoteAddr, "127.0.0.1:"), err == nil, r.Header.Get("Drover-Forward-Secret"))
			})
		},
	})
	handler = s.node
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.done <- s.node.Run(ctx) }()
	t.Cleanup(func() { s.end(t); s.Server.Close() })
	return s
}

func (s *server) end(t *testing.T) {
	s.stop()
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		s.done <- nil
	case <-time.After(10 * time.Second):
		t.Error("Run does not end")
	}
}

func get(t *testing.T, url, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "farm.example"
	req.Header.Set("Drover-Forward-Client", "1.2.3.4:5")
	req.Header.Set("Drover-Forward-Secret", "guess")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryServerAnswersAndTheNextTakesOver(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	p := &place{freed: make(chan struct{})}
	store := mem.New()
	a := start(t, p, store)
	want := func(s *server) string {
		return s.URL + ` host=farm.example body=hello client=true writes=true secret=""`
	}
	if got := get(t, a.URL, "/x", "hello"); got != want(a) {
		t.Fatalf("the first server says %s", got)
	}
	b := start(t, p, store)
	if got := get(t, b.URL, "/x", "hello"); got != want(a) {
		t.Errorf("through the second server: %s, want the first one's answer", got)
	}
	if got := get(t, b.URL, "/files/1", "hello"); !strings.HasPrefix(got, b.URL) || !strings.Contains(got, "writes=false") {
		t.Errorf("a file through the second server: %s, want its own answer", got)
	}
	a.end(t)
	if got := get(t, b.URL, "/x", "hello"); got != want(b) {
		t.Errorf("after the first server's end: %s", got)
	}
	if got := get(t, a.URL, "/x", "hello"); got != want(b) {
		t.Errorf("through the former writer: %s", got)
	}
}

func TestAWriterThatLostItsPlaceStops(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	p := &place{freed: make(chan struct{})}
	a := start(t, p, mem.New())
	get(t, a.URL, "/x", "")
	p.mu.Lock()
	p.take("somebody else")
	p.mu.Unlock()
	for a.node.Leading() {
	}
	p.mu.Lock()
	p.take("")
	p.mu.Unlock()
	if got := get(t, a.URL, "/x", ""); !strings.Contains(got, "writes=true") {
		t.Errorf("after it got its place back: %s", got)
	}
}

func TestWithoutAWriterRequestsAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	p := &place{freed: make(chan struct{}), owner: "nobody that answers", address: "http://127.0.0.1:1"}
	n := cluster.New(cluster.Config{Elector: &elector{p, "me"}, Hold: 50 * time.Millisecond})
	rec := httptest.NewRecorder()
	n.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/x", nil))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("answer %d %v", rec.Code, rec.Header())
	}
}
