package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// checker holds the rows that farms write against the rules. It knows what was
// committed and nothing of the farm's code; the first rule that is broken stays.
type checker struct {
	s       *sim
	err     error
	trace   hash.Hash64 // of all rows
	jobs    map[int64]*cJob
	workers map[int64]*cWorker
	leases  map[int64]*cLease // attempts that have not ended
	last    int64             // the highest lease given
	limit   float64           // of licences; negative: there is none
	used    int               // licences in use
	closed  bool              // maintenance
	open    map[int64]*cJob   // jobs that have not ended
	ended   int64             // tasks that have ended so far

	running map[string]int     // leases of each owner's jobs
	weight  map[string]float64 // of owners
	suspect []suspect          // workers that ought not to wait any more
	buf     []byte

	touched map[*cStep]bool   // by the batch, or since the last look at who waits
	roused  map[*cWorker]bool // since the last look at who waits
}

type cJob struct {
	row    farm.Job
	kind   *kind
	steps  []*cStep
	earned farm.Points
	spent  farm.Points
	frames int64 // in the ledger
	paid   int64 // done, and worth something
	ledger map[string]farm.Entry
}

type cStep struct {
	job     *cJob
	row     farm.Step
	rows    map[int64]*cTask
	leases  map[int64]*cLease
	count   map[farm.TaskState]int64
	all     int64           // frames that it has
	frames  int64           // in its tasks that are done, as far as they are known
	failed  map[int64]int   // how many attempts of its tasks have failed, by worker
	again   map[*cTask]bool // tasks that were leased and wait again
	waiting int64           // all that wait, touched or not, by the rows
}

type cTask struct {
	frames   span // nobody was told yet while it is empty
	state    farm.TaskState
	attempts int
	tried    []int64 // workers that it failed on since it last started anew
	doneBy   int64   // the lease that counts
	live     []int64
}

type cLease struct {
	id     int64
	task   farm.TaskKey
	step   *cStep
	worker int64
	given  time.Time     // by the farm's clock
	alive  time.Duration // when it was last renewed
	over   bool          // its task has ended by other means; it is to be stopped
}

type cWorker struct {
	row    farm.Worker
	class  *class
	leases map[int64]*cLease
	cores  int      // in use
	scenes []string // that it has files of, since the farm started, the last first
	jobs   []int64  // that it was last given tasks of, the last first
}

func newChecker(s *sim) *checker {
	return &checker{s: s, trace: fnv.New64a(), jobs: make(map[int64]*cJob), open: make(map[int64]*cJob), workers: make(map[int64]*cWorker), leases: make(map[int64]*cLease), limit: -1,
		running: make(map[string]int), weight: make(map[string]float64),
		touched: make(map[*cStep]bool), roused: make(map[*cWorker]bool)}
}

// breach notes that a rule was broken.
func (c *checker) breach(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (s *cStep) String() string {
	return fmt.Sprintf("step %d of job %d (%s, %s, priority %d)", s.row.Index, s.row.Job, s.job.kind.name, s.row.State, s.job.row.Priority)
}

// apply takes a batch in that was written, and checks it.
func (c *checker) apply(b *farm.Batch) {
	c.s.report.Batches++
	c.note(b)
	for _, u := range b.Users {
		if c.weight[u.Login] = u.Weight; u.Weight <= 0 {
			c.weight[u.Login] = 1
		}
	}
	for _, j := range b.NewJobs {
		c.newJob(j)
	}
	for _, j := range b.Jobs {
		c.job(j)
	}
	for _, st := range append(b.Resized[:len(b.Resized):len(b.Resized)], b.Steps...) {
		if j := c.jobs[st.Job]; j != nil {
			s := j.steps[st.Index]
			s.row = *st
			c.touched[s] = true
		}
	}
	for _, w := range b.Workers {
		c.worker(w)
	}
	for range b.DropLimits {
		c.limit = -1
		c.rouse()
	}
	for _, l := range b.Limits {
		c.limit = l.Total
		c.rouse()
	}
	if v, ok := b.Values[farm.ValueMaintenance]; ok {
		c.closed = v == "on"
		c.rouse()
	}
	last := c.last
	var granted []*cLease
	for _, t := range b.Tasks {
		granted = append(granted, c.task(t, last)...)
	}
	for _, e := range b.Entries {
		c.entry(e)
	}
	for _, id := range b.DropJobs {
		c.dropJob(id)
	}
	for _, id := range b.DropWorkers {
		if w := c.workers[id]; w != nil && len(w.leases) > 0 {
			c.breach("worker %d was removed and holds %d leases", id, len(w.leases))
		}
		delete(c.workers, id)
	}
	for s := range c.touched {
		c.counts(s)
	}
	slices.SortFunc(granted, func(a, b *cLease) int { return int(a.id - b.id) })
	c.grants(granted)
}

// rouse holds all that waits against those who wait again.
func (c *checker) rouse() {
	for _, j := range c.open {
		for _, s := range j.steps {
			c.touched[s] = true
		}
	}
}

func (c *checker) newJob(row *farm.Job) {
	if c.jobs[row.ID] != nil {
		c.breach("job %d was made twice", row.ID)
		return
	}
	j := &cJob{row: *row, kind: kindOf(row.Spec.Name), ledger: make(map[string]farm.Entry)}
	for i := range row.Steps {
		s := &cStep{job: j, all: framesIn(row.Spec.Template), row: row.Steps[i], rows: make(map[int64]*cTask), leases: make(map[int64]*cLease), count: make(map[farm.TaskState]int64), failed: make(map[int64]int), again: make(map[*cTask]bool)}
		j.steps = append(j.steps, s)
		c.touched[s] = true
	}
	c.jobs[row.ID] = j
	c.open[row.ID] = j
}

func (c *checker) job(row *farm.Job) {
	j := c.jobs[row.ID]
	if j == nil {
		c.breach("a row of job %d, which is not there", row.ID)
		return
	}
	if j.row = *row; row.State.Ended() {
		delete(c.open, row.ID)
	} else {
		c.open[row.ID] = j
	}
	for _, s := range j.steps {
		c.touched[s] = true
	}
}

func (c *checker) worker(row *farm.Worker) {
	w := c.workers[row.ID]
	if w == nil {
		w = &cWorker{leases: make(map[int64]*cLease)}
		c.workers[row.ID] = w
		for i := range classes {
			if cl := &classes[i]; cl.door == row.Door && cl.cores == row.Machine.Cores {
				w.class = cl
			}
		}
	}
	w.row = *row
	w.row.Tags = slices.Clone(row.Tags)
	c.roused[w] = true
}

func (c *checker) dropJob(id int64) {
	j := c.jobs[id]
	if j == nil {
		return
	}
	for _, s := range j.steps {
		for _, l := range s.leases {
			c.free(l)
		}
		delete(c.touched, s)
	}
	delete(c.open, id) // it may have ended in this very batch
	delete(c.jobs, id)
}

// entry adds a line of the ledger up.
func (c *checker) entry(e *farm.Entry) {
	j := c.jobs[e.Job]
	if j == nil {
		return
	}
	old := j.ledger[e.Account]
	j.earned += e.Earned - old.Earned
	j.spent += e.Spent - old.Spent
	j.frames += e.Frames - old.Frames
	j.ledger[e.Account] = *e
	if e.Earned < old.Earned || e.Spent < old.Spent {
		c.breach("account %s of job %d goes back from %+v to %+v", e.Account, e.Job, old, *e)
	}
}

// counts holds a step's counters against its tasks, and a job's credits against
// the frames that are done.
func (c *checker) counts(s *cStep) {
	r := &s.row
	n := s.count
	if r.Next != int64(len(s.rows)) || r.Retrying != n[farm.TaskWaiting] || r.Running != n[farm.TaskRunning] || r.Done != n[farm.TaskDone] ||
		r.Failed != n[farm.TaskFailed] || r.Canceled != n[farm.TaskCanceled] || r.Next > r.Tasks {
		c.breach("%v says next %d, retrying %d, running %d, done %d, failed %d, canceled %d; its %d tasks say %v", s, r.Next, r.Retrying, r.Running, r.Done, r.Failed, r.Canceled, len(s.rows), n)
	}
	s.waiting = r.Untouched() + r.Retrying
	if r.State.Ended() && r.State != farm.StepCanceled && (s.waiting > 0 || r.Running > 0) {
		c.breach("%v has ended with %d waiting and %d running", s, s.waiting, r.Running)
	}
	if r.State == farm.StepDone && r.Done != r.Tasks {
		c.breach("%v is done with %d of %d tasks", s, r.Done, r.Tasks)
	}
	if r.State == farm.StepDone && s.frames != s.all {
		c.breach("%v is done with %d of %d frames", s, s.frames, s.all)
	}
	if j := s.job; j.earned != j.spent || j.frames != j.paid {
		c.breach("job %d: earned %d, spent %d; %d frames are in the ledger, %d were done", j.row.ID, j.earned, j.spent, j.frames, j.paid)
	}
}

// jobIDs are all jobs, in order.
func (c *checker) jobIDs() []int64 { return sortedKeys(c.jobs) }

// unfinished says what has not ended.
func (c *checker) unfinished() string {
	out := ""
	for _, id := range sortedKeys(c.open) {
		for _, s := range c.jobs[id].steps {
			if !s.row.State.Ended() {
				out += fmt.Sprintf("%v: %d wait, %d run; ", s, s.waiting, s.row.Running)
			}
		}
	}
	return out
}
