package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"drover.farm/e2e/harness"
	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

// TestServersAreOneFarm: what one of three servers is told, the others know;
// files sent to one come from another; events reach the clients of all.
func TestServersAreOneFarm(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	heard := make(chan string, len(c.Servers))
	for _, s := range c.Servers {
		go func() { heard <- listen(t, s, "job.submitted") }()
	}
	worker := c.Servers[1].StartWorker()
	j := c.Servers[2].Submit(quick(t, 6, frameFile))
	for range c.Servers {
		if got := <-heard; !strings.Contains(got, fmt.Sprint(j.ID)) {
			t.Errorf("a server's stream of events says %q, want job %d in it", got, j.ID)
		}
	}
	for i, s := range c.Servers {
		if got := s.WaitJob(j.ID, long); got.State != "done" {
			t.Errorf("server %d says that the job is %s", i, got.State)
		}
		everyFrameOnce(t, s, j.ID, 6)
		if got := files(t, fetched(t, s, j.ID)); len(got) != 6 {
			t.Errorf("server %d gives %d files", i, len(got))
		}
	}
	path := filepath.Join(t.TempDir(), "big")
	fill(t, path, 9<<20, 3)
	f, err := c.Servers[0].Client().Upload(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back")
	if err := c.Servers[2].Client().Download(t.Context(), f.SHA256, f.Size, back); err != nil {
		t.Errorf("from another server: %v", err)
	}
	worker.Stop()
	for _, s := range c.Servers {
		s.Stop()
	}
}

// listen returns the data of the first event of a kind that a server tells.
func listen(t *testing.T, s *harness.Farm, kind string) string {
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	token, err := os.ReadFile(s.TokenFile())
	if err != nil {
		return err.Error()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/events?after=0", nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	var text []byte
	for buf := make([]byte, 4096); ; {
		n, err := resp.Body.Read(buf)
		text = append(text, buf[:n]...)
		if _, after, ok := strings.Cut(string(text), "event: "+kind+"\n"); ok && strings.Contains(after, "\n\n") {
			data, _, _ := strings.Cut(after, "\n\n")
			return data
		}
		if err != nil {
			return fmt.Sprintf("%v after %q", err, text)
		}
	}
}

// TestChaos kills the servers of a farm on PostgreSQL and S3, and its workers,
// at random moments under load; in the end every frame was rendered, counts
// once, and is what it should be. DROVER_CHAOS is for how long (10s in a usual
// run, a minute in `make chaos`), DROVER_SEED repeats a run's choices.
func TestChaos(t *testing.T) {
	t.Parallel()
	span, seed := 10*time.Second, uint64(time.Now().UnixNano())
	if s := os.Getenv("DROVER_CHAOS"); s != "" {
		var err error
		if span, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("DROVER_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (DROVER_SEED=%d repeats it), for %s", seed, seed, span)
	rnd := rand.New(rand.NewPCG(seed, 2))
	c := harness.StartCluster(t, 3, "--farm-lease", "5s", "--farm-worker-timeout", "5s", "--farm-worker-tries", "100", "--farm-aside-faults", "100000")
	var ws []*harness.Worker
	for range 3 {
		ws = append(ws, c.Farm.StartWorker("--slots", "2"))
	}
	const frames = 40
	template := quick(t, frames, "sleep 0.05\n"+frameFile)
	var jobs []int64
	kills, worst := 0, time.Duration(0)
	for end := time.Now().Add(span); time.Now().Before(end); kills++ {
		for live(t, c.Farm, jobs) < 3 { // the load: never less than three jobs
			jobs = append(jobs, c.Farm.Submit(template, "--name", fmt.Sprint("chaos ", len(jobs))).ID)
		}
		<-time.After(time.Duration(rnd.IntN(1500)) * time.Millisecond)
		worst = max(worst, disturb(t, c, ws, rnd))
	}
	done := 0
	for _, id := range jobs {
		j := c.Farm.WaitJob(id, long)
		if j.State != "done" {
			t.Errorf("job %d is %s: %s (%+v)", id, j.State, j.Reason, j.Tasks)
		}
		everyFrameOnce(t, c.Farm, id, frames)
		done += int(j.Tasks.Done)
	}
	credited(t, c.Farm, jobs, done)
	if got := files(t, fetched(t, c.Farm, jobs[0])); len(got) != frames {
		t.Errorf("%d files were fetched of job %d, want %d", len(got), jobs[0], frames)
	}
	t.Logf("%d frames of %d jobs, each once, through %d kills; the slowest takeover was %s", done, len(jobs), kills, worst.Round(time.Millisecond))
}

// disturb kills a server or a worker with SIGKILL and starts it again. Of the
// servers it is the writer as often as any other; then it returns how long the
// farm took to have another.
func disturb(t *testing.T, c *harness.Cluster, ws []*harness.Worker, rnd *rand.Rand) (takeover time.Duration) {
	t.Helper()
	switch n := rnd.IntN(4); {
	case n == 0:
		w := ws[rnd.IntN(len(ws))]
		w.Kill()
		w.Start()
	case n == 1 && c.Writer() != nil:
		s := c.Writer()
		s.Kill()
		killed := time.Now()
		if _, err := c.Farm.Client().Farm(t.Context()); err != nil {
			t.Errorf("no other server writes: %v", err)
		}
		takeover = time.Since(killed)
		s.Start()
	default:
		s := c.Servers[rnd.IntN(len(c.Servers))]
		s.Kill()
		s.Start()
	}
	return takeover
}

// live is how many of the jobs have not ended.
func live(t *testing.T, f *harness.Farm, jobs []int64) (n int) {
	t.Helper()
	for _, id := range jobs[max(0, len(jobs)-6):] {
		if s := f.Job(id).State; s == "waiting" || s == "running" {
			n++
		}
	}
	return n
}

// credited checks that the workers were credited with each frame once.
func credited(t *testing.T, f *harness.Farm, jobs []int64, frames int) {
	t.Helper()
	var ws []api.Worker
	f.Drover("worker", "ls", "--json").OK(t).JSON(t, &ws)
	done := 0
	for _, w := range ws {
		done += int(w.Done)
	}
	if done != frames {
		t.Errorf("the workers were credited with %d frames, %d were rendered", done, frames)
	}
	all, err := f.Client().Jobs(t.Context(), client.JobFilter{Limit: 1000})
	if err != nil || len(all.Jobs) != len(jobs) {
		t.Errorf("the farm has %d jobs (%v), %d were submitted", len(all.Jobs), err, len(jobs))
	}
}
