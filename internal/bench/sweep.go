package bench

import (
	"context"
	"fmt"
	"time"
)

// measureSweep: the rate over numbers of waiting tasks and of workers, on both
// stores.
func measureSweep(ctx context.Context, r *runner) error {
	for _, store := range r.stores() {
		for _, waiting := range []int64{1_000, 10_000, 100_000, 1_000_000} {
			if err := r.sweepRow(ctx, store, waiting); err != nil {
				return fmt.Errorf("%s, %d waiting: %w", store, waiting, err)
			}
		}
	}
	return nil
}

// sweepRow measures one farm with growing numbers of workers at work.
func (r *runner) sweepRow(ctx context.Context, store string, waiting int64) error {
	numbers := []int{10, 100, 500, 2_000}
	l, err := r.loaded(ctx, store, numbers[len(numbers)-1], waiting)
	if err != nil {
		return err
	}
	defer l.end()
	for _, n := range numbers {
		got, err := l.cycle(ctx, n, max(r.For*3/10, 2*time.Second))
		if err != nil {
			return fmt.Errorf("%d workers: %w", n, err)
		}
		r.say("  %s, %d waiting, %d workers: %s", store, waiting, n, got)
		r.report.Sweep = append(r.report.Sweep, Point{store, waiting, n, got.rate, micro(got.cpu), got.allocs})
	}
	return nil
}
