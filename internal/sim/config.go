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
	Seed      uint64
	Workers   int
	Frames    int64 // submitted in all, at least
	JobFrames int64 // of a job, at most
	OpenJobs  int   // jobs that have not ended, at once
	Frame     time.Duration
	// Chunk is how many frames a task begins with; the farm sizes later ones by
	// how long these take. In Single of 10,000 jobs each task is one frame.
	Chunk    int
	Single   int
	Patience time.Duration // for how long workers wait for a task in one request, at most
	Settings farm.Settings
	Faults   Faults
	// FullEvery is after how many steps farm, store and checker are compared as
	// a whole; 0 is 10,000.
	FullEvery int64
	// Trace, when set, is told the rows of each batch, and each request and answer.
	Trace io.Writer
}

// Faults say how much goes wrong: how many of 10,000 occasions, and how often.
type Faults struct {
	Lost     int           // requests: half of them before they reach the farm, half of the answers
	Late     int           // requests that arrive seconds later
	Twice    int           // requests that arrive twice
	Together int           // steps whose requests meet in one batch
	Fail     int           // frames that fail
	Slow     int           // frames that take ten times as long
	Overdue  int           // results that come after their lease has ended
	Forget   int           // frames that a worker forgets
	Lie      int           // frames before whose result the worker lies
	Again    int           // results that are sent once more, much later
	Vanish   int           // frames after which the worker is gone, for a while or for good
	Operator time.Duration // between two acts of people, about; 0: never
	Chaos    time.Duration // between two failed commits, kills or jumps of the clock, about; 0: never
}

// Heavy are faults under which no farm would be used for long.
func Heavy() Faults {
	return Faults{Lost: 300, Late: 300, Twice: 200, Together: 1000, Fail: 600, Slow: 200, Overdue: 200, Forget: 100, Lie: 400, Again: 300, Vanish: 300,
		Operator: 4 * time.Second, Chaos: 30 * time.Second}
}

// Light are faults as a large farm sees them on a bad day.
func Light() Faults {
	return Faults{Lost: 5, Late: 5, Twice: 5, Together: 50, Fail: 20, Slow: 10, Overdue: 5, Forget: 3, Lie: 10, Again: 10, Vanish: 20,
		Operator: 30 * time.Second, Chaos: 5 * time.Minute}
}

// Report is what happened in a simulation.
type Report struct {
	Steps, Calls, Batches         int64
	Jobs, Frames, Leases          int64 // Frames: submitted
	Done, Late, Lost, Doubled     int64 // Late: done after the lease had ended; Doubled: second attempts of slow tasks
	Farms, FailedCommits, Checked int64 // Checked: comparisons as a whole
	Virtual                       time.Duration
	Hash                          uint64 // of the trace: equal for equal simulations
}

// String is the report in a few lines.
func (r *Report) String() string {
	return fmt.Sprintf("%d steps, %d requests, %d commits (%d failed), %d farms, %v of the farm's time\n"+
		"%d jobs of %d frames: %d leases, %d tasks done (%d late), %d lost, %d doubled; %d comparisons as a whole; rows %016x",
		r.Steps, r.Calls, r.Batches, r.FailedCommits, r.Farms, r.Virtual.Round(time.Second),
		r.Jobs, r.Frames, r.Leases, r.Done, r.Late, r.Lost, r.Doubled, r.Checked, r.Hash)
}
