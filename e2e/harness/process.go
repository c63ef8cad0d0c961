package harness

import (
	"bytes"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// process is a running program whose output is kept.
type process struct {
	tb    testing.TB
	name  string
	cmd   *exec.Cmd
	log   *buffer
	ended chan struct{}
}

// start runs the program. The test shows its output when it fails.
func start(tb testing.TB, name string, log *buffer, env []string, args ...string) *process {
	tb.Helper()
	cmd := exec.Command(Binary(tb), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = Environment(env...), log, log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start the %s: %v", name, err)
	}
	p := &process{tb: tb, name: name, cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process as a power cut would, and waits until it is gone.
func (p *process) kill() {
	p.tb.Helper()
	p.cmd.Process.Kill()
	p.wait()
}

// stop asks the process to end and returns its exit code.
func (p *process) stop() int {
	p.tb.Helper()
	if p.running() {
		if err := terminate(p.cmd.Process); err != nil {
			p.tb.Errorf("tell the %s to end: %v", p.name, err)
		}
	}
	p.wait()
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) wait() {
	p.tb.Helper()
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.cmd.Process.Kill()
		<-p.ended
		p.tb.Errorf("the %s did not end within %s", p.name, Patience)
	}
}

// buffer collects the output of a process and of those that follow it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
