//go:build unix

package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

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

func TestFailMessageDoesNotFail(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.run(sh("echo openjd_fail: just a word"))
	if r.State != Succeeded || r.FailMessage != "just a word" {
		t.Errorf("got %+v", r)
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

func TestCancelKillsTheTree(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	exe, _ := os.Executable()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan Result, 1)
	go func() {
		done <- b.Run(ctx, step(sh(`echo "root $$"
			sh -c 'echo "child $$"; sleep 1000 & echo "grandchild $!"; wait' &
			`+exe+` helper detach "escapee"
			wait`)), nil, Callbacks{})
	}()
	pids := []int{b.awaitPid("root "), b.awaitPid("child "), b.awaitPid("grandchild "), b.awaitPid("escapee ")}
	cancel()
	r := b.result(done)
	if r.State != Canceled || r.Err == nil || r.Signal != "SIGKILL" {
		t.Errorf("got %+v", r)
	}
	b.wantDead(pids...)
	if !b.Ended() {
		t.Error("the session goes on")
	}
}

func TestScrubbedEscapee(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // needs a subreaper
	}
	// In a program of its own: with several sessions nobody could tell whose a
	// process is that has left all marks behind.
	exe, _ := os.Executable()
	out, err := exec.Command(exe, "helper", "scrubbed", t.TempDir()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "dead") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNotifyAndTerminate(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	before := time.Now().UTC().Truncate(time.Second)
	r := b.cancelAfter(notifying(self("deaf"), time.Second), "deaf ")
	if r.State != Canceled || r.Signal != "SIGKILL" {
		t.Errorf("got %+v", r)
	}
	data, err := os.ReadFile(filepath.Join(b.Dir(), "cancel_info.json"))
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ NotifyEnd string }
	if err := json.Unmarshal(data, &info); err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse("2006-01-02T15:04:05Z", info.NotifyEnd)
	if err != nil || end.Before(before) || end.After(time.Now().Add(time.Minute)) {
		t.Errorf("NotifyEnd is %q (%v)", info.NotifyEnd, err)
	}
	b.wantDead(b.awaitPid("deaf "))
}

func TestNotifiedInTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	// The shell dies of the signal; its command saves first, and may.
	r := b.cancelAfter(notifying(sh(`
		sh -c 'trap "echo saving; sleep 0.3; echo saved; exit" TERM; echo ready; while :; do sleep 0.05; done'
		exit 1`), time.Hour), "ready")
	if r.State != Canceled {
		t.Errorf("got %+v", r)
	}
	if out := b.output(); out[len(out)-1] != "saved" {
		t.Errorf("the command could not save: %q", out)
	}
}

func TestTerminateAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.cancelAfter(sh(`trap 'echo notified' TERM; echo ready; while :; do sleep 0.05; done`), "ready")
	if r.State != Canceled || r.Signal != "SIGKILL" {
		t.Errorf("got %+v", r)
	}
	if slices.Contains(b.output(), "notified") {
		t.Error("TERMINATE notified the process")
	}
}

func TestHurry(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	done := make(chan Result, 1)
	go func() { done <- b.run(notifying(self("deaf"), time.Hour)) }()
	b.await("deaf ")
	b.Hurry(time.Hour)
	b.Hurry(time.Millisecond)
	if r := b.result(done); r.State != Canceled {
		t.Errorf("got %+v", r)
	}
}

func TestMaxNotify(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxNotify = time.Millisecond })
	if r := b.cancelAfter(notifying(self("deaf"), time.Hour), "deaf "); r.State != Canceled {
		t.Errorf("got %+v", r)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	a := sh("echo begun; sleep 1000")
	a.Timeout = 200 * time.Millisecond
	r := b.run(a)
	if r.State != TimedOut || r.Err == nil || !strings.Contains(r.Err.Error(), "timeout of 200ms") {
		t.Errorf("got %+v", r)
	}
}

func TestCanceledBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the farm said so"))
	r := b.Run(ctx, step(sh("echo ran")), nil, Callbacks{})
	if r.State != Canceled || !strings.Contains(r.Err.Error(), "the farm said so") || len(b.output()) != 0 {
		t.Errorf("got %+v, output %q", r, b.output())
	}
}

func TestBackgroundProcessIsNotAwaited(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustEnter(env("server", sh(`
		sh -c 'echo "server $$"; i=0; while :; do i=$((i+1)); echo "beat $i"; sleep 0.05; done' &
		echo "openjd_env: SERVER=up"`), sh("exit 1")))
	pid := b.awaitPid("server ")
	b.mustRun(sh("echo task 1"))
	if !alive(pid) {
		t.Fatal("the server died between two actions")
	}
	// Nor does killing a task's tree touch it.
	if r := b.cancelAfter(sh("echo ready; sleep 1000"), "ready"); r.State != Canceled {
		t.Errorf("got %+v", r)
	}
	if !alive(pid) {
		t.Fatal("the server died with a task")
	}
	// It goes on printing, unharmed by a closed pipe.
	n := len(b.output())
	for deadline := time.Now().Add(patience); len(b.output()) < n+3; {
		if time.Now().After(deadline) {
			t.Fatal("the server's output is no longer read")
		}
		<-b.changed
	}
	if err := b.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "onExit") {
		t.Errorf("the failed onExit is not reported: %v", err)
	}
	b.wantDead(pid)
}

func TestUnfinishedLineBeforeABackgroundProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustRun(sh(`sleep 1000 & printf unfinished`))
	if diff := cmp.Diff([]string{"unfinished"}, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFailedActionTakesItsProcessesAlong(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.run(sh(`sleep 1000 & echo "left $!"; exit 1`))
	if r.State != Failed {
		t.Errorf("got %+v", r)
	}
	b.wantDead(b.awaitPid("left "))
}

func TestFloodInBoundedMemory(t *testing.T) {
	t.Parallel()
	const lines = 100_000 // of 1000 bytes
	var n, wrong int
	b := newBench(t, func(c *Config) {
		c.WaitForLog = true
		c.Log = func(l Line) {
			if l.Stream == StreamOutput {
				n++
				if len(l.Text) != 999 {
					wrong++
				}
			}
		}
	})
	stop := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	b.mustRun(self("flood", strconv.Itoa(lines)))
	close(stop)
	if most := <-peak; most > 64<<20 {
		t.Errorf("100 MB of output took %d MiB of memory", most>>20)
	}
	if n != lines || wrong > 0 {
		t.Errorf("got %d lines, %d of them wrong", n, wrong)
	}
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustRun(sh(`head -c 200000 /dev/zero | tr '\0' x; echo; echo end`))
	b.mu.Lock()
	defer b.mu.Unlock()
	total, continued := 0, 0
	for _, l := range b.lines {
		if l.Stream == StreamOutput {
			total += len(l.Text)
			if l.Continued {
				continued++
			}
			if len(l.Text) > maxLine {
				t.Errorf("a line of %d bytes", len(l.Text))
			}
		}
	}
	if total != 200003 || continued != 3 {
		t.Errorf("got %d bytes, %d continuations", total, continued)
	}
}

func TestSlowLogDoesNotHoldTheProcess(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(c *Config) {
		c.Log = func(l Line) { <-gate }
	})
	finished := filepath.Join(b.Dir(), "finished")
	exe, _ := os.Executable()
	done := make(chan Result, 1)
	go func() { done <- b.run(sh(exe + ` helper flood 20000; touch finished`)) }()
	for deadline := time.Now().Add(patience); ; {
		if _, err := os.Stat(finished); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the process is held up by its log")
		}
		runtime.Gosched()
	}
	close(gate)
	if r := b.result(done); r.State != Succeeded {
		t.Errorf("got %+v", r)
	}
}

func TestVariablesOfEnvironments(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Env = append(os.Environ(), "BASE=base", "GONE=gone") })
	outer := env("outer", sh(`echo "enter $BASE $OUT"; echo "openjd_env: DYN=one"; echo "openjd_unset_env: GONE"
		echo "openjd_env: BOTH=x"; echo "openjd_unset_env: BOTH"; echo "openjd_env: BOTH=y"
		printf '%s\n' 'openjd_env: "MULTI=a\nb"'`), sh(`echo "exit outer $DYN $OUT"`))
	outer.Variables = []openjd.Variable{{Name: "OUT", Value: format("{{Session.WorkingDirectory}}/x")}}
	inner := &openjd.Environment{Name: "inner", Variables: []openjd.Variable{{Name: "DYN", Value: format("two")}, {Name: "GONE", Value: format("back")}}}
	show := sh(`echo "DYN=$DYN GONE=${GONE-unset} BOTH=${BOTH-unset} BASE=$BASE MULTI=$(echo "$MULTI" | wc -l)"`)
	b.mustEnter(outer)
	b.mustRun(show)
	b.mustEnter(inner)
	b.mustRun(show)
	if err := b.Exit(context.Background(), outer); err == nil {
		t.Error("an environment was exited out of order")
	}
	for _, e := range []*openjd.Environment{inner, outer} {
		if err := b.Exit(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	b.mustRun(show)
	var got []string
	for _, l := range b.output() {
		if !strings.HasPrefix(l, "openjd_") {
			got = append(got, strings.ReplaceAll(l, " ", "_"))
		}
	}
	x := b.Dir() + "/x"
	want := []string{
		"enter_base_" + x,
		"DYN=one_GONE=unset_BOTH=unset_BASE=base_MULTI=2",
		"DYN=two_GONE=back_BOTH=unset_BASE=base_MULTI=2",
		"exit_outer_one_" + x,
		"DYN=_GONE=gone_BOTH=unset_BASE=base_MULTI=1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTasksDoNotSetVariables(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustRun(sh(`echo "openjd_env: A=1"; echo "openjd_env: malformed"`))
	b.mustRun(sh(`echo "A is ${A-unset}"`))
	if got := b.await("A is "); got != "unset" {
		t.Errorf("A is %s", got)
	}
	if !strings.Contains(b.all(), "only the onEnter action") {
		t.Errorf("nobody is told:\n%s", b.all())
	}
}

func TestMalformedVariableFailsOnEnter(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"openjd_env: malformed", "OPENJD_ENV: A=b", "openjd_unset_env: 1", "openjd_redacted_env:A=hush"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			err := b.Enter(context.Background(), env("e", sh("echo '"+line+"'; sleep 1000"), nil))
			var ae *ActionError
			if !errors.As(err, &ae) || ae.Result.State != Failed || ae.Action != "onEnter" || ae.Environment != "e" {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error()+b.all(), "hush") {
				t.Errorf("the secret shows: %v\n%s", err, b.all())
			}
		})
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	var program bytes.Buffer
	var status []string
	var mu sync.Mutex
	b := newBench(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&program, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b.mustEnter(env("e", sh(`set -x
		echo "openjd_redacted_env: TOKEN=hunter2secret"
		echo "to stderr hunter2secret" >&2`), sh(`echo "exit $TOKEN"`)))
	long := strings.Repeat("y", maxLine-5)
	a := sh(`echo "openjd_status: with $TOKEN"; echo "openjd_fail: because $TOKEN"; echo "value $TOKEN."
		printf '%s' "` + long + `"; echo "$TOKEN"; printf "unfinished $TOKEN"; exit 7`)
	r := b.Run(context.Background(), step(a), nil, Callbacks{Status: func(s string) {
		mu.Lock()
		defer mu.Unlock()
		status = append(status, s)
	}})
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"with ********"}, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if r.FailMessage != "because ********" || r.ExitCode != 7 {
		t.Errorf("got %+v", r)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	all := b.all()
	for _, want := range []string{"openjd_redacted_env: TOKEN=********", "value ********.", "exit ********", "to stderr ********", "unfinished ********"} {
		if !strings.Contains(all, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	for _, part := range []string{"hunter2secret", "hunter2", "nter2secret"} {
		if strings.Contains(all+r.Err.Error()+program.String(), part) {
			t.Errorf("%q is shown", part)
		}
	}
}

func TestProgressAndStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var progress []float64
	var status []string
	r := b.Run(context.Background(), step(sh(`echo openjd_progress: 10; echo openjd_progress: 110; echo openjd_status: a; echo "openjd_progress: 100.0"`)), nil,
		Callbacks{Progress: func(p float64) { progress = append(progress, p) }, Status: func(s string) { status = append(status, s) }})
	if r.State != Succeeded {
		t.Fatalf("got %+v", r)
	}
	if diff := cmp.Diff([]float64{10, 100}, progress); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a"}, status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(b.all(), "needs a number from 0 to 100") {
		t.Error("nobody is told of the wrong number")
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustRun(sh("echo openjd_session_runtime_loglevel: ERROR"))
	n := len(b.all())
	b.mustRun(sh("true"))
	if got := b.all()[n:]; got != "" {
		t.Errorf("the session still says %q", got)
	}
}

func TestFailureEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustEnter(env("outer", nil, sh("echo exit outer")))
	err := b.Enter(context.Background(), env("inner", sh("exit 5"), sh("echo exit inner")))
	var ae *ActionError
	if !errors.As(err, &ae) || ae.Result.ExitCode != 5 {
		t.Fatalf("got %v", err)
	}
	if r := b.run(sh("echo ran")); !errors.Is(r.Err, ErrEnded) || r.State != Failed {
		t.Errorf("a task ran in an ended session: %+v", r)
	}
	if err := b.Enter(context.Background(), env("more", nil, nil)); !errors.Is(err, ErrEnded) {
		t.Errorf("an environment was entered in an ended session: %v", err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"exit inner", "exit outer"}, b.output()); diff != "" {
		t.Errorf("exits (-want +got):\n%s", diff)
	}
	if r := b.run(sh("echo ran")); !errors.Is(r.Err, ErrClosed) {
		t.Errorf("a closed session runs: %+v", r)
	}
}

func TestEmbeddedFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	files := []openjd.EmbeddedFile{
		{Name: "Run", Filename: "run.sh", Runnable: true, Data: format("#!/bin/sh\necho \"frame {{Task.Param.Frame}} $(basename {{Task.File.Text}})\"\ncat {{Task.File.Text}}; echo changed >> {{Task.File.Text}}\n")},
		{Name: "Text", Filename: "text", Data: format("in {{Session.WorkingDirectory}}\n")},
		{Name: "CRLF", EndOfLine: openjd.EndOfLineCRLF, Data: format("a\nb\r\n")},
	}
	s := step(sh(`{{Task.File.Run}}; ls -l "{{Task.File.Run}}" "{{Task.File.Text}}" | cut -c1-10; od -An -c {{Task.File.CRLF}} | tr -d ' '`), files...)
	for _, frame := range []string{"1", "2"} {
		p := openjd.TaskParameters{{Name: "Frame", Type: openjd.TypeInt, Value: frame}}
		if r := b.Run(context.Background(), s, p, Callbacks{}); r.State != Succeeded {
			t.Fatalf("%+v\n%s", r, b.all())
		}
	}
	var want []string
	for _, frame := range []string{"1", "2"} {
		want = append(want, "frame "+frame+" text", "in "+b.Dir(), "-rwx------", "-rw-------", `a\r\nb\r\n`)
	}
	if diff := cmp.Diff(want, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"../up", "a/b", "..", "."} {
		if _, err := placeFiles(b.Dir(), []openjd.EmbeddedFile{{Name: "X", Filename: bad}}); err == nil {
			t.Errorf("the filename %q was taken", bad)
		}
	}
}

func TestFilesOfEnvironmentsStay(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	e := env("e", sh("cat {{Env.File.Text}}; echo 'openjd_env: TEXT={{Env.File.Text}}'"), sh("cat {{Env.File.Text}}"))
	e.Script.EmbeddedFiles = []openjd.EmbeddedFile{{Name: "Text", Data: format("text of env\n")}}
	b.mustEnter(e)
	b.mustRun(sh(`cat "$TEXT"; echo spoilt > "$TEXT"`))
	if err := b.Exit(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range b.output() {
		if l == "text of env" {
			n++
		}
	}
	if n != 3 {
		t.Errorf("got %q", b.output())
	}
}

func TestPathMapping(t *testing.T) {
	t.Parallel()
	rules := []openjd.PathRule{{SourceFormat: openjd.PathPosix, Source: "/studio", Destination: "/mnt/x"}}
	job := &openjd.Job{Name: "j", Parameters: []openjd.JobParameter{
		{Name: "Scene", Type: openjd.TypePath, Value: "/studio/a.blend"}, {Name: "Text", Type: openjd.TypeString, Value: "/studio/b"}}}
	b := newBench(t, func(c *Config) { c.Job, c.Rules = job, rules })
	p := openjd.TaskParameters{{Name: "Out", Type: openjd.TypePath, Value: "/studio/out"}}
	s := step(sh(`echo "{{Param.Scene}} {{RawParam.Scene}} {{Param.Text}} {{Task.Param.Out}} {{Task.RawParam.Out}} {{Session.HasPathMappingRules}}"
		tr -d ' \n' < "{{Session.PathMappingRulesFile}}"`))
	if r := b.Run(context.Background(), s, p, Callbacks{}); r.State != Succeeded {
		t.Fatalf("%+v\n%s", r, b.all())
	}
	want := []string{
		"/mnt/x/a.blend /studio/a.blend /studio/b /mnt/x/out /studio/out true",
		`{"version":"pathmapping-1.0","path_mapping_rules":[{"source_path_format":"POSIX","source_path":"/studio","destination_path":"/mnt/x"}]}`,
	}
	if diff := cmp.Diff(want, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOneActionAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	done := make(chan Result, 1)
	go func() { done <- b.run(sh("echo ready; sleep 1000")) }()
	b.await("ready")
	if r := b.run(sh("echo second")); !errors.Is(r.Err, ErrBusy) {
		t.Errorf("got %+v", r)
	}
	if b.Ended() {
		t.Error("a refusal ended the session")
	}
	// Close ends what is running.
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if r := b.result(done); r.State != Canceled {
		t.Errorf("got %+v", r)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("second close: %v", err)
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

func TestCloseInAHurry(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustEnter(env("first", nil, sh("echo never")))
	b.mustEnter(env("second", nil, sh("echo exiting; sleep 1000")))
	ctx, cancel := context.WithCancel(context.Background())
	closed := make(chan error, 1)
	go func() { closed <- b.Close(ctx) }()
	b.await("exiting")
	cancel()
	select {
	case err := <-closed:
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("close hangs")
	}
	if slices.Contains(b.output(), "never") {
		t.Error("an exit ran after the context was done")
	}
}

// helperSession is the program that TestSweep kills.
func helperSession(dir string) {
	s, err := New(Config{Dir: dir, Job: &openjd.Job{Name: "j"}, Log: func(l Line) { fmt.Println(l.Text) }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	exe, _ := os.Executable()
	s.Run(context.Background(), step(sh(`echo "root $$"; `+exe+` helper detach "escapee"; echo ready; sleep 1000`)), nil, Callbacks{})
}

// helperScrubbed ends a session with a process that has left its group, its
// parents and its environment.
func helperScrubbed(dir string) {
	pids := make(chan string, 1)
	s, err := New(Config{Dir: dir, Job: &openjd.Job{Name: "j"}, Log: func(l Line) {
		if pid, ok := strings.CutPrefix(l.Text, "escapee "); ok {
			pids <- pid
		}
	}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	exe, _ := os.Executable()
	r := s.Run(context.Background(), step(sh("exec env -i "+exe+" helper detach escapee")), nil, Callbacks{})
	pid, _ := strconv.Atoi(<-pids)
	fmt.Println(r.State, "lives:", alive(pid))
	if err := s.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	if !alive(pid) {
		fmt.Println("dead")
	}
}

// helperDetach starts a process in a session of its own, which prints its number
// after word, and leaves it to itself.
func helperDetach(word string) {
	cmd := exec.Command(os.Args[0], "helper", "sleeper", word)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exe, _ := os.Executable()
	victim := exec.Command(exe, "helper", "session", dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	victim.Stdout, victim.Stderr = w, w
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), "\nready\n") || !strings.Contains(text.String(), "escapee ") {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, text.String())
		}
		text.Write(buf[:n])
	}
	pid := func(prefix string) int {
		_, after, _ := strings.Cut(text.String(), "\n"+prefix+" ")
		line, _, _ := strings.Cut(after, "\n")
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatalf("%q in %q: %v", prefix, text.String(), err)
		}
		return n
	}
	root, escapee := pid("root"), pid("escapee")

	// A live program's session is left alone.
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if !alive(root) || !alive(escapee) {
		t.Fatal("the session of a live program was swept")
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if !alive(root) || !alive(escapee) {
		t.Fatal("the processes died with their program; nothing is left to test")
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if alive(root) || alive(escapee) {
		t.Error("processes outlived the sweep")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestSweepSparesLockedSessions(t *testing.T) {
	t.Parallel()
	// As a program in another container sees it: the owner's number says nothing,
	// but the lock is held.
	b := newBench(t, nil)
	root := filepath.Dir(b.Dir())
	state := fmt.Sprintf("{\"session\":%q,\"owner\":{\"pid\":%d,\"start\":1},\"boot\":%q}\n", b.ID(), os.Getpid(), bootID())
	if err := os.WriteFile(filepath.Join(root, stateName), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(filepath.Dir(root)); err != nil {
		t.Fatal(err)
	}
	b.mustRun(sh("pwd"))
}

func TestSweepSparesOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	innocent := exec.Command("sleep", "1000")
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = innocent.Process.Kill()
		_ = innocent.Wait()
	}()
	// Its number was another process's when the state was written.
	start, ok := startOf(innocent.Process.Pid)
	if !ok {
		t.Fatal("no start time")
	}
	old := filepath.Join(dir, dirPrefix+"old")
	unborn := filepath.Join(dir, dirPrefix+"unborn")
	fresh := filepath.Join(dir, dirPrefix+"fresh")
	foreign := filepath.Join(dir, dirPrefix+"foreign")
	other := filepath.Join(dir, "other")
	for _, d := range []string{old, unborn, fresh, foreign, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unborn, stateName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	for _, d := range []string{unborn, foreign} {
		if err := os.Chtimes(d, past, past); err != nil {
			t.Fatal(err)
		}
	}
	state := fmt.Sprintf("{\"session\":\"0123\",\"owner\":{\"pid\":%d,\"start\":1},\"boot\":%q}\n{\"pid\":%d,\"start\":%d}\n{\"pid\":",
		os.Getpid(), bootID(), innocent.Process.Pid, start+1)
	if err := os.WriteFile(filepath.Join(old, stateName), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if unix.Kill(innocent.Process.Pid, 0) != nil || !alive(innocent.Process.Pid) {
		t.Error("a process that only has the number was killed")
	}
	for _, d := range []string{old, unborn} {
		if _, err := os.Stat(d); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", d)
		}
	}
	for _, d := range []string{fresh, foreign, other} {
		if _, err := os.Stat(d); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	if err := Sweep(filepath.Join(dir, "missing")); err != nil {
		t.Errorf("a missing folder: %v", err)
	}
}
