// Package harness starts real farms and workers for tests: the program as it is
// built for users, each process with a data folder of its own, on free ports of
// the loopback interface. Tests can kill them at any moment and start them
// again where they were.
package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "drover.farm/internal/cli" // so that go test knows these tests depend on the program, and runs them when it has changed
	"drover.farm/internal/store/pgtest"
)

// Patience is how long a process may take to become ready or to end.
const Patience = 60 * time.Second

var built struct {
	once sync.Once
	path string
	err  error
}

// Main runs a package's tests and removes the program that they built. Then it
// calls more.
func Main(m *testing.M, more ...func()) {
	code := m.Run()
	pgtest.Shutdown()
	if built.path != "" && os.Getenv("DROVER_BIN") == "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	for _, do := range more {
		do()
	}
	os.Exit(code)
}

// Binary is the program: the one that DROVER_BIN names, else one built from
// this source, once for all tests of the process.
func Binary(tb testing.TB) string {
	tb.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv("DROVER_BIN"); built.path != "" {
			return
		}
		built.path, built.err = build()
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return built.path
}

func build() (string, error) {
	dir, err := os.MkdirTemp("", "drover-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "drover"+exeSuffix)
	cmd := exec.Command("go", "build", "-o", path, "drover.farm/cmd/drover")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}

// Environment is that of this process without what would steer the program, and
// with more, as NAME=value.
func Environment(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "DROVER_") || name == "DROVER_BLENDER" {
			env = append(env, e)
		}
	}
	return append(env, more...)
}

// Result is what a command printed and how it ended.
type Result struct {
	Args        []string
	Out, ErrOut string
	Code        int // exit code; -1 when a signal ended it
}

// Run runs the program once, with the environment given and that of this
// process, and returns when it has ended. It fails the test only if the program
// cannot be run.
func Run(tb testing.TB, env []string, args ...string) Result {
	tb.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(Binary(tb), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = Environment(env...), &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("run drover %s: %v", strings.Join(args, " "), err)
	}
	return Result{args, out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// OK fails the test unless the command succeeded.
func (r Result) OK(tb testing.TB) Result {
	tb.Helper()
	if r.Code != 0 {
		tb.Fatalf("drover %s exited with %d\n%s%s", strings.Join(r.Args, " "), r.Code, r.Out, r.ErrOut)
	}
	return r
}

// JSON reads what the command printed.
func (r Result) JSON(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(r.Out), v); err != nil {
		tb.Fatalf("drover %s printed no JSON: %v\n%s%s", strings.Join(r.Args, " "), err, r.Out, r.ErrOut)
	}
}

// Until waits for a condition that real processes bring about, asking now and
// then, and fails the test when it does not come true in time.
func Until(tb testing.TB, what string, within time.Duration, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(within); ; {
		if done() {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", within, what)
		}
		pause()
	}
}

func pause() { <-time.After(20 * time.Millisecond) }
