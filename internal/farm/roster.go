package farm

import (
	"container/list"
	"context"
	"slices"
)

// roster is who works for the farm, so that nobody has to look at all of them:
// by id, to be gone through in slices; by what they last changed; and how many
// are in each state.
type roster struct {
	ids    []int64
	news   list.List // *worker, whose change came last at the back
	change int64     // number of the last change
	states map[WorkerState]int
	looked int // workers gone through by the operation under way
}

// lender is an account that has workers.
type lender struct{ workers, leases int }

// number is how many it has, none when it is nil.
func (l *lender) number() int {
	if l == nil {
		return 0
	}
	return l.workers
}

// hold counts the leases of its workers. A worker that was removed while it
// rendered has no lender.
func (l *lender) hold(n int) {
	if l != nil {
		l.leases += n
	}
}

// enlisted is a worker's place on the roster.
type enlisted struct {
	lender  *lender
	told    *list.Element // in roster.news; nil: it is not on the roster
	change  int64         // number of its last change
	counted WorkerState   // as it is counted; "" while it is not on the roster
}

// maxLook is how many workers one turn of the dispatcher goes through for
// somebody who wants to know of all of them.
const maxLook = 1000

// enlist puts a worker onto the roster.
func (st *state) enlist(w *worker) {
	r := &st.roster
	if r.states == nil {
		r.states = make(map[WorkerState]int)
	}
	if at, ok := slices.BinarySearch(r.ids, w.ID); !ok {
		r.ids = slices.Insert(r.ids, at, w.ID)
	}
	w.counted = w.state()
	r.states[w.counted]++
	w.told = r.news.PushBack(w)
	if w.lender = st.lenders[w.User]; w.lender == nil {
		w.lender = &lender{}
		st.lenders[w.User] = w.lender
	}
	w.lender.workers++
	st.renewed(w)
}

// strike takes it off.
func (st *state) strike(w *worker) {
	r := &st.roster
	if at, ok := slices.BinarySearch(r.ids, w.ID); ok {
		r.ids = slices.Delete(r.ids, at, at+1)
	}
	r.states[w.counted]--
	w.counted = ""
	r.news.Remove(w.told)
	w.told = nil
	if w.lender.workers--; w.lender.workers == 0 {
		delete(st.lenders, w.User)
	}
	w.lender = nil
}

// renewed notes that the worker may now fit what it did not fit before.
func (st *state) renewed(w *worker) {
	if w.told == nil {
		return
	}
	st.roster.change++
	w.change = st.roster.change
	st.roster.news.MoveToBack(w.told)
}

// count keeps the number of workers in each state.
func (st *state) count(w *worker) {
	if s := w.state(); w.counted != "" && s != w.counted {
		st.roster.states[w.counted]--
		st.roster.states[s]++
		w.counted = s
	}
}

// online is how many workers are there.
func (r *roster) online() int { return len(r.ids) - r.states[WorkerOffline] }

// walked ends an operation.
func (st *state) walked() {
	if n := st.roster.looked; n > 0 {
		st.f.meter.walk(n)
		st.roster.looked = 0
	}
}

// beyond is the worker with the lowest id above one, nil after the last.
func (st *state) beyond(id int64) *worker {
	at, _ := slices.BinarySearch(st.roster.ids, id+1)
	if at == len(st.roster.ids) {
		return nil
	}
	st.roster.looked++
	return st.workers[st.roster.ids[at]]
}

// everybody goes through all workers by id.
func (st *state) everybody(yield func(*worker) bool) {
	for _, id := range st.roster.ids {
		st.roster.looked++
		if !yield(st.workers[id]) {
			return
		}
	}
}

// parade goes through all workers by id, some of them in each turn of the
// dispatcher, so that it is held up by none for long. Turn begins each turn and
// says how many to go through in it, 0 to end; look is given each of them; then,
// which may be nil, is called after each turn, outside of the dispatcher. A worker
// that joins or leaves meanwhile may be among them or not. Nothing that turn and
// look write may be read when it fails.
func (f *Farm) parade(ctx context.Context, turn func(*state) (int, error), look func(*state, *worker), then func()) error {
	for last, more := int64(0), true; more; {
		err := f.do(ctx, func(st *state) error {
			n, err := turn(st)
			if err != nil {
				return err
			}
			at, _ := slices.BinarySearch(st.roster.ids, last+1)
			rest := st.roster.ids[at:]
			more = 0 < n && n < len(rest)
			for _, id := range rest[:min(n, len(rest))] {
				st.roster.looked++
				look(st, st.workers[id])
				last = id
			}
			return nil
		})
		if err != nil {
			return err // the dispatcher may be at it still
		}
		if then != nil {
			then()
		}
	}
	return nil
}

// Names are the names of workers, of those that there are.
func (f *Farm) Names(ctx context.Context, ids []int64) (map[int64]string, error) {
	out := make(map[int64]string, len(ids))
	err := f.do(ctx, func(st *state) error {
		for _, id := range ids {
			if w := st.workers[id]; w != nil {
				out[id] = w.Name
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// Lends is how many leases the account's workers hold.
func (f *Farm) Lends(ctx context.Context, login string) (int, error) {
	n := 0
	err := f.do(ctx, func(st *state) error {
		if l := st.lenders[login]; l != nil {
			n = l.leases
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
