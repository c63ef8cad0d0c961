//go:build unix

package blender

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// processGroup is Blender and what it starts: a process group.
type processGroup struct {
	pid int
}

func (g *processGroup) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}

func (g *processGroup) started(cmd *exec.Cmd) error {
	g.pid = cmd.Process.Pid
	return nil
}

// kill ends the whole group; a group that has ended is left alone.
func (g *processGroup) kill() {
	if g.pid > 0 {
		syscall.Kill(-g.pid, syscall.SIGKILL)
	}
}

func (g *processGroup) close() { g.pid = 0 }

// detach lets a daemon outlive the command that starts it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// processAlive says whether a process exists.
func processAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}

// deathOf tells how a process ended, for people, with its signal if it has one.
func deathOf(s *os.ProcessState) (text string, killed bool) {
	if s == nil {
		return "ended", false
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		sig := w.Signal()
		switch sig {
		case syscall.SIGKILL:
			return "was killed (SIGKILL), by the system when memory runs out or by an operator", true
		case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
			return fmt.Sprintf("was told to end (%s)", sig), true
		}
		return fmt.Sprintf("crashed (%s, signal %d)", sig, int(sig)), false
	}
	return fmt.Sprintf("ended with exit code %d", s.ExitCode()), false
}

var endSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
