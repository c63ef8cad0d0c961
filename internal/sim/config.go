package sim

import (
	"fmt"
	"io"
	"time"

	"drover.farm/internal/farm"
)

// Config is what a simulation is made of. The same Config gives the same
// simulation.
type Config struct {
	Seed     uint64
	Workers  int
	Tasks    int64 // submitted in all
	JobTasks int64 // of a job, about
	OpenJobs int   // jobs that have not ended, at once
	Frame    time.Duration
	Settings farm.Settings
	Faults   Faults
	// FullEvery is after how many steps the farm, its store and the model are
	// compared as a whole; 0 is 10,000. FullRows bounds how many task rows one
	// such comparison reads (it goes on there the next time); 0 is all.
	FullEvery int64
	FullRows  int
	// Open is how many of 1,000 workers wait for work in an open claim; the
	// others ask again after a while.
	Open int
	// Trace, when set, is told each step and each row that is committed.
	Trace io.Writer
}

// Faults says how much goes wrong. Numbers without a unit are how many of
// 10,000 occasions.
type Faults struct {
	Lost     int // messages: half of them requests, half answers
	Late     int // messages that come seconds later
	Twice    int // requests that come twice
	Group    int // steps that are made together with others, in one batch
	Fail     int // frames that fail
	Slow     int // frames that take ten times as long
	Overdue  int // results that come after their lease has ended
	Forget   int // frames that a worker forgets
	Lie      int // frames before whose result the worker lies
	Vanish   int // frames after which the worker vanishes for a while or for ever
	Operator time.Duration
	Chaos    time.Duration
}

// Heavy are faults as no farm would survive being used under for long.
func Heavy() Faults {
	return Faults{Lost: 300, Late: 300, Twice: 200, Group: 1500, Fail: 600, Slow: 200, Overdue: 200, Forget: 100, Lie: 300, Vanish: 300,
		Operator: 3 * time.Second, Chaos: 40 * time.Second}
}

// Light are faults as a large farm sees them on a bad day.
func Light() Faults {
	return Faults{Lost: 5, Late: 5, Twice: 3, Group: 50, Fail: 50, Slow: 20, Overdue: 5, Forget: 3, Lie: 10, Vanish: 20,
		Operator: 20 * time.Second, Chaos: 10 * time.Minute}
}

// Report is what happened in a simulation.
type Report struct {
	Steps      int64 // things that actors did
	Messages   int64 // requests that reached a farm
	Batches    int64 // commits that were written
	Leases     int64
	Done       int64 // completions that count
	LateDone   int64 // of them, after their lease had ended
	Lost       int64 // attempts whose worker fell silent
	Doubled    int64 // second attempts of slow tasks
	Jobs       int64
	Tasks      int64
	Opens      int64 // how often a farm was opened
	Faulted    int64 // commits that failed
	FullChecks int64
	Virtual    time.Duration
	Hash       uint64 // of the log: equal for equal simulations
}

// String is the report in a few lines.
func (r *Report) String() string {
	return fmt.Sprintf("%d steps, %d requests, %d commits (%d failed), %d farms opened, %s of the farm's time\n"+
		"%d jobs of %d tasks; %d leases, %d done (%d late), %d lost, %d doubled; %d full checks; log %016x",
		r.Steps, r.Messages, r.Batches, r.Faulted, r.Opens, r.Virtual.Round(time.Second),
		r.Jobs, r.Tasks, r.Leases, r.Done, r.LateDone, r.Lost, r.Doubled, r.FullChecks, r.Hash)
}
