package sim

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "simulate only the small farm of this seed")
	traceFlag = flag.String("trace", "", "write each step and row of it to this file")
)

func simulate(t *testing.T, c Config) *Report {
	t.Helper()
	var r *Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(c); err != nil {
			t.Errorf("seed %d: %v\n%v", c.Seed, err, r)
		}
	})
	return r
}

// small is a farm of a few workers under heavy faults.
func small(seed uint64) Config {
	return Config{Seed: seed, Workers: 24, Tasks: 1200, JobTasks: 60, OpenJobs: 6, Frame: 8 * time.Second, Faults: Heavy(),
		Open: 500, FullEvery: 1000, Settings: farm.Settings{EventsKept: 1000, AsideJobs: 6, AsideFaults: 8}}
}

func TestSmallFarmsUnderHeavyFaults(t *testing.T) {
	t.Parallel()
	if *seedFlag != 0 {
		c := small(*seedFlag)
		if *traceFlag != "" {
			f, err := os.Create(*traceFlag)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c.Trace = f
		}
		t.Log(simulate(t, c))
		return
	}
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			t.Parallel()
			simulate(t, small(seed+1))
		})
	}
}
