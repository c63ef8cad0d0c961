package rayd

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// Become does nothing here: the server goes on in this process.
func Become(program string, role Role, home, handoff string) error { return nil }

// Daemon refuses: there is no daemon mode here.
func Daemon(program string, role Role, home, handoff string) (pid int, release func() error, err error) {
	return 0, nil, notHere
}

// AwaitRelease returns at once.
func AwaitRelease() error { return nil }

// Start starts a process of the role apart from this one's console.
func Start(program string, role Role, home, handoff string) (*os.Process, error) {
	cmd := exec.Command(program)
	cmd.Args = role.Argv(home)
	cmd.Env = append(os.Environ(), handoff)
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return cmd.Process, nil
}
