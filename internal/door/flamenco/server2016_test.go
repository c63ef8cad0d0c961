package flamenco

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// server2016 does what the server of 2016 was seen to do with a manager.
type server2016 struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// token is what the manager must have; each registration makes another.
	token    string
	managers int
	tasks    []*serverTask
	files    map[int64][]byte  // of jobs
	states   map[string]string // of jobs that are not active
	told     []string          // PUTs: task, status, names in the archive
	fetched  int               // of files
	// before and after are asked on each request, after it was carried out or
	// before; true cuts the connection.
	before, after func(*http.Request) bool
}

type serverTask struct {
	ID       int64          `json:"id"`
	Job      int64          `json:"job_id"`
	Name     string         `json:"name"`
	Status   string         `json:"status"`
	Type     string         `json:"type"`
	Settings map[string]any `json:"settings"`
	Log      string         `json:"log"`
	Priority int            `json:"priority"`
	Child    int64          `json:"child_id"`
	Parser   string         `json:"parser"`
	Worker   string         `json:"worker"`
	given    int
}

func newServer2016(t *testing.T) *server2016 {
	s := &server2016{t: t, files: make(map[int64][]byte), states: make(map[string]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /managers", s.register)
	mux.HandleFunc("GET /tasks", s.list)
	mux.HandleFunc("GET /tasks/generate", s.generate)
	mux.HandleFunc("GET /tasks/{id}", s.one)
	mux.HandleFunc("PUT /tasks/{id}", s.put)
	mux.HandleFunc("GET /jobs/file/{id}", s.file)
	mux.HandleFunc("GET /jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		state := s.states[r.PathValue("id")]
		if state == "" {
			state = "active"
		}
		json.NewEncoder(w).Encode(map[string]any{"id": r.PathValue("id"), "status": state})
	})
	mux.HandleFunc("POST /jobs/thumbnails", func(http.ResponseWriter, *http.Request) {})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.hook(&s.before, r) {
			panic(http.ErrAbortHandler)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if s.hook(&s.after, r) {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server2016) hook(fn *func(*http.Request) bool, r *http.Request) bool {
	s.mu.Lock()
	f := *fn
	s.mu.Unlock()
	return f != nil && f(r)
}

func (s *server2016) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *server2016) add(t *serverTask) {
	t.Status, t.Parser = "waiting", "blender_render"
	s.set(func() { s.tasks = append(s.tasks, t) })
}

// frame is a task as the server's compiler makes it of a job.
func frameTask(id, job int64, frames string) *serverTask {
	return &serverTask{ID: id, Job: job, Type: typeFrames, Settings: map[string]any{"filepath": "cube.blend", "render_settings": "", "format": "PNG", "command_name": "default",
		"file_path_linux": "", "file_path_win": "", "file_path_osx": "", "output_path_linux": "#####", "output_path_win": "#####", "output_path_osx": "#####", "priority": 50, "frames": frames}}
}

func (s *server2016) task(id string) *serverTask {
	i := slices.IndexFunc(s.tasks, func(t *serverTask) bool { return strconv.FormatInt(t.ID, 10) == id })
	if i < 0 {
		return nil
	}
	return s.tasks[i]
}

func (s *server2016) register(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := r.FormValue("token"); token != "" && token != s.token {
		w.WriteHeader(404)
		return
	} else if token == "" {
		s.managers++
	}
	s.token = fmt.Sprint("token ", len(s.token), s.managers)
	json.NewEncoder(w).Encode(map[string]string{"token": s.token})
}

func (s *server2016) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	json.NewEncoder(w).Encode(map[string]any{"tasks": s.tasks})
}

func (s *server2016) one(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.task(r.PathValue("id"))
	if t == nil {
		w.WriteHeader(404)
		return
	}
	json.NewEncoder(w).Encode(t)
}

func (s *server2016) generate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	types := strings.Split(r.FormValue("job_types"), ",")
	i := slices.IndexFunc(s.tasks, func(t *serverTask) bool {
		return s.states[fmt.Sprint(t.Job)] == "" && (t.Status == "waiting" || t.Status == "canceled") && (slices.Contains(types, t.Type) || t.Type == "unknown")
	})
	if r.FormValue("token") != s.token || i < 0 {
		w.WriteHeader(404)
		return
	}
	t := s.tasks[i]
	t.Status, t.Worker = "processing", r.FormValue("worker")
	t.given++
	json.NewEncoder(w).Encode(t)
}

func (s *server2016) put(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 {
		w.WriteHeader(411) // it reads no chunks
		return
	}
	f, _, err := r.FormFile("taskfile")
	names := ""
	if err == nil {
		body, _ := io.ReadAll(f)
		z, err := zip.NewReader(strings.NewReader(string(body)), int64(len(body)))
		if err != nil {
			s.t.Errorf("an archive that is none: %v", err)
			return
		}
		for _, e := range z.File {
			names += " " + e.Name
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, status := s.task(r.FormValue("id")), r.FormValue("status")
	switch {
	case t == nil:
		w.WriteHeader(404)
	case t.Status == "completed" || t.Status == "canceled" || s.states[fmt.Sprint(t.Job)] != "" && status != "canceled":
		s.told = append(s.told, fmt.Sprint("refused ", t.ID, " ", status))
		w.WriteHeader(403)
	default:
		s.told = append(s.told, fmt.Sprint(t.ID, " ", status, names))
		t.Status, t.Log = status, r.FormValue("log")
		w.WriteHeader(204)
	}
}

func (s *server2016) file(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	s.fetched++
	if b := s.files[id]; b != nil {
		w.Write(b)
		return
	}
	w.WriteHeader(404)
}

func (s *server2016) status(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.task(id).Status
}

func (s *server2016) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}
