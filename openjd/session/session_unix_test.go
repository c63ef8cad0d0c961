//go:build unix

package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

// patience bounds waits for things that real processes do.
const patience = 20 * time.Second

// bench is a session under test with its log.
type bench struct {
	*Session
	t       testing.TB
	mu      sync.Mutex
	lines   []Line
	changed chan struct{}
}

func newBench(t testing.TB, set func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, changed: make(chan struct{}, 1)}
	cfg := Config{Dir: t.TempDir(), Job: &openjd.Job{Name: "test"}, Log: b.log}
	if set != nil {
		set(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Session = s
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func (b *bench) log(l Line) {
	b.mu.Lock()
	b.lines = append(b.lines, l)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// output is what the processes printed so far.
func (b *bench) output() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, l := range b.lines {
		if l.Stream == StreamOutput {
			out = append(out, l.Text)
		}
	}
	return out
}

// all is the whole log.
func (b *bench) all() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	for _, l := range b.lines {
		out.WriteString(l.Text + "\n")
	}
	return out.String()
}

// await waits for a line of output that begins with prefix and returns the rest.
func (b *bench) await(prefix string) string {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		for _, l := range b.output() {
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				return rest
			}
		}
		select {
		case <-b.changed:
		case <-deadline:
			b.t.Fatalf("no line %q; the log:\n%s", prefix, b.all())
		}
	}
}

// awaitPid waits for a line of a process's number.
func (b *bench) awaitPid(prefix string) int {
	b.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(b.await(prefix)))
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool {
	procs, err := processes()
	if err != nil {
		panic(err)
	}
	return slices.ContainsFunc(procs, func(p procInfo) bool { return p.id.Pid == pid && !p.zombie })
}

func (b *bench) wantDead(pids ...int) {
	b.t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			b.t.Errorf("process %d lives", pid)
		}
	}
}

func format(s string) openjd.FormatString {
	f, err := openjd.ParseFormatString(s)
	if err != nil {
		panic(err)
	}
	return f
}

// act is an action that is terminated at once when canceled.
func act(command string, args ...string) *openjd.Action {
	a := &openjd.Action{Command: format(command), Cancelation: openjd.Cancelation{Mode: openjd.CancelTerminate}}
	for _, arg := range args {
		a.Args = append(a.Args, format(arg))
	}
	return a
}

func sh(script string) *openjd.Action { return act("sh", "-c", script) }

func notifying(a *openjd.Action, period time.Duration) *openjd.Action {
	a.Cancelation = openjd.Cancelation{Mode: openjd.CancelNotifyThenTerminate, NotifyPeriod: period}
	return a
}

func self(args ...string) *openjd.Action {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return act(exe, append([]string{"helper"}, args...)...)
}

func step(a *openjd.Action, files ...openjd.EmbeddedFile) *openjd.Step {
	return &openjd.Step{Name: "step", Script: &openjd.Script{OnRun: a, EmbeddedFiles: files}}
}

func env(name string, enter, exit *openjd.Action) *openjd.Environment {
	return &openjd.Environment{Name: name, Script: &openjd.EnvironmentScript{OnEnter: enter, OnExit: exit}}
}

func (b *bench) run(a *openjd.Action) Result {
	return b.Run(context.Background(), step(a), nil, Callbacks{})
}

func (b *bench) mustRun(a *openjd.Action) {
	b.t.Helper()
	if r := b.run(a); r.State != Succeeded {
		b.t.Fatalf("%s: %v; the log:\n%s", r.State, r.Err, b.all())
	}
}

func (b *bench) mustEnter(e *openjd.Environment) {
	b.t.Helper()
	if err := b.Enter(context.Background(), e); err != nil {
		b.t.Fatalf("%v; the log:\n%s", err, b.all())
	}
}

// cancelAfter runs an action and cancels it when the log has a line with prefix.
func (b *bench) cancelAfter(a *openjd.Action, prefix string) Result {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan Result, 1)
	go func() { done <- b.Run(ctx, step(a), nil, Callbacks{}) }()
	b.await(prefix)
	cancel()
	return b.result(done)
}

func (b *bench) result(done <-chan Result) Result {
	b.t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		b.t.Fatalf("the action does not end; the log:\n%s", b.all())
		return Result{}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.run(sh(`pwd; echo to stderr >&2; echo "s=$DROVER_SESSION_ID a=${#DROVER_ACTION_ID}"; printf 'no newline'`))
	if r.State != Succeeded || r.ExitCode != 0 || r.Err != nil || r.Signal != "" {
		t.Fatalf("got %+v", r)
	}
	want := []string{b.Dir(), "to stderr", "s=" + b.ID() + " a=32", "no newline"}
	if diff := cmp.Diff(want, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(b.all(), "exited with code: 0") {
		t.Errorf("the exit code is not in the log:\n%s", b.all())
	}
	info, err := os.Stat(filepath.Dir(b.Dir()))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the session's directory is not private: %v %v", info.Mode(), err)
	}
}

func TestExits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		action *openjd.Action
		code   int
		signal string
		err    string
	}{
		{"code", sh("exit 3"), 3, "", "exited with code: 3"},
		{"reason", sh("echo openjd_fail: no licence; exit 4"), 4, "", "exited with code: 4: no licence"},
		{"signal", sh("kill -9 $$"), -9, "SIGKILL", "exited with code: -9 (ended by SIGKILL)"},
		{"unknown command", act("drover-no-such-command"), -1, "", "was not found"},
		{"not executable", act("/etc/passwd"), -1, "", "not an executable file"},
		{"not a program", act("./junk"), -1, "", "exec format error"},
		{"missing symbol", act("sh", "{{Task.Param.Nope}}"), -1, "", "argument 1"},
		{"NUL", act("sh", "a\x00b"), -1, "", "NUL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			if err := os.WriteFile(filepath.Join(b.Dir(), "junk"), []byte{1, 2, 3}, 0o700); err != nil {
				t.Fatal(err)
			}
			r := b.run(tt.action)
			if r.State != Failed || r.ExitCode != tt.code || r.Signal != tt.signal || r.OutOfMemory {
				t.Errorf("got %+v", r)
			}
			if r.Err == nil || !strings.Contains(r.Err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", r.Err, tt.err)
			}
			if !b.Ended() {
				t.Error("the session goes on")
			}
		})
	}
}

func TestMeasures(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.run(sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
	if r.State != Succeeded || r.UserTime+r.SystemTime <= 0 || r.Elapsed <= 0 || r.Started.IsZero() {
		t.Errorf("got %+v", r)
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustRun(sh("mkdir -p a/b; touch a/b/c; chmod 0 a/b; chmod 500 a; ln -s / root"))
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(b.Dir())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}
