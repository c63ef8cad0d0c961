package farm

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"
)

// Time alone ends leases that nobody renews and takes workers offline that are
// not heard of. Each worker is on the watch for the first moment at which
// something of it may be over; most times a sign of life has come meanwhile, and
// it is put on the watch anew. So a scan costs what is due, however many workers
// there are.

// watch is when a worker is to be looked at.
type watch struct {
	at     time.Time
	worker *worker
}

// watches is a heap, the first moment on top. Of several entries of a worker
// only the one for worker.watched counts.
type watches []watch

func (h watches) Len() int           { return len(h) }
func (h watches) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h watches) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *watches) Push(v any)        { *h = append(*h, v.(watch)) }
func (h *watches) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = watch{}
	*h = (*h)[:last]
	return x
}

// watch sees to it that the worker is looked at then, or before. Whatever can
// move such a moment forward, a clock that jumps back too, says so here.
func (st *state) watch(w *worker, at time.Time) {
	if w.watched.IsZero() || at.Before(w.watched) {
		w.watched = at
		heap.Push(&st.watches, watch{at, w})
	}
}

// due takes the workers off the watch whose moment has come, by id.
func (st *state) due() (ws []*worker) {
	for len(st.watches) > 0 && !st.watches[0].at.After(st.now) {
		x := heap.Pop(&st.watches).(watch)
		if x.worker.watched.Equal(x.at) {
			x.worker.watched = time.Time{}
			ws = append(ws, x.worker)
		}
	}
	slices.SortFunc(ws, func(a, b *worker) int { return cmp.Compare(a.ID, b.ID) })
	return ws
}

// lookAround ends the leases whose deadline has passed, and the sessions of
// workers that have been silent for too long.
func (st *state) lookAround() {
	due := st.due()
	st.expire(due)
	for _, w := range due {
		switch {
		case w.beat != nil || len(w.claims) > 0:
			w.seen = st.now // it holds a request open, so it is there
		case st.silent(w):
			st.leave(w, OutcomeLost, "not heard of any more")
		}
	}
	for _, w := range due {
		st.watchOn(w)
	}
}

// watchOn puts a worker on the watch for what may be over next.
func (st *state) watchOn(w *worker) {
	var next time.Time
	if w.Online && st.workers[w.ID] == w {
		next = w.seen.Add(st.silence(w))
	}
	for _, l := range w.leases {
		if next.IsZero() || l.deadline.Before(next) {
			next = l.deadline
		}
	}
	if !next.IsZero() {
		st.watch(w, next)
	}
}

// expire ends the leases of these workers whose deadline has passed, oldest
// first.
func (st *state) expire(ws []*worker) {
	var over []*lease
	for _, w := range ws {
		for _, l := range w.leases {
			if !l.deadline.After(st.now) {
				over = append(over, l)
			}
		}
	}
	slices.SortFunc(over, func(a, b *lease) int { return cmp.Compare(a.id, b.id) })
	for _, l := range over {
		e := ending{outcome: OutcomeLost, cause: CauseWorker,
			text: fmt.Sprintf("the worker %s was not heard of for %s", l.worker.Name, st.now.Sub(l.worker.seen).Round(time.Second))}
		if l.stopping {
			e = ending{outcome: OutcomeCanceled, text: l.why}
		}
		st.end(l, e)
	}
}

// silent reports whether nothing was heard of the worker for too long. One that
// renders has its leases' deadlines.
func (st *state) silent(w *worker) bool {
	return w.Online && st.workers[w.ID] == w && len(w.leases) == 0 && st.now.Sub(w.seen) > st.silence(w)
}

// silence is how long the worker may be silent before it counts as offline.
func (st *state) silence(w *worker) time.Duration {
	if w.Silence > 0 {
		return w.Silence
	}
	return max(st.f.settings.WorkerTimeout, w.Lease)
}

// lookAtHours lets those workers take tasks, or take none any more, whose hours
// have begun or ended.
func (st *state) lookAtHours() {
	for _, w := range st.houred {
		if c := w.closed(st.now); w.Online && c != w.shut {
			w.shut = c
			st.stirred(w)
			st.renewed(w)
			st.queue.Touch() // others may have what it is not to take, or the other way round
		}
	}
}
