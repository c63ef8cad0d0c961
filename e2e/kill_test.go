package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"drover.farm/e2e/harness"
)

// TestKillsLoseNothing kills the farm and the workers with SIGKILL at random
// moments while a job of 200 frames runs; then every frame is there once.
func TestKillsLoseNothing(t *testing.T) {
	t.Parallel()
	const frames = 200
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	f := harness.StartFarm(t, "--farm-lease", "5s", "--farm-worker-timeout", "5s", "--farm-worker-tries", "50", "--farm-aside-faults", "1000")
	ws := []*harness.Worker{f.StartWorker("--slots", "2"), f.StartWorker("--slots", "2")}
	j := f.Submit(quick(t, frames, "sleep 0.1\n"+frameFile))
	for range 8 {
		<-time.After(time.Duration(300+rnd.IntN(1500)) * time.Millisecond)
		switch w := ws[rnd.IntN(len(ws))]; rnd.IntN(3) {
		case 0:
			f.Kill()
			f.Start()
		default:
			w.Kill()
			w.Start()
		}
	}
	if j = f.WaitJob(j.ID, long); j.State != "done" {
		t.Fatalf("the job is %s: %s (%+v)", j.State, j.Reason, j.Tasks)
	}
	everyFrameOnce(t, f, j.ID, frames)
	if got := files(t, fetched(t, f, j.ID)); len(got) != frames {
		t.Errorf("%d files were fetched, want %d", len(got), frames)
	}
}

// TestWorkersGoOnWhileTheFarmIsAway stops the farm for a minute in the middle
// of a job: what was being rendered is delivered when it is back, by the
// attempts that were under way.
func TestWorkersGoOnWhileTheFarmIsAway(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	f.StartWorker("--slots", "2")
	j := f.Submit(quick(t, 6, "sleep 20\n"+frameFile))
	harness.Until(t, "two tasks run", harness.Patience, func() bool { return f.Job(j.ID).Tasks.Running == 2 })
	f.Kill()
	<-time.After(60 * time.Second)
	f.Start()
	if j = f.WaitJob(j.ID, long); j.State != "done" {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	for _, k := range f.Tasks(j.ID) {
		if k.Attempts != 1 {
			t.Errorf("task %d took %d attempts: %s", k.Index, k.Attempts, k.Error)
		}
	}
	everyFrameOnce(t, f, j.ID, 6)
}

// TestStopsInGoodOrder: SIGTERM ends a worker after its task and a farm at once,
// both with 0, and the rest is done after a new start.
func TestStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	w := f.StartWorker()
	j := f.Submit(quick(t, 3, "sleep 1\n"+frameFile))
	harness.Until(t, "a task runs", harness.Patience, func() bool { return f.Job(j.ID).Tasks.Running == 1 })
	w.Stop()
	after := f.Job(j.ID)
	if after.Tasks.Running != 0 || after.Tasks.Done == 0 {
		t.Errorf("after the worker left: %+v, want its task done and none running", after.Tasks)
	}
	f.Stop()
	f.Start()
	w.Start()
	if j = f.WaitJob(j.ID, long); j.State != "done" {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	everyFrameOnce(t, f, j.ID, 3)
}
