package sim

import (
	"slices"

	"drover.farm/internal/farm"
)

// grants checks that the leases of a batch were rightly given, in their order.
func (c *checker) grants(leases []*cLease) {
	for i, l := range leases {
		w := c.workers[l.worker]
		if w == nil {
			continue
		}
		k := l.step.job.kind
		switch {
		case c.closed:
			c.breach("lease %d was given during maintenance", l.id)
		case l.step.job.row.Paused || l.step.row.State != farm.StepReady:
			c.breach("lease %d of %v, which is not to be worked on", l.id, l.step)
		case !c.could(w, l.step.job):
			c.breach("worker %d (%s) was given %v, which it may not render", w.row.ID, w.class.name, l.step)
		case len(w.leases) > w.row.Slots || w.cores > w.class.cores:
			c.breach("worker %d (%s) has %d leases and %d cores in use", w.row.ID, w.class.name, len(w.leases), w.cores)
		case k.licences > 0 && c.limit >= 0 && float64(c.used) > c.limit:
			c.breach("%d licences are in use, the limit is %v", c.used, c.limit)
		}
		// What it and later leases of the batch took of the worker was free.
		cores, slots := 0, 0
		for _, o := range leases[i:] {
			if o.worker == l.worker {
				cores += o.step.job.kind.cores
				slots++
			}
		}
		double := len(l.step.rows[l.task.Index].live) > 1
		for _, j := range c.jobs {
			if j.row.Priority <= l.step.job.row.Priority && !double {
				continue
			}
			for _, s := range j.steps {
				if c.must(w, s, cores, slots) {
					c.breach("worker %d (%s) was given lease %d of %v (a second attempt: %v) while a task of %v waited for it", w.row.ID, w.class.name, l.id, l.step, double, s)
				}
			}
		}
	}
}

// could reports whether the worker may render a job's tasks at all.
func (c *checker) could(w *cWorker, j *cJob) bool {
	return w.class != nil && (j.kind.licences == 0 || c.limit >= 0) && slices.Contains(w.class.fits, j.kind.name) && w.row.Online && !w.row.Disabled && !w.row.Aside &&
		(len(w.row.Rules.Owners) == 0 || slices.Contains(w.row.Rules.Owners, j.row.Owner)) &&
		(len(j.kind.tags) == 0 || slices.Contains(w.row.Tags, j.kind.tags[0]))
}

// must reports whether a task of the step waits that the worker must be given,
// had it cores and slots more than it has. What the farm may hold back, tasks
// that failed on the worker, does not count.
func (c *checker) must(w *cWorker, s *cStep, cores, slots int) bool {
	k := s.job.kind
	return !c.closed && s.row.State == farm.StepReady && s.row.Untouched()+s.row.Retrying > 0 && !s.job.row.Paused && !s.job.row.Canceled &&
		c.could(w, s.job) && !s.failed[w.row.ID] &&
		len(w.leases)-slots < w.row.Slots && w.cores-cores+k.cores <= w.class.cores &&
		(k.licences == 0 || c.limit < 0 || float64(c.used+k.licences) <= c.limit)
}

// idleLooks bounds how many waiting workers of a class are held against each step
// that changed; all of them are at each comparison as a whole.
const idleLooks = 8

// idle checks that nothing waits which a worker could have that waits for work.
func (c *checker) idle() {
	if len(c.touched)+len(c.roused) == 0 || c.s.link.gate != nil || c.s.link.dead {
		return
	}
	for _, id := range sortedWorkers(c.roused) {
		if o := c.s.waiting[id]; o != nil && o.at == c.s.farm && c.workers[id] != nil {
			c.overlooked(c.workers[id])
		}
	}
	for i := range classes {
		looks := 0
		for _, o := range c.s.lines[&classes[i]] {
			if o.answered || o.at != c.s.farm || c.workers[o.waits] == nil {
				continue
			}
			if looks++; looks > idleLooks {
				break
			}
			for s := range c.touched {
				c.waits(c.workers[o.waits], s)
			}
		}
	}
	clear(c.touched)
	clear(c.roused)
}

// overlooked holds a waiting worker against all steps.
func (c *checker) overlooked(w *cWorker) {
	for _, j := range c.jobs {
		for _, s := range j.steps {
			c.waits(w, s)
		}
	}
}

func (c *checker) waits(w *cWorker, s *cStep) {
	if c.must(w, s, 0, 0) {
		c.breach("worker %d (%s) waits for work while a task of %v waits for a worker", w.row.ID, w.class.name, s)
	}
}

func sortedWorkers(m map[*cWorker]bool) []int64 {
	ids := make([]int64, 0, len(m))
	for w := range m {
		ids = append(ids, w.row.ID)
	}
	slices.Sort(ids)
	return ids
}
