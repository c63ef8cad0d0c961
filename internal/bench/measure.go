package bench

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"drover.farm/internal/api"
)

// measureStart: cold start, idle memory, size of the program.
func measureStart(ctx context.Context, r *runner) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	var best time.Duration
	var idle int64
	for range 5 {
		s, err := r.farm(ctx, dir)
		if err != nil {
			return err
		}
		if best == 0 || s.ready < best {
			best = s.ready
		}
		time.Sleep(2 * time.Second)
		if idle, err = s.memory(); err != nil {
			s.kill()
			return err
		}
		s.kill()
	}
	info, err := os.Stat(r.Drover)
	if err != nil {
		return err
	}
	ms := best.Seconds() * 1000
	r.report.hold("cold start to ready", ms, "ms", "≤ 100 ms", ms <= 100, "best of 5, after kill -9")
	r.report.hold("idle memory", float64(idle)/(1<<20), "MiB", "≤ 30 MiB", idle <= 30<<20, "resident, 2 s after the start")
	r.report.hold("program", float64(info.Size())/1e6, "MB", "≤ 45 MB", info.Size() <= 45e6, "")
	return nil
}

// measureCycles: durable cycles beside the bare server, with few and with a
// million tasks waiting, in turn so that the machine's moods fall on all alike.
func measureCycles(ctx context.Context, r *runner) error {
	bareDir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	bare, err := r.start(ctx, bareDir, "bench", "--baseline", bareDir)
	if err != nil {
		return err
	}
	defer bare.kill()
	few, err := r.loaded(ctx, 1_000)
	if err != nil {
		return err
	}
	defer few.end()
	many, err := r.loaded(ctx, 1_000_000)
	if err != nil {
		return err
	}
	defer many.end()
	var bares, fews, manys []load
	var ratios, slower []float64
	for range 3 {
		b, err := bare.writes(ctx, 500, r.For)
		if err != nil {
			return fmt.Errorf("bare server: %w", err)
		}
		f, err := few.cycle(ctx, few.workers, r.For)
		if err != nil {
			return err
		}
		m, err := many.cycle(ctx, many.workers, r.For)
		if err != nil {
			return err
		}
		r.say("  bare %s; 1k waiting %s; 1M waiting %s", b, f, m)
		bares, fews, manys = append(bares, b), append(fews, f), append(manys, m)
		ratios, slower = append(ratios, f.rate/b.rate), append(slower, f.rate/m.rate)
	}
	b, f, m := middle(bares), middle(fews), middle(manys)
	r.report.add(Row{Name: "bare server, one durable row a request", Value: b.rate, Unit: "requests/s", Note: "500 connections; the limit that this machine sets"})
	r.report.hold("durable complete-and-claim cycles, 500 workers", f.rate, "cycles/s", "≥ 5000/s", f.rate >= 5000, "one request each")
	of, against := median(ratios), median(slower)
	r.report.hold("of the bare server", of, "", "≥ 0.70", of >= 0.7, "median of 3 pairs, each of two loads in a row")
	r.report.hold("with 1,000,000 waiting against 1,000", against, "times slower", "≤ 1.2", against <= 1.2, fmt.Sprintf("%.0f cycles/s", m.rate))
	r.report.add(Row{Name: "processor time of the farm a cycle", Value: micro(f.cpu), Unit: "µs", Note: fmt.Sprintf("the bare server's a request: %s µs", number(micro(b.cpu)))})
	r.report.add(Row{Name: "allocations of the farm a cycle", Value: f.allocs, Unit: "", Note: fmt.Sprintf("the bare server's a request: %s", number(b.allocs))})
	r.report.hold("submit 1,000,000 tasks", many.submitted.Seconds(), "s", "≤ 1 s", many.submitted <= time.Second, "")
	return nil
}

// loadedFarm is a farm with workers and a job that always has tasks waiting.
type loadedFarm struct {
	*server
	workers   []int64
	submitted time.Duration
	remove    func()
}

func (l *loadedFarm) end() {
	l.kill()
	l.remove()
}

// spare is how many tasks beyond those said to wait a job has: what the cycles
// of a measurement use up.
const spare = 4_000_000

// loaded starts a farm with 500 workers. "Waiting" is how many tasks wait; a
// farm said to have few still has enough for the measurement, in jobs of that
// many tasks, so that what it works on is small.
func (r *runner) loaded(ctx context.Context, waiting int64) (*loadedFarm, error) {
	dir, remove, err := folder()
	if err != nil {
		return nil, err
	}
	s, err := r.farm(ctx, dir)
	if err != nil {
		remove()
		return nil, err
	}
	l := &loadedFarm{server: s, remove: remove}
	if l.workers, err = s.register(ctx, 500); err == nil {
		n := waiting
		if waiting < 1_000_000 {
			n = spare / 20
		}
		_, l.submitted, err = s.submit(ctx, n)
	}
	if err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

// measureLatency: 500 workers that claim 1,000 times a second together.
func measureLatency(ctx context.Context, r *runner) error {
	l, err := r.loaded(ctx, 1_000_000)
	if err != nil {
		return err
	}
	defer l.end()
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for i := 0; time.Since(began) < r.For; i++ {
		<-tick.C
		w := l.workers[i%len(l.workers)]
		wg.Go(func() {
			var lease api.Lease
			t := time.Now()
			err := l.post(ctx, fmt.Sprintf("/api/v1/workers/%d/claim", w), api.Claim{}, &lease)
			took := time.Since(t)
			if err == nil {
				err = l.post(ctx, fmt.Sprintf("/api/v1/leases/%d/complete", lease.ID), api.Result{Worker: w, Job: lease.Job, Index: lease.Index, Seconds: 1}, nil)
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, took)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	rate := float64(len(times)) / time.Since(began).Seconds()
	p99 := percentile(times, 99).Seconds() * 1000
	r.report.hold("claim, p99, 500 workers", p99, "ms", "≤ 25 ms at 1,000/s", p99 <= 25 && rate > 950,
		fmt.Sprintf("p50 %.1f ms at %.0f claims/s, each followed by its completion", percentile(times, 50).Seconds()*1000, rate))
	return nil
}

// measureRestart: kill -9 with a million tasks waiting and 10,000 leased.
func measureRestart(ctx context.Context, r *runner) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	s, err := r.farm(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	id, _, err := s.submit(ctx, 1_010_000)
	if err != nil {
		return err
	}
	ws, err := s.register(ctx, 10_000)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	errs := make(chan error, len(ws))
	for _, w := range ws {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.post(ctx, fmt.Sprintf("/api/v1/workers/%d/claim", w), api.Claim{}, new(api.Lease)); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return <-errs
	}
	s.kill()
	next, err := r.farm(ctx, dir)
	if err != nil {
		return err
	}
	s = next
	var j api.Job
	status, body, err := s.raw(ctx, "GET", fmt.Sprintf("/api/v1/jobs/%d", id), nil)
	if err != nil || status != 200 {
		return fmt.Errorf("after the restart: %d %s %v", status, body, err)
	}
	if err := unmarshal(body, &j); err != nil {
		return err
	}
	kept := j.Tasks.Running == 10_000 && j.Tasks.Waiting == 1_000_000
	sec := s.ready.Seconds()
	r.report.hold("ready after kill -9, 1,000,000 waiting, 10,000 leased", sec, "s", "≤ 0.5 s", sec <= 0.5 && kept,
		fmt.Sprintf("%d leased and %d waiting are still there", j.Tasks.Running, j.Tasks.Waiting))
	return nil
}

// measureSweep: the rate over numbers of waiting tasks and workers.
func measureSweep(ctx context.Context, r *runner) error {
	for _, waiting := range []int64{1_000, 10_000, 100_000, 1_000_000} {
		for _, workers := range []int{10, 100, 500, 2_000} {
			rate, err := r.sweepPoint(ctx, waiting, workers)
			if err != nil {
				return err
			}
			r.say("  %d waiting, %d workers: %.0f cycles/s", waiting, workers, rate)
			r.report.Sweep = append(r.report.Sweep, Point{r.report.Store, waiting, workers, rate})
		}
	}
	return nil
}

func (r *runner) sweepPoint(ctx context.Context, waiting int64, workers int) (float64, error) {
	dir, remove, err := folder()
	if err != nil {
		return 0, err
	}
	defer remove()
	s, err := r.farm(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	ws, err := s.register(ctx, workers)
	if err != nil {
		return 0, err
	}
	// Jobs of the size asked for, as many as the cycles will use up, and one more
	// that stays.
	for n := int64(0); n < 400_000+waiting; n += waiting {
		if _, _, err := s.submit(ctx, waiting); err != nil {
			return 0, err
		}
	}
	l, err := s.cycle(ctx, ws, max(r.For/2, 2*time.Second))
	return l.rate, err
}
