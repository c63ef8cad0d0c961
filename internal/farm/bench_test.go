package farm_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/sqlite"
)

// BenchmarkCycle measures durable complete-and-claim cycles on SQLite without
// HTTP, for several numbers of waiting tasks.
func BenchmarkCycle(b *testing.B) {
	for _, waiting := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) { benchmarkCycle(b, waiting, 500) })
	}
}

func benchmarkCycle(b *testing.B, waiting, workers int) {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "farm.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	f, err := farm.Open(ctx, farm.Config{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Bootstrap(ctx, farm.User{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}}, farm.Token{}); err != nil {
		b.Fatal(err)
	}
	by := farm.Principal{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}}
	ids := make([]int64, workers)
	for i := range ids {
		w, err := f.Register(ctx, farm.Registration{By: by, Key: fmt.Sprint(i), Name: fmt.Sprint("w", i), Door: "native", Machine: farm.Machine{OS: "linux", Arch: "x86_64", Cores: 8}})
		if err != nil {
			b.Fatal(err)
		}
		ids[i] = w.ID
	}
	if _, err := f.Submit(ctx, farm.Submission{By: by, Priority: 50, Spec: farm.Spec{Template: template(fmt.Sprintf("1-%d", waiting+b.N+workers))}}); err != nil {
		b.Fatal(err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for _, id := range ids {
		wg.Go(func() {
			l, err := f.Claim(ctx, farm.ClaimRequest{By: by, Worker: id})
			for err == nil && l != nil && left.Add(-1) >= 0 {
				var v *farm.Verdict
				v, err = f.Complete(ctx, farm.Result{By: by, Worker: id, Lease: l.ID, Task: l.Task, Seconds: 1,
					Next: &farm.ClaimRequest{By: by, Worker: id, Warm: l.Task.Job}})
				if err == nil {
					l = v.Next
				}
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
}
