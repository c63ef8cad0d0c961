package sim

import (
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// task takes the row of a task in and returns the leases that began with it.
// last is the highest lease of earlier batches.
func (c *checker) task(row *farm.Task, last int64) (granted []*cLease) {
	j := c.jobs[row.Job]
	if j == nil {
		c.breach("a row of a task of job %d, which is not there", row.Job)
		return nil
	}
	s := j.steps[row.Step]
	t := s.rows[row.Index]
	switch {
	case row.Index < 0 || row.Index >= s.row.Tasks:
		c.breach("%v has no task %d", s, row.Index)
		return nil
	case t == nil:
		t = &cTask{}
		s.rows[row.Index] = t
	default:
		s.count[t.state]--
	}
	if t.state == farm.TaskDone && row.State != farm.TaskDone {
		c.breach("task %d of %v was done and is %s", row.Index, s, row.State)
	}
	if over(row.State) && !over(t.state) {
		c.ended++
	}
	t.state = row.State
	s.count[t.state]++
	s.waitsAgain(t, row)
	c.touched[s] = true
	if len(row.Attempts) < t.attempts {
		c.breach("task %d of %v lost attempts", row.Index, s)
	}
	granted = c.attempts(s, t, row, last)
	if over(row.State) {
		c.lose(t)
	}
	c.completed(s, t, row)
	switch n := len(t.live); {
	case row.State == farm.TaskRunning && (n < 1 || n > 2):
		c.breach("task %d of %v is running with %d leases", row.Index, s, n)
	case (row.State == farm.TaskWaiting || row.State == farm.TaskFailed) && n > 0:
		c.breach("task %d of %v is %s and leased", row.Index, s, row.State)
	}
	t.attempts = len(row.Attempts)
	return granted
}

func over(t farm.TaskState) bool {
	return t == farm.TaskDone || t == farm.TaskFailed || t == farm.TaskCanceled
}

// attempts books leases in and out as a task's attempts begin and end.
func (c *checker) attempts(s *cStep, t *cTask, row *farm.Task, last int64) (granted []*cLease) {
	for i := range row.Attempts {
		a := &row.Attempts[i]
		l := c.leases[a.Lease]
		if failed(a) && (l != nil || i >= t.attempts) {
			s.failed[a.Worker]++
		}
		if l != nil && a.Outcome != "" {
			c.free(l)
			if a.Outcome == farm.OutcomeLost {
				c.s.report.Lost++
			}
		}
		if i < t.attempts {
			continue
		}
		c.s.report.Leases++
		if a.Lease <= last {
			c.breach("lease %d of task %d of %v is no new number; %d was given before", a.Lease, row.Index, s, last)
		}
		c.last = max(c.last, a.Lease)
		if a.Outcome == "" {
			granted = append(granted, c.hold(&cLease{id: a.Lease, task: row.TaskKey, step: s, worker: a.Worker, given: a.Started}))
		}
	}
	if len(granted) > 0 && len(t.live) == 2 {
		c.doubled(s, row)
	}
	return granted
}

// waitsAgain notes whether a task waits again, and on which workers it failed.
func (s *cStep) waitsAgain(t *cTask, row *farm.Task) {
	delete(s.again, t)
	if row.State != farm.TaskWaiting {
		return
	}
	s.again[t], t.tried = true, t.tried[:0]
	for i := range row.Attempts[min(row.Since, len(row.Attempts)):] {
		if a := &row.Attempts[row.Since+i]; failed(a) {
			t.tried = append(t.tried, a.Worker)
		}
	}
}

// failed reports whether an attempt counts against its worker.
func failed(a *farm.Attempt) bool {
	return a.Outcome == farm.OutcomeFailed || a.Outcome == farm.OutcomeLost
}

// completed checks that a task is done by one attempt, once and for all.
func (c *checker) completed(s *cStep, t *cTask, row *farm.Task) {
	var by int64
	for i := range row.Attempts {
		a := &row.Attempts[i]
		if a.Outcome != farm.OutcomeDone {
			continue
		}
		if by != 0 {
			c.breach("task %d of %v was completed by lease %d and by lease %d", row.Index, s, by, a.Lease)
		}
		by = a.Lease
		if t.doneBy == 0 {
			c.s.report.Done++
			s.frames += t.frames.count()
			if min(a.Seconds, a.Ended.Sub(a.Started).Seconds()) > 0 && c.workers[a.Worker] != nil {
				s.job.paid++
			}
		}
	}
	if (by != 0) != (row.State == farm.TaskDone) || t.doneBy != 0 && by != t.doneBy {
		c.breach("task %d of %v is %s; lease %d did it, before that %d", row.Index, s, row.State, by, t.doneBy)
	}
	t.doneBy = by
}

// doubled checks that a second attempt at once is one of a slow last task.
func (c *checker) doubled(s *cStep, row *farm.Task) {
	c.s.report.Doubled++
	if s.row.Untouched()+s.row.Retrying > 0 {
		c.breach("task %d of %v has two leases while others of the step wait", row.Index, s)
	}
	var open []*farm.Attempt
	for i := range row.Attempts {
		if row.Attempts[i].Outcome == "" {
			open = append(open, &row.Attempts[i])
		}
	}
	set := c.s.farm.Settings()
	if len(open) != 2 || set.Straggler < 0 {
		c.breach("task %d of %v is leased twice", row.Index, s)
		return
	}
	if ran := open[1].Started.Sub(open[0].Started); ran <= set.StragglerMin && c.s.skew == 0 || open[0].Worker == open[1].Worker {
		c.breach("task %d of %v has a second lease after %v, on workers %d and %d", row.Index, s, ran, open[0].Worker, open[1].Worker)
	}
}

// hold books a lease in.
func (c *checker) hold(l *cLease) *cLease {
	c.leases[l.id], l.step.leases[l.id] = l, l
	c.used += l.step.job.kind.licences
	c.running[l.step.job.row.Owner]++
	l.alive = time.Since(c.s.start)
	w := c.workers[l.worker]
	if w == nil {
		c.breach("lease %d is of worker %d, which is not there", l.id, l.worker)
		return l
	}
	w.leases[l.id] = l
	w.cores += l.step.job.kind.cores
	t := l.step.rows[l.task.Index]
	t.live = append(t.live, l.id)
	return l
}

// free books a lease out: others may have what it took.
func (c *checker) free(l *cLease) {
	delete(c.leases, l.id)
	delete(l.step.leases, l.id)
	k := l.step.job.kind
	c.running[l.step.job.row.Owner]--
	c.used -= k.licences
	if k.licences > 0 {
		for _, j := range c.open {
			for _, s := range j.steps {
				if s.job.kind.licences > 0 {
					c.touched[s] = true
				}
			}
		}
	}
	if t := l.step.rows[l.task.Index]; t != nil {
		t.live = slices.DeleteFunc(t.live, func(id int64) bool { return id == l.id })
	}
	if w := c.workers[l.worker]; w != nil {
		delete(w.leases, l.id)
		w.cores -= k.cores
		c.roused[w] = true
	}
}

// reloaded says that a farm starts from the rows: what was only told to stop has
// no lease any more.
func (c *checker) reloaded() {
	for _, w := range c.workers {
		w.scenes = w.scenes[:0]
	}
	for _, l := range c.leases {
		l.alive = time.Since(c.s.start)
		j := c.jobs[l.task.Job]
		t := l.step.rows[l.task.Index]
		if j == nil || j.row.State.Ended() || t.state != farm.TaskRunning {
			c.free(l)
		}
	}
	c.rouse()
}
