package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"drover.farm/e2e/harness"
)

// TestABackupUnderLoadIsAFarm copies a farm while it renders, jobs are removed
// and unused files are swept at once; the copy, started as a farm of its own,
// has every file of every task that it says is done, and renders the rest.
func TestABackupUnderLoadIsAFarm(t *testing.T) {
	t.Parallel()
	const frames = 60
	f := harness.StartFarm(t, "--files-spare", "3s", "--files-sweep", "50ms")
	for range 2 {
		f.StartWorker("--slots", "2")
	}
	template := quick(t, frames, "sleep 0.05\n"+frameFile)
	var jobs []int64
	for i := range 3 {
		jobs = append(jobs, f.Submit(template, "--name", fmt.Sprint("kept ", i)).ID)
	}
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		for range 6 {
			id := f.Submit(quick(t, 10, frameFile+"; echo gone >> \"$out/frame_$frame.txt\""), "--priority", "80").ID
			f.WaitJob(id, long)
			f.Drover("job", "rm", fmt.Sprint(id)).OK(t)
		}
	}()
	harness.Until(t, "some frames are done", harness.Patience, func() bool { return f.Job(jobs[0]).Tasks.Done > 5 })
	var copies []string
	for i := range 3 {
		dst := filepath.Join(t.TempDir(), fmt.Sprint("copy", i))
		var r struct{ Missing []string }
		f.Drover("backup", "--data", f.Data, "--to", dst, "--json").OK(t).JSON(t, &r)
		if len(r.Missing) > 0 {
			t.Errorf("copy %d lacks %v", i, r.Missing)
		}
		copies = append(copies, dst)
	}
	<-removed
	for _, dst := range copies {
		c := harness.StartFarmIn(t, dst)
		before := 0
		for _, id := range jobs {
			if c.Job(id).Tasks.Done > 0 {
				before += len(files(t, fetched(t, c, id)))
			}
		}
		if before == 0 {
			t.Error("nothing was done in the copy: it was made too early to show anything")
		}
		c.StartWorker("--slots", "4")
		for _, id := range jobs {
			if j := c.WaitJob(id, long); j.State != "done" {
				t.Errorf("in the copy job %d is %s: %s", id, j.State, j.Reason)
			}
			everyFrameOnce(t, c, id, frames)
		}
		c.Stop()
	}
}

// TestAFarmMovesToSeveralServers moves a farm in the middle of a job from one
// machine's folder to PostgreSQL and S3, where two servers go on with it.
func TestAFarmMovesToSeveralServers(t *testing.T) {
	t.Parallel()
	const frames = 20
	f := harness.StartFarm(t)
	w := f.StartWorker()
	j := f.Submit(quick(t, frames, "sleep 0.1\n"+frameFile))
	harness.Until(t, "some frames are done", harness.Patience, func() bool { return f.Job(j.ID).Tasks.Done > 3 })
	c := harness.NewCluster(t, 2)
	args := []string{"migrate", "--from", f.Data, "--to", c.Store, "--to-blobs", c.Blobs}
	if r := harness.Run(t, c.Env, args...); r.Code != 1 {
		t.Errorf("a running farm was moved: exit %d %s%s", r.Code, r.Out, r.ErrOut)
	}
	w.Kill()
	f.Kill()
	harness.Run(t, c.Env, args...).OK(t)
	c.Start(f.TokenFile())
	c.Servers[1].StartWorker()
	for _, s := range c.Servers {
		if got := s.WaitJob(j.ID, long); got.State != "done" {
			t.Fatalf("the moved job is %s: %s", got.State, got.Reason)
		}
		everyFrameOnce(t, s, j.ID, frames)
		if got := files(t, fetched(t, s, j.ID)); len(got) != frames {
			t.Errorf("%d files were fetched, want %d", len(got), frames)
		}
	}
}
