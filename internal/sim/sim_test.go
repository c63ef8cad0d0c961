package sim_test

import (
	"bytes"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/sim"
)

var (
	seed    = flag.Uint64("seed", 0, "simulate only the farm of this seed")
	seeds   = flag.Uint64("seeds", 6, "how many small farms")
	workers = flag.Int("workers", 10_000, "of the large farm")
	frames  = flag.Int64("frames", 0, "that the large farm renders; 0: three for each worker")
	chunk   = flag.Int("chunk", 4, "frames that a task of the large farm begins with, in nine jobs of ten")
)

func simulate(t *testing.T, c sim.Config, again string) *sim.Report {
	t.Helper()
	var r *sim.Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = sim.Run(c); err != nil {
			t.Errorf("%v\n%v\nagain: go test ./internal/sim %s", err, r, again)
		}
	})
	return r
}

// small is a farm of a few workers under heavy faults. With odd seeds requests
// come one by one; with even ones they also meet in batches.
func small(seed uint64) sim.Config {
	faults := sim.Heavy()
	if seed%2 == 1 {
		faults.Together = 0
	}
	return sim.Config{Seed: seed, Workers: 24, Frames: 1200, JobFrames: 90, Chunk: 3, Single: 2500, OpenJobs: 6, Frame: 8 * time.Second, Patience: 90 * time.Second, Faults: faults,
		FullEvery: 1000, Settings: farm.Settings{EventsKept: 1000, AsideJobs: 6, AsideFaults: 8}}
}

func TestSmallFarmsUnderHeavyFaults(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, s uint64) {
		t.Log(simulate(t, small(s), fmt.Sprintf("-run Small -seed %d", s)))
	})
}

// eachSeed runs a test with each of the seeds that the flags ask for.
func eachSeed(t *testing.T, run func(*testing.T, uint64)) {
	from, n := uint64(1), *seeds
	if *seed != 0 {
		from, n = *seed, 1
	}
	for s := from; s < from+n; s++ {
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
}

// TestASeedRepeatsItself holds two simulations of one seed to the same rows, down
// to the last one.
func TestASeedRepeatsItself(t *testing.T) {
	t.Parallel()
	for _, s := range []uint64{1001 + 2**seed, 1002 + 2**seed} {
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			t.Parallel()
			var traces [2]bytes.Buffer
			var sums [2]uint64
			for i := range traces {
				c := small(s)
				c.Trace = &traces[i]
				sums[i] = simulate(t, c, fmt.Sprintf("-run Repeats -seed %d", *seed)).Hash
			}
			a, b := bytes.Split(traces[0].Bytes(), []byte("\n")), bytes.Split(traces[1].Bytes(), []byte("\n"))
			for i := range a {
				if i >= len(b) || !bytes.Equal(a[i], b[i]) {
					t.Fatalf("the same seed went two ways at line %d:\n%s\n%s\nafter:\n%s", i, a[i], b[min(i, len(b)-1)], bytes.Join(a[max(i-12, 0):i], []byte("\n")))
				}
			}
			if sums[0] != sums[1] || len(a) < 1000 {
				t.Errorf("%d batches have the sums %x and %x", len(a), sums[0], sums[1])
			}
		})
	}
}

// TestALargeFarm has ten thousand workers and light faults: what a farm does for
// one of them must not depend on how many others there are, or this takes hours.
func TestALargeFarm(t *testing.T) {
	t.Parallel()
	n := *frames
	if n == 0 {
		n = 3 * int64(*workers)
	}
	c := sim.Config{Seed: 1 + *seed, Workers: *workers, Frames: n, JobFrames: n / 40, OpenJobs: 40, Frame: 40 * time.Second, Patience: 15 * time.Minute, Chunk: *chunk, Single: 1000, Faults: sim.Light(),
		FullEvery: max(10_000, int64(*workers)),
		Settings:  farm.Settings{EventsKept: 1000, Lease: 10 * time.Minute, WorkerTimeout: 10 * time.Minute, Scan: 5 * time.Second, AsideJobs: 6, AsideFaults: 8}}
	again := fmt.Sprintf("-run Large -workers %d -frames %d -chunk %d -seed %d", *workers, n, *chunk, *seed)
	t.Logf("%v\nagain: go test ./internal/sim %s", simulate(t, c, again), again)
}

// TestFewWorkersWhereMuchFails has as many workers as tasks, so that those wait
// which a task failed on, and nothing else stirs the farm.
func TestFewWorkersWhereMuchFails(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, s uint64) {
		c := small(s)
		c.Workers, c.Frames, c.JobFrames, c.OpenJobs, c.Chunk = 8, 400, 5, 1, 0
		c.Faults = sim.Faults{Fail: 6000, Operator: 2 * time.Minute}
		c.Settings = farm.Settings{Tries: 50, AvoidAfter: 50, AsideJobs: 1000, AsideFaults: 1000}
		t.Log(simulate(t, c, fmt.Sprintf("-run Fails -seed %d", s)))
	})
}
