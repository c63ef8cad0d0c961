package session

import (
	"bytes"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// becomeReaper does nothing: this system has no subreapers. Detached processes
// are found by their environment and by having been seen before they detached.
func becomeReaper() error { return nil }

// zombieState is SZOMB of sys/proc.h.
const zombieState = 5

func processes() ([]procInfo, error) {
	kinfo, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	procs := make([]procInfo, 0, len(kinfo))
	for i := range kinfo {
		procs = append(procs, infoOf(&kinfo[i]))
	}
	return procs, nil
}

func infoOf(k *unix.KinfoProc) procInfo {
	p := procInfo{
		id:     procID{Pid: int(k.Proc.P_pid)},
		ppid:   int(k.Eproc.Ppid),
		pgid:   int(k.Eproc.Pgid),
		zombie: k.Proc.P_stat == zombieState,
	}
	p.id.Start = uint64(k.Proc.P_starttime.Sec)*1e6 + uint64(k.Proc.P_starttime.Usec)
	p.sid, _ = unix.Getsid(p.id.Pid)
	return p
}

// startOf is when a process started, in microseconds since 1970.
func startOf(pid int) (uint64, bool) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(k.Proc.P_pid) != pid {
		return 0, false
	}
	return infoOf(k).id.Start, true
}

// hasEnv reports whether an entry of the process's first environment begins with
// prefix.
func hasEnv(pid int, prefix string) bool {
	data, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return false
	}
	return bytes.Contains(data, append([]byte{0}, prefix...))
}

// residentOf is not to be had without private interfaces; the peak that the
// system counts for the root has to do.
func residentOf(int) int64 { return 0 }

func signalProcess(id procID, sig unix.Signal) error {
	if start, ok := startOf(id.Pid); !ok || start != id.Start {
		return unix.ESRCH
	}
	return unix.Kill(id.Pid, sig)
}

// bootID is empty: start times on this system are absolute.
func bootID() string { return "" }

func oomKills() uint64 { return 0 }

// maxRSS is the peak resident memory of a process that has ended and of those of
// its descendants that were waited for, in bytes.
func maxRSS(state *os.ProcessState) int64 {
	if ru, ok := state.SysUsage().(*syscall.Rusage); ok {
		return ru.Maxrss
	}
	return 0
}
