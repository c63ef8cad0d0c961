package bench

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"drover.farm/internal/api"
)

// template is a job of n tasks that a load generator "renders".
func template(n int64) string {
	return fmt.Sprintf(`specificationVersion: jobtemplate-2023-09
name: load
steps:
- name: Render
  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: "1-%d"}]}
  script: {actions: {onRun: {command: "true"}}}
`, n)
}

// submit submits a job of n tasks and returns its id and how long it took.
func (s *server) submit(ctx context.Context, n int64) (int64, time.Duration, error) {
	var j api.Job
	began := time.Now()
	err := s.post(ctx, "/api/v1/jobs", api.Submission{Template: template(n)}, &j)
	return j.ID, time.Since(began), err
}

// atOnce is how many requests prepare a measurement at a time.
const atOnce = 64

// each calls fn for 0 to n-1, several at a time.
func each(n int, fn func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = fn(i)
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// register makes n workers known.
func (s *server) register(ctx context.Context, n int) ([]int64, error) {
	ids := make([]int64, n)
	err := each(n, func(i int) error {
		var w api.Worker
		err := s.post(ctx, "/api/v1/workers", api.Registration{Key: fmt.Sprint("bench", i), Name: fmt.Sprint("bench", i), Slots: 1,
			Machine: api.Machine{Hostname: "bench", OS: "linux", Arch: "x86_64", Cores: 8, Memory: 16 << 30}}, &w)
		ids[i] = w.ID
		return err
	})
	return ids, err
}

// writes loads the bare server.
func (s *server) writes(ctx context.Context, connections int, d time.Duration) (load, error) {
	body := []byte(`{"worker":1234,"job":1000,"step":0,"index":123456,"seconds":1.5,"next":{"warm":1000}}`)
	return s.under(ctx, connections, func(_ int, end time.Time, done *atomic.Int64) error {
		for time.Now().Before(end) {
			status, answer, err := s.raw(ctx, http.MethodPost, "/write", body)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("write: %d %s", status, answer)
			}
			if err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	}, d)
}

// load is what came of loading a server.
type load struct {
	rate   float64       // requests a second
	cpu    time.Duration // of the server, a request
	allocs float64       // of the server, a request
}

// under runs n clients for a time and measures what their requests, which they
// count, cost the server.
func (s *server) under(ctx context.Context, n int, client func(i int, end time.Time, done *atomic.Int64) error, d time.Duration) (load, error) {
	before, err := s.cost(ctx)
	if err != nil {
		return load{}, err
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, n)
	began := time.Now()
	end := began.Add(d)
	for i := range n {
		wg.Go(func() { errs[i] = client(i, end, &done) })
	}
	wg.Wait()
	took := time.Since(began)
	if err := cmp.Or(errs...); err != nil {
		return load{}, err
	}
	after, err := s.cost(ctx)
	if err != nil {
		return load{}, err
	}
	requests := max(done.Load(), 1)
	return load{
		rate: float64(requests) / took.Seconds(),
		cpu:  (after.cpu - before.cpu) / time.Duration(requests), allocs: (after.allocs - before.allocs) / float64(requests),
	}, nil
}

// cost is what a server has used since its start.
type cost struct {
	cpu    time.Duration
	allocs float64 // number of allocations
}

var mallocs = regexp.MustCompile(`(?m)^go_memstats_mallocs_total (\S+)$`)

func (s *server) cost(ctx context.Context) (c cost, err error) {
	if c.cpu, err = s.processor(); err != nil {
		return c, err
	}
	status, body, err := s.raw(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return c, err
	}
	m := mallocs.FindSubmatch(body)
	if m == nil {
		return c, fmt.Errorf("/metrics tells of no allocations: %d %.200s", status, body)
	}
	c.allocs, err = strconv.ParseFloat(string(m[1]), 64)
	return c, err
}

// percentile is the p-th percentile of times, which it sorts.
func percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(int(float64(len(times))*p/100), len(times)-1)]
}

// folder makes a temporary data folder.
func folder() (string, func(), error) {
	dir, err := os.MkdirTemp("", "drover-bench-")
	return dir, func() { os.RemoveAll(dir) }, err
}
