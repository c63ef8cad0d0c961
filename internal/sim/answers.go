package sim

import (
	"drover.farm/internal/farm"
)

// What was acknowledged must be in the rows, the moment the answer comes.

func (c *checker) answered(o *call) {
	o.judge()
}

func (c *checker) submitted(j *farm.Job, err error) {
	if err == nil && j.ID > 0 && c.jobs[j.ID] == nil {
		c.breach("job %d was acknowledged and is not there", j.ID)
	}
}

func (c *checker) registered(w *farm.Worker, err error) {
	if err == nil && c.workers[w.ID] == nil && !c.s.chaotic() {
		c.breach("worker %d was acknowledged and is not there", w.ID)
	}
}

// leased checks a lease that a worker was given.
func (c *checker) leased(worker int64, l *farm.Lease, err error) {
	if err != nil || l == nil {
		return
	}
	if l.ID > c.last || l.Worker != worker {
		c.breach("worker %d was given lease %d of worker %d; the last one written is %d", worker, l.ID, l.Worker, c.last)
	}
	c.told(l)
	if own := c.leases[l.ID]; own != nil && (own.worker != worker || own.task != l.Task) {
		c.breach("worker %d was given lease %d of %v, which is of %v on worker %d", worker, l.ID, l.Task, own.task, own.worker)
	}
}

// judged checks a verdict: what is accepted is done, by this very lease.
func (c *checker) judged(r *farm.Result, fail *farm.Failure, v *farm.Verdict, err error) {
	if v == nil {
		return
	}
	c.leased(r.Worker, v.Next, nil)
	j := c.jobs[r.Task.Job]
	if !v.Accepted || j == nil {
		return
	}
	t := j.steps[r.Task.Step].rows[r.Task.Index]
	if t == nil || t.state != farm.TaskDone || t.doneBy != r.Lease {
		c.breach("the result of lease %d for %v was accepted (failure: %v, error: %v), and the rows say %+v", r.Lease, r.Task, fail, err, t)
	}
}

// chaotic reports whether people may remove what was just made.
func (s *sim) chaotic() bool { return s.faults.Operator > 0 }
