package farm_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// host is a farm that so many workers have joined before it started, each with a
// name and memory of its own and of one of three kinds.
func host(tb testing.TB, n int, set farm.Settings, clock farm.Clock) *farm.Farm {
	tb.Helper()
	rows := &farm.Batch{Users: []*farm.User{{Login: "ann", Roles: ann.Roles}}}
	for i := range n {
		name := fmt.Sprint("w", i+1)
		rows.Workers = append(rows.Workers, &farm.Worker{ID: int64(i + 1), Key: name, User: "ann", Name: name, Door: "native", Slots: 1, Online: true,
			Machine: farm.Machine{Hostname: name, OS: "linux", Arch: "x86_64", Cores: []int{4, 8, 16}[i%3], Memory: int64(i) << 20}})
	}
	return opened(tb, rows, set, clock)
}

// opened is a farm that has these rows when it starts.
func opened(tb testing.TB, rows *farm.Batch, set farm.Settings, clock farm.Clock) *farm.Farm {
	tb.Helper()
	ctx := context.Background()
	store := mem.New()
	var err error
	if rows.Epoch, err = store.Acquire(ctx); err != nil {
		tb.Fatal(err)
	}
	if err := store.Commit(ctx, rows); err != nil {
		tb.Fatal(err)
	}
	f, err := farm.Open(ctx, farm.Config{Store: store, Settings: set, Clock: clock})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.Close)
	return f
}

// BenchmarkWhy measures how long it takes to explain a job, and for how long it
// keeps the dispatcher from anything else at most: from the beginning of one turn
// to that of the next, the shortest of all runs, for others use the machine, too.
func BenchmarkWhy(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint("workers=", n), func(b *testing.B) {
			var last time.Time
			var held, least time.Duration = 0, time.Hour
			measure := false
			f := host(b, n, farm.Settings{Scan: time.Hour, WorkerTimeout: time.Hour}, func() time.Time {
				now := time.Now()
				if measure && !last.IsZero() {
					held = max(held, now.Sub(last))
				}
				last = now
				return now
			})
			ctx := context.Background()
			j, err := f.Submit(ctx, farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: requiring("1-9", "{name: amount.worker.vcpu, min: 8}")}})
			if err != nil {
				b.Fatal(err)
			}
			turn := func(fn func()) { // beside the turns of others, so that none is under way
				if _, err := f.Status(ctx); err != nil {
					b.Fatal(err)
				}
				last, held, measure = time.Time{}, 0, true
				fn()
				if measure = false; held > 0 {
					least = min(least, held)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				turn(func() {
					if _, err := f.Why(ctx, j.ID); err != nil {
						b.Fatal(err)
					}
				})
			}
			if least < time.Hour { // else all was one turn
				b.ReportMetric(float64(least.Microseconds()), "longest-turn-µs")
			}
		})
	}
}
