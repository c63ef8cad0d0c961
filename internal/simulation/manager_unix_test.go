//go:build unix

package simulation

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"drover.farm/internal/renderer/radiance/radiancetest"
)

// host has one location.
type host struct {
	dir  string
	cpus int
}

func (h *host) Locate(name string) (string, bool, error) { return h.dir, name == "projects", nil }
func (h *host) CPUs() int                                { return h.cpus }

// bench is a manager whose controlling processes do nothing: the test writes
// their records.
type bench struct {
	*testing.T
	*Manager
	host    *host
	dir     string // of the project
	now     time.Time
	spawned []Spec
	fail    error // of Spawn
}

func setup(t *testing.T, cpus int) *bench {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, host: &host{top, cpus}, dir: filepath.Join(top, "house"), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	radiancetest.Scene{}.Write(t, b.dir)
	b.Manager = b.open()
	return b
}

// open makes a manager as one that starts anew would be.
func (b *bench) open() *Manager {
	b.Helper()
	m, err := New(Config{
		Host: "here", State: filepath.Join(b.host.dir, "state"), Hosts: b.host, KillTime: time.Minute, Revivals: 1, Kept: 2,
		Note: func(s string) { b.T.Log(s) },
		Now:  func() time.Time { b.now = b.now.Add(time.Second); return b.now },
		Spawn: func(s Spec) (*os.Process, error) {
			if b.fail != nil {
				return nil, b.fail
			}
			b.spawned = append(b.spawned, s)
			cmd := exec.Command("sleep", "100000")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				return nil, err
			}
			b.Cleanup(func() { killGroup(cmd.Process.Pid) })
			return cmd.Process, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// turn is what Run does at each tick.
func (b *bench) turn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	b.startNext()
}

func (b *bench) submit(view string, change ...func(*Request)) Job {
	b.Helper()
	r := Request{Location: "projects", Project: "house", Variation: "room", Type: Image, Name: view, User: "anna"}
	for _, c := range change {
		c(&r)
	}
	j, err := b.Submit(context.Background(), r)
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// writes does what the controlling process of a simulation would.
func (b *bench) writes(id string, change func(*Job)) {
	b.Helper()
	j, err := load(b.dir, id)
	if err != nil {
		b.Fatal(err)
	}
	b.mu.Lock()
	j.PID, j.Born = b.jobs[id].PID, b.jobs[id].Born
	b.now = b.now.Add(time.Second)
	j.Updated = b.now
	b.mu.Unlock()
	change(j)
	if err := j.save(); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(id string, want State, message string) Job {
	b.Helper()
	j, err := b.Job(context.Background(), id)
	if err != nil || j.State != want || !strings.Contains(j.Message, message) {
		b.Errorf("%s is %s (%s), %v; want %s (%s)", id, j.State, j.Message, err, want, message)
	}
	return j
}

// gone waits until a process has been reaped.
func (b *bench) gone(pid int) {
	b.Helper()
	for end := time.Now().Add(time.Minute); born(pid) != 0; {
		if time.Now().After(end) {
			b.Fatalf("the process %d lives", pid)
		}
		select {
		case <-b.wake:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestOneOctreeAVariation: while one simulation computes the octree, others of
// its variation wait, and those of another variation do not.
func TestOneOctreeAVariation(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	for _, ending := range []string{".rif", ".rad"} {
		data, err := os.ReadFile(filepath.Join(b.dir, "room"+ending))
		if err == nil {
			err = os.WriteFile(filepath.Join(b.dir, "hall"+ending), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	first, second := b.submit("v1"), b.submit("v2")
	other := b.submit("v1", func(r *Request) { r.Variation = "hall" })
	b.turn()
	b.is(first.ID, Running, "")
	b.is(other.ID, Running, "")
	b.is(second.ID, Scheduled, "octree of the variation")
	b.writes(first.ID, func(j *Job) { j.Stage = Illum })
	b.turn()
	b.is(second.ID, Scheduled, "octree of the variation")
	b.writes(first.ID, func(j *Job) { j.Stage, j.Percent = Render, 40 })
	b.turn()
	if j := b.is(first.ID, Running, ""); j.Percent != 40 {
		t.Errorf("it is told to be at %g %%", j.Percent)
	}
	b.is(second.ID, Running, "")
	if len(b.spawned) != 3 || b.spawned[2].ID != second.ID || b.spawned[2].Dir != b.dir {
		t.Errorf("what was started: %+v", b.spawned)
	}
}

// TestCPUs: as many run as there are CPUs, the longest waiting first.
func TestCPUs(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	first, second := b.submit("v1"), b.submit("v2")
	b.turn()
	b.is(second.ID, Scheduled, "waits for a CPU")
	b.writes(first.ID, func(j *Job) { j.State, j.Stage = Finished, Render })
	b.turn()
	b.is(first.ID, Finished, "")
	b.is(second.ID, Running, "")
}

// TestSteps follows a simulation through what people can do to it.
func TestSteps(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t, 2), context.Background()
	refused := func(kind Kind, _ Job, err error) {
		t.Helper()
		var f *Fault
		if !errors.As(err, &f) || f.Kind != kind {
			t.Errorf("%v, want a fault of kind %s", err, kind)
		}
	}
	do := func(f func(context.Context, string) (Job, error), id string) (Job, error) { return f(ctx, id) }
	id := b.submit("v1").ID
	j, err := do(b.Suspend, id)
	refused(Conflict, j, err)
	b.turn()
	pid := b.is(id, Running, "").PID
	if j, err = do(b.Suspend, id); err != nil || j.State != Suspended {
		t.Errorf("%+v, %v", j, err)
	}
	b.turn() // its record still says that it runs
	b.is(id, Suspended, "")
	j, err = do(b.Restart, id)
	refused(Conflict, j, err)
	if j, err = do(b.Resume, id); err != nil || j.State != Running {
		t.Errorf("%+v, %v", j, err)
	}
	j, err = b.Submit(ctx, Request{Location: "projects", Project: "house", Variation: "room", Type: Image, Name: "v1"})
	refused(Exists, j, err)
	if j, err = do(b.Kill, id); err != nil || j.State != Terminated || groupExists(pid) && born(pid) != 0 {
		t.Errorf("%+v, %v", j, err)
	}
	j, err = do(b.Kill, id)
	refused(Conflict, j, err)
	if j, err = do(b.Restart, id); err != nil || j.State != Scheduled || j.PID != 0 {
		t.Errorf("%+v, %v", j, err)
	}
	second := b.submit("v1", func(r *Request) { r.Replace = true })
	b.is(id, Terminated, "")
	j, err = do(b.Restart, id)
	refused(Exists, j, err)
	b.is(second.ID, Scheduled, "")
	j, err = do(b.Kill, "nobody")
	refused(NotFound, j, err)
}

// TestLostProcess: a controlling process that goes without a word is taken up
// again, and not for ever.
func TestLostProcess(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	id := b.submit("v1").ID
	for range 2 {
		b.turn()
		pid := b.is(id, Running, "").PID
		killGroup(pid)
		b.gone(pid)
		b.mu.Lock()
		b.look()
		b.mu.Unlock()
	}
	b.is(id, Failed, "ended from outside 2 times")
	if len(b.spawned) != 2 {
		t.Errorf("it was started %d times", len(b.spawned))
	}
	// A process that wrote its last word was not lost.
	id = b.submit("v2").ID
	b.turn()
	pid := b.is(id, Running, "").PID
	b.writes(id, func(j *Job) { j.State = Finished })
	killGroup(pid)
	b.gone(pid)
	b.turn()
	b.is(id, Finished, "")
}

// TestAnotherManagerAdopts: what runs when the manager goes is known to the next
// one, and a number that another process has meanwhile is not taken for it.
func TestAnotherManagerAdopts(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	first := b.submit("v1").ID
	b.turn()
	pid := b.is(first, Running, "").PID
	b.writes(first, func(j *Job) { j.Stage = Render })
	b.Manager = b.open()
	b.turn()
	if j := b.is(first, Running, ""); j.PID != pid || len(b.spawned) != 1 {
		t.Errorf("it is process %d, was %d; %d were started", j.PID, pid, len(b.spawned))
	}
	b.writes(first, func(j *Job) { j.PID, j.Born = os.Getpid(), 1 })
	b.Manager = b.open()
	b.mu.Lock()
	b.look()
	b.mu.Unlock()
	b.is(first, Scheduled, "taken up again") // and this process lives
}

// TestOldOnesAreForgotten: of ended simulations a few are kept.
func TestOldOnesAreForgotten(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t, 1), context.Background()
	var ids []string
	for range 4 {
		id := b.submit("v1").ID
		if _, err := b.Kill(ctx, id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	b.submit("v2")
	for i, id := range ids {
		_, err := os.Stat(recordFile(b.dir, id))
		if kept := err == nil; kept != (i >= 2) {
			t.Errorf("the record of simulation %d is there: %t", i, kept)
		}
	}
}

func TestSpawnFails(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.fail = errors.New("no processes left")
	id := b.submit("v1").ID
	b.turn()
	b.is(id, Failed, "no processes left")
	b.fail = nil
	if j, err := b.Restart(context.Background(), id); err != nil || j.State != Scheduled {
		t.Errorf("%+v, %v", j, err)
	}
	b.turn()
	b.is(id, Running, "")
}

func TestWatchTellsEachChange(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	ctx, stop := context.WithCancel(context.Background())
	told, done := make(chan Job, 10), make(chan error)
	id := b.submit("v1").ID
	go func() { done <- b.Watch(ctx, id, func(j Job) error { told <- j; return nil }) }()
	if j := <-told; j.State != Scheduled {
		t.Errorf("first it is %s", j.State)
	}
	b.turn()
	if j := <-told; j.State != Running {
		t.Errorf("then it is %s", j.State)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t, 1), context.Background()
	id := b.submit("v1").ID
	if text, more, err := b.Manager.Log(ctx, id, 0, 10); text != "" || more || err != nil {
		t.Errorf("no log yet: %q, %t, %v", text, more, err)
	}
	if err := os.WriteFile(logFile(b.dir, id), []byte("$ rpict\xff one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		offset int64
		most   int
		want   string
		more   bool
	}{{0, 100, "$ rpict? one\n", false}, {0, 7, "$ rpict", true}, {9, 4, "one\n", false}, {99, 4, "", false}} {
		if text, more, err := b.Manager.Log(ctx, id, c.offset, c.most); text != c.want || more != c.more || err != nil {
			t.Errorf("%+v: %q, %t, %v", c, text, more, err)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	if err := os.Symlink("/etc", filepath.Join(b.host.dir, "link")); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(b.host.dir, "linked")
	radiancetest.Scene{}.Write(t, linked)
	if err := os.Symlink(os.TempDir(), filepath.Join(linked, "proc")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Request)
		kind   Kind
	}{
		"unknown location":   {func(r *Request) { r.Location = "moon" }, NoLocation},
		"path that leaves":   {func(r *Request) { r.Project = "../house" }, Invalid},
		"absolute path":      {func(r *Request) { r.Project = "/etc" }, Invalid},
		"zero byte":          {func(r *Request) { r.Project = "house\x00" }, Invalid},
		"link that leaves":   {func(r *Request) { r.Project = "link" }, Invalid},
		"folder that leaves": {func(r *Request) { r.Project = "linked" }, Invalid},
		"no project":         {func(r *Request) { r.Project = "hut" }, NotFound},
		"no variation":       {func(r *Request) { r.Variation = "hall" }, NotFound},
		"path as variation":  {func(r *Request) { r.Variation = "../house/room" }, Invalid},
		"no view":            {func(r *Request) { r.Name = "v9" }, NotFound},
		"no field":           {func(r *Request) { r.Type, r.Name = Numeric, "roof" }, NotFound},
		"option with a file": {func(r *Request) { r.Options = []string{"-af", "x"} }, Invalid},
		"preview":            {func(r *Request) { r.Type = Preview }, PreviewIsLocal},
	} {
		r := Request{Location: "projects", Project: "house", Variation: "room", Type: Image, Name: "v1"}
		c.change(&r)
		_, err := b.Submit(context.Background(), r)
		var f *Fault
		if !errors.As(err, &f) || f.Kind != c.kind || strings.Contains(f.Message, b.host.dir) {
			t.Errorf("%s: %v, want the kind %s and no path of the host", name, err, c.kind)
		}
	}
	if list, err := b.List(context.Background(), "", ""); err != nil || len(list) != 0 {
		t.Errorf("%d simulations were taken, %v", len(list), err)
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	id := b.submit("v1").ID
	for text, want := range map[string]string{"": "EOF", "{": "EOF", `{"id":"other"}`: "is of \"other\"", "[]": "cannot unmarshal"} {
		if err := os.WriteFile(recordFile(b.dir, id), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := load(b.dir, id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if all := loadAll(b.dir, "here"); len(all) != 0 {
			t.Errorf("%q is a record", text)
		}
	}
	if _, err := load(b.dir, "none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
