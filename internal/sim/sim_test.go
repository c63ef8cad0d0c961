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
	workers = flag.Int("workers", 1000, "of the large farm; it renders ten frames for each")
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
// come one by one, and a seed repeats itself to the last row; with even ones
// they also meet in batches, whose order the machine has a part in.
func small(seed uint64) sim.Config {
	faults := sim.Heavy()
	if seed%2 == 1 {
		faults.Together = 0
	}
	return sim.Config{Seed: seed, Workers: 24, Tasks: 1200, JobTasks: 90, OpenJobs: 6, Frame: 8 * time.Second, Faults: faults,
		FullEvery: 1000, Settings: farm.Settings{EventsKept: 1000, AsideJobs: 6, AsideFaults: 8}}
}

func TestSmallFarmsUnderHeavyFaults(t *testing.T) {
	t.Parallel()
	from, n := uint64(1), *seeds
	if *seed != 0 {
		from, n = *seed, 1
	}
	for s := from; s < from+n; s++ {
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			t.Parallel()
			r := simulate(t, small(s), fmt.Sprintf("-run Small -seed %d", s))
			t.Log(r)
		})
	}
}

// TestASeedRepeatsItself holds two simulations of one seed to the same rows, down
// to the last one.
func TestASeedRepeatsItself(t *testing.T) {
	t.Parallel()
	var traces [2]bytes.Buffer
	for i := range traces {
		c := small(1001 + 2**seed)
		c.Trace = &traces[i]
		simulate(t, c, fmt.Sprintf("-run Repeats -seed %d", *seed))
	}
	a, b := bytes.Split(traces[0].Bytes(), []byte("\n")), bytes.Split(traces[1].Bytes(), []byte("\n"))
	for i := range a {
		if i >= len(b) || !bytes.Equal(a[i], b[i]) {
			t.Fatalf("the same seed went two ways at batch %d:\n%s\n%s", i, a[i], b[min(i, len(b)-1)])
		}
	}
}

// TestALargeFarm has many workers and light faults, and requests one by one, so
// that it repeats itself. Second attempts of slow tasks are left to the small farms.
func TestALargeFarm(t *testing.T) {
	t.Parallel()
	faults := sim.Light()
	faults.Together = 0
	c := sim.Config{Seed: 1 + *seed, Workers: *workers, Tasks: 10 * int64(*workers), JobTasks: int64(*workers), OpenJobs: 12, Frame: 40 * time.Second, Faults: faults,
		Settings: farm.Settings{EventsKept: 1000, Straggler: -1}}
	again := fmt.Sprintf("-run Large -workers %d -seed %d", *workers, *seed)
	t.Logf("%v\nagain: go test ./internal/sim %s", simulate(t, c, again), again)
}
