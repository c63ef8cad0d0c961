package sim

import (
	"math"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// What was answered with success is in the store, and what was refused had to
// be. These checks run just after the farm answered. Those of calls that were
// made alone may look at the present state; in a group others have acted since.

// fresh reports whether the present state is what the answer was made from.
func (s *sim) fresh(c *call) bool { return c.alone && c.at == s.server && !c.wait }

func (s *sim) checkRegistered(c *call, r *farm.Registration) {
	if c.err != nil {
		s.model.breach("worker %s cannot register: %v", r.Key, c.err)
		return
	}
	row := c.res.(*farm.Worker)
	w := s.model.workers[row.ID]
	if w == nil && !s.model.removed[row.ID] || w != nil && (w.row.Key != r.Key || w.row.Door != r.Door) {
		s.model.breach("worker %d registered as %s, but is not in the store", row.ID, r.Key)
	}
	for _, l := range row.Leases {
		if !slices.Contains(r.Holds, l.ID) {
			s.model.breach("worker %d registered anew and still has lease %d", row.ID, l.ID)
		}
	}
}

func (s *sim) checkClaim(c *call, id int64) {
	m := s.model
	l, _ := c.res.(*farm.Lease)
	switch {
	case farm.CodeOf(c.err) == farm.Gone:
		if m.workers[id] != nil {
			m.breach("worker %d is told that it is gone: %v", id, c.err)
		}
	case c.err != nil:
		m.breach("worker %d cannot claim: %v", id, c.err)
	case l != nil:
		t := m.task(l.Task)
		if t == nil && m.dropped[l.Task.Job] {
			return
		}
		if t == nil || !slices.ContainsFunc(t.attempts, func(a mAttempt) bool { return a.lease == l.ID && a.worker == id }) || l.Worker != id {
			m.breach("lease %d of task %v was answered to worker %d and is not in the store", l.ID, l.Task, id)
		}
		if len(l.Parameters) != 1 || l.Job.ID != l.Task.Job || l.Period != m.set.Lease {
			m.breach("lease %d came with parameters %v, job %d, period %v", l.ID, l.Parameters, l.Job.ID, l.Period)
		}
	case !c.wait && c.at == s.server:
		if o := m.overlooked(id); o != nil {
			m.breach("worker %d asked in vain while a task of %v waited for it", id, o)
		}
	}
}

// due reports whether a good result of the lease would have to count now.
func (s *sim) due(h *held, worker int64) bool {
	l := s.model.leases[h.lease]
	t := s.model.task(h.task)
	return l != nil && l.worker == worker && l.key == h.task && t != nil && t.state == mRunning
}

func (s *sim) checkVerdict(c *call, r *farm.Result, fail *farm.Failure) {
	m := s.model
	if c.err != nil {
		if code := farm.CodeOf(c.err); code != farm.Gone || c.due && s.fresh(c) {
			m.breach("the result of lease %d is refused: %v", r.Lease, c.err)
		}
		return
	}
	v := c.res.(*farm.Verdict)
	t := m.task(r.Task)
	switch {
	case v.Accepted && fail != nil && s.fresh(c) && (t == nil || t.done != r.Lease):
		m.breach("a failure under lease %d counts as done", r.Lease)
	case v.Accepted && t == nil && !m.dropped[r.Task.Job], v.Accepted && t != nil && t.done != r.Lease:
		m.breach("the result of lease %d was accepted and is not in the store", r.Lease)
	case c.due && s.fresh(c) && !v.Accepted:
		m.breach("the result of lease %d should count: %s", r.Lease, v.Reason)
	case !v.Accepted && v.Reason == "":
		m.breach("the result of lease %d does not count, and no reason is given", r.Lease)
	}
	if l := m.leases[r.Lease]; l != nil && l.worker == r.Worker {
		m.breach("lease %d is still open after its result", r.Lease)
	}
	if v.Next != nil && r.Next == nil {
		m.breach("lease %d was given unasked", v.Next.ID)
	}
	if r.Next != nil && v.Next == nil && c.at == s.server {
		if o := m.overlooked(r.Worker); o != nil {
			m.breach("worker %d asked in vain with its result while a task of %v waited for it", r.Worker, o)
		}
	}
}

// renewed notes until when leases are safe that a heartbeat names.
func (s *sim) renewed(c *call, p *farm.Pulse) {
	if c.at != s.server || s.server.conn.dead {
		return
	}
	for _, x := range p.Leases {
		if l := s.model.leases[x.Lease]; l != nil && l.worker == p.Worker {
			l.until = time.Now().Add(s.model.set.Lease)
		}
	}
}

func (s *sim) checkBeat(c *call, p *farm.Pulse) {
	m := s.model
	if c.err != nil {
		if farm.CodeOf(c.err) != farm.Gone || m.workers[p.Worker] != nil {
			m.breach("worker %d cannot send a sign of life: %v", p.Worker, c.err)
		}
		return
	}
	if !s.fresh(c) {
		return
	}
	for _, x := range p.Leases {
		l := m.leases[x.Lease]
		over := l == nil || l.worker != p.Worker
		if !over {
			t := m.task(l.key)
			over = t == nil || t.state != mRunning
		}
		if _, told := c.res.(*farm.PulseReply).Stop[x.Lease]; told != over {
			m.breach("worker %d is told to stop lease %d: %v, but that is over: %v", p.Worker, x.Lease, told, over)
		}
	}
}

// sane reports whether a number may be shown to people and written as JSON.
func sane(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
