package sim

import (
	"fmt"
	"math"

	"drover.farm/internal/farm"
)

// note adds the rows to the fingerprint of the simulation, and to its trace.
func (c *checker) note(b *farm.Batch) {
	t := fmt.Appendf(c.buf[:0], "%d:", c.s.report.Steps)
	for _, j := range b.NewJobs {
		t = fmt.Appendf(t, " new job %d %s %d %s", j.ID, j.Spec.Name, j.Priority, j.Owner)
	}
	for _, j := range b.Jobs {
		t = fmt.Appendf(t, " job %d %s %d", j.ID, j.State, j.Priority)
	}
	for _, s := range b.Steps {
		t = fmt.Appendf(t, " step %d/%d %s next %d running %d done %d failed %d, %x", s.Job, s.Index, s.State, s.Next, s.Running, s.Done, s.Failed, math.Float64bits(s.Seconds))
	}
	for _, s := range b.Resized {
		t = fmt.Appendf(t, " step %d/%d has %d tasks", s.Job, s.Index, s.Tasks)
	}
	for _, k := range b.Tasks {
		a := &k.Attempts[len(k.Attempts)-1]
		t = fmt.Appendf(t, " task %d/%d/%d %s (%d: %d on %d %s)", k.Job, k.Step, k.Index, k.State, len(k.Attempts), a.Lease, a.Worker, a.Outcome)
	}
	for _, w := range b.Workers {
		t = fmt.Appendf(t, " worker %d %t %t %t %d %d %v %x", w.ID, w.Online, w.Disabled, w.Aside, w.Done, w.Failed, w.Streak, math.Float64bits(w.Power))
	}
	for _, w := range b.Tallies {
		t = fmt.Appendf(t, " tally %d %d %x", w.ID, w.Done, math.Float64bits(w.Power))
	}
	for _, e := range b.Entries {
		t = fmt.Appendf(t, " entry %s %d %d %d %d", e.Account, e.Job, e.Earned, e.Spent, e.Frames)
	}
	for i := range b.Events {
		e := &b.Events[i]
		t = fmt.Appendf(t, " event %d %s %d %d %d", e.ID, e.Type, e.Job, e.Worker, len(e.Tasks))
	}
	for _, l := range b.Limits {
		t = fmt.Appendf(t, " limit %v", l.Total)
	}
	t = fmt.Appendf(t, " dropped %v %v %v %v\n", b.DropJobs, b.DropWorkers, b.DropLimits, b.Values)
	c.buf = t
	c.trace.Write(t)
	if w := c.s.cfg.Trace; w != nil {
		_, _ = w.Write(t)
	}
}
