package flamenco

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
)

// pusher is a worker of 2015 as the farm sees it: its HTTP server, and what a test
// lets it say.
type pusher struct {
	b   *bundle
	srv *httptest.Server
	got chan url.Values // tasks that it was given

	mu     sync.Mutex
	status string
	log    string
	kills  int
	infos  int // times it was asked
	busy   bool
	hang   chan struct{} // while not nil, /info waits for it
}

func (b *bundle) pusher(name string) *pusher {
	b.t.Helper()
	p := &pusher{b: b, got: make(chan url.Values, 16), status: statusEnabled}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.infos++
		hang, doc := p.hang, map[string]any{"hostname": name, "system": "Linux 3.13", "status": p.status, "log": p.log, "activity": nil, "time_cost": 3}
		p.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		json.NewEncoder(w).Encode(doc)
	})
	mux.HandleFunc("GET /run_info", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"hostname":"`+name+`","mac_address":158929712651,"system":"Linux 3.13","update_frequent":{"worker_cpu_percent":7.0},"update_less_frequent":{"worker_architecture":"x86_64","worker_num_cpus":16}}`)
	})
	mux.HandleFunc("POST /execute_task", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		p.mu.Lock()
		busy := p.busy || p.status == statusRendering
		if !busy {
			p.status = statusRendering
		}
		p.mu.Unlock()
		if busy {
			http.Error(w, "{error:Processus failed}", http.StatusInternalServerError)
			return
		}
		p.got <- r.PostForm
		io.WriteString(w, `{"pid":0}`)
	})
	mux.HandleFunc("DELETE /kill", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		p.kills++
		p.status = statusEnabled
		p.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	p.srv = httptest.NewServer(mux)
	b.t.Cleanup(func() {
		p.srv.CloseClientConnections()
		p.srv.Close()
	})
	p.register(name)
	return p
}

func (p *pusher) register(name string) {
	p.b.t.Helper()
	u, _ := url.Parse(p.srv.URL)
	p.b.want(204, p.b.send("POST", "/workers", url.Values{"port": {u.Port()}, "hostname": {name}, "system": {"Linux 3.13.0"}}))
}

// task waits for the next task.
func (p *pusher) task() url.Values {
	p.b.t.Helper()
	select {
	case v := <-p.got:
		return v
	case <-time.After(30 * time.Second):
		p.b.t.Fatalf("no task came within 30 s\n%s", p.b.log)
		return nil
	}
}

// end tells how a task ended, as the worker of 2015 does.
func (p *pusher) end(task url.Values, status, log string) {
	p.b.t.Helper()
	p.set(func() { p.status, p.log = statusEnabled, "" })
	p.b.want(204, p.b.send("PATCH", "/tasks/"+task.Get("task_id"), url.Values{"status": {status}, "log": {log}, "time_cost": {"2"}}))
}

func (p *pusher) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func command(t *testing.T, v url.Values) []string {
	t.Helper()
	var argv []string
	if err := json.Unmarshal([]byte(v.Get("task_command")), &argv); err != nil {
		t.Fatal(err)
	}
	return argv
}

const sceneSettings = `{"filepath":"cube.blend","render_settings":"","format":"PNG","file_path_linux":"/p/my cube; $(x).blend","output_path_linux":"/r/1/#####","frame_start":1,"frame_end":3}`

func TestPushWorkerRunsAPostedTask(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.want(202, b.post(61, typePrint, `{"text":"hello; $(rm -rf /) \"x\""}`))
	v := p.task()
	if v.Get("task_id") != "61" || v.Get("task_parser") != "blender_render" || v.Get("settings") != `{"text":"hello; $(rm -rf /) \"x\""}` {
		t.Errorf("got %v", v)
	}
	if diff := cmp.Diff([]string{"echo", `hello; $(rm -rf /) "x"`}, command(t, v)); diff != "" {
		t.Error(diff)
	}
	if w := b.send("GET", "/workers", nil).body; !strings.Contains(w, `"status":"rendering"`) || !strings.Contains(w, `"current_task":"61"`) {
		t.Errorf("workers: %s", w)
	}
	if a := b.send("GET", "/workers/1", nil); !strings.Contains(a.body, "158929712651") {
		t.Errorf("run_info: %s", a.body)
	}
	if a := b.send("PATCH", "/workers/1", url.Values{"status": {"rendering"}}); a.body != `{"status":"rendering","task_id":61}`+"\n" {
		t.Errorf("status: %s", a.body)
	}
	if a := b.send("PATCH", "/workers/status/1", url.Values{"status": {"enabled"}}); a.body != `{"task_id":"61"}`+"\n" {
		t.Errorf("status: %s", a.body)
	}
	b.want(202, b.post(61, typePrint, `{"text":"again"}`)) // unfinished: changes nothing
	p.end(v, "finished", "hello\n")
	b.status(61, "finished")
	b.want(202, b.post(61, typePrint, `{"text":"anew"}`)) // finished: runs again
	v = p.task()
	if diff := cmp.Diff([]string{"echo", "anew"}, command(t, v)); diff != "" || v.Get("task_id") != "61" {
		t.Error(diff, v)
	}
	p.end(v, "finished", "anew\n")
	b.status(61, "finished")
}

func TestPushWorkerRendersARunOfFrames(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.want(204, b.send("POST", "/settings", url.Values{"blender_path_linux": {"/opt/blender/blender"}, "render_settings_path_linux": {"/s"}}))
	p := b.pusher("node")
	b.want(202, b.post(7, typeSimple, strings.Replace(sceneSettings, `"render_settings":""`, `"render_settings":"base_1080p.py"`, 1)))
	v := p.task()
	want := []string{"/opt/blender/blender", "--background", "/p/my cube; $(x).blend", "--render-output", "/r/1/#####", "--python", "/s/base_1080p.py",
		"--frame-start", "1", "--frame-end", "3", "--render-format", "PNG", "--render-anim", "--enable-autoexec"}
	if diff := cmp.Diff(want, command(t, v)); diff != "" {
		t.Error(diff)
	}
	// The second frame fails: the first counts, the third was not tried.
	p.end(v, "failed", "Blender 2.73 (sub 0)\nFra:1 Mem:8.00M | Rendered 1/1 Tiles\nSaved: /r/1/00001.png Time: 00:00.50\nFra:2 Mem:8.00M\nError: no light\n")
	v = p.task()
	if id := v.Get("task_id"); id == "7" || len(id) != 10 {
		t.Errorf("the second try has the id %s", id)
	}
	if argv := command(t, v); !slices.Contains(argv, "2") || slices.Contains(argv, "1") {
		t.Errorf("the second try is %v", argv)
	}
	p.end(v, "finished", "Fra:2\nSaved: '/r/1/00002.png'\nFra:3\nSaved: '/r/1/00003.png'\n")
	b.status(7, "finished")
	tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
	b.check(err)
	var got []string
	for _, k := range tasks {
		for _, a := range k.Attempts {
			got = append(got, fmt.Sprint(k.Index, " ", a.Outcome, " ", a.Error))
		}
	}
	wanted := []string{"0 done ", "1 failed the command failed on the worker: Error: no light", "1 done ", "2 returned an earlier frame of the same run failed", "2 done "}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
	if m := b.worker(1).Machine; m.Cores != 16 || m.Renderers[0].Version != "2.73" {
		t.Errorf("learned of the machine: %+v", m)
	}
}

func (b *bundle) worker(id int64) *farm.Worker {
	b.t.Helper()
	w, err := b.f.Farmhand(b.t.Context(), id)
	b.check(err)
	return w
}

func TestCancelKillsTheRender(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	v := p.task()
	b.want(202, b.send("DELETE", "/tasks/5", nil))
	b.until("the worker is told to kill", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.kills > 0
	})
	p.end(v, "aborted", "")
	b.status(5, "aborted")
	b.post(6, typePrint, `{"text":"y"}`) // the worker is free again
	p.end(p.task(), "finished", "")
	b.status(6, "finished")
}

func TestAHangingWorkerDelaysNobody(t *testing.T) {
	t.Parallel()
	set := quick()
	set.Probe = time.Minute
	b := setup(t, set)
	slow := b.pusher("slow")
	hang := make(chan struct{})
	slow.set(func() { slow.hang = hang })
	defer close(hang)
	fast := b.pusher("fast")
	b.post(5, typePrint, `{"text":"x"}`)
	select {
	case v := <-fast.got:
		fast.end(v, "finished", "")
	case v := <-slow.got: // it was asked before it hung
		slow.end(v, "finished", "")
	case <-time.After(30 * time.Second):
		t.Fatal("no task came")
	}
	b.status(5, "finished")
}

func TestADeadWorkersTaskRunsElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	dead := b.pusher("dead")
	b.post(5, typePrint, `{"text":"x"}`)
	v := dead.task()
	dead.srv.CloseClientConnections()
	dead.srv.Close()
	other := b.pusher("other")
	again := other.task()
	if again.Get("task_id") == v.Get("task_id") {
		t.Error("the second try has the id of the first")
	}
	b.want(204, b.send("PATCH", "/tasks/5", url.Values{"status": {"failed"}})) // a late word on the first
	other.end(again, "finished", "")
	b.status(5, "finished")
	b.until("the dead worker is offline", func() bool { return strings.Contains(b.send("GET", "/workers", nil).body, `"connection":"offline"`) })
}

func TestAWorkerThatStartsAnewGivesItsTaskBack(t *testing.T) {
	t.Parallel()
	set := quick()
	set.Lease = time.Hour
	b := setup(t, set)
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.task()
	p.set(func() { p.status = statusEnabled })
	p.register("node")
	p.end(p.task(), "finished", "")
	b.status(5, "finished")
}

func TestARegistrationBeforeATaskIsNoEndOfIt(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.until("it is known", func() bool { return strings.Contains(b.log.String(), "a worker of 2015 is there") })
	p.register("node")
	b.post(5, typePrint, `{"text":"x"}`)
	v := p.task()
	if v.Get("task_id") != "5" {
		t.Errorf("the first try has the id %s", v.Get("task_id"))
	}
	p.end(v, "finished", "")
	b.status(5, "finished")
	if strings.Contains(b.log.String(), "not at its task") {
		t.Error("the task was taken for lost")
	}
}

func TestALostLastWordIsARetry(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.task()
	p.set(func() { p.status = statusEnabled }) // it is done, but its PATCH was lost
	p.end(p.task(), "finished", "")
	b.status(5, "finished")
}

func TestABusyWorkerIsGivenTheTaskLater(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	p.set(func() { p.busy = true })
	b.post(5, typePrint, `{"text":"x"}`)
	b.until("the worker refused", func() bool { return strings.Contains(b.log.String(), "did not take its task") })
	p.set(func() { p.busy = false })
	p.end(p.task(), "finished", "")
	b.status(5, "finished")
}

func TestADisabledWorkerFinishesAndGetsNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	v := p.task()
	if a := b.send("PATCH", "/workers/status/1", url.Values{"status": {"disabled"}}); a.body != `{"task_id":"5"}`+"\n" {
		t.Errorf("got %s", a.body)
	}
	b.post(6, typePrint, `{"text":"y"}`)
	p.end(v, "finished", "")
	b.status(5, "finished")
	if w := b.send("GET", "/workers", nil).body; !strings.Contains(w, `"status":"disabled"`) {
		t.Errorf("workers: %s", w)
	}
	b.send("PATCH", "/workers/status/1", url.Values{"status": {"available"}})
	p.end(p.task(), "finished", "")
	b.status(6, "finished")
}

func TestARestartOfTheFarmKeepsTheRender(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.want(200, b.send("PATCH", "/settings/blender_path_linux", url.Values{"value": {"/b"}}))
	b.post(5, typePrint, `{"text":"x"}`)
	v := p.task()
	b.restart()
	p.end(v, "finished", "x\n")
	b.status(5, "finished")
	if a := b.send("GET", "/settings/blender_path_linux", nil); !strings.Contains(a.body, `"/b"`) {
		t.Errorf("settings after a restart: %s", a.body)
	}
	b.post(6, typePrint, `{"text":"y"}`)
	p.end(p.task(), "finished", "") // it is dialled again without having registered
	b.status(6, "finished")
	tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
	b.check(err)
	if n := len(tasks[0].Attempts); n != 1 {
		t.Errorf("the task had %d attempts, want 1", n)
	}
}

func TestTwoWorkersOfOneNameAndAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.pusher("node")
	b.pusher("node")
	var list map[string]workerView
	b.check(json.Unmarshal([]byte(b.send("GET", "/workers", nil).body), &list))
	if len(list) != 2 {
		t.Errorf("%d workers are listed, want 2: %v", len(list), list)
	}
}

func TestHostileBodies(t *testing.T) {
	t.Parallel()
	set := quick()
	set.LogLimit = 2
	b := setup(t, set)
	p := b.pusher("node")
	b.want(413, b.post(5, typePrint, `{"text":"`+strings.Repeat("x", 10<<20)+`"}`))
	b.want(400, b.post(5, typePrint, `{"text":"`+strings.Repeat("x", 100<<10)+`"}`))
	b.want(414, b.send("GET", "/tasks?x="+strings.Repeat("x", 9000), nil))
	b.want(400, b.send("POST", "/tasks", strings.NewReader("--x\r\n"), "Content-Type", "multipart/form-data; boundary=x"))
	b.want(400, b.send("POST", "/tasks", "[1]"))
	if a := b.send("GET", "/tasks", nil); a.body != "{}\n" {
		t.Errorf("something was scheduled: %s", a.body)
	}
	b.post(6, typePrint, `{"text":"x"}`)
	v := p.task()
	// A log that is too long ends the task: the worker would send it again.
	b.want(413, b.send("PATCH", "/tasks/6", url.Values{"status": {"finished"}, "log": {strings.Repeat("x", 3<<20)}}))
	p.set(func() { p.status = statusEnabled })
	b.until("the try has failed", func() bool {
		tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
		return err == nil && len(tasks) == 1 && len(tasks[0].Attempts) > 0 && strings.Contains(tasks[0].Attempts[0].Error, "log_limit")
	})
	_ = v
	p.end(p.task(), "finished", "ok")
	b.status(6, "finished")
}
