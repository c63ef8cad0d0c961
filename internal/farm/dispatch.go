package farm

import (
	"context"
	"errors"
	"time"
)

// maxBatch bounds one transaction. Larger batches gain nothing on any store and
// make the last of them wait.
const maxBatch = 512

// op is one request to the dispatcher.
type op struct {
	// apply changes the state or fails without having changed it. It runs in the
	// dispatcher's goroutine.
	apply func(*state) error
	err   error
	done  chan struct{} // closed once the batch is durable; nil when nobody waits
}

// do hands an operation to the dispatcher and waits until what it did is
// durable. Once handed over it is carried out even if ctx ends; ctx only ends
// the wait.
func (f *Farm) do(ctx context.Context, apply func(*state) error) error {
	o := &op{apply: apply, done: make(chan struct{})}
	if err := f.enqueue(o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue never blocks: a farm that cannot keep up says so instead of letting
// requests pile up in memory.
func (f *Farm) enqueue(o *op) error {
	select {
	case <-f.stopping:
		return errStopping()
	default:
	}
	if f.ops == nil {
		return Errorf(Unavailable, "this server is not the farm's writer; try again")
	}
	select {
	case f.ops <- o:
		return nil
	default:
		f.meter.sheds.Add(1)
		return Errorf(Unavailable, "the farm is overloaded; try again in a few seconds")
	}
}

func errStopping() *Error {
	return Errorf(Unavailable, "the farm is shutting down; try again in a few seconds")
}

// run is the dispatcher: it gathers what waits, applies it, matches claims,
// commits once and answers.
func (f *Farm) run(st *state) {
	defer close(f.stopped)
	scan := time.NewTicker(f.settings.Scan)
	defer scan.Stop()
	batch := make([]*op, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case <-scan.C: // first, so that requests cannot put it off for ever
			batch = append(batch, &op{apply: (*state).scan})
		default:
			select {
			case o := <-f.ops:
				batch = append(batch, o)
			case <-scan.C:
				batch = append(batch, &op{apply: (*state).scan})
			case <-f.stopping:
				f.drain(st)
				return
			}
		}
	gather:
		for len(batch) < maxBatch {
			select {
			case o := <-f.ops:
				batch = append(batch, o)
			default:
				break gather
			}
		}
		if st = f.process(st, batch); st == nil {
			return
		}
	}
}

// process applies one batch and makes it durable. After a failed commit it goes
// on from what the store holds; it returns nil when that is not to be had, the
// farm being stopped or replaced.
func (f *Farm) process(st *state, batch []*op) *state {
	st.now = f.clock()
	f.meter.batches.Add(1)
	f.meter.ops.Add(int64(len(batch)))
	for _, o := range batch {
		o.err = o.apply(st)
		st.walked()
	}
	st.match()
	st.walked()
	b := st.takeBatch()
	var err error
	if !b.Empty() {
		err = f.store.Commit(context.Background(), b)
	}
	if err != nil {
		return f.recover(st, batch, err)
	}
	st.settle(b)
	for _, o := range batch {
		if o.done != nil {
			close(o.done)
		}
	}
	return st
}

// recover answers a batch that was not written and loads the state anew, again
// and again until the store lets it.
func (f *Farm) recover(st *state, batch []*op, err error) *state {
	f.log.Error("commit failed", "err", err)
	e := &Error{Code: Unavailable, Message: "the farm could not write to its database; nothing was changed, try again", Err: err}
	if CodeOf(err) == Gone {
		e = &Error{Code: Unavailable, Message: "another server of this farm has taken over; try again", Err: err}
	}
	if CodeOf(err) == Full {
		e = &Error{Code: Full, Message: "the farm's disk is full; nothing was changed", Err: err}
	}
	f.failed.Store(e)
	for _, o := range batch {
		o.err = e
		if o.done != nil {
			close(o.done)
		}
	}
	st.abandon(e)
	if CodeOf(err) == Gone {
		f.stopOnce.Do(func() { close(f.stopping) })
		f.refuse(e)
		return nil
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		next, err := f.load(context.Background(), st.epoch)
		if err == nil {
			f.failed.Store(nil)
			next.lastLease = max(next.lastLease, st.lastLease) // of the same epoch, so they go on
			return next
		}
		f.log.Error("state cannot be loaded", "err", err)
		select {
		case <-f.stopping:
			f.refuse(e)
			return nil
		case <-time.After(pause):
		}
	}
}

// drain commits what was handed over before the stop and refuses the rest.
func (f *Farm) drain(st *state) {
	var batch []*op
	for len(batch) < cap(f.ops) {
		select {
		case o := <-f.ops:
			batch = append(batch, o)
			continue
		default:
		}
		break
	}
	batch = append(batch, &op{apply: func(st *state) error { st.writeHistories(0, len(st.unwritten)); return nil }})
	if st = f.process(st, batch); st != nil {
		st.abandon(errStopping())
	}
	f.refuse(errStopping())
}

// refuse answers what still arrives with err.
func (f *Farm) refuse(err *Error) {
	for {
		select {
		case o := <-f.ops:
			o.err = err
			if o.done != nil {
				close(o.done)
			}
		default:
			return
		}
	}
}

// Ready returns nil when the farm can write, and the reason when it cannot.
func (f *Farm) Ready() error {
	if e := f.failed.Load(); e != nil {
		return e
	}
	select {
	case <-f.stopping:
		return errStopping()
	default:
		return nil
	}
}

// isGone reports whether err says that a thing does not exist any more.
func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == NotFound
}
