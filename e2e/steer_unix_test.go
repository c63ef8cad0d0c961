//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"drover.farm/e2e/harness"
)

// TestCancelStopsTheProcessTree cancels a job whose task has children that
// ignore SIGTERM or have left its session; all of them end.
func TestCancelStopsTheProcessTree(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	f := harness.StartFarm(t)
	f.StartWorker()
	script := fmt.Sprintf("sh -c 'trap \"\" TERM; echo $$ >> %s; while :; do sleep 1; done' &\nsetsid sh -c 'echo $$ >> %s; exec sleep 1000' &\necho $$ >> %s\nsleep 1000", pids, pids, pids)
	j := f.Submit(quick(t, 1, script))
	var running []int
	harness.Until(t, "the task's processes run", harness.Patience, func() bool {
		running = running[:0]
		b, _ := os.ReadFile(pids)
		for _, s := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(s)
			if err != nil {
				return false
			}
			running = append(running, n)
		}
		return len(running) == 3
	})
	f.Drover("job", "cancel", fmt.Sprint(j.ID), "--reason", "wrong shot").OK(t)
	harness.Until(t, "all processes of the task have ended", harness.Patience, func() bool {
		for _, pid := range running {
			if syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		return true
	})
	if got := f.Job(j.ID); got.State != "canceled" || got.Reason != "wrong shot" {
		t.Errorf("the job is %s: %s", got.State, got.Reason)
	}
	// The worker is free for other work, and the canceled job can be brought back.
	other := f.Submit(quick(t, 1, frameFile))
	if other = f.WaitJob(other.ID, long); other.State != "done" {
		t.Errorf("the next job is %s: %s", other.State, other.Reason)
	}
}

// TestPauseResumeRetryPriority steers jobs by the command line.
func TestPauseResumeRetryPriority(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(t.TempDir(), "fixed")
	f := harness.StartFarm(t)
	j := f.Submit(quick(t, 4, fmt.Sprintf("if [ $frame = 3 ] && [ ! -e %s ]; then echo 'no such texture' >&2; exit 7; fi\n%s", flag, frameFile)), "--paused")
	f.StartWorker()
	f.WaitWorkers(1, harness.Patience)
	id := fmt.Sprint(j.ID)
	if why := f.Drover("job", "why", id).OK(t).Out; !strings.Contains(why, "paused") {
		t.Errorf("why says\n%s", why)
	}
	f.Drover("job", "resume", id).OK(t)
	if j = f.WaitJob(j.ID, long); j.State != "failed" || j.Tasks.Done != 3 || j.Tasks.Failed != 1 {
		t.Fatalf("the job is %s with %+v, want it failed by one task", j.State, j.Tasks)
	}
	if log := f.Drover("job", "log", id, "2").OK(t).Out; !strings.Contains(log, "no such texture") {
		t.Errorf("the log of the failed task:\n%s", log)
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Drover("job", "retry", id).OK(t)
	if j = f.WaitJob(j.ID, long); j.State != "done" {
		t.Fatalf("after the retry the job is %s: %s", j.State, j.Reason)
	}
	everyFrameOnce(t, f, j.ID, 4)
}
