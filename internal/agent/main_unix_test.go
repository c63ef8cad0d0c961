//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"drover.farm/internal/api"
)

// TestMain runs the test binary as a worker of its own when it is asked to.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "worker" {
		helperWorker(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// quick are settings for tests: nothing waits for long but the farm's answers.
func quick() Settings {
	return Settings{
		ClaimWait: 20 * time.Second, PulseWait: 5 * time.Second, ProgressEvery: 50 * time.Millisecond,
		SampleEvery: 100 * time.Millisecond, LogEvery: 20 * time.Millisecond, Stop: 500 * time.Millisecond,
		RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond, Leave: 10 * time.Second,
	}
}

// testWorker is a worker that runs in the test.
type testWorker struct {
	drain func()
	kill  context.CancelFunc
	data  string
	done  chan struct{}
	err   error
}

// startWorker starts a worker for f; it is drained at the end of the test.
func startWorker(t testing.TB, f *fakeFarm, change func(c *Config)) *testWorker {
	t.Helper()
	drain := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	w := &testWorker{kill: cancel, data: filepath.Join(t.TempDir(), "data"), done: make(chan struct{})}
	closed := false
	w.drain = func() {
		if !closed {
			closed = true
			close(drain)
		}
	}
	cfg := Config{Farm: f, Files: f, Data: w.data, Drain: drain, Settings: quick(), Version: "test"}
	cfg.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if change != nil {
		change(&cfg)
	}
	w.data = cfg.Data
	go func() {
		defer close(w.done)
		w.err = Run(ctx, cfg)
	}()
	t.Cleanup(func() {
		w.drain()
		select {
		case <-w.done:
		case <-time.After(30 * time.Second):
			t.Error("the worker does not leave")
			cancel()
			<-w.done
		}
		cancel()
	})
	return w
}

// end drains the worker and returns what Run did.
func (w *testWorker) end(t testing.TB) error {
	t.Helper()
	w.drain()
	return w.wait(t)
}

func (w *testWorker) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(60 * time.Second):
		t.Fatal("the worker does not end")
	}
	return w.err
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// shell is a job with one step that runs a script for each of the frames. More
// is further text of the template at its top level, env of environments of the
// step.
type shell struct {
	frames string
	script string
	params string // of parameterDefinitions
	env    string // an onEnter script of a step environment
	exit   string // its onExit script
	action string // further lines of onRun
	after  string // a second step that depends on the first runs this
}

func (s shell) template() string {
	var b strings.Builder
	b.WriteString("specificationVersion: jobtemplate-2023-09\nname: test\n")
	if s.params != "" {
		b.WriteString("parameterDefinitions:\n" + s.params)
	}
	b.WriteString("steps:\n")
	step := func(name, script string) {
		fmt.Fprintf(&b, "- name: %s\n", name)
		if name == "After" {
			b.WriteString("  dependencies: [{dependsOn: Frames}]\n")
		}
		if s.frames != "" && name == "Frames" {
			fmt.Fprintf(&b, "  parameterSpace:\n    taskParameterDefinitions:\n    - {name: Frame, type: INT, range: %q}\n", s.frames)
		}
		if s.env != "" && name == "Frames" {
			b.WriteString("  stepEnvironments:\n  - name: Env\n    script:\n      actions:\n")
			b.WriteString("        onEnter: {command: sh, args: [\"{{Env.File.enter}}\"]}\n")
			b.WriteString("        onExit: {command: sh, args: [\"{{Env.File.exit}}\"]}\n")
			b.WriteString("      embeddedFiles:\n")
			b.WriteString("      - {name: enter, type: TEXT, data: " + yamlText(s.env) + "}\n")
			b.WriteString("      - {name: exit, type: TEXT, data: " + yamlText(s.exit) + "}\n")
		}
		b.WriteString("  script:\n    actions:\n      onRun:\n        command: sh\n        args: [\"{{Task.File.run}}\"]\n" + s.action)
		b.WriteString("    embeddedFiles:\n    - {name: run, type: TEXT, data: " + yamlText(script) + "}\n")
	}
	step("Frames", s.script)
	if s.after != "" {
		step("After", s.after)
	}
	return b.String()
}

// yamlText writes text as a double-quoted scalar.
func yamlText(s string) string {
	if s == "" {
		s = "true"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// outParam is a PATH parameter Out with a root for it.
const outParam = "- {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT}\n"

// outJob is a job whose Out is collected.
func outJob(s shell, files ...api.File) api.Work {
	s.params += outParam
	return api.Work{
		Template: s.template(), Parameters: map[string]string{"Out": "/home/ann/out"}, Files: files,
		Roots: []api.Root{{Path: "/home/ann/out", Format: "POSIX", Output: true}},
	}
}

// plainJob is a job without files.
func plainJob(s shell) api.Work { return api.Work{Template: s.template()} }

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return !errors.Is(err, syscall.ESRCH)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// waitFor polls a condition of other processes.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("waited too long: " + what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
