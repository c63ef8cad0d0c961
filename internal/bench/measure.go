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

// rounds is how often loads that are compared take turns: many short ones, so
// that what else the machine does falls on all alike.
const rounds = 7

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
	few, err := r.loaded(ctx, sqlite, 500, 1_000)
	if err != nil {
		return err
	}
	defer few.end()
	many, err := r.loaded(ctx, sqlite, 500, 1_000_000)
	if err != nil {
		return err
	}
	defer many.end()
	var bares, fews, manys []load
	var ratios, slower []float64
	for range rounds {
		f, err := few.cycle(ctx, 500, r.For/2)
		if err != nil {
			return err
		}
		m, err := many.cycle(ctx, 500, r.For/2)
		if err != nil {
			return err
		}
		b, err := bare.writes(ctx, 500, r.For/2)
		if err != nil {
			return fmt.Errorf("bare server: %w", err)
		}
		r.say("  1k waiting %s; 1M waiting %s; bare %s", f, m, b)
		bares, fews, manys = append(bares, b), append(fews, f), append(manys, m)
		ratios, slower = append(ratios, m.rate/b.rate), append(slower, f.rate/m.rate)
	}
	b, f, m := middle(bares), middle(fews), middle(manys)
	r.report.add(Row{Name: "bare server, one durable row a request", Value: b.rate, Unit: "requests/s", Note: "500 connections; the limit that this machine sets"})
	r.report.hold("durable complete-and-claim cycles, 500 workers", m.rate, "cycles/s", "≥ 5000/s", m.rate >= 5000, "1,000,000 tasks waiting; one request each")
	of, against := median(ratios), median(slower)
	r.report.hold("of the bare server", of, "", "≥ 0.70", of >= 0.7, fmt.Sprintf("median of %d pairs, each of two loads in a row", rounds))
	r.report.hold("with 1,000,000 waiting against 1,000", against, "times slower", "≤ 1.2", against <= 1.2, fmt.Sprintf("%.0f cycles/s with 1,000 to 2,000 waiting, jobs of 1,000 tasks submitted meanwhile", f.rate))
	r.report.hold("submit 1,000,000 tasks", many.took.Seconds(), "s", "≤ 1 s", many.took <= time.Second, "")
	r.report.add(Row{Name: "processor time of the farm, a cycle", Value: micro(m.cpu), Unit: "µs", Note: fmt.Sprintf("the bare server's, a request: %s µs", number(micro(b.cpu)))})
	r.report.add(Row{Name: "allocations of the farm, a cycle", Value: m.allocs, Note: fmt.Sprintf("the bare server's, a request: %s", number(b.allocs))})
	return nil
}

// measurePostgres: the same cycles on PostgreSQL.
func measurePostgres(ctx context.Context, r *runner) error {
	l, err := r.loaded(ctx, postgres, 500, 1_000_000)
	if err != nil {
		return err
	}
	defer l.end()
	m, err := l.cycle(ctx, 500, r.For)
	if err != nil {
		return err
	}
	r.report.add(Row{Name: "cycles on PostgreSQL, 500 workers", Value: m.rate, Unit: "cycles/s", Note: "1,000,000 tasks waiting; the database on the same cores, synchronous commits"})
	r.report.add(Row{Name: "processor time of the farm, a cycle on PostgreSQL", Value: micro(m.cpu), Unit: "µs", Note: "without the database's"})
	r.report.add(Row{Name: "allocations of the farm, a cycle on PostgreSQL", Value: m.allocs})
	return nil
}

// measureLatency: 500 workers that claim 1,000 times a second together.
func measureLatency(ctx context.Context, r *runner) error {
	l, err := r.loaded(ctx, sqlite, 500, 1_000_000)
	if err != nil {
		return err
	}
	defer l.end()
	stop := l.keepFed(ctx)
	defer stop()
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
