//go:build unix

package session

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFailMessageDoesNotFail(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	r := b.run(sh("echo openjd_fail: just a word"))
	if r.State != Succeeded || r.FailMessage != "just a word" {
		t.Errorf("got %+v", r)
	}
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
	most := <-peak
	t.Logf("most heap in use: %d MiB", most>>20)
	if most > 64<<20 {
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
		time.Sleep(5 * time.Millisecond)
	}
	close(gate)
	if r := b.result(done); r.State != Succeeded {
		t.Errorf("got %+v", r)
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
