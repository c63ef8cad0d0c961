package flamenco

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
)

// server is a Flamenco server that writes down what it is told.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	told   []string
	states map[string]map[string]string // of tasks, as GET /tasks shows them
	answer string                       // to POST /managers
	down   bool
	after  func(told string) // once a request was carried out
}

func newServer(t *testing.T, answer string) *server {
	s := &server{answer: answer, states: make(map[string]map[string]string)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseMultipartForm(1 << 20)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /tasks":
			json.NewEncoder(w).Encode(s.states)
			return
		case "POST /tasks":
			s.states[r.FormValue("id")] = map[string]string{"status": r.FormValue("status")}
		}
		r.Form.Del("log")
		r.Form.Del("activity")
		r.Form.Del("time_cost")
		s.told = append(s.told, r.Method+" "+r.URL.Path+" "+r.Form.Encode())
		if r.URL.Path == "/managers" {
			io.WriteString(w, s.answer)
		}
		if fn := s.after; fn != nil {
			s.mu.Unlock()
			fn(s.told[len(s.told)-1])
			s.mu.Lock()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) heard(what string) func() bool {
	return func() bool { return s.count(what) > 0 }
}

func (s *server) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.told {
		if strings.HasPrefix(line, what) {
			n++
		}
	}
	return n
}

func TestServerOf2015IsToldOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, `{"uuid":"u-1"}`)
	set := quick()
	set.Server, set.Listen = s.URL, "127.0.0.1:7777"
	b := setup(t, set)
	b.until("registered", s.heard("POST /managers has_virtual_workers=0&name=drover&port=7777"))
	p := b.pusher("node")
	b.until("the workers are counted", s.heard("PATCH /managers/u-1 total_workers=1"))
	b.post(5, typePrint, `{"text":"x"}`)
	v := p.task()
	b.until("told that it runs", s.heard("POST /tasks id=5&status=running"))
	s.mu.Lock()
	s.down = true
	s.mu.Unlock()
	p.end(v, "finished", "x\n")
	b.status(5, "finished")
	b.restart() // while the server is away
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
	b.until("told that it finished", s.heard("POST /tasks id=5&status=finished"))
	b.restart()
	b.want(400, b.post(6, typeSimple, `{}`))
	b.until("told that it was refused", s.heard("POST /tasks id=6&status=failed"))
	b.post(8, typePrint, `{"text":"x"}`)
	b.send("DELETE", "/tasks/8", nil)
	b.until("told that it was aborted", s.heard("POST /tasks id=8&status=aborted"))
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, line := range s.told {
		if strings.HasPrefix(line, "POST /tasks id=5") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff([]string{"POST /tasks id=5&status=running", "POST /tasks id=5&status=finished"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestServerOf2015IsToldOnceThroughAKill kills the farm after the server has
// heard a state, and before it has answered.
func TestServerOf2015IsToldOnceThroughAKill(t *testing.T) {
	t.Parallel()
	s := newServer(t, `{"uuid":"u-1"}`)
	set := quick()
	set.Server = s.URL
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.after = func(told string) {
		if told == "POST /tasks id=5&status=finished" {
			once.Do(func() { close(in); <-out })
		}
	}
	b := setup(t, set)
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.end(p.task(), "finished", "x\n")
	<-in
	b.restart()
	close(out)
	b.until("the task is closed", func() bool {
		_, err := b.f.Note(t.Context(), noteOpen(farm.FirstJob))
		return farm.CodeOf(err) == farm.NotFound
	})
	if n := s.count("POST /tasks id=5&status=finished"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
}

func TestServerOf2016GetsItsTokenBack(t *testing.T) {
	t.Parallel()
	s := newServer(t, `{"token":"secret"}`)
	set := quick()
	set.Server = s.URL
	b := setup(t, set)
	b.until("registered", s.heard("POST /managers has_virtual_workers=0&name=drover"))
	b.restart()
	b.until("registered again with the token", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.told, func(l string) bool {
			return strings.HasPrefix(l, "POST /managers") && strings.Contains(l, "token=secret")
		})
	})
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.end(p.task(), "finished", "")
	b.until("told by PUT", s.heard("PUT /tasks/5 id=5&status=completed"))
	a := b.form("POST", "/tasks/thumbnails", map[string]string{"task_id": "5"}, "file", "thumbnail_5.png", []byte(picture(t)))
	b.want(200, a)
	b.until("the thumbnail is passed on", s.heard("POST /jobs/thumbnails task_id=5"))
}

func TestServerURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"server:9999", "ftp://x", "http://x/path", "http://x?y"} {
		if _, err := newUpstream(&Door{set: Settings{Server: bad}}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
