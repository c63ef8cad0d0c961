//go:build unix

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

func TestWholeLife(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	w := startWorker(t, f, nil)
	id := f.submit(t, outJob(shell{frames: "1-3", script: `
echo "frame {{Task.Param.Frame}} in $PWD"
echo "openjd_progress: 50"
mkdir -p "{{Param.Out}}/sub"
printf 'picture {{Task.Param.Frame}}' > "{{Param.Out}}/sub/{{Task.Param.Frame}}.png"
`}))
	f.await(t, "all done", func() bool { return f.states(id, "done") == 3 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	dirs := map[string]bool{}
	for i := range int64(3) {
		task := f.task(id, 0, i)
		want := []api.File{f.put("sub/"+string('1'+rune(i))+".png", "picture "+string('1'+rune(i)))}
		if diff := cmp.Diff(want, task.result.Outputs); diff != "" {
			t.Errorf("outputs of task %d: %s", i, diff)
		}
		if task.result.Seconds <= 0 || task.result.Exit != 0 || task.done != 1 {
			t.Errorf("result of task %d: %+v", i, task.result)
		}
		_, dir, ok := strings.Cut(string(task.log), "frame "+string('1'+rune(i))+" in ")
		if !ok || !strings.HasSuffix(string(task.log), "\n") {
			t.Errorf("log of task %d: %q", i, task.log)
		}
		dirs[strings.SplitN(dir, "\n", 2)[0]] = true
	}
	if len(dirs) != 1 {
		t.Errorf("the tasks of one job ran in several sessions: %v", dirs)
	}
	if f.works != 1 {
		t.Errorf("the job was asked for %d times", f.works)
	}
	if f.signOffs != 1 || len(f.joins) != 1 {
		t.Errorf("%d registrations, %d sign-offs", len(f.joins), f.signOffs)
	}
	checkLeft(t, w)
}

// checkLeft sees to it that nothing but the cache is left in the data folder.
func checkLeft(t *testing.T, w *testWorker) {
	t.Helper()
	for _, name := range []string{"files", "spool"} {
		if _, err := os.Stat(filepath.Join(w.data, name)); err == nil {
			t.Errorf("the folder %s is left", name)
		}
	}
	left, err := filepath.Glob(filepath.Join(w.data, "sessions", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("sessions are left: %v %v", left, err)
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	rules := api.Rules{Owners: []string{"ann"}, Hours: "18:00-08:00", LeaveFree: 1}
	w := startWorker(t, f, func(c *Config) { c.Name, c.Slots, c.Rules = "box", 3, rules })
	f.await(t, "registered", func() bool { return len(f.joins) == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	r := f.joins[0]
	if r.Name != "box" || r.Slots != 3 || len(r.Key) != 32 || len(r.Holds) != 0 {
		t.Errorf("registration: %+v", r)
	}
	if diff := cmp.Diff(rules, r.Rules); diff != "" {
		t.Error(diff)
	}
	again := startWorker(t, f, func(c *Config) { c.Data = w.data })
	f.await(t, "registered again", func() bool { return len(f.joins) == 2 })
	if err := again.end(t); err != nil {
		t.Fatal(err)
	}
	if f.joins[1].Key != r.Key {
		t.Error("the worker has another key after a restart")
	}
}

// TestTaskSeesItsMachine looks at what an action finds: drover on its path, the
// priority that gives way, and no token.
func TestTaskSeesItsMachine(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	exe := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho this is drover $1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, f, func(c *Config) {
		c.Executable = exe
		c.Env = append(os.Environ(), "DROVER_TOKEN=secret", "COLOUR=blue")
		c.Settings.Nice = 7
	})
	id := f.submit(t, plainJob(shell{script: "drover blender\nnice\necho colour=$COLOUR token=$DROVER_TOKEN."}))
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	log := string(f.task(id, 0, 0).log)
	for _, want := range []string{"this is drover blender\n", "\n7\n", "colour=blue token=.\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestInputsAreMappedAndReadOnly(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	w := startWorker(t, f, nil)
	scene, tool := f.put("deep/scene.txt", "a scene"), f.put("bin/tool", "#!/bin/sh\necho tool runs\n")
	tool.Mode = 0o755
	note := f.put("note.txt", "draft")
	note.Root = 1
	job := outJob(shell{
		params: "- {name: Scene, type: PATH, objectType: FILE, dataFlow: IN}\n- {name: Tool, type: PATH, objectType: FILE, dataFlow: IN}\n",
		script: `
cat '{{Param.Scene}}'; echo; '{{Param.Tool}}'
ls -l '{{Param.Scene}}' | cut -c1-10
echo final > '{{Param.Out}}/note.txt'
`,
	}, scene, tool, note)
	job.Roots = append([]api.Root{{Path: `C:\Users\ann\show`, Format: "WINDOWS"}}, job.Roots...)
	job.Parameters["Scene"], job.Parameters["Tool"] = `C:\Users\ann\show\deep\scene.txt`, `c:\users\ann\show\bin\tool`
	id := f.submit(t, job)
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	task := f.task(id, 0, 0)
	for _, want := range []string{"a scene\ntool runs\n", "-r--r--r--\n"} {
		if !strings.Contains(string(task.log), want) {
			t.Errorf("the log lacks %q:\n%s", want, task.log)
		}
	}
	want := f.put("note.txt", "final\n")
	want.Root = 1
	if diff := cmp.Diff([]api.File{want}, task.result.Outputs); diff != "" {
		t.Errorf("outputs: %s", diff)
	}
	if got, err := os.ReadFile(filepath.Join(w.data, "cache", note.SHA256[:2], note.SHA256)); err != nil || string(got) != "draft" {
		t.Errorf("the cache's file was changed: %q %v", got, err)
	}
}

func TestOutputsOfEarlierSteps(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	w := startWorker(t, f, nil)
	id := f.submit(t, outJob(shell{
		frames: "1-5", script: "echo {{Task.Param.Frame}} > '{{Param.Out}}/{{Task.Param.Frame}}.txt'",
		after: "cat '{{Param.Out}}'/*.txt > '{{Param.Out}}/film'",
	}))
	f.await(t, "done", func() bool { return f.states(id, "done") == 6 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]api.File{f.put("film", "1\n2\n3\n4\n5\n")}, f.task(id, 1, 0).result.Outputs); diff != "" {
		t.Error(diff)
	}
}

// TestSessionsChange follows the sessions of a slot: one for the tasks of a job in
// a row, its environment entered once and exited before the next job begins.
func TestSessionsChange(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	trace := filepath.Join(t.TempDir(), "trace")
	job := func(name string) api.Work {
		return plainJob(shell{
			frames: "1-2", script: "echo " + name + " run >> " + trace,
			env: "echo " + name + " enter >> " + trace, exit: "echo " + name + " exit >> " + trace,
		})
	}
	a, b := f.submit(t, job("a")), f.submit(t, job("b"))
	w := startWorker(t, f, nil)
	f.await(t, "done", func() bool { return f.states(a, "done")+f.states(b, "done") == 4 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	want := "a enter\na run\na run\na exit\nb enter\nb run\nb run\nb exit\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	var warm []int64
	for _, c := range f.claims {
		if n := len(warm); n == 0 || warm[n-1] != c.Warm {
			warm = append(warm, c.Warm)
		}
	}
	if diff := cmp.Diff([]int64{0, a, b}, warm); diff != "" {
		t.Errorf("jobs that claims named as loaded: %s", diff)
	}
}

func TestIdleSessionIsClosed(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	trace := filepath.Join(t.TempDir(), "trace")
	startWorker(t, f, func(c *Config) { c.Settings.Idle = 50_000_000 })
	id := f.submit(t, plainJob(shell{script: "true", env: "true", exit: "echo closed > " + trace}))
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
	waitFor(t, "the session to be closed", func() bool { b, _ := os.ReadFile(trace); return string(b) == "closed\n" })
	f.await(t, "a claim without a session", func() bool { return f.claims[len(f.claims)-1].Warm == 0 })
}

// TestSlots runs two tasks that wait for one another.
func TestSlots(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	dir := t.TempDir()
	startWorker(t, f, func(c *Config) { c.Slots = 2 })
	id := f.submit(t, plainJob(shell{frames: "1-2", script: `
touch ` + dir + `/{{Task.Param.Frame}}
until [ -e ` + dir + `/1 ] && [ -e ` + dir + `/2 ]; do sleep 0.01; done`,
		action: "        timeout: 30\n"}))
	f.await(t, "done", func() bool { return f.states(id, "done") == 2 })
}

func TestProgressAndLiveLog(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	gate := filepath.Join(t.TempDir(), "gate")
	startWorker(t, f, nil)
	id := f.submit(t, plainJob(shell{script: `
echo "openjd_progress: 42.5"
echo "openjd_status: sampling"
until [ -e ` + gate + ` ]; do sleep 0.01; done`}))
	f.await(t, "progress and log of a running task", func() bool {
		l := f.leaseOf(f.task(id, 0, 0))
		if l == nil || len(l.progress) == 0 || !strings.Contains(string(l.live), "openjd_status: sampling") {
			return false
		}
		p := l.progress[len(l.progress)-1]
		return p.Percent == 42.5 && p.Message == "sampling" && p.Memory > 0
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.await(t, "done", func() bool { return f.states(id, "done") == 1 })
}
