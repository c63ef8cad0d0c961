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
		s.trim()
		for _, l := range s.begun {
			if !st.straggles(l) {
				break // nor do those that began later
			}
			if st.leases[l.id] == l && len(s.running[l.task.Index]) == 1 && !l.stopping {
				st.slow = append(st.slow, l)
			}
		}
	}
	slices.SortFunc(st.slow, func(a, b *lease) int { return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id)) })
}

// trim forgets the first of the leases that began when they have ended, and all
// that have when they are many.
func (s *step) trim() {
	over := func(l *lease) bool { return !slices.Contains(s.running[l.task.Index], l) }
	for len(s.begun) > 0 && over(s.begun[0]) {
		s.begun = s.begun[1:]
	}
	if len(s.begun) > 2*len(s.running)+16 {
		s.begun = slices.DeleteFunc(s.begun, over)
	}
}

// stillSlow reports whether a lease that the last scan found is still the only
// one of a task that nothing else of its step waits beside.
func (st *state) stillSlow(l *lease) bool {
	_, tail := st.tails[l.step]
	return tail && st.leases[l.id] == l && !l.stopping && len(l.step.running[l.task.Index]) == 1
}

// maxSlow bounds how many slow tasks one claim is held against.
const maxSlow = 100

// double gives a claim that does not wait, and for which there is nothing else,
// a second attempt of a slow task; false when there is none for it.
func (st *state) double(c *claim) bool {
	if len(st.slow) == 0 || st.values[ValueMaintenance] == "on" {
		return false
	}
	c.worker.info.Closed = c.worker.closed(st.now)
	for _, l := range st.slow[:min(len(st.slow), maxSlow)] {
		if st.stillSlow(l) && another(c, l) && st.faster(c.worker, l) && st.queue.CanStart(l.step.row(), &c.worker.info) {
			st.startSecond(c, l)
			return true
		}
	}
	return false
}

// another reports whether the claim is of another worker than the lease and than
// those that the task failed on, and of one that can take tasks of the job; and
// has got nothing yet when it came twice.
func another(c *claim, l *lease) bool {
	return l.worker != c.worker && c.before() == nil && !slices.Contains(l.task.tried(), c.worker.ID) && (c.req.Only == nil || c.req.Only(l.step.job.Job))
}

// row is the step as a queue would see it.
func (s *step) row() *sched.Step {
	return &sched.Step{Job: s.Job, Index: s.Index, Owner: s.job.Owner, Needs: s.Needs}
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

// contest is the look for second attempts at one scan: who waits, the fastest of
// each class first, and what was found in vain.
type contest struct {
	st      *state
	classes []uint64
	lines   map[uint64][]*claim // of the classes that were looked at
	refused map[refusal]struct{}
}

// refusal says that a class of workers cannot start tasks of a step now.
type refusal struct {
	step  *step
	class uint64
}

// secondTries gives the slow tasks to the fastest of the workers that wait.
func (st *state) secondTries() {
	st.findSlow()
	if len(st.slow) == 0 || st.room.all.Len() == 0 || st.values[ValueMaintenance] == "on" {
		return
	}
	k := contest{st: st, classes: slices.Clone(st.room.classes[thing{}]), lines: make(map[uint64][]*claim), refused: make(map[refusal]struct{})}
	for _, l := range st.slow {
		if best := k.fastest(l); best != nil {
			st.startSecond(best, l)
		}
	}
}

// maxRunners bounds how many waiting workers of a class are compared with each
// other: the fastest of so many is fast.
const maxRunners = 1000

// line are the first of a class that wait, the fastest first, without those that
// were served at its front.
func (k *contest) line(class uint64) []*claim {
	line, known := k.lines[class]
	if !known {
		line = k.st.room.first(class, maxRunners)
		slices.SortStableFunc(line, func(a, b *claim) int { return cmp.Compare(b.worker.power(), a.worker.power()) })
	}
	for len(line) > 0 && line[0].lease != nil {
		line = line[1:]
	}
	k.lines[class] = line
	return line
}

// fastest is the claim of the fastest worker that can have a second attempt, nil
// when there is none. It looks at one of a class, beside those that were served
// and the few that the task failed on.
func (k *contest) fastest(l *lease) (best *claim) {
	for _, class := range k.classes {
		if _, vain := k.refused[refusal{l.step, class}]; vain {
			continue
		}
		for _, c := range k.line(class) {
			if best != nil && c.worker.power() <= best.worker.power() || !k.st.faster(c.worker, l) {
				break // nor are those behind it
			}
			if c.lease != nil || !another(c, l) {
				continue
			}
			if c.worker.info.Closed = c.worker.closed(k.st.now); k.st.queue.CanStart(l.step.row(), &c.worker.info) {
				best = c
			} else {
				k.refused[refusal{l.step, class}] = struct{}{}
			}
			break
		}
	}
	return best
}
