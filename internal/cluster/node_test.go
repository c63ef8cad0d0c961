package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
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
	hold    chan struct{} // while not nil and open, terms do not begin
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
	door *httptest.Server // the listener of a door of its own
	node *cluster.Node
	stop context.CancelFunc
	done chan struct{}
}

func start(t *testing.T, p *place, store farm.Store) *server {
	t.Helper()
	s := &server{done: make(chan struct{})}
	var main, door http.Handler
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { main.ServeHTTP(w, r) }))
	s.door = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { door.ServeHTTP(w, r) }))
	cfg := farm.Config{Store: store}
	s.node = cluster.New(cluster.Config{
		Elector: &elector{p, s.URL}, Address: s.URL, Secret: "between us", Check: 5 * time.Millisecond,
		Lead: func(ctx context.Context) (*cluster.Term, error) {
			if p.hold != nil {
				<-p.hold
			}
			f, err := farm.Open(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return &cluster.Term{Farm: f, Main: says(s.URL, "writer"), Doors: map[string]http.Handler{"own": says(s.URL, "own")}}, nil
		},
		Local:   says(s.URL, "local"),
		IsLocal: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/files") },
	})
	main, door = s.node, s.node.Door("own")
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.node.Run(ctx); close(s.done) }()
	t.Cleanup(func() { s.end(t); s.Server.Close(); s.door.Close() })
	return s
}

// says answers with who it is and what it was asked; a path that ends in /echo
// gives the body back as it comes.
func says(url, as string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/echo") {
			rc := http.NewResponseController(w)
			rc.EnableFullDuplex()
			for buf := make([]byte, 64); ; {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				rc.Flush()
				if err != nil {
					return
				}
			}
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s as=%s host=%s uri=%s body=%s client=%t secret=%q door=%q", url, as, r.Host, r.RequestURI, body, strings.HasPrefix(r.RemoteAddr, "127.0.0.1:"),
			r.Header.Get("Drover-Forward-Secret"), r.Header.Get("Drover-Forward-Door"))
	})
}

func (s *server) end(t *testing.T) {
	s.stop()
	select {
	case <-s.done:
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
	req.Header.Set("Drover-Forward-Door", "own")
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
	const path = "/x;y/%2F?a=1;b&c=%zz"
	want := func(s *server, as string) string {
		return s.URL + " as=" + as + " host=farm.example uri=" + path + ` body=hello client=true secret="" door=""`
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s\nwant %s", what, got, want)
		}
	}
	check("the first server", get(t, a.URL, path, "hello"), want(a, "writer"))
	b := start(t, p, store)
	check("through the second server", get(t, b.URL, path, "hello"), want(a, "writer"))
	check("the first one's own door", get(t, a.door.URL, path, "hello"), want(a, "own"))
	check("the second one's own door", get(t, b.door.URL, path, "hello"), want(a, "own"))
	if got := get(t, b.URL, "/files/1", "hello"); !strings.HasPrefix(got, b.URL+" as=local") || !strings.Contains(got, `secret="" door=""`) {
		t.Errorf("a file through the second server: %s, want its own answer", got)
	}
	a.end(t)
	check("after the first server's end", get(t, b.URL, path, "hello"), want(b, "writer"))
	check("through the former writer", get(t, a.URL, path, "hello"), want(b, "writer"))
	check("through the former writer's door", get(t, a.door.URL, path, "hello"), want(b, "own"))
}

// TestStreamsPassAsTheyCome sends a body bit by bit through a server that is not
// the writer, and gets each bit back before it sends the next.
// TestADoorWaitsForATermThatBegins asks a server that has the writer's place and
// does not write yet, several times at once: all reach the door, none the main
// listener.
func TestADoorWaitsForATermThatBegins(t *testing.T) {
	t.Parallel()
	p := &place{freed: make(chan struct{}), hold: make(chan struct{})}
	s := start(t, p, mem.New())
	const n = 20
	answers := make(chan string, n)
	for range n {
		go func() { answers <- get(t, s.door.URL, "/x", "") }()
	}
	<-time.After(50 * time.Millisecond) // some look for the writer by now
	close(p.hold)
	for range n {
		if got := <-answers; !strings.Contains(got, "own") {
			t.Errorf("the answer is %q, want the door's own", got)
		}
	}
}

func TestStreamsPassAsTheyCome(t *testing.T) {
	t.Parallel()
	p := &place{freed: make(chan struct{})}
	a := start(t, p, mem.New())
	get(t, a.URL, "/x", "")
	b := start(t, p, mem.New())
	in, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+"/echo", in)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	go io.WriteString(out, "one")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, word := range []string{"one", "two", "three"} {
		if word != "one" {
			go io.WriteString(out, word)
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != word {
			t.Fatalf("%q came back for %q: %v", got, word, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// TestABodyWaitsForTheNextWriter: a request that came while the writer was dead
// reaches the next one whole.
func TestABodyWaitsForTheNextWriter(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	p := &place{freed: make(chan struct{}), owner: "http://127.0.0.1:1", address: "http://127.0.0.1:1"}
	b := start(t, p, mem.New())
	go func() {
		for i := range 1000 { // the dead writer's place becomes free while the request waits
			if i == 999 {
				p.mu.Lock()
				p.take("")
				p.mu.Unlock()
			}
			runtime.Gosched()
		}
	}()
	if got := get(t, b.URL, "/x", "a body to keep"); !strings.Contains(got, "as=writer") || !strings.Contains(got, "body=a body to keep") {
		t.Errorf("after the takeover: %s", got)
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
	if got := get(t, a.URL, "/x", ""); !strings.Contains(got, "as=writer") {
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
