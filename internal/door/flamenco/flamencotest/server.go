// Package flamencotest is a stand-in for the Flamenco server of 2016, for tests of
// its managers.
package flamencotest

import (
	"archive/zip"
	"cmp"
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

// Server does what the server of 2016 was seen to do with a manager: it gives
// tasks to it, with the files of their jobs, and hears how they end. Fields are
// guarded by Set.
type Server struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// token is what the manager must have; each registration makes another.
	Token    string
	Managers int // that have registered
	tasks    []*Task
	Files    map[int64][]byte  // archives of jobs
	States   map[string]string // of jobs that are not active
	told     []string
	Fetched  int // archives
	// Before and After are asked on each request, before it is carried out and
	// when it was; true cuts the connection.
	Before, After func(*http.Request) bool
}

// Task is a task of the server, as it shows it.
type Task struct {
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
	JobType  string         `json:"-"` // of its job, when that is of another type
	Given    int            `json:"-"` // times it was given out
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	s := &Server{t: t, Files: make(map[int64][]byte), States: make(map[string]string)}
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
		state := s.States[r.PathValue("id")]
		if state == "" {
			state = "active"
		}
		json.NewEncoder(w).Encode(map[string]any{"id": r.PathValue("id"), "status": state})
	})
	mux.HandleFunc("POST /jobs/thumbnails", func(http.ResponseWriter, *http.Request) {})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.hook(&s.Before, r) {
			panic(http.ErrAbortHandler)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if s.hook(&s.After, r) {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *Server) hook(fn *func(*http.Request) bool, r *http.Request) bool {
	s.mu.Lock()
	f := *fn
	s.mu.Unlock()
	return f != nil && f(r)
}

// Set runs fn while nothing else is at the server.
func (s *Server) Set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// Add adds a task that waits.
func (s *Server) Add(t *Task) {
	t.Status, t.Parser = "waiting", "blender_render"
	s.Set(func() { s.tasks = append(s.tasks, t) })
}

// FrameTask is a task as the server's compiler makes it of a job whose archive has
// cube.blend.
func FrameTask(id, job int64, frames string) *Task {
	return &Task{ID: id, Job: job, Type: "blender_simple_render", Settings: map[string]any{"filepath": "cube.blend", "render_settings": "", "format": "PNG", "command_name": "default",
		"file_path_linux": "", "file_path_win": "", "file_path_osx": "", "output_path_linux": "#####", "output_path_win": "#####", "output_path_osx": "#####", "priority": 50, "frames": frames}}
}

// Task is a task by its id, nil for none. It is called within Set.
func (s *Server) Task(id string) *Task {
	i := slices.IndexFunc(s.tasks, func(t *Task) bool { return strconv.FormatInt(t.ID, 10) == id })
	if i < 0 {
		return nil
	}
	return s.tasks[i]
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := r.FormValue("token"); token != "" && token != s.Token {
		w.WriteHeader(404)
		return
	} else if token == "" {
		s.Managers++
	}
	s.Token = fmt.Sprint("token ", len(s.Token), s.Managers)
	json.NewEncoder(w).Encode(map[string]string{"token": s.Token})
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	json.NewEncoder(w).Encode(map[string]any{"tasks": s.tasks})
}

func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.Task(r.PathValue("id"))
	if t == nil {
		w.WriteHeader(404)
		return
	}
	json.NewEncoder(w).Encode(t)
}

func (s *Server) generate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	types := strings.Split(r.FormValue("job_types"), ",")
	i := slices.IndexFunc(s.tasks, func(t *Task) bool {
		return s.States[fmt.Sprint(t.Job)] == "" && (t.Status == "waiting" || t.Status == "canceled") && slices.Contains(types, cmp.Or(t.JobType, t.Type))
	})
	if r.FormValue("token") != s.Token || i < 0 {
		w.WriteHeader(404)
		return
	}
	t := s.tasks[i]
	t.Status, t.Worker = "processing", r.FormValue("worker")
	t.Given++
	json.NewEncoder(w).Encode(t)
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
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
	t, status := s.Task(r.FormValue("id")), r.FormValue("status")
	switch {
	case t == nil:
		w.WriteHeader(404)
	case t.Status == "completed" || t.Status == "canceled" || s.States[fmt.Sprint(t.Job)] != "" && status != "canceled":
		s.told = append(s.told, fmt.Sprint("refused ", t.ID, " ", status))
		w.WriteHeader(403)
	default:
		s.told = append(s.told, fmt.Sprint(t.ID, " ", status, names))
		t.Status, t.Log = status, r.FormValue("log")
		w.WriteHeader(204)
	}
}

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	s.Fetched++
	if b := s.Files[id]; b != nil {
		w.Write(b)
		return
	}
	w.WriteHeader(404)
}

// Status is the status of a task.
func (s *Server) Status(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Task(id).Status
}

// Heard are the PUTs in their order: task, status and the names in the archive.
func (s *Server) Heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}
