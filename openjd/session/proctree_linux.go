package session

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxEnviron bounds what is read of a process's environment.
const maxEnviron = 4 << 20

// becomeReaper makes orphans of this program's descendants its children, so that
// they stay within reach.
var becomeReaper = sync.OnceValue(func() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
})

// processes lists the processes of the machine.
func processes() ([]procInfo, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	procs := make([]procInfo, 0, len(names))
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := statOf(pid); ok {
			procs = append(procs, p)
		}
	}
	return procs, nil
}

// statOf reads /proc/PID/stat (proc_pid_stat(5)); false when there is no such
// process.
func statOf(pid int) (procInfo, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procInfo{}, false
	}
	// The name, in parentheses, may itself hold parentheses and spaces.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return procInfo{}, false
	}
	fields := strings.Fields(string(data[end+1:]))
	const state, ppid, pgrp, sid, start = 0, 1, 2, 3, 19
	if len(fields) <= start {
		return procInfo{}, false
	}
	p := procInfo{id: procID{Pid: pid}, zombie: fields[state] == "Z" || fields[state] == "X"}
	p.ppid, _ = strconv.Atoi(fields[ppid])
	p.pgid, _ = strconv.Atoi(fields[pgrp])
	p.sid, _ = strconv.Atoi(fields[sid])
	p.id.Start, _ = strconv.ParseUint(fields[start], 10, 64)
	return p, true
}

// startOf is when a process started, in clock ticks since the machine did.
func startOf(pid int) (uint64, bool) {
	p, ok := statOf(pid)
	return p.id.Start, ok
}

// hasEnv reports whether an entry of the process's first environment begins with
// prefix.
func hasEnv(pid int, prefix string) bool {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return false
	}
	return bytes.HasPrefix(data, []byte(prefix)) || bytes.Contains(data, append([]byte{0}, prefix...))
}

// residentOf is the resident memory of a process, in bytes.
func residentOf(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// signalProcess signals the process that id names and no other that has its
// number since.
func signalProcess(id procID, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(id.Pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		if start, ok := startOf(id.Pid); !ok || start != id.Start {
			return unix.ESRCH
		}
		return unix.Kill(id.Pid, sig)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// The descriptor names one process for good; compare after opening it.
	if start, ok := startOf(id.Pid); !ok || start != id.Start {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// bootID tells one run of the machine from another, and with it whether process
// ids of a file still mean something.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// oomKills counts the processes that the kernel killed for want of memory, in the
// whole machine.
func oomKills() uint64 {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	_, after, ok := strings.Cut(string(data), "\noom_kill ")
	if !ok {
		return 0
	}
	line, _, _ := strings.Cut(after, "\n")
	n, _ := strconv.ParseUint(line, 10, 64)
	return n
}

// maxRSS is the peak resident memory of a process that has ended and of those of
// its descendants that were waited for, in bytes. A child inherits the figure of
// the program that forked it, so one not above that says nothing.
func maxRSS(state *os.ProcessState) int64 {
	ru, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil && ru.Maxrss <= own.Maxrss {
		return 0
	}
	return int64(ru.Maxrss) << 10
}
