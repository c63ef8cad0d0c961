//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

// pidsIn reads process ids from files once all are there.
func pidsIn(t *testing.T, paths ...string) []int {
	t.Helper()
	var pids []int
	waitFor(t, "processes to start", func() bool {
		pids = nil
		for _, p := range paths {
			b, _ := os.ReadFile(p)
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				return false
			}
			pids = append(pids, pid)
		}
		return true
	})
	return pids
}

// endless is a script whose process tree, a detached branch of it too, runs until
// it is killed and says who it is.
func endless(dir string) string {
	return fmt.Sprintf(`
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ > %[1]s/detached; sleep 1000' &
echo $$ > %[1]s/main
while true; do sleep 1000; done`, dir)
}

func TestCancelKillsTheTree(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	dir := t.TempDir()
	w := startWorker(t, f, nil)
	id := f.submit(t, plainJob(shell{frames: "1-2", script: `
if [ {{Task.Param.Frame}} = 2 ]; then exit; fi
` + endless(dir), action: "        cancelation: {mode: NOTIFY_THEN_TERMINATE, notifyPeriodInSeconds: 60}\n"}))
	pids := pidsIn(t, filepath.Join(dir, "main"), filepath.Join(dir, "detached"))
	began := time.Now()
	f.stop(f.task(id, 0, 0), "canceled by ann")
	f.await(t, "the end of the stopped task", func() bool { return f.task(id, 0, 0).result.Error != "" })
	// The notify period of the template is longer than the test may take.
	if took := time.Since(began); took > 50*time.Second {
		t.Errorf("the task ended after %v", took)
	}
	for _, pid := range pids {
		waitFor(t, "processes to be killed", func() bool { return !alive(pid) })
	}
	if r := f.task(id, 0, 0).result; !strings.Contains(r.Error, "canceled by ann") {
		t.Errorf("result of a stopped task: %+v", r)
	}
	f.await(t, "the next task", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	checkLeft(t, w)
}

func TestFarmAway(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	gate := filepath.Join(t.TempDir(), "gate")
	var tries atomic.Int64
	f.hook = func(what string) {
		if what == "upload" {
			tries.Add(1)
		}
	}
	w := startWorker(t, f, nil)
	id := f.submit(t, outJob(shell{script: "echo ok > '{{Param.Out}}/a'; touch " + gate + ".on; until [ -e " + gate + " ]; do sleep 0.01; done"}))
	waitFor(t, "the task to run", func() bool { _, err := os.Stat(gate + ".on"); return err == nil })
	f.set(func() { f.down = true })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the worker to try again", func() bool { return tries.Load() > 3 })
	f.set(func() { f.down = false })
	f.await(t, "the result", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if len(f.joins) != 1 {
		t.Errorf("the worker registered %d times", len(f.joins))
	}
}

func TestFarmAwayForGood(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	dir := t.TempDir()
	w := startWorker(t, f, func(c *Config) { c.Settings.Away, c.Settings.Leave = 300*time.Millisecond, 100*time.Millisecond })
	f.submit(t, plainJob(shell{script: endless(dir)}))
	pids := pidsIn(t, filepath.Join(dir, "main"), filepath.Join(dir, "detached"))
	f.set(func() { f.down = true })
	if err := w.wait(t); !errors.Is(err, errDown) || !strings.Contains(err.Error(), "out of reach") {
		t.Errorf("Run: %v", err)
	}
	for _, pid := range pids {
		waitFor(t, "processes to be killed", func() bool { return !alive(pid) })
	}
	checkLeft(t, w)
}

func TestFarmAwayAtStart(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	var tries atomic.Int64
	f.down, f.hook = true, func(string) { tries.Add(1) }
	w := startWorker(t, f, nil)
	waitFor(t, "tries", func() bool { return tries.Load() > 3 })
	f.set(func() { f.down = false })
	f.await(t, "registered", func() bool { return len(f.joins) == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedWorkerGivesUp(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	f.refuse = &farmError{"forbidden", "the account ann may not render: it lacks the role renderer"}
	w := startWorker(t, f, nil)
	if err := w.wait(t); err == nil || !strings.Contains(err.Error(), "lacks the role") {
		t.Errorf("Run: %v", err)
	}
	f = newFakeFarm()
	w = startWorker(t, f, nil)
	f.await(t, "registered", func() bool { return len(f.claims) > 0 })
	f.set(func() { f.refuse = &farmError{"unauthorized", "the token was revoked"} })
	if err := w.wait(t); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("Run: %v", err)
	}
}

// TestLostAnswers loses the answers of requests that were carried out.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"register", "claim", "complete", "fail", "upload", "log"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFakeFarm()
			f.lose[what] = 2
			id := f.submit(t, outJob(shell{frames: "1-4", script: "echo {{Task.Param.Frame}} > '{{Param.Out}}/a'; exit $(({{Task.Param.Frame}} == 4))"}))
			w := startWorker(t, f, nil)
			f.await(t, "all over", func() bool { return f.states(id, "done") == 3 && f.states(id, "failed") == 1 })
			if err := w.end(t); err != nil {
				t.Fatal(err)
			}
			for _, task := range f.tasks {
				if task.done != 1 {
					t.Errorf("task %d counted %d times", task.index, task.done)
				}
			}
			if len(f.leases) != 4 {
				t.Errorf("%d leases for 4 tasks", len(f.leases))
			}
		})
	}
}

func TestRegistersAgainWhenForgotten(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	gate := filepath.Join(t.TempDir(), "gate")
	w := startWorker(t, f, func(c *Config) { c.Settings.PulseWait = 30 * time.Millisecond })
	id := f.submit(t, plainJob(shell{script: "touch " + gate + ".on; until [ -e " + gate + " ]; do sleep 0.01; done"}))
	waitFor(t, "the task to run", func() bool { _, err := os.Stat(gate + ".on"); return err == nil })
	f.set(func() { f.gone = true })
	f.await(t, "registered again", func() bool { return len(f.joins) == 2 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{101}, f.joins[1].Holds); diff != "" {
		t.Errorf("leases that the worker said it holds: %s", diff)
	}
	if f.task(id, 0, 0).done != 1 || len(f.leases) != 1 {
		t.Error("the task was not carried on")
	}
}

func TestLeaseThatEndedIsAbandoned(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	dir := t.TempDir()
	startWorker(t, f, nil)
	id := f.submit(t, plainJob(shell{script: endless(dir)}))
	pids := pidsIn(t, filepath.Join(dir, "main"))
	f.set(func() {
		task := f.task(id, 0, 0)
		f.leaseOf(task).ended = true
		task.state = "failed"
	})
	waitFor(t, "the process to be killed", func() bool { return !alive(pids[0]) })
}

// TestLateResultStillCounts lets a lease run out while its outputs are on their
// way.
func TestLateResultStillCounts(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	hold := make(chan struct{})
	f.holding["picture"] = hold
	w := startWorker(t, f, nil)
	id := f.submit(t, outJob(shell{script: "echo picture > '{{Param.Out}}/a'"}))
	f.await(t, "the upload", func() bool { return f.uploads > 1 })
	f.set(func() {
		l := f.leaseOf(f.task(id, 0, 0))
		l.ended, l.returned, l.task.state = true, "ran out", "waiting"
		f.jobs[id].built.Steps[0].DependsOn = []string{"Frames"} // nobody gets it meanwhile
	})
	f.await(t, "a pulse without the lease", func() bool { return f.beat != nil })
	close(hold)
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
}

func TestDrainFinishesRunningTasks(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	gate := filepath.Join(t.TempDir(), "gate")
	w := startWorker(t, f, nil)
	id := f.submit(t, plainJob(shell{frames: "1-2", script: "touch " + gate + ".on; until [ -e " + gate + " ]; do sleep 0.01; done"}))
	waitFor(t, "the task to run", func() bool { _, err := os.Stat(gate + ".on"); return err == nil })
	w.drain()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(t); err != nil {
		t.Fatal(err)
	}
	if f.states(id, "done") != 1 || f.states(id, "waiting") != 1 || f.signOffs != 1 {
		t.Errorf("after the drain: %d done, %d waiting, %d sign-offs", f.states(id, "done"), f.states(id, "waiting"), f.signOffs)
	}
}

func TestLeavingGivesTasksBack(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(w *testWorker){
		"grace over":    func(w *testWorker) { w.drain() },
		"second signal": func(w *testWorker) { w.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeFarm()
			dir := t.TempDir()
			w := startWorker(t, f, func(c *Config) { c.Settings.Grace = 50 * time.Millisecond })
			id := f.submit(t, plainJob(shell{script: endless(dir)}))
			pids := pidsIn(t, filepath.Join(dir, "main"), filepath.Join(dir, "detached"))
			leave(w)
			if err := w.wait(t); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				waitFor(t, "processes to be killed", func() bool { return !alive(pid) })
			}
			for _, l := range f.leases {
				if l.returned != errLeaving.Error() {
					t.Errorf("lease %d: returned %q", l.id, l.returned)
				}
			}
			if f.states(id, "waiting") != 1 || f.signOffs != 1 {
				t.Errorf("%d tasks wait, %d sign-offs", f.states(id, "waiting"), f.signOffs)
			}
			checkLeft(t, w)
		})
	}
}

func TestFolderIsLocked(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	w := startWorker(t, f, nil)
	f.await(t, "registered", func() bool { return len(f.joins) == 1 })
	other := startWorker(t, newFakeFarm(), func(c *Config) { c.Data = w.data })
	err := other.wait(t)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d;", os.Getpid())) {
		t.Errorf("a second worker on the same folder: %v", err)
	}
}

// TestKilledWorker kills a worker with its task running, and looks at what the next
// one finds.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(os.Args[0], "worker", data)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := pidsIn(t, filepath.Join(data, "pid"))[0]
	key, err := os.ReadFile(filepath.Join(data, "worker.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !alive(pid) {
		t.Fatal("the task ended with its worker; there is nothing to clean up")
	}
	part := filepath.Join(data, "cache", "00", strings.Repeat("0", 64)+".part")
	if err := os.MkdirAll(filepath.Dir(part), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFakeFarm()
	w := startWorker(t, f, func(c *Config) { c.Data = data })
	f.await(t, "registered", func() bool { return len(f.joins) == 1 })
	waitFor(t, "the process to be killed", func() bool { return !alive(pid) })
	if _, err := os.Stat(part); !os.IsNotExist(err) {
		t.Errorf("a broken-off download is left: %v", err)
	}
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if got := f.joins[0].Key; got != strings.TrimSpace(string(key)) || len(f.joins[0].Holds) != 0 {
		t.Errorf("registered with %+v, the key was %s", f.joins[0], key)
	}
	checkLeft(t, w)
}

// TestUploadsBehind holds the uploads: with a farm that lets it, the worker renders
// on, at most two tasks ahead; each output keeps its content.
func TestUploadsBehind(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	hold := make(chan struct{})
	f.overlap, f.holding["picture"] = true, hold
	runs := filepath.Join(t.TempDir(), "runs")
	id := f.submit(t, outJob(shell{frames: "1-6", script: "echo picture {{Task.Param.Frame}} > '{{Param.Out}}/same'; echo {{Task.Param.Frame}} >> " + runs}))
	w := startWorker(t, f, func(c *Config) { c.Settings.PulseWait = 30 * time.Millisecond })
	f.await(t, "three tasks at once", func() bool { return f.states(id, "running") == 3 })
	waitFor(t, "three runs", func() bool { b, _ := os.ReadFile(runs); return string(b) == "1\n2\n3\n" })
	// All three leases are renewed, for several rounds, and none is added.
	f.await(t, "renewals", func() bool {
		for i := range int64(3) {
			if l := f.leaseOf(f.task(id, 0, i)); l == nil || len(l.progress) < 5 {
				return false
			}
		}
		return true
	})
	if n := f.states(id, "waiting"); n != 3 {
		t.Errorf("%d tasks wait while three are under way", n)
	}
	close(hold)
	f.await(t, "all done", func() bool { return f.states(id, "done") == 6 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	for i := range int64(6) {
		want := []api.File{f.put("same", fmt.Sprintf("picture %d\n", i+1))}
		if diff := cmp.Diff(want, f.task(id, 0, i).result.Outputs); diff != "" {
			t.Errorf("task %d: %s", i, diff)
		}
	}
}

// TestStrictFarm has a farm that gives one lease a slot: the next task comes with
// the answer to the result.
func TestStrictFarm(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	var mu sync.Mutex
	asked := map[string]int{}
	f.hook = func(what string) { mu.Lock(); defer mu.Unlock(); asked[what]++ }
	id := f.submit(t, outJob(shell{frames: "1-5", script: "echo {{Task.Param.Frame}} > '{{Param.Out}}/a'"}))
	w := startWorker(t, f, nil)
	f.await(t, "all done", func() bool { return f.states(id, "done") == 5 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if asked["complete"] != 5 || asked["claim"] > 7 {
		t.Errorf("requests: %v", asked)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s     shell
		cause string
		text  string
		exit  int
	}{
		"exit code":        {shell{script: "echo what went wrong; exit 3"}, causeJob, "what went wrong", 3},
		"worker's fault":   {shell{script: "exit 75"}, causeWorker, "75", 75},
		"openjd_fail":      {shell{script: "echo 'openjd_fail: no camera'; exit 1"}, causeJob, "no camera", 1},
		"killed":           {shell{script: "kill -9 $$"}, causeWorker, "SIGKILL", -9},
		"crashed":          {shell{script: "kill -SEGV $$"}, causeJob, "SIGSEGV", -11},
		"no such command":  {shell{script: "a-program-that-nobody-has"}, causeWorker, "not found", 127},
		"disk full":        {shell{script: "echo 'cannot write: No space left on device' >&2; exit 1"}, causeWorker, "No space left", 1},
		"library":          {shell{script: "echo 'x: error while loading shared libraries: libGL.so.1' >&2; exit 1"}, causeWorker, "libGL", 1},
		"timeout":          {shell{script: "sleep 100", action: "        timeout: 1\n"}, causeJob, "timeout", -9},
		"environment":      {shell{script: "true", env: "echo licence server is down; exit 75"}, causeWorker, "licence server", 75},
		"name not allowed": {shell{script: "touch '{{Param.Out}}/a:b'"}, causeJob, "a:b", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeFarm()
			id := f.submit(t, outJob(c.s))
			w := startWorker(t, f, nil)
			f.await(t, "the failure", func() bool { return f.states(id, "failed") == 1 })
			if err := w.end(t); err != nil {
				t.Fatal(err)
			}
			r := f.task(id, 0, 0).result
			if r.Cause != c.cause || !strings.Contains(r.Error, c.text) {
				t.Errorf("cause %s, error %q; want %s, %q", r.Cause, r.Error, c.cause, c.text)
			}
			if c.exit != 0 && r.Exit != c.exit {
				t.Errorf("exit %d, want %d", r.Exit, c.exit)
			}
			if len(r.Outputs) > 0 || r.Log == "" {
				t.Errorf("a failed task has outputs %v, log %q", r.Outputs, r.Log)
			}
		})
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ command, cause string }{
		"not on the path":         {"a-program-that-nobody-has", causeWorker},
		"absolute":                {"/opt/nobody/has/this", causeWorker},
		"of the job":              {"{{Session.WorkingDirectory}}/missing", causeJob},
		"without its interpreter": {"{{Task.File.run}}", causeWorker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeFarm()
			id := f.submit(t, api.Work{Template: `
specificationVersion: jobtemplate-2023-09
name: test
steps:
- name: Frames
  script:
    actions: {onRun: {command: "` + c.command + `"}}
    embeddedFiles: [{name: run, type: TEXT, runnable: true, data: "#!/opt/nobody/has/this\n"}]
`})
			startWorker(t, f, nil)
			f.await(t, "the failure", func() bool { return f.states(id, "failed") == 1 })
			if r := f.task(id, 0, 0).result; r.Cause != c.cause {
				t.Errorf("cause %s of %q, want %s", r.Cause, r.Error, c.cause)
			}
		})
	}
}

// TestHostileFarm has jobs whose files would lead out of the session.
func TestHostileFarm(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	good := f.put("ok", "ok")
	with := func(change func(*api.File)) api.File { c := good; change(&c); return c }
	for name, files := range map[string][]api.File{
		"parent":    {with(func(f *api.File) { f.Name = "../../evil" })},
		"absolute":  {with(func(f *api.File) { f.Name = "/tmp/evil" })},
		"backslash": {with(func(f *api.File) { f.Name = `..\evil` })},
		"control":   {with(func(f *api.File) { f.Name = "a\nb" })},
		"empty":     {with(func(f *api.File) { f.Name = "" })},
		"root":      {with(func(f *api.File) { f.Root = 7 })},
		"negative":  {with(func(f *api.File) { f.Root = -1 })},
		"hash":      {with(func(f *api.File) { f.SHA256 = "../../../../etc/passwd" })},
		"upper":     {with(func(f *api.File) { f.SHA256 = strings.ToUpper(f.SHA256) })},
		"size":      {with(func(f *api.File) { f.Size = -1 })},
		"in a file": {with(func(f *api.File) { f.Name = "a" }), with(func(f *api.File) { f.Name = "a/b" }), with(func(f *api.File) { f.Name = "a/c" })},
		"unknown":   {{Name: "x", SHA256: hashOf("nowhere"), Size: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeFarm()
			f.put("ok", "ok")
			id := f.submit(t, outJob(shell{script: "true"}, files...))
			w := startWorker(t, f, func(c *Config) { c.Settings.Transfers = 1 })
			f.await(t, "the failure", func() bool { return f.states(id, "failed") == 1 })
			if err := w.end(t); err != nil {
				t.Fatal(err)
			}
			if r := f.task(id, 0, 0).result; r.Cause != causeJob {
				t.Errorf("cause %s: %s", r.Cause, r.Error)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(w.data), "*evil*")); len(left) > 0 {
				t.Errorf("written outside: %v", left)
			}
		})
	}
}

// TestPlantedLink has a first step that plants a link where the outputs of the
// step are brought for the next.
func TestPlantedLink(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	outside := t.TempDir()
	job := outJob(shell{
		script: "mkdir '{{Param.Out}}/sub'; echo 1 > '{{Param.Out}}/sub/file'",
		after:  "true",
	})
	id := f.submit(t, job)
	f.hook = func(what string) {
		// The session lies ready; what a task could have done to it is done here.
		if what == "inputs" {
			dirs, _ := filepath.Glob(filepath.Join(filepath.Dir(outside), "*", "data", "files", "*", "0", "sub"))
			for _, d := range dirs {
				_ = os.RemoveAll(d)
				_ = os.Symlink(outside, d)
			}
		}
	}
	startWorker(t, f, func(c *Config) { c.Data = filepath.Join(filepath.Dir(outside), "w", "data") })
	f.await(t, "the end", func() bool { return f.task(id, 1, 0).state == "failed" || f.task(id, 1, 0).state == "done" })
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("a file was written outside of the session: %v", left)
	}
	if r := f.task(id, 1, 0); r.state != "failed" || r.result.Cause != causeJob {
		t.Errorf("the task is %s: %+v", r.state, r.result)
	}
}

// TestDisagreement has a farm whose parameters are not those of the template.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	id := f.submit(t, plainJob(shell{frames: "1-3", script: "true"}))
	other, err := build(&api.Work{Template: shell{frames: "11-13", script: "true"}.template()})
	if err != nil {
		t.Fatal(err)
	}
	f.jobs[id].built = other
	startWorker(t, f, nil)
	f.await(t, "the failures", func() bool { return f.states(id, "failed") == 3 })
	if r := f.task(id, 0, 0).result; r.Cause != causeWorker || !strings.Contains(r.Error, `Frame="11"`) {
		t.Errorf("%s: %s", r.Cause, r.Error)
	}
}

// TestResultRefused has a farm that loses an output once, and then refuses another
// result for good.
func TestResultRefused(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	n := 0
	f.hook = func(what string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if what == "complete" {
			if n++; n == 1 || n > 2 {
				delete(f.blobs, hashOf("1\n"))
				delete(f.blobs, hashOf("2\n"))
			}
		}
	}
	id := f.submit(t, outJob(shell{frames: "1-2", script: "echo {{Task.Param.Frame}} > '{{Param.Out}}/a'"}))
	startWorker(t, f, nil)
	f.await(t, "both over", func() bool { return f.states(id, "done") == 1 && f.states(id, "failed") == 1 })
	if r := f.task(id, 0, 1).result; r.Cause != causeJob || !strings.Contains(r.Error, "was not uploaded") {
		t.Errorf("%s: %s", r.Cause, r.Error)
	}
}

// TestBrokenDataFolder takes away the folder in which outputs are kept.
func TestBrokenDataFolder(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	w := startWorker(t, f, nil)
	f.await(t, "registered", func() bool { return len(f.claims) > 0 })
	if err := os.RemoveAll(filepath.Join(w.data, "spool")); err != nil {
		t.Fatal(err)
	}
	id := f.submit(t, plainJob(shell{script: "true"}))
	f.await(t, "the failure", func() bool { return f.states(id, "failed") == 1 })
	if r := f.task(id, 0, 0).result; r.Cause != causeWorker || r.Log != "" {
		t.Errorf("%s: %s (log %q)", r.Cause, r.Error, r.Log)
	}
}

// TestLeavingWhileSending ends a worker whose outputs do not get through.
func TestLeavingWhileSending(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	hold := make(chan struct{})
	defer close(hold)
	f.holding["picture"] = hold
	w := startWorker(t, f, nil)
	id := f.submit(t, outJob(shell{script: "echo picture > '{{Param.Out}}/a'"}))
	f.await(t, "the upload", func() bool { return f.uploads > 1 })
	w.kill()
	if err := w.wait(t); err != nil {
		t.Fatal(err)
	}
	if f.states(id, "waiting") != 1 {
		t.Error("the task was not given back")
	}
	checkLeft(t, w)
}

func TestEnding(t *testing.T) {
	t.Parallel()
	late := &awayError{"ask for work", time.Hour, context.DeadlineExceeded}
	open, closed := make(chan struct{}), make(chan struct{})
	close(closed)
	for name, c := range map[string]struct {
		told     bool
		cause    error
		draining chan struct{}
		err      error
		want     error
	}{
		"told":           {told: true, draining: open, err: errDown},
		"drained":        {draining: closed, err: context.Canceled},
		"grace is over":  {cause: errLeaving, draining: closed},
		"farm is away":   {cause: late, draining: open, want: late},
		"refused":        {draining: open, err: errDown, want: errDown},
		"away, draining": {cause: late, draining: closed, want: late},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told, tell := context.WithCancel(t.Context())
			defer tell()
			ctx, fail := context.WithCancelCause(told)
			defer fail(nil)
			if c.told {
				tell()
			}
			if c.cause != nil {
				fail(c.cause)
			}
			a := &agent{draining: c.draining}
			if got := a.ending(told, ctx, c.err); !errors.Is(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
