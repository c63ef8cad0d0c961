//go:build unix

// Package rayserver_test holds scenarios of the Rayserver as its manual tells
// them: the real program, called by its name, seen from outside.
package rayserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"drover.farm/e2e/harness"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

func TestMain(m *testing.M) { harness.Main(m, radiancetest.Clean) }

// install is an installation of the Rayserver in a folder of its own.
type install struct {
	t    *testing.T
	home string
	prog string // .../platform/linux/bin/rayserver
}

// newInstall makes an installation whose hosts file gives this host 2 CPUs. It
// is open to all users.
func newInstall(t *testing.T) *install {
	t.Helper()
	home, err := os.MkdirTemp("", "rayserver-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	in := &install{t: t, home: home, prog: filepath.Join(home, "platform", "linux", "bin", "rayserver")}
	for _, dir := range []string{filepath.Dir(in.prog), in.path("config"), in.path("srvlogs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{home, filepath.Dir(harness.Binary(t))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(harness.Binary(t), in.prog); err != nil {
		t.Fatal(err)
	}
	in.write("config/hosts", fmt.Sprintf("%s 2 projects=%q\n", hostname(t), in.path("projects")))
	return in
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (in *install) path(name string) string { return filepath.Join(in.home, name) }

func (in *install) write(name, text string) {
	in.t.Helper()
	if err := os.WriteFile(in.path(name), []byte(text), 0o644); err != nil {
		in.t.Fatal(err)
	}
}

// log is the server's log; "" if there is none.
func (in *install) log() string {
	in.t.Helper()
	text, err := os.ReadFile(in.path("srvlogs/" + hostname(in.t)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		in.t.Fatal(err)
	}
	return string(text)
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// server is a Rayserver in the foreground.
type server struct {
	*exec.Cmd
	in       *install
	out, err output
	done     chan struct{}
}

// start starts a Rayserver; as changes its command before it starts.
func (in *install) start(as func(*exec.Cmd), args ...string) *server {
	in.t.Helper()
	s := &server{in: in, Cmd: exec.Command(in.prog, args...), done: make(chan struct{})}
	s.Env, s.Stdout, s.Stderr = harness.Environment(), &s.out, &s.err
	if as != nil {
		as(s.Cmd)
	}
	if err := s.Start(); err != nil {
		in.t.Fatal(err)
	}
	go func() { _ = s.Wait(); close(s.done) }()
	in.t.Cleanup(func() {
		_ = s.Process.Kill()
		<-s.done
		if in.t.Failed() {
			in.t.Logf("rayserver %q printed:\n%s%s", args, &s.out, &s.err)
		}
	})
	return s
}

// foreground starts a server on a free port and waits until it runs.
func (in *install) foreground(args ...string) *server {
	in.t.Helper()
	s := in.start(nil, append([]string{"-f", "--port", "0"}, args...)...)
	s.says(`(?m)^Rayserver \d+ running\.$`)
	return s
}

// says waits until the server has printed what a pattern matches.
func (s *server) says(pattern string) {
	s.in.t.Helper()
	re := regexp.MustCompile(pattern)
	harness.Until(s.in.t, "the server says "+pattern, harness.Patience, func() bool { return re.MatchString(s.out.String()) })
}

// ends waits until the server has ended and returns its exit code.
func (s *server) ends() int {
	s.in.t.Helper()
	harness.Until(s.in.t, "the server ends", harness.Patience, func() bool {
		select {
		case <-s.done:
			return true
		default:
			return false
		}
	})
	return s.ProcessState.ExitCode()
}

// run runs a Rayserver to its end.
func (in *install) run(as func(*exec.Cmd), args ...string) (code int, out, errOut string) {
	in.t.Helper()
	s := in.start(as, args...)
	code = s.ends()
	return code, s.out.String(), s.err.String()
}

var switching = regexp.MustCompile(`(?m)^Rayserver (\d+) switching to daemon mode\.$`)

// daemon reads the process id out of what a server printed, and sees to it that
// the daemon ends with the test.
func (in *install) daemon(out string) int {
	in.t.Helper()
	m := switching.FindStringSubmatch(out)
	if m == nil {
		in.t.Fatalf("no daemon mode in %q", out)
	}
	var pid int
	fmt.Sscan(m[1], &pid)
	in.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}
