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
	seed  = flag.Uint64("seed", 0, "simulate only the farm of this seed")
	seeds = flag.Uint64("seeds", 6, "how many small farms")
	large = flag.Bool("large", false, "also 100,000 workers and 10,000,000 frames; takes minutes")
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
		simulate(t, c, "-run Repeats")
	}
	a, b := bytes.Split(traces[0].Bytes(), []byte("\n")), bytes.Split(traces[1].Bytes(), []byte("\n"))
	for i := range a {
		if i >= len(b) || !bytes.Equal(a[i], b[i]) {
			t.Fatalf("the same seed went two ways at batch %d:\n%s\n%s", i, a[i], b[min(i, len(b)-1)])
		}
	}
}

func TestTenThousandWorkers(t *testing.T) {
	t.Parallel()
	if !*large {
		t.Log("only with -large, as \"make sim\" runs it")
		return
	}
	c := sim.Config{Seed: 1 + *seed, Workers: 10_000, Tasks: 20_000, JobTasks: 10_000, OpenJobs: 12, Frame: 40 * time.Second, Faults: sim.Light(),
		Settings: farm.Settings{EventsKept: 1000}}
	t.Log(simulate(t, c, fmt.Sprintf("-run Thousand -seed %d", *seed)))
}

// TestAHundredThousandWorkers is what "make sim" runs.
func TestAHundredThousandWorkers(t *testing.T) {
	if !*large {
		t.Log("only with -large, as \"make sim\" runs it: it takes minutes")
		return
	}
	c := sim.Config{Seed: 1 + *seed, Workers: 100_000, Tasks: 10_000_000, JobTasks: 500_000, OpenJobs: 24, Frame: 2 * time.Minute, Faults: sim.Light(),
		FullEvery: 500_000, Settings: farm.Settings{EventsKept: 1000, Lease: 5 * time.Minute, Scan: 5 * time.Second}}
	began := time.Now()
	r := simulate(t, c, fmt.Sprintf("-run Hundred -large -seed %d", *seed))
	t.Logf("%v\nin %v", r, time.Since(began).Round(time.Second))
}
