//go:build unix

package simulation

import (
	"fmt"
	"os"
	"syscall"

	"github.com/shirou/gopsutil/v4/process"
)

const platform = "posix"

// born is when a process started, 0 if it is not there or has ended.
func born(pid int) int64 {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0
	}
	if status, err := p.Status(); err == nil && len(status) == 1 && status[0] == process.Zombie {
		return 0
	}
	t, err := p.CreateTime()
	if err != nil {
		return 0
	}
	return t
}

// signalGroup signals all processes of a simulation. It must be known that the
// group is the simulation's: its leader lives and was born when it should, or
// there is no process with the leader's number at all.
func signalGroup(pid int, sig syscall.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("there is no process group %d", pid)
	}
	return syscall.Kill(-pid, sig)
}

func killGroup(pid int)        { _ = signalGroup(pid, syscall.SIGKILL) }
func endGroup(pid int)         { _ = signalGroup(pid, syscall.SIGTERM); _ = signalGroup(pid, syscall.SIGCONT) }
func stopGroup(pid int) error  { return signalGroup(pid, syscall.SIGSTOP) }
func wakeGroup(pid int) error  { return signalGroup(pid, syscall.SIGCONT) }
func groupExists(pid int) bool { return pid > 1 && syscall.Kill(-pid, 0) != syscall.ESRCH }
func isRoot() bool             { return os.Geteuid() == 0 }

// groupHint says why files in a folder may get a group that its users are not in.
func groupHint(dir string) string {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&os.ModeSetgid != 0 {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Gid) != os.Getegid() {
		return fmt.Sprintf("the folder %s has the group %d and no setgid bit: files of this server get the group %d (chmod g+s mends it)", dir, st.Gid, os.Getegid())
	}
	return ""
}
