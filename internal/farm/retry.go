package farm

import (
	"container/heap"
	"slices"
)

// retries are the touched tasks of a step that wait again, by index. Those that
// failed on a worker are looked through one by one: workers take them before
// anything new, so there are few. All others, which "retry" makes of the failed
// tasks of a whole job, may be a million: they are found by a heap, and their
// rows stay in the store.
type retries struct {
	all   map[int64]*retry
	tried map[int64]*retry // those of all that failed on a worker
	clean indices          // those that did not; some have left all meanwhile
}

// retry is what hand-out needs to know of a task that waits again.
type retry struct {
	tried []int64 // workers it failed on
	task  *Task   // nil: it is in the store
}

// untried stands for every task that no worker failed on.
var untried = &retry{}

func newRetries() retries { return retries{all: make(map[int64]*retry), tried: make(map[int64]*retry)} }

func (r *retries) len() int64 { return int64(len(r.all)) }

func (r *retries) has(index int64) bool { return r.all[index] != nil }

// put lets a task wait.
func (r *retries) put(t *Task) {
	r.drop(t.Index)
	if tried := t.tried(); len(tried) > 0 {
		e := &retry{tried: tried, task: t}
		r.all[t.Index], r.tried[t.Index] = e, e
		return
	}
	r.all[t.Index] = untried
	heap.Push(&r.clean, t.Index)
}

// drop takes a task out, if it is there.
func (r *retries) drop(index int64) {
	delete(r.all, index)
	delete(r.tried, index)
	if len(r.all) == 0 {
		r.clean = r.clean[:0]
	}
}

// first is the lowest index that no worker failed on, or -1.
func (r *retries) first() int64 {
	for len(r.clean) > 0 {
		if i := r.clean[0]; r.all[i] == untried {
			return i
		}
		heap.Pop(&r.clean)
	}
	return -1
}

// pickRetry finds the waiting touched task that the worker should try: the
// first it has not failed on, else one that nobody else could try.
func (st *state) pickRetry(s *step, worker int64) (int64, bool) {
	best, second := s.retry.first(), int64(-1)
	for i, r := range s.retry.tried {
		switch {
		case !slices.Contains(r.tried, worker):
			if best < 0 || i < best {
				best = i
			}
		case best < 0 && (second < 0 || i < second):
			if !st.untriedFit(s, r.tried) {
				second = i
			}
		}
	}
	if best >= 0 {
		return best, true
	}
	return second, second >= 0
}

// indices is a heap of indices.
type indices []int64

func (h indices) Len() int           { return len(h) }
func (h indices) Less(i, j int) bool { return h[i] < h[j] }
func (h indices) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indices) Push(v any)        { *h = append(*h, v.(int64)) }
func (h *indices) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	*h = (*h)[:last]
	return v
}
