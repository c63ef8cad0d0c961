//go:build unix

package session

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// procInfo is one process in a snapshot of the machine's.
type procInfo struct {
	id              procID
	ppid, pgid, sid int
	zombie          bool
}

// killTime bounds the wait for killed processes to disappear.
const killTime = 5 * time.Second

// group is the processes that an action, or a session, has started: the
// descendants of its roots, wherever they have moved in the process table.
type group struct {
	// mark is the environment entry that the processes inherit.
	mark string
	// strays says that detached processes of this program which carry no mark are
	// taken for members.
	strays func() bool

	mu      sync.Mutex
	since   uint64
	known   map[procID]bool
	peakRSS int64
}

func newGroup(mark string, strays func() bool) (*group, error) {
	if strays == nil {
		strays = func() bool { return false }
	}
	return &group{mark: mark, strays: strays, known: map[procID]bool{}}, nil
}

// start starts cmd as the root of the group, leader of a session of its own so
// that signals to this program's terminal do not reach it.
func (g *group) start(cmd *exec.Cmd) (procID, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	roots.Lock()
	defer roots.Unlock()
	if err := cmd.Start(); err != nil {
		return procID{}, err
	}
	id := procID{Pid: cmd.Process.Pid}
	// A process that has ended is still there, as a zombie, until it is waited for.
	id.Start, _ = startOf(id.Pid)
	roots.pids[id.Pid] = true
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[id] = true
	if g.since == 0 {
		g.since = id.Start
	}
	return id, nil
}

// began is told of a process, started elsewhere, that its mark makes a member.
func (g *group) began(id procID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since == 0 {
		g.since = id.Start
	}
}

// adopt takes up a process that another program started, if it is still the one
// that id names.
func (g *group) adopt(id procID) {
	if start, ok := startOf(id.Pid); ok && start == id.Start {
		g.known[id] = true
	}
}

// ended is told that a root has been waited for.
func (g *group) ended(id procID) {
	roots.Lock()
	defer roots.Unlock()
	delete(roots.pids, id.Pid)
}

// roots are the processes that os/exec waits for; nobody else may. Orphans that
// ended before anybody saw whose they were wait in zombies for a while, lest
// another part of the program waits for them.
var roots = struct {
	sync.Mutex
	pids    map[int]bool
	zombies map[procID]time.Time
}{pids: map[int]bool{}, zombies: map[procID]time.Time{}}

// zombieTime is how long an unknown orphan that has ended is left to others.
const zombieTime = 2 * time.Second

// notify asks the process group of the root to end.
func (g *group) notify(root procID) error {
	if err := unix.Kill(-root.Pid, unix.SIGTERM); err != nil && err != unix.ESRCH {
		return fmt.Errorf("send SIGTERM to process group %d: %w", root.Pid, err)
	}
	return nil
}

// lives reports whether the process group of the root has members left.
func (g *group) lives(root procID) bool {
	g.observe()
	return unix.Kill(-root.Pid, 0) == nil
}

// observe notes who belongs to the group now, how much memory they hold, and
// waits for orphans that have ended.
func (g *group) observe() {
	g.mu.Lock()
	defer g.mu.Unlock()
	live, _ := g.scan()
	var sum int64
	for _, p := range live {
		sum += residentOf(p.id.Pid)
	}
	g.peakRSS = max(g.peakRSS, sum)
}

// peak is the greatest sum of resident memory that was observed, in bytes.
func (g *group) peak() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peakRSS
}

// empty reports whether no process of the group is left.
func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	live, err := g.scan()
	return err == nil && len(live) == 0
}

// kill ends every process of the group. They are stopped first, so that none can
// escape by forking meanwhile. An error means that some outlived it.
func (g *group) kill() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	stopped := map[procID]bool{}
	for round := 0; round < 100; round++ {
		live, err := g.scan()
		if err != nil {
			return err
		}
		fresh := false
		for _, p := range live {
			if !stopped[p.id] {
				stopped[p.id], fresh = true, true
				_ = signalProcess(p.id, unix.SIGSTOP)
			}
		}
		if !fresh {
			break
		}
	}
	deadline := time.Now().Add(killTime)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		live, err := g.scan()
		if err != nil || len(live) == 0 {
			return err
		}
		for _, p := range live {
			_ = signalProcess(p.id, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s outlived SIGKILL by %v, process %d among them",
				plural(len(live), "process", "processes"), killTime, live[0].id.Pid)
		}
		time.Sleep(pause)
	}
}

// close forgets the group; its processes live on.
func (g *group) close() {}

// scan takes a snapshot of the machine and finds the members in it that live.
func (g *group) scan() ([]procInfo, error) {
	procs, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	self := os.Getpid()
	selfSid, _ := unix.Getsid(0)
	member := make(map[int]bool)
	known := make(map[procID]bool, len(g.known))
	take := func(p procInfo) {
		member[p.id.Pid], known[p.id] = true, true
	}
	for _, p := range procs {
		switch {
		case p.id.Pid <= 1 || p.id.Pid == self:
		case g.known[p.id]:
			take(p)
		case p.id.Start < g.since || p.zombie:
		case hasEnv(p.id.Pid, g.mark):
			take(p)
		case p.ppid == self && p.sid != selfSid && !isRoot(p.id.Pid) && g.since > 0 && g.strays() && !hasEnv(p.id.Pid, sessionVar+"="):
			take(p)
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range procs {
			if !member[p.id.Pid] && member[p.ppid] && p.id.Pid != self {
				take(p)
				grown = true
			}
		}
	}
	g.known = known
	var live, dead []procInfo
	for _, p := range procs {
		switch {
		case member[p.id.Pid] && !p.zombie:
			live = append(live, p)
		case p.zombie && p.ppid == self && (member[p.id.Pid] || p.sid != selfSid):
			dead = append(dead, p)
		}
	}
	reap(dead, member)
	return live, nil
}

func isRoot(pid int) bool {
	roots.Lock()
	defer roots.Unlock()
	return roots.pids[pid]
}

// reap waits for orphans that have ended and that nobody else will wait for.
func reap(dead []procInfo, member map[int]bool) {
	roots.Lock()
	defer roots.Unlock()
	seen := make(map[procID]time.Time)
	for _, p := range dead {
		if roots.pids[p.id.Pid] {
			continue
		}
		first, old := roots.zombies[p.id]
		if !old {
			first = time.Now()
		}
		if !member[p.id.Pid] && time.Since(first) < zombieTime {
			seen[p.id] = first
			continue
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(p.id.Pid, &status, unix.WNOHANG, nil)
	}
	roots.zombies = seen
}

// exitOf reads how a process ended: a negative code is the number of the signal.
func exitOf(state *os.ProcessState) (code int, signal string) {
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return -int(ws.Signal()), unix.SignalName(ws.Signal())
	}
	return state.ExitCode(), ""
}

// killedExit tells the exit code of a shell whose command was killed.
func killedExit(code int) bool {
	return code == -int(unix.SIGKILL) || code == 128+int(unix.SIGKILL)
}
