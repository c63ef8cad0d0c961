package agent

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// giveWay has nothing to do: on Linux priorities are of threads, see gently.
func giveWay(int) {}

// gently runs f with the lowered priority of tasks, which the processes that it
// starts inherit from its thread (setpriority(2), C library/kernel differences),
// so that the worker itself stays prompt. The thread ends with f.
func (a *agent) gently(f func()) {
	if a.set.Nice <= 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the priority cannot be raised again without privilege.
		runtime.LockOSThread()
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, a.set.Nice) // at worst tasks run as all else does
		f()
	}()
	<-done
}
