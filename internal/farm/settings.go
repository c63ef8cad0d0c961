package farm

import "time"

// Settings are the farm's times and bounds. The zero value of a field means its
// default; see Defaults.
type Settings struct {
	Lease            time.Duration `yaml:"lease" help:"How long a worker keeps a task without renewing its lease."`
	WorkerTimeout    time.Duration `yaml:"worker_timeout" help:"After this silence a worker counts as offline."`
	Scan             time.Duration `yaml:"scan" help:"How often ended leases and silent workers are looked for."`
	Stick            time.Duration `yaml:"stick" help:"How long a worker may be given tasks before others of the same priority that rank first, because it has their scene loaded or in its cache."`
	Tries            int           `yaml:"tries" help:"On how many workers a task is tried before it fails."`
	WorkerTries      int           `yaml:"worker_tries" help:"How many attempts a task may lose by workers' faults before it fails."`
	AsideJobs        int           `yaml:"aside_jobs" help:"A worker on which this many different jobs failed in a row is set aside."`
	AsideFaults      int           `yaml:"aside_faults" help:"A worker that failed this often in a row by its own fault is set aside."`
	AvoidAfter       int           `yaml:"avoid_after" help:"After this many failures of a job in a row on a worker, other workers take the job's tasks."`
	TrialFailures    int           `yaml:"trial_failures" help:"A renderer build with which this many tasks failed while it was on trial is set aside."`
	Straggler        float64       `yaml:"straggler" help:"A last task that runs this many times longer than its step's tasks usually do is given to a second, idle worker; negative: never."`
	StragglerMin     time.Duration `yaml:"straggler_min" help:"A task that has not run this long is no straggler."`
	Allowance        float64       `yaml:"allowance" help:"Points that a new account starts with; a point is a minute of rendering on an average machine."`
	PriorityByPoints bool          `yaml:"priority_by_points" help:"Whether owners with more points get a larger share of the farm among jobs of the same priority."`
	MaxTasks         int64         `yaml:"max_tasks" help:"Jobs of more tasks are refused."`
	MaxFiles         int           `yaml:"max_files" help:"Jobs of more input files are refused."`
	EventsKept       int64         `yaml:"events_kept" help:"How many events are kept for readers that come back."`
	RetireEvery      time.Duration `yaml:"retire_every" help:"How often ended jobs that are older than jobs are kept are looked for, to be removed; and expired credentials and forgotten workers with them."`
	ForgetWorkers    time.Duration `yaml:"forget_workers" help:"Workers that were not heard of for so long are forgotten, unless an operator has disabled them or given them tags; negative: never."`
	MaxWorkers       int           `yaml:"max_workers" help:"How many workers one account may have, those that are gone included."`
	Queue            int           `yaml:"queue" help:"How many requests may wait for the dispatcher before new ones are turned away."`
}

// Defaults returns the settings of a farm that says nothing else.
func Defaults() Settings {
	return Settings{
		Lease:         time.Minute,
		WorkerTimeout: time.Minute,
		Scan:          time.Second,
		Stick:         5 * time.Minute,
		Tries:         3,
		WorkerTries:   10,
		AsideJobs:     3,
		AsideFaults:   5,
		AvoidAfter:    3,
		TrialFailures: 3,
		Straggler:     2,
		StragglerMin:  10 * time.Second,
		MaxTasks:      10_000_000,
		MaxFiles:      100_000,
		EventsKept:    200_000,
		RetireEvery:   time.Hour,
		ForgetWorkers: 90 * 24 * time.Hour,
		MaxWorkers:    100_000,
		Queue:         20_000,
	}
}

// mostTasks bounds MaxTasks: stores number a step's tasks with 34 bits.
const mostTasks = 1 << 34

// withDefaults fills in what is zero.
func (s Settings) withDefaults() Settings {
	d := Defaults()
	pick(&s.Lease, d.Lease)
	pick(&s.WorkerTimeout, d.WorkerTimeout)
	pick(&s.Scan, d.Scan)
	pick(&s.Stick, d.Stick)
	pick(&s.Tries, d.Tries)
	pick(&s.WorkerTries, d.WorkerTries)
	pick(&s.AsideJobs, d.AsideJobs)
	pick(&s.AsideFaults, d.AsideFaults)
	pick(&s.AvoidAfter, d.AvoidAfter)
	pick(&s.TrialFailures, d.TrialFailures)
	pick(&s.Straggler, d.Straggler)
	pick(&s.StragglerMin, d.StragglerMin)
	pick(&s.MaxTasks, d.MaxTasks)
	s.MaxTasks = min(s.MaxTasks, mostTasks)
	pick(&s.MaxFiles, d.MaxFiles)
	pick(&s.EventsKept, d.EventsKept)
	pick(&s.RetireEvery, d.RetireEvery)
	pick(&s.ForgetWorkers, d.ForgetWorkers)
	pick(&s.MaxWorkers, d.MaxWorkers)
	pick(&s.Queue, d.Queue)
	return s
}

func pick[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
