package farm

import (
	"slices"

	"drover.farm/internal/sched"
)

// others answers again and again whether somebody else could run a step's tasks,
// without looking at all workers each time: each is looked at once, and once more
// when something of it has changed since. What was found stays until it does not
// hold any more.
type others struct {
	needs  *sched.Needs // these and the limits are what it was found for
	limits int
	since  int64 // changes up to this one were there at the beginning
	change int64 // the last change that was looked at
	id     int64 // up to which those were looked at that have not changed since
	known  map[*worker]struct{}
}

// ask asks what is remembered in o of the step, anew when the step's needs or the
// farm's limits are others than they were.
func (st *state) ask(o **others, s *step, fits func(*worker) bool, ok func(int64) bool) bool {
	if *o == nil || (*o).needs != s.Needs || (*o).limits != st.limited {
		*o = &others{needs: s.Needs, limits: st.limited, since: st.roster.change, change: st.roster.change, known: make(map[*worker]struct{})}
	}
	return (*o).any(st, fits, ok)
}

// any reports whether a worker fits and is ok. Who is ok may be asked for anew
// each time; who fits must not change but with a change of the worker, or where
// known is told.
func (o *others) any(st *state, fits func(*worker) bool, ok func(int64) bool) bool {
	for e := st.roster.news.Back(); e != nil; e = e.Prev() {
		w := e.Value.(*worker)
		if w.change <= o.change {
			break
		}
		st.roster.looked++
		if fits(w) {
			o.known[w] = struct{}{}
		}
	}
	o.change = st.roster.change
	for w := range o.known {
		if !fits(w) {
			delete(o.known, w)
		} else if ok(w.ID) {
			return true
		}
	}
	for w := st.beyond(o.id); w != nil; w = st.beyond(o.id) {
		o.id = w.ID
		if w.change <= o.since && fits(w) {
			o.known[w] = struct{}{}
			if ok(w.ID) {
				return true
			}
		}
	}
	return false
}

// avoided reports whether the step's tasks failed on the worker so often that
// others are given them instead, and there are others.
func (st *state) avoided(s *step, id int64) bool {
	most := st.f.settings.AvoidAfter
	return s.fails[id] >= most && st.ask(&s.better, s,
		func(w *worker) bool { return s.fails[w.ID] < most && st.able(s, w) }, func(int64) bool { return true })
}

// forgive ends a worker's failures of the step, which may be given to it again.
func (st *state) forgive(s *step, w *worker) {
	if s.better != nil && s.fails[w.ID] >= st.f.settings.AvoidAfter {
		s.better.known[w] = struct{}{}
	}
	delete(s.fails, w.ID)
}

// untriedFit reports whether a worker that is there and not among those could run
// the step's tasks.
func (st *state) untriedFit(s *step, tried []int64) bool {
	return st.ask(&s.fit, s, func(w *worker) bool { return st.able(s, w) }, func(id int64) bool { return !slices.Contains(tried, id) })
}

// able reports whether the worker is there and could run the step's tasks.
func (st *state) able(s *step, w *worker) bool {
	if st.workers[w.ID] != w {
		return false
	}
	if w.info.Closed = w.closed(st.now); w.info.Closed != "" {
		return false
	}
	if len(w.Rules.Owners) > 0 && !slices.Contains(w.Rules.Owners, s.job.Owner) || len(w.Rules.Jobs) > 0 && !slices.Contains(w.Rules.Jobs, s.Job) {
		return false
	}
	return s.Needs.Fit(&w.info, st.queue.Limits())
}
