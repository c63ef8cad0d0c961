package flamenco

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"drover.farm/internal/farm"
)

// work is what a worker is at: one or more leases of one step, which it carries
// out with one command. Fields but those named are guarded by Door.mu.
type work struct {
	id     int64 // by which the worker knows it
	m      *member
	job    *farm.Job
	leases []*farm.Lease // by frame
	frames []int64       // beside them; of a task without frames, zeros
	post   *post         // nil: the job came another way

	now    activity
	tail   string // the end of its log
	logged int64  // bytes of its log that are in the farm's live log
	idle   int    // looks in a row at which the worker was not at it
	words  int    // of it that are on their way
	killed bool
	over   bool          // its end is being told to the farm, or was
	done   chan struct{} // closed then
	end    sync.Once
}

// take makes the leases the worker's work. A posted task keeps the id that it was
// posted with at its first try; a later one gets an id of its own, so that a late
// word on the first is not taken for it. The id can be worked out again from what
// the farm stores.
func (d *Door) take(m *member, leases []*farm.Lease) *work {
	w := &work{m: m, job: leases[0].Job, leases: leases, done: make(chan struct{})}
	slices.SortFunc(w.leases, func(a, b *farm.Lease) int {
		return cmp.Or(cmp.Compare(frameOf(a), frameOf(b)), cmp.Compare(a.ID, b.ID))
	})
	first, again := leases[0].ID, false
	for _, l := range w.leases {
		w.frames = append(w.frames, frameOf(l))
		first, again = min(first, l.ID), again || l.Attempt > 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.post = d.posts[w.job.ID]
	w.id = firstForeign + m.id*1000 + first%1000
	if w.post != nil && !again {
		w.id = w.post.ID
	}
	d.work[w.id], m.work, m.timeCost, m.anew = w, w, nil, false
	return w
}

// frameOf is the frame of a lease.
func frameOf(l *farm.Lease) int64 {
	for _, p := range l.Parameters {
		if p.Name == "Frame" {
			n, _ := strconv.ParseInt(p.Value, 10, 64) // an INT of the template
			return n
		}
	}
	return 0
}

// at is the work that a worker knows by the id, nil when there is none.
func (d *Door) at(id int64) *work {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.work[id]; w != nil && !w.over {
		return w
	}
	return nil
}

// current is what the worker is at.
func (d *Door) current(m *member) *work {
	d.mu.Lock()
	defer d.mu.Unlock()
	return m.work
}

// claimEnd takes the right to tell the farm of the work's end; one gets it.
func (d *Door) claimEnd(w *work) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	mine := !w.over
	w.over = true
	return mine
}

// release ends the work here, however it ended in the farm.
func (d *Door) release(w *work) {
	d.mu.Lock()
	w.over = true
	if d.work[w.id] == w {
		delete(d.work, w.id)
	}
	if w.m.work == w {
		w.m.work, w.m.timeCost = nil, nil
	}
	d.mu.Unlock()
	w.end.Do(func() { close(w.done) })
	w.m.rouse()
}

// giveBack returns the work untried.
func (d *Door) giveBack(w *work, why string) {
	if !d.claimEnd(w) {
		return
	}
	d.returnLeases(w, w.leases, why)
	d.release(w)
}

func ids(leases []*farm.Lease) []int64 {
	out := make([]int64, len(leases))
	for i, l := range leases {
		out[i] = l.ID
	}
	return out
}

// progress is how far each lease of the work is. The caller holds d.mu.
func (w *work) progress() []farm.Progress {
	ps := make([]farm.Progress, len(w.leases))
	for i, l := range w.leases {
		ps[i] = farm.Progress{Lease: l.ID, Memory: w.now.Memory, Message: "waits for its turn in this run of frames"}
		switch f := w.frames[i]; {
		case w.now.saved[f]:
			ps[i].Percent, ps[i].Message = 100, "written"
		case w.now.Frame != nil && *w.now.Frame == f, len(w.leases) == 1:
			ps[i].Percent, ps[i].Message = w.now.Percent, w.now.message()
		}
	}
	return ps
}

// text is for logs.
func (w *work) String() string { return fmt.Sprintf("work %d of job %d", w.id, w.job.ID) }
