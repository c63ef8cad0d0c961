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

// double gives an idle worker a second attempt of the task that has run longest
// beyond what is usual, nil when there is none for it.
func (st *state) double(w *worker, req ClaimRequest) *lease {
	if len(st.tails) == 0 || st.f.settings.Straggler < 0 || st.values[ValueMaintenance] == "on" || w.closed(st.now) != "" || w.info.Slots < 1 {
		return nil
	}
	var worst *lease
	for s := range st.tails {
		if s.Done < straggleAfter {
			continue // none of its tasks is known to be slow; don't walk them
		}
		row := &sched.Step{Job: s.Job, Index: s.Index, Owner: s.job.Owner, Needs: s.Needs}
		if len(st.queue.Explain(row, &w.info)) > 0 || req.Only != nil && !req.Only(s.job.Job) {
			continue
		}
		for _, ls := range s.running {
			l := ls[0]
			if len(ls) > 1 || l.stopping || l.worker == w || !st.straggles(l) || slices.Contains(l.task.tried(), w.ID) {
				continue
			}
			// A slow machine would not be done sooner than the one that has it.
			if s.expected(w) > st.now.Sub(l.started).Seconds() {
				continue
			}
			if worst == nil || cmp.Or(l.started.Compare(worst.started), cmp.Compare(l.id, worst.id)) < 0 {
				worst = l
			}
		}
	}
	if worst == nil {
		return nil
	}
	st.f.log.Info("second attempt of a slow task", "job", worst.task.Job, "step", worst.step.Name, "index", worst.task.Index,
		"slow", worst.worker.Name, "second", w.Name)
	return st.start(worst.step, worst.task, w, req)
}

// doubleWaiting looks for work of this kind for the claims that wait; time alone
// makes a task a straggler.
func (st *state) doubleWaiting() {
	if len(st.tails) == 0 || len(st.waiting) == 0 {
		return
	}
	st.waiting = slices.DeleteFunc(st.waiting, func(c *claim) bool {
		l := st.double(c.worker, c.req)
		if l != nil {
			c.worker.waits--
			st.grant(c, l)
		}
		return l != nil
	})
}
