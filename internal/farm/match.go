package farm

import (
	"cmp"
	"slices"
	"time"

	"drover.farm/internal/sched"
)

// Who is asked when, and why that is enough, is told in docs/design/dispatch.md
// under "The waiting room".

// match hands out tasks: to the claims that have just come, to those of workers
// of which something changed, and to the others that wait when the queue has
// changed in a way that may serve them.
func (st *state) match() {
	for pending := st.arrivals(); ; pending = pending[:0] {
		pending = append(pending, st.stirs()...)
		version := st.queue.Version()
		if len(pending) == 0 && version == st.room.version {
			break
		}
		// Who has a job's session open, or else holds its files, goes first, so
		// that its tasks are not given to somebody who would have to load the scene.
		near := st.nearFirst(pending)
		for _, c := range pending[:near] {
			st.serve(c)
		}
		if version != st.room.version {
			st.room.version = version
			st.serveRoom()
		}
		for _, c := range pending[near:] {
			st.serve(c)
		}
		for _, c := range pending {
			st.remain(c)
		}
	}
	if st.overdue {
		st.overdue = false
		st.secondTries()
	}
}

// arrivals are the claims that have come in this batch, but those that are
// answered without a look at the queue.
func (st *state) arrivals() []*claim {
	fresh := st.fresh
	st.fresh = nil
	return slices.DeleteFunc(fresh, func(c *claim) bool {
		if st.workers[c.worker.ID] != c.worker { // removed in this very batch
			c.answer(nil, Errorf(Gone, "worker %d was removed by an operator", c.worker.ID))
			return true
		}
		st.sending(c.worker, c.req.Uploading)
		return false
	})
}

// nearFirst sorts claims by how near they are to something that waits, and
// returns how many are near at all.
func (st *state) nearFirst(cs []*claim) int {
	if st.queue.Len() == 0 {
		return 0
	}
	if len(cs) > 1 {
		slices.SortStableFunc(cs, func(a, b *claim) int { return st.distance(a) - st.distance(b) })
	}
	if far := slices.IndexFunc(cs, func(c *claim) bool { return st.distance(c) > 1 }); far >= 0 {
		return far
	}
	return len(cs)
}

// distance is how far a claim's worker is from being able to render something
// that waits.
func (st *state) distance(c *claim) int {
	switch {
	case c.req.Warm != 0 && st.queue.Waits(c.req.Warm):
		return 0
	case slices.ContainsFunc(c.worker.scenes, st.queue.Wanted):
		return 1
	}
	return 2
}

// serve gives the claim what ranks first for it; false when there is nothing.
func (st *state) serve(c *claim) bool {
	if c.lease != nil {
		return true // another's turn has served it meanwhile
	}
	if l := c.before(); l != nil {
		st.grant(c, l)
		return true
	}
	c.served = true
	defer func() { c.served = false }()
	for {
		m, preferred := st.seek(c)
		if m == nil {
			c.asked = st.queue.Version()
			return false
		}
		if st.cede(c, m) || !st.give(c, m, preferred) {
			continue
		}
		return true
	}
}

// before is the lease that the same request got when it came before, nil when
// there is none.
func (c *claim) before() *lease {
	if c.req.Key == "" {
		return nil
	}
	for _, l := range c.worker.leases {
		if l.key == c.req.Key && !l.stopping {
			return l
		}
	}
	return nil
}

// seek finds the step that the claim should get a task of.
func (st *state) seek(c *claim) (m *sched.Step, preferred bool) {
	if st.queue.Len() == 0 || st.values[ValueMaintenance] == "on" {
		return nil, false
	}
	st.f.meter.looks.Add(1)
	w := c.worker
	w.info.Closed = w.closed(st.now)
	w.info.Warm, w.info.Scenes = c.req.Warm, w.scenes
	if !w.passing.IsZero() && st.now.Sub(w.passing) > st.f.settings.Stick {
		w.info.Warm, w.info.Scenes = 0, nil
	}
	st.bounds, st.only, w.info.MaxBytes = c.req.Within, c.req.Only, c.req.Within.Bytes
	m, preferred = st.queue.Match(&w.info)
	if m == nil && w.info.MaxBytes > 0 {
		w.info.MaxBytes = 0
		m, preferred = st.queue.Match(&w.info)
	}
	st.bounds, st.only, w.info.MaxBytes = Bounds{}, nil, 0
	return m, preferred
}

// give answers the claim with a task of the step; false when what the step had
// left could not be read. It is looked at again when something changes.
func (st *state) give(c *claim, m *sched.Step, preferred bool) bool {
	w, s := c.worker, st.jobs[m.Job].steps[m.Index]
	l := st.take(s, w, c.req)
	if l == nil {
		st.queue.Remove(m.Job, m.Index)
		return false
	}
	w.pass(preferred, st.now)
	st.grant(c, l)
	st.also(c, s, w)
	return true
}

// remain lets a claim wait that was not served, or answers it.
func (st *state) remain(c *claim) {
	switch {
	case c.lease != nil:
	case c.req.Wait <= 0 && st.double(c):
	case c.req.Wait <= 0:
		c.answer(nil, nil)
	case c.place == nil:
		st.room.enter(c)
		st.line(c)
	}
}

// stirred notes that something of a worker has changed, so that its claims may
// be served now, or belong with others.
func (st *state) stirred(w *worker) {
	st.count(w)
	if len(w.claims) > 0 {
		st.moved = append(st.moved, w)
	}
}

// stirs are the waiting claims of workers of which something changed, each in
// the line where it now belongs. When steps ask for what none has asked for
// before, every claim is put in line anew.
func (st *state) stirs() (again []*claim) {
	if v := st.queue.Parted(); v != st.room.parted {
		st.room.parted = v
		for e := st.room.all.Front(); e != nil; e = e.Next() {
			st.line(e.Value.(*claim))
		}
	}
	slices.SortFunc(st.moved, func(a, b *worker) int { return cmp.Compare(a.ID, b.ID) })
	for _, w := range slices.Compact(st.moved) {
		for _, c := range w.claims {
			st.room.unline(c) // what it holds may have changed, too
			st.line(c)
			c.asked = 0
			again = append(again, c)
		}
	}
	st.moved = st.moved[:0]
	return again
}

// line puts a waiting claim into the line of its class, or into none while its
// worker takes nothing.
func (st *state) line(c *claim) {
	w := c.worker
	class := uint64(0)
	if w.info.Closed = w.closed(st.now); w.info.Closed == "" {
		class = st.queue.Class(&w.info)
	}
	st.room.line(c, class)
}

// serveRoom asks each line from its front until its class is refused.
func (st *state) serveRoom() {
	if st.values[ValueMaintenance] == "on" {
		return
	}
	for _, class := range slices.Clone(st.room.classes[thing{}]) {
		for st.queue.Len() > 0 && !st.queue.Barren(class) {
			c := st.room.unasked(thing{}, class, st.queue.Version(), nil)
			if c == nil {
				break
			}
			st.serve(c)
		}
	}
}

// maxNear bounds how many classes, and how many of a class, are asked for a worker
// that has a scene.
const maxNear = 100

// cede gives a task to a claim that waits and whose worker is nearer to the step
// than that of c: it has the job's session open, or else the files. It returns
// whether anything was given, so that what was found for c may not hold any more.
func (st *state) cede(c *claim, m *sched.Step) bool {
	if st.room.all.Len() == 0 || c.req.Warm == m.Job {
		return false
	}
	files := m.Scene != 0 && !slices.Contains(c.worker.scenes, m.Scene)
	before := st.lastLease
	for st.serveNear(thing{job: m.Job}, m) || files && st.serveNear(thing{scene: m.Scene}, m) {
		if st.lastLease != before {
			return true
		} // else it was answered with a lease that it had
	}
	return st.lastLease != before // to others, to whom one of those ceded
}

// serveNear gives a task to the first waiting claim that can have one of those
// whose workers have the thing and could have the step: what such a one is given
// is the step, or ranks before it. Others come when it is their turn, for what
// they would take now may be all that there is for who waits for them to cede.
func (st *state) serveNear(t thing, m *sched.Step) bool {
	classes := st.room.classes[t]
	for _, class := range classes[:min(len(classes), maxNear)] {
		for !st.queue.Barren(class) {
			d := st.room.unasked(t, class, st.queue.Version(), func(d *claim) bool { return st.couldHave(d, m) })
			if d == nil {
				break
			}
			if st.serve(d) {
				return true
			}
		}
	}
	return false
}

// couldHave reports whether the claim could be given a task of the step now.
func (st *state) couldHave(c *claim, m *sched.Step) bool {
	st.bounds, st.only = c.req.Within, c.req.Only
	defer func() { st.bounds, st.only = Bounds{}, nil }()
	return st.queue.CanStart(m, &c.worker.info)
}

// pass notes whether others rank before what the worker was given.
func (w *worker) pass(preferred bool, now time.Time) {
	switch {
	case !preferred:
		w.passing = time.Time{}
	case w.passing.IsZero():
		w.passing = now
	}
}
