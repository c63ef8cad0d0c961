package agent

import "golang.org/x/sys/windows"

// giveWay lowers the priority of this program, and so of what it starts.
func giveWay(nice int) {
	if nice > 0 {
		// At worst tasks run as all else does.
		_ = windows.SetPriorityClass(windows.CurrentProcess(), windows.BELOW_NORMAL_PRIORITY_CLASS)
	}
}

// gently runs f, which starts processes.
func (a *agent) gently(f func()) { f() }
