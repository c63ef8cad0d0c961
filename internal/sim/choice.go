package sim

import (
	"container/list"
	"maps"
	"slices"

	"drover.farm/internal/farm"
)

// grants checks that the leases of a batch were rightly given, in their order.
func (c *checker) grants(leases []*cLease) {
	run := maps.Clone(c.running)
	for _, l := range leases {
		run[l.step.job.row.Owner]--
	}
	taken := make(map[int64]room) // by a lease and the later ones of the batch: it was free
	for _, l := range leases {
		taken[l.worker] = taken[l.worker].plus(l, 1)
	}
	for _, l := range leases {
		w := c.workers[l.worker]
		if w == nil {
			continue
		}
		k := l.step.job.kind
		switch {
		case c.closed:
			c.breach("lease %d was given during maintenance", l.id)
		case !within(w.row.Rules.Hours, l.given):
			c.breach("lease %d was given at %v to worker %d, whose hours are %s", l.id, l.given, w.row.ID, w.row.Rules.Hours)
		case l.step.job.row.Paused || l.step.row.State != farm.StepReady:
			c.breach("lease %d of %v, which is not to be worked on", l.id, l.step)
		case !c.could(w, l.step.job):
			c.breach("worker %d (%s) was given %v, which it may not render", w.row.ID, w.class.name, l.step)
		case len(w.leases) > w.row.Slots || w.cores > w.class.cores:
			c.breach("worker %d (%s) has %d leases and %d cores in use", w.row.ID, w.class.name, len(w.leases), w.cores)
		case k.licences > 0 && c.limit >= 0 && float64(c.used) > c.limit:
			c.breach("%d licences are in use, the limit is %v", c.used, c.limit)
		}
		free := taken[l.worker]
		double := len(l.step.rows[l.task.Index].live) > 1
		for _, j := range c.open {
			for _, s := range j.steps {
				if c.before(s, l, w, run, double) && c.must(w, s, free.cores, free.slots) {
					c.breach("worker %d (%s) was given lease %d of %v of %s (a second attempt: %v) while a task of %v of %s waited for it; running %v, weights %v",
						w.row.ID, w.class.name, l.id, l.step, l.step.job.row.Owner, double, s, j.row.Owner, run, c.weight)
				}
			}
		}
		if !double {
			c.nearer(l, w, taken)
		}
		w.keep(l.step.job)
		run[l.step.job.row.Owner]++
		taken[l.worker] = free.plus(l, -1)
	}
}

// room is what leases take of a worker.
type room struct{ cores, slots int }

func (r room) plus(l *cLease, n int) room {
	return room{r.cores + n*l.step.job.kind.cores, r.slots + n}
}

// could reports whether the worker may render a job's tasks at all.
func (c *checker) could(w *cWorker, j *cJob) bool {
	return w.class != nil && (j.kind.licences == 0 || c.limit >= 0) && slices.Contains(w.class.fits, j.kind.name) && w.row.Online && !w.row.Disabled && !w.row.Aside &&
		(len(w.row.Rules.Owners) == 0 || slices.Contains(w.row.Rules.Owners, j.row.Owner)) &&
		(len(j.kind.tags) == 0 || slices.Contains(w.row.Tags, j.kind.tags[0]))
}

// must reports whether a task of the step waits that the worker must be given,
// had it cores and slots more than it has.
func (c *checker) must(w *cWorker, s *cStep, cores, slots int) bool {
	k := s.job.kind
	return !c.closed && s.offers() && c.able(w, s, cores, slots) && c.welcome(w, s) &&
		(k.licences == 0 || c.limit < 0 || float64(c.used+k.licences) <= c.limit)
}

// welcome reports whether a task waits that did not fail on the worker, nor did so
// many others of the step that the farm may give them all to others. The farm
// counts failures in a row, and anew when it starts, so it finds fewer.
func (c *checker) welcome(w *cWorker, s *cStep) bool {
	switch n := s.failed[w.row.ID]; {
	case n == 0 || n < c.s.farm.Settings().AvoidAfter && s.row.Untouched() > 0:
		return true
	case n >= c.s.farm.Settings().AvoidAfter:
		return false
	}
	for t := range s.again {
		if !slices.Contains(t.tried, w.row.ID) {
			return true
		}
	}
	return false
}

// able reports whether the worker could start a task of the step, had it cores and
// slots more than it has.
func (c *checker) able(w *cWorker, s *cStep, cores, slots int) bool {
	return c.could(w, s.job) && c.awake(w) && len(w.leases)-slots < w.row.Slots && w.cores-cores+s.job.kind.cores <= w.class.cores
}

// idleLooks bounds how many waiting workers of a class are held against each step
// that changed; all of them are at each comparison as a whole.
const idleLooks = 8

// idle checks that nothing waits which a worker could have that waits for work.
func (c *checker) idle() {
	suspects := c.suspect
	if c.suspect = c.suspect[:0]; c.s.link.gate != nil || c.s.link.dead {
		return
	}
	for _, x := range suspects {
		if !c.s.grouped && c.s.open[x.call.seq] == x.call && x.call.at == c.s.farm {
			c.breach("%s", x.why)
		}
	}
	if len(c.touched)+len(c.roused) == 0 {
		return
	}
	for _, id := range sortedWorkers(c.roused) {
		if o := c.s.waiting[id]; o != nil && o.at == c.s.farm && c.workers[id] != nil {
			c.overlooked(c.workers[id])
		}
	}
	var open []*cStep
	for s := range c.touched {
		if s.offers() {
			open = append(open, s)
		}
	}
	for i := range classes {
		if line := c.s.lines[&classes[i]]; line != nil && len(open) > 0 {
			c.looks(line, open)
		}
	}
	clear(c.touched)
	clear(c.roused)
}

// looks holds the first of those that wait in line against steps.
func (c *checker) looks(line *list.List, steps []*cStep) {
	looks := 0
	for e := line.Front(); e != nil && looks < idleLooks; e = e.Next() {
		o := e.Value.(*call)
		w := c.workers[o.waits]
		if o.at != c.s.farm || w == nil {
			continue
		}
		looks++
		for _, s := range steps {
			c.waits(w, s)
		}
	}
}

// offers reports whether a task of the step may be handed out.
func (s *cStep) offers() bool {
	return s.row.State == farm.StepReady && s.row.Untouched()+s.row.Retrying > 0 && !s.job.row.Paused && !s.job.row.Canceled
}

// overlooked holds a waiting worker against all steps.
func (c *checker) overlooked(w *cWorker) {
	for _, j := range c.open {
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
