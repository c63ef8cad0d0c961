package session

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// killTime bounds the wait for killed processes to disappear.
const killTime = 5 * time.Second

// group is the processes that an action has started: those of a job object. The
// system ends them when this program ends, however it does.
type group struct {
	mu  sync.Mutex
	job windows.Handle
	rss int64
}

func newGroup(string, func() bool) (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("create a job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		windows.CloseHandle(job)
		return nil, fmt.Errorf("set up a job object: %w", err)
	}
	return &group{job: job}, nil
}

var procNtResumeProcess = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtResumeProcess")

// start starts cmd as the root of the group. It is suspended until it is in the
// job object, so that no child of its is ever outside.
func (g *group) start(cmd *exec.Cmd) (procID, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_SUSPENDED,
		HideWindow:    true,
	}
	if err := cmd.Start(); err != nil {
		return procID{}, err
	}
	id := procID{Pid: cmd.Process.Pid}
	id.Start, _ = startOf(id.Pid)
	if err := g.assign(id.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return procID{}, err
	}
	return id, nil
}

func (g *group) assign(pid int) error {
	const access = windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE | windows.PROCESS_SUSPEND_RESUME
	h, err := windows.OpenProcess(access, false, uint32(pid))
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer windows.CloseHandle(h)
	if err := windows.AssignProcessToJobObject(g.job, h); err != nil {
		return fmt.Errorf("put process %d into its job object: %w", pid, err)
	}
	if status, _, _ := procNtResumeProcess.Call(uintptr(h)); status != 0 {
		return fmt.Errorf("resume process %d: %w", pid, windows.NTStatus(status))
	}
	return nil
}

func (g *group) began(procID) {}
func (g *group) adopt(procID) {}
func (g *group) ended(procID) {}

// notify sends CTRL_BREAK to the console process group of the root.
func (g *group) notify(root procID) error {
	if err := windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(root.Pid)); err != nil {
		return fmt.Errorf("send CTRL_BREAK to process group %d: %w", root.Pid, err)
	}
	return nil
}

func (g *group) lives(procID) bool { return !g.empty() }

func (g *group) observe() {}

// peak is the greatest memory that the processes of the group held together.
func (g *group) peak() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	err := windows.QueryInformationJobObject(g.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	if err == nil {
		g.rss = int64(info.PeakJobMemoryUsed)
	}
	return g.rss
}

// basicAccounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h.
type basicAccounting struct {
	TotalUserTime, TotalKernelTime, PeriodUserTime, PeriodKernelTime   int64
	PageFaults, TotalProcesses, ActiveProcesses, TotalTerminatedByUser uint32
}

// basicAccountingClass is JobObjectBasicAccountingInformation of winnt.h.
const basicAccountingClass = 1

// empty reports whether no process of the group is left.
func (g *group) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job == 0 {
		return true
	}
	var info basicAccounting
	err := windows.QueryInformationJobObject(g.job, basicAccountingClass,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	return err == nil && info.ActiveProcesses == 0
}

// kill ends every process of the group and waits until they are gone.
func (g *group) kill() error {
	g.mu.Lock()
	if g.job == 0 {
		g.mu.Unlock()
		return nil
	}
	err := windows.TerminateJobObject(g.job, 1)
	g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("terminate a job object: %w", err)
	}
	for deadline := time.Now().Add(killTime); !g.empty(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("some processes outlived the end of their job object")
		}
	}
	return nil
}

// close ends what is left of the group.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job != 0 {
		windows.CloseHandle(g.job)
		g.job = 0
	}
}

func becomeReaper() error { return nil }

// startOf is when a process started, in 100 ns since 1601.
func startOf(pid int) (uint64, bool) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return 0, false
	}
	defer windows.CloseHandle(h)
	var code uint32
	const stillActive = 259
	if windows.GetExitCodeProcess(h, &code) != nil || code != stillActive {
		return 0, false
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, false
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), true
}

func bootID() string { return "" }

func oomKills() uint64 { return 0 }

// maxRSS is unknown for a single process; the job object counts for all of them.
func maxRSS(*os.ProcessState) int64 { return 0 }

// exitOf reads how a process ended. There are no signals here.
func exitOf(state *os.ProcessState) (code int, signal string) {
	return state.ExitCode(), ""
}

func killedExit(int) bool { return false }
