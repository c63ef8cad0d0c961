package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drover.farm/e2e/harness"
)

// flamencoFarm is a farm with its Flamenco door open and a share.
type flamencoFarm struct {
	*harness.Farm
	t     *testing.T
	doors []string // URLs, one of each server
	turn  atomic.Int64
	share string
}

func startFlamenco(t *testing.T, more ...string) *flamencoFarm {
	t.Helper()
	addr, share := harness.FreeAddress(t), t.TempDir()
	return &flamencoFarm{t: t, share: share, doors: []string{"http://" + addr}, Farm: harness.StartFarm(t, append(flamencoFlags(t, addr, share), more...)...)}
}

func flamencoFlags(t *testing.T, addr, share string) []string {
	return []string{"--flamenco-listen", addr, "--flamenco-shares", "linux=" + share + ";farm=" + share,
		"--flamenco-tick", "300ms", "--flamenco-lease", "5s", "--flamenco-pull-lease", "5s", "--flamenco-blender", version(t), "--farm-scan", "100ms"}
}

// version is that of the installed Blender.
func version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(blender(t), "--version").Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 {
		t.Fatalf("blender --version: %v\n%s", err, out)
	}
	return fields[1]
}

// call makes a request of the server whose turn it is, or of one that lives, and
// returns its status and body. The status is 0 when the farm is away: nobody
// answers, or no server writes.
func (f *flamencoFarm) call(method, path, kind string, body io.Reader) (int, string) {
	var data []byte
	if body != nil {
		data, _ = io.ReadAll(body) // of memory
	}
	turn := int(f.turn.Add(1))
	for i := range f.doors {
		req, err := http.NewRequest(method, f.doors[(turn+i)%len(f.doors)]+path, bytes.NewReader(data))
		if err != nil {
			f.t.Error(err)
			return 0, ""
		}
		req.Header.Set("Content-Type", kind)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode != http.StatusServiceUnavailable {
			return res.StatusCode, string(text)
		}
	}
	return 0, ""
}

func (f *flamencoFarm) form(method, path string, kv ...string) (int, string) {
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return f.call(method, path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

func (f *flamencoFarm) post(id int, scene, out string, first, last int) {
	f.t.Helper()
	settings, _ := json.Marshal(map[string]any{"format": "PNG", "file_path_linux": scene, "output_path_linux": out + "/#####", "frame_start": first, "frame_end": last})
	if status, body := f.form("POST", "/tasks", "task_id", fmt.Sprint(id), "type", "simple_blender_render", "parser", "blender_render", "settings", string(settings)); status != 202 {
		f.t.Fatalf("POST /tasks: %d %s", status, body)
	}
}

func (f *flamencoFarm) wait(id int, state string) {
	f.t.Helper()
	harness.Until(f.t, fmt.Sprintf("task %d is %s", id, state), long, func() bool {
		_, body := f.form("GET", fmt.Sprintf("/tasks/%d", id))
		return strings.Contains(body, `"status":"`+state+`"`)
	})
}

// render is a command that a worker runs, with all that it prints.
type render struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
}

func (r *render) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *render) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func startRender(argv []string, env ...string) (*render, error) {
	r := &render{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), env...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

func (r *render) outcome(good, bad, killed string) string {
	<-r.done
	switch {
	case r.cmd.ProcessState.Success():
		return good
	case r.cmd.ProcessState.ExitCode() < 0:
		return killed
	}
	return bad
}

// push is a worker as those of 2015 were: it has a server and is told what to do.
type push struct {
	f    *flamencoFarm
	name string
	srv  *httptest.Server

	mu    sync.Mutex
	now   *render
	dead  bool
	tasks int // that it was given
	told  int // of which it told the end
}

func (f *flamencoFarm) startPush(name string) *push {
	f.t.Helper()
	p := &push{f: f, name: name}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", p.info)
	mux.HandleFunc("GET /run_info", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"hostname":%q}`, name) })
	mux.HandleFunc("POST /execute_task", p.execute)
	mux.HandleFunc("DELETE /kill", func(w http.ResponseWriter, _ *http.Request) { p.stop(); w.WriteHeader(204) })
	p.srv = httptest.NewServer(mux)
	f.t.Cleanup(p.kill)
	u, _ := url.Parse(p.srv.URL)
	if status, body := f.form("POST", "/workers", "port", u.Port(), "hostname", name, "system", "Linux 3.13"); status != 204 {
		f.t.Fatalf("POST /workers: %d %s", status, body)
	}
	return p
}

func (p *push) info(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := map[string]any{"hostname": p.name, "status": "enabled", "log": nil, "activity": nil, "time_cost": nil}
	if p.now != nil {
		doc["status"], doc["log"] = "rendering", p.now.text()
	}
	json.NewEncoder(w).Encode(doc)
}

func (p *push) execute(w http.ResponseWriter, r *http.Request) {
	var argv []string
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.Unmarshal([]byte(r.FormValue("task_command")), &argv); err != nil || p.now != nil {
		w.WriteHeader(500)
		return
	}
	now, err := startRender(argv)
	if err != nil {
		w.WriteHeader(500)
		return
	}
	p.now, p.tasks = now, p.tasks+1
	id := r.FormValue("task_id")
	go func() {
		status := now.outcome("finished", "failed", "aborted")
		p.mu.Lock()
		dead := p.dead
		p.now = nil
		p.mu.Unlock()
		for !dead { // the originals told it once; the farm may be away in this test
			if s, _ := p.f.form("PATCH", "/tasks/"+id, "status", status, "log", now.text(), "time_cost", "1"); s != 0 {
				p.mu.Lock()
				p.told++
				p.mu.Unlock()
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}()
	io.WriteString(w, `{"pid":0}`)
}

func (p *push) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.cmd.Process.Kill()
	}
}

func (p *push) rendering() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now != nil
}

// kill ends the worker as a power cut would: it says nothing more.
func (p *push) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.srv.CloseClientConnections()
	p.srv.Close()
	p.stop()
}

// pull is a worker as those of 2016 were: it asks for work.
type pull struct {
	f    *flamencoFarm
	name string
	dir  string
	quit chan struct{}
	over chan struct{}

	mu   sync.Mutex
	now  *render
	told int // tasks of which it told the end
}

func (f *flamencoFarm) startPull(name string) *pull {
	p := &pull{f: f, name: name, dir: f.t.TempDir(), quit: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(p.over)
		for {
			select {
			case <-p.quit:
				return
			case <-time.After(100 * time.Millisecond):
				p.round()
			}
		}
	}()
	f.t.Cleanup(p.kill)
	return p
}

func (p *pull) kill() {
	p.mu.Lock()
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	if p.now != nil {
		p.now.cmd.Process.Kill()
	}
	p.mu.Unlock()
	<-p.over
}

func (p *pull) round() {
	p.f.call("GET", "/", "", nil)
	p.f.form("POST", "/workers", "port", "5000", "hostname", p.name, "system", "Linux 4.2")
	status, body := p.f.call("GET", "/tasks/compiled/0?worker="+p.name, "", nil)
	if status != 200 {
		return
	}
	var task struct {
		Options struct {
			Task    int64  `json:"task_id"`
			Job     int64  `json:"job_id"`
			Command string `json:"task_command"`
		} `json:"options"`
	}
	var argv []string
	if json.Unmarshal([]byte(body), &task) != nil || json.Unmarshal([]byte(task.Options.Command), &argv) != nil {
		p.f.t.Errorf("a task that cannot be read: %s", body)
		return
	}
	job := filepath.Join(p.dir, fmt.Sprint(task.Options.Job))
	out := filepath.Join(p.dir, "output", fmt.Sprint(task.Options.Task))
	path := fmt.Sprintf("/tasks/%d", task.Options.Task)
	p.f.form("PATCH", path, "status", "active")
	if err := os.RemoveAll(job); err != nil {
		p.f.t.Error(err)
	}
	p.fetch(fmt.Sprintf("/tasks/zip/%d", task.Options.Job), job)
	p.fetch(fmt.Sprintf("/static/storage/%d/dependencies_%d.zip", task.Options.Job, task.Options.Task), job)
	for i := range argv {
		argv[i] = strings.NewReplacer("==command==", "blender", "==jobpath==", job+"/", "==outputpath==", out).Replace(argv[i])
	}
	r, err := startRender(argv, "WORKER_JOBPATH="+job)
	if err != nil {
		p.f.t.Error(err)
		return
	}
	p.mu.Lock()
	p.now = r
	p.mu.Unlock()
	p.watch(r, path)
	state := r.outcome("completed", "failed", "canceled")
	p.mu.Lock()
	p.now = nil
	p.mu.Unlock()
	select {
	case <-p.quit: // a dead worker says nothing
		return
	default:
	}
	p.send(path, state, r.text(), out)
}

// watch tells how the render goes; any answer but 204 ends it.
func (p *pull) watch(r *render, path string) {
	for {
		select {
		case <-r.done:
			return
		case <-time.After(200 * time.Millisecond):
			log := r.text()
			if s, body := p.f.form("PATCH", path, "status", "active", "log", log[max(0, len(log)-256):]); s != 204 && s != 0 {
				p.f.t.Logf("%s is told to stop %s: %d %s", p.name, path, s, body)
				r.cmd.Process.Kill()
			}
		}
	}
}

func (p *pull) fetch(path, dir string) {
	status, body := p.f.call("GET", path, "", nil)
	for ; status == 0; status, body = p.f.call("GET", path, "", nil) {
		<-time.After(50 * time.Millisecond) // the farm is away
	}
	if status != 200 {
		return
	}
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		p.f.t.Error(err)
		return
	}
	if err := os.CopyFS(dir, z); err != nil {
		p.f.t.Error(err)
	}
}

func (p *pull) send(path, state, log, out string) {
	var files, body bytes.Buffer
	z := zip.NewWriter(&files)
	if list, err := os.ReadDir(out); err == nil && len(list) > 0 {
		z.AddFS(os.DirFS(out))
	}
	z.Close()
	m := multipart.NewWriter(&body)
	m.WriteField("status", state)
	m.WriteField("log", log[max(0, len(log)-256):])
	w, _ := m.CreateFormFile("taskfile", "taskfile.zip")
	w.Write(files.Bytes())
	m.Close()
	for {
		if s, text := p.f.call("PATCH", path, m.FormDataContentType(), bytes.NewReader(body.Bytes())); s != 0 {
			if s != 204 {
				p.f.t.Logf("%s told that %s is %s: %d %s", p.name, path, state, s, text)
			}
			p.mu.Lock()
			p.told++
			p.mu.Unlock()
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (p *pull) rendering() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now != nil
}

func (p *pull) ends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

func (p *push) ends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// ended fails unless the workers together told of the end of so many tasks. They
// count one when they have the farm's answer, which is after the farm knows it.
func ended(t *testing.T, want int, workers ...interface{ ends() int }) {
	t.Helper()
	n := 0
	harness.Until(t, fmt.Sprintf("the workers ended %d tasks", want), long, func() bool {
		n = 0
		for _, w := range workers {
			n += w.ends()
		}
		return n >= want
	})
	if n != want {
		t.Errorf("the workers ended %d tasks, want %d", n, want)
	}
}

// onceEach fails unless each task was done by one attempt that counts and has a
// picture.
func onceEach(t *testing.T, f *harness.Farm, job int64, frames int) map[string]int {
	t.Helper()
	by := make(map[string]int)
	tasks := f.Tasks(job)
	if len(tasks) != frames {
		t.Errorf("%d tasks, want %d", len(tasks), frames)
	}
	for _, k := range tasks {
		if k.State != "done" || len(k.Output) != 1 {
			t.Errorf("frame %d is %s with %v: %s", k.Index, k.State, k.Output, k.Error)
		}
		by[k.Worker]++
	}
	return by
}

// TestFlamencoWorkersRenderWithANativeOne lets workers of both generations and a
// native one render one job, and kills the worker of 2015 and the farm in the
// middle.
func TestFlamencoWorkersRenderWithANativeOne(t *testing.T) {
	t.Parallel()
	f := startFlamenco(t)
	path := scene(t, 32, 24, 1, 12)
	a, b := f.startPush("push-a"), f.startPush("push-b")
	c := f.startPull("pull-c")
	j := f.Submit(path, "--frames", "1-12")
	harness.Until(t, "the worker renders", long, a.rendering)
	a.kill()
	f.Kill()
	f.Start()
	harness.Until(t, "the other Flamenco workers rendered frames", long, func() bool {
		if b.ends() == 0 || c.ends() == 0 {
			return false
		}
		by := map[string]bool{}
		for _, k := range f.Tasks(j.ID) {
			by[k.Worker] = by[k.Worker] || k.State == "done"
		}
		return by["push-b"] && by["pull-c"]
	})
	f.StartWorker()
	if j = f.WaitJob(j.ID, long); j.State != "done" {
		t.Fatalf("the job is %s\n%s", j.State, f.Log())
	}
	by := onceEach(t, f.Farm, j.ID, 12)
	if by["push-b"] == 0 || by["pull-c"] == 0 {
		t.Errorf("frames by worker: %v", by)
	}
	if got := len(files(t, fetched(t, f.Farm, j.ID))); got != 12 {
		t.Errorf("%d files were fetched, want 12", got)
	}
}

// TestAPostedTaskIsRenderedByWhoeverIsThere posts tasks as a Flamenco server does:
// a native worker renders one of a scene on a share, whose pictures come to the
// task's folder; a worker of 2015 another; one is canceled in the middle.
func TestAPostedTaskIsRenderedByWhoeverIsThere(t *testing.T) {
	t.Parallel()
	f := startFlamenco(t)
	data, err := os.ReadFile(scene(t, 32, 24, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.share, "a scene.blend")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	has := func(dir string) func() bool {
		return func() bool {
			for i := range 3 {
				if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%05d.png", i+1))); err != nil {
					return false
				}
			}
			return true
		}
	}
	native := f.StartWorker()
	one := filepath.Join(f.share, "one")
	f.post(1, path, one, 1, 3)
	f.wait(1, "finished")
	harness.Until(t, "the pictures are in the task's folder", long, has(one))
	native.Stop()

	p := f.startPush("push")
	two := filepath.Join(f.share, "two")
	f.post(2, path, two, 1, 3)
	f.wait(2, "finished")
	if !has(two)() {
		t.Errorf("the folder has %v", files(t, two))
	}
	ended(t, 1, p)

	f.post(3, path, filepath.Join(f.share, "three"), 1, 3)
	harness.Until(t, "the worker renders", long, p.rendering)
	f.form("DELETE", "/tasks/3")
	f.wait(3, "aborted")
	harness.Until(t, "the render has ended", long, func() bool { return !p.rendering() })
}

// TestFlamencoThroughTwoServers talks to one farm through two servers in turn, and
// kills the one that writes while workers of both generations render.
func TestFlamencoThroughTwoServers(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, 2)
	f := &flamencoFarm{t: t, share: t.TempDir()}
	for _, s := range c.Servers {
		addr := harness.FreeAddress(t)
		s.Flags(flamencoFlags(t, addr, f.share)...)
		f.doors = append(f.doors, "http://"+addr)
	}
	c.Start("")
	f.Farm = c.Farm
	data, err := os.ReadFile(scene(t, 32, 24, 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.share, "scene.blend")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, body := f.form("POST", "/settings", "blender_path_linux", "blender"); status != 204 {
		t.Fatalf("POST /settings: %d %s", status, body)
	}
	p, q := f.startPush("push"), f.startPull("pull")
	for id := 1; id <= 2; id++ {
		f.post(id, path, filepath.Join(f.share, fmt.Sprint(id)), 1, 4)
	}
	harness.Until(t, "both workers render", long, func() bool { return p.rendering() && q.rendering() })
	dead := c.Writer()
	dead.Kill()
	for id := 1; id <= 2; id++ {
		f.wait(id, "finished")
		var task struct {
			Job int64 `json:"job"`
		}
		_, body := f.form("GET", fmt.Sprintf("/tasks/%d", id))
		if err := json.Unmarshal([]byte(body), &task); err != nil {
			t.Fatal(err)
		}
		for _, k := range f.Tasks(task.Job) {
			if k.State != "done" || k.Attempts != 1 {
				t.Errorf("frame %d of task %d is %s after %d attempts, want done after 1: %s", k.Index+1, id, k.State, k.Attempts, k.Error)
			}
		}
		if got := files(t, filepath.Join(f.share, fmt.Sprint(id))); len(got) != 4 {
			t.Errorf("the folder of task %d has %v", id, got)
		}
	}
	ended(t, 1, p)
	ended(t, 1, q)
	dead.Start()
	for i := range f.doors { // a task through each of them
		f.turn.Store(int64(i))
		if status, body := f.form("POST", "/tasks", "task_id", fmt.Sprint(10+i), "type", "print_string", "settings", `{"text":"hello"}`); status != 202 {
			t.Errorf("POST /tasks: %d %s", status, body)
		}
	}
	for i := range f.doors {
		f.wait(10+i, "finished")
	}
}
