package farm

import (
	"context"
	"slices"
	"time"
)

// Pulse is a sign of life of a worker, with how far each of its tasks is. It
// renews the leases that it names.
type Pulse struct {
	By     Principal
	Worker int64
	Leases []Progress
	// Wait is how long the answer may be held back while there is nothing to
	// stop; so a cancel reaches the worker at once without a connection of its
	// own.
	Wait time.Duration
	// Vitals are how the machine fares; nil when it does not tell.
	Vitals *Vitals
}

// Progress is how far a task is.
type Progress struct {
	Lease   int64
	Percent float64 // 0..100
	Message string
	Memory  int64 // bytes now or at peak
}

// PulseReply is the answer to a Pulse.
type PulseReply struct {
	// Stop are leases to stop, with the reason: canceled, done by another, or no
	// longer this worker's.
	Stop map[int64]string
	// Period is how long the leases last from now.
	Period time.Duration
}

// beat is a pulse whose answer is held back.
type beat struct {
	reply  *PulseReply
	err    error
	done   chan struct{}
	closed bool
}

func (b *beat) answer(r *PulseReply, err error) {
	if !b.closed {
		b.closed, b.reply, b.err = true, r, err
		close(b.done)
	}
}

// grace is how long a lease may be missing in its worker's pulses before it
// counts as never received: the answer to the claim may have been lost.
const grace = 15 * time.Second

// Heartbeat renews the leases that p names. Leases of the worker that it does
// not name, and that are not quite new, go back to the queue.
func (f *Farm) Heartbeat(ctx context.Context, p Pulse) (*PulseReply, error) {
	b := &beat{done: make(chan struct{})}
	var w *worker
	err := f.do(ctx, func(st *state) error {
		var err error
		if w, err = st.claimant(p.By, p.Worker); err != nil {
			return err
		}
		st.renew(w, p.Leases)
		if p.Vitals != nil {
			w.vitals = p.Vitals
		}
		if old := w.beat; old != nil {
			w.beat = nil
			st.reply(w, old)
		}
		if p.Wait <= 0 || len(st.stops(w, p.Leases)) > 0 {
			b.answer(&PulseReply{Stop: st.stops(w, p.Leases), Period: st.period(w)}, nil)
			return nil
		}
		w.beat = b
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.Wait <= 0 {
		<-b.done // answered with the batch
		return b.reply, b.err
	}
	t := time.NewTimer(p.Wait)
	defer t.Stop()
	select {
	case <-b.done:
		return b.reply, b.err
	case <-t.C:
	case <-ctx.Done():
	}
	if err := f.do(context.WithoutCancel(ctx), func(st *state) error {
		if w.beat == b {
			w.beat = nil
		}
		st.alive(w)
		st.reply(w, b)
		return nil
	}); err != nil {
		return nil, err
	}
	return b.reply, b.err
}

// renew notes progress and moves deadlines on.
func (st *state) renew(w *worker, ps []Progress) {
	for _, p := range ps {
		l := w.leases[p.Lease]
		if l == nil {
			continue
		}
		st.extend(l)
		l.message = clip(p.Message, 500)
		if p.Percent >= 0 && p.Percent <= 100 { // nonsense, NaN too, changes nothing
			l.progress = p.Percent
		}
		if p.Memory > l.memory {
			l.memory = p.Memory
		}
	}
	for _, l := range w.held() {
		if st.now.Sub(l.started) > grace && !slices.ContainsFunc(ps, func(p Progress) bool { return p.Lease == l.id }) {
			st.end(l, ending{outcome: OutcomeReturned, text: "the worker does not have it"})
		}
	}
}

// extend gives a lease a full period from now.
func (st *state) extend(l *lease) {
	l.deadline = st.now.Add(st.period(l.worker))
	st.watch(l.worker, l.deadline)
}

// stops are the leases that the worker should stop: those it was told to, and
// those it names that are not its own any more.
func (st *state) stops(w *worker, ps []Progress) map[int64]string {
	out := make(map[int64]string)
	for _, p := range ps {
		if l := w.leases[p.Lease]; l == nil {
			out[p.Lease] = "the lease has ended"
		} else if l.stopping {
			out[p.Lease] = l.why
		}
	}
	return out
}

// reply answers a held pulse.
func (st *state) reply(w *worker, b *beat) {
	out := make(map[int64]string)
	for _, id := range w.stop {
		if l := w.leases[id]; l != nil {
			out[id] = l.why
		}
	}
	w.stop = w.stop[:0]
	if w.beat == b {
		w.beat = nil
	}
	b.answer(&PulseReply{Stop: out, Period: st.period(w)}, nil)
}
