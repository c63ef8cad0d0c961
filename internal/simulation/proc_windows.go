package simulation

import (
	"os/exec"
	"strconv"

	"github.com/shirou/gopsutil/v4/process"
)

const platform = "nt"

func born(pid int) int64 {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0
	}
	t, err := p.CreateTime()
	if err != nil {
		return 0
	}
	return t
}

func killGroup(pid int) { _ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run() }
func endGroup(pid int)  { killGroup(pid) }

func stopGroup(int) error {
	return faultf(NotOnThisSystem, "simulations cannot be suspended on this platform")
}

func wakeGroup(int) error      { return stopGroup(0) }
func groupExists(pid int) bool { return born(pid) != 0 }
func isRoot() bool             { return false }
func groupHint(string) string  { return "" }
