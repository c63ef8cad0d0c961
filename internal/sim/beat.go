package sim

import (
	"context"
	"fmt"
	"time"

	"drover.farm/internal/farm"
)

// beat is a heartbeat, and which of the leases it names were to be stopped
// already when it was sent.
type beat struct {
	check *checker
	pulse farm.Pulse
	over  []int64
}

func (b *beat) send(ctx context.Context, f *farm.Farm) (*farm.PulseReply, error) {
	if c, ok := ctx.Value(callKey{}).(*call); ok && b.pulse.Wait > 0 {
		b.check.s.held[b.pulse.Worker] = c
	}
	b.over = b.over[:0]
	for _, p := range b.pulse.Leases {
		l := b.check.leases[p.Lease]
		if l == nil || l.worker != b.pulse.Worker {
			continue
		}
		l.alive = time.Since(b.check.s.start)
		if l.over {
			b.over = append(b.over, l.id)
		}
	}
	return f.Heartbeat(ctx, b.pulse)
}

// judge checks that a worker is told to stop what nobody needs any more. An
// answer that was held back names only what came up meanwhile.
func (b *beat) judge(a *farm.PulseReply, err error) {
	if err != nil || b.pulse.Wait > 0 {
		return
	}
	for _, id := range b.over {
		if l := b.check.leases[id]; l != nil && a.Stop[id] == "" {
			b.check.breach("worker %d renews lease %d of %v, whose task has ended by other means, and is not told to stop", b.pulse.Worker, id, l.task)
		}
	}
}

// lose notes that what still runs of a task is to be stopped. Workers whose
// heartbeats are held open are to be told at once.
func (c *checker) lose(t *cTask) {
	for _, id := range t.live {
		l := c.leases[id]
		if l.over {
			continue
		}
		l.over = true
		if o := c.s.held[l.worker]; o != nil && o.seq <= c.s.known && o.at == c.s.farm {
			c.suspect = append(c.suspect, suspect{o, fmt.Sprintf("worker %d has a heartbeat open and is not told to stop lease %d of %v", l.worker, id, l.task)})
		}
	}
}

// silent checks that no lease outlives its period by much without being renewed.
func (c *checker) silent() {
	set := c.s.farm.Settings()
	now := time.Since(c.s.start)
	if now-c.s.jumped < 2*set.Lease {
		return // deadlines have jumped with the clock
	}
	for _, l := range c.leases {
		if now-l.alive > set.Lease+3*set.Scan {
			c.breach("lease %d of %v on worker %d was not renewed for %v and goes on", l.id, l.task, l.worker, now-l.alive)
		}
	}
}

// told takes in which frames a task was said to have: always the same.
func (c *checker) told(l *farm.Lease) {
	j := c.jobs[l.Task.Job]
	if j == nil {
		return
	}
	s := j.steps[l.Task.Step]
	t := s.rows[l.Task.Index]
	if t == nil {
		return
	}
	switch f := framesOf(l); {
	case f.count() < 1:
		c.breach("task %v has the frames %v", l.Task, l.Parameters)
	case t.frames.from == 0:
		t.frames = f
		if t.doneBy != 0 {
			s.frames += f.count()
		}
	case t.frames != f:
		c.breach("task %v had the frames %v and has %v", l.Task, t.frames, f)
	}
}
