//go:build unix && !linux

package agent

import (
	"golang.org/x/sys/unix"
)

// giveWay lowers the priority of this program, and so of what it starts.
func giveWay(nice int) {
	if nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice) // at worst tasks run as all else does
	}
}

// gently runs f, which starts processes.
func (a *agent) gently(f func()) { f() }
