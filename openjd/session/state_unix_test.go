//go:build unix

package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"drover.farm/openjd"
)

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

func FuzzReadState(f *testing.F) {
	f.Add([]byte("{\"session\":\"0123\",\"owner\":{\"pid\":1,\"start\":1},\"boot\":\"\"}\n{\"pid\":2,\"start\":3}\n"))
	f.Add([]byte("{\"session\":\"0123\"}\n{\"pid\":-1}\n{\"pid\":1}\n{\"pid\":"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		head, procs, err := readState(dir)
		if err == nil && head.Session == "" {
			t.Error("a state without a session's name would match every process")
		}
		for _, p := range procs {
			// 0 and below would name process groups, 1 is the system's.
			if p.Pid <= 1 {
				t.Errorf("process %d is up for killing", p.Pid)
			}
		}
	})
}
