//go:build unix

package rayd

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// releaseFD is where a daemon waits until its parent has said what it has to say.
const releaseFD = 3

// Become replaces this process by one of the role, which keeps its number and its
// terminal. It returns only if that fails.
func Become(program string, role Role, home, handoff string) error {
	err := syscall.Exec(program, role.Argv(home), append(os.Environ(), handoff))
	return fmt.Errorf("start %s anew: %w", program, err)
}

// Daemon starts a process of the role in a session of its own, apart from the
// terminal. It does nothing until release is called, and ends if this process
// ends before that.
func Daemon(program string, role Role, home, handoff string) (pid int, release func() error, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, fmt.Errorf("start the daemon: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(program)
	cmd.Args, cmd.Dir = role.Argv(home), "/"
	cmd.Env = append(os.Environ(), handoff)
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return 0, nil, fmt.Errorf("start the daemon: %w", err)
	}
	return cmd.Process.Pid, func() error {
		defer w.Close()
		_, err := w.Write([]byte{'\n'})
		return err
	}, nil
}

// AwaitRelease waits for the parent's word. It fails if the parent died first.
func AwaitRelease() error {
	f := os.NewFile(releaseFD, "release")
	defer f.Close()
	_, err := io.ReadFull(f, make([]byte, 1))
	return err
}

// Start starts a process of the role in a session of its own, with nothing to
// read or write on.
func Start(program string, role Role, home, handoff string) (*os.Process, error) {
	cmd := exec.Command(program)
	cmd.Args, cmd.Dir = role.Argv(home), "/"
	cmd.Env = append(os.Environ(), handoff)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return cmd.Process, nil
}
