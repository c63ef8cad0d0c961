package farm

import (
	"cmp"
	"slices"
	"time"

	"drover.farm/internal/sched"
)

// A job's last tasks often wait for one slow machine. When a worker would be
// idle, it is given a second attempt of a task that has run far longer than its
// step's tasks usually do; the first result wins and the other attempt is told
// to stop. (The idea of backup tasks: Dean and Ghemawat, "MapReduce: Simplified
// Data Processing on Large Clusters", OSDI 2004, section 3.6.)

// straggleAfter is how many finished tasks it takes to know what is usual.
const straggleAfter = 3

// tail notes whether a step has only running tasks left.
func (st *state) tail(s *step) {
	if s.State == StepReady && !s.job.Paused && !s.job.Canceled && s.Untouched()+s.retry.len() == 0 && len(s.running) > 0 {
		st.tails[s] = struct{}{}
	} else {
		delete(st.tails, s)
	}
}

// straggles reports whether the lease has run so long that a second attempt is
// worth it. Some of its step's tasks have finished.
func (st *state) straggles(l *lease) bool {
	s := l.step
	mean := time.Duration(s.Seconds / float64(s.Done) * float64(time.Second))
	usual := max(time.Duration(st.f.settings.Straggler*float64(mean)), st.f.settings.StragglerMin)
	return st.now.Sub(l.started) > usual
}

// findSlow looks for the tasks that are worth a second attempt, those that have
// run longest first.
func (st *state) findSlow() {
	st.slow = st.slow[:0]
	if st.f.settings.Straggler < 0 {
		return
	}
	for s := range st.tails {
		if s.Done < straggleAfter {
			continue // none of its tasks is known to be slow; don't walk them
		}
		for _, ls := range s.running {
			if len(ls) == 1 && !ls[0].stopping && st.straggles(ls[0]) {
				st.slow = append(st.slow, ls[0])
			}
		}
	}
	slices.SortFunc(st.slow, func(a, b *lease) int { return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id)) })
}

// stillSlow reports whether a lease that the last scan found is still the only
// one of a task that nothing else of its step waits beside.
func (st *state) stillSlow(l *lease) bool {
	_, tail := st.tails[l.step]
	return tail && st.leases[l.id] == l && !l.stopping && len(l.step.running[l.task.Index]) == 1
}

// maxSlow bounds how many slow tasks one claim is held against.
const maxSlow = 100

// double gives a claim for which there is nothing else a second attempt of a
// slow task; false when there is none for it.
func (st *state) double(c *claim) bool {
	if len(st.slow) == 0 || st.values[ValueMaintenance] == "on" {
		return false
	}
	st.slow = slices.DeleteFunc(st.slow, func(l *lease) bool { return !st.stillSlow(l) })
	for _, l := range st.slow[:min(len(st.slow), maxSlow)] {
		if st.second(c, l) && st.faster(c.worker, l) {
			st.startSecond(c, l)
			return true
		}
	}
	return false
}

// second reports whether the claim could have a second attempt.
func (st *state) second(c *claim, l *lease) bool {
	w, s := c.worker, l.step
	w.info.Closed = w.closed(st.now)
	row := &sched.Step{Job: s.Job, Index: s.Index, Owner: s.job.Owner, Needs: s.Needs}
	return l.worker != w && !slices.Contains(l.task.tried(), w.ID) && st.queue.CanStart(row, &w.info) && (c.req.Only == nil || c.req.Only(s.job.Job))
}

// faster reports whether the worker would be done sooner than the one that has
// the lease: that one is taken to need as long again.
func (st *state) faster(w *worker, l *lease) bool {
	return l.step.expected(w) <= st.now.Sub(l.started).Seconds()
}

func (st *state) startSecond(c *claim, l *lease) {
	st.f.log.Info("second attempt of a slow task", "job", l.task.Job, "step", l.step.Name, "index", l.task.Index,
		"slow", l.worker.Name, "second", c.worker.Name)
	st.grant(c, st.start(l.step, l.task, c.worker, c.req))
}

// secondTries gives the slow tasks to the fastest of the workers that wait.
func (st *state) secondTries() {
	st.findSlow()
	if len(st.slow) == 0 || st.room.all.Len() == 0 || st.values[ValueMaintenance] == "on" {
		return
	}
	lines := make(map[uint64][]*claim)
	for c := range st.room.waiting {
		if c.class != 0 {
			lines[c.class] = append(lines[c.class], c)
		}
	}
	for class := range lines {
		slices.SortStableFunc(lines[class], func(a, b *claim) int { return cmp.Compare(b.worker.power(), a.worker.power()) })
	}
	classes := slices.Clone(st.room.classes[thing{}])
	for _, l := range st.slow {
		if st.stillSlow(l) {
			st.secondTry(l, classes, lines)
		}
	}
}

// secondTry gives a second attempt to the fastest claim in the lines that can
// have it.
func (st *state) secondTry(l *lease, classes []uint64, lines map[uint64][]*claim) {
	var best *claim
	for _, class := range classes {
		for _, c := range lines[class] {
			if c.lease != nil || c.class != class {
				continue // served meanwhile, or its worker was
			}
			if best != nil && c.worker.power() <= best.worker.power() || !st.faster(c.worker, l) {
				break
			}
			if st.second(c, l) {
				best = c
				break
			}
			if !l.step.Needs.Fit(&c.worker.info, st.queue.Limits()) {
				break // nor does it fit the others of its class
			}
		}
	}
	if best != nil {
		st.startSecond(best, l)
	}
}
