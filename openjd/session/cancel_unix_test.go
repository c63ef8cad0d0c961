//go:build unix

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

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
