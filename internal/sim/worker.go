package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// worker is a simulated worker: it registers, claims, renders for a while,
// renews, answers; and vanishes, forgets, lies and repeats itself.
type worker struct {
	s     *sim
	i     int
	class *class
	dice  *dice
	open  bool // waits for work in open claims
	names int  // how many machines have stood in its place
	key   string
	id    int64  // 0: not registered
	life  uint32 // changes when it vanishes: what it meant to do is off then
	held  []*held
	asks  bool // a claim is on its way
	keys  int
	warm  int64
	claim *call // that waits
}

// held is a lease that the worker works on.
type held struct {
	lease  int64
	task   farm.TaskKey
	silent bool // not named in heartbeats any more
	tries  int
}

func (w *worker) by() farm.Principal { return rigs[w.i%len(rigs)] }

// rename makes another machine of it, which nobody knows.
func (w *worker) rename() {
	w.names++
	w.key = fmt.Sprintf("machine-%d-%d", w.i, w.names)
	w.id, w.held = 0, nil
}

// soon is the time that a worker takes to react.
func (w *worker) soon() time.Duration { return w.dice.between(time.Millisecond, 50*time.Millisecond) }

func (w *worker) later() time.Duration { return w.dice.between(500*time.Millisecond, 4*time.Second) }

// join registers the worker; holds are leases that it keeps.
func (w *worker) join(holds []int64) {
	s := w.s
	reg := farm.Registration{By: w.by(), Key: w.key, Name: w.key, Door: w.class.door, Machine: w.class.machine(w.key), Slots: w.class.slots, Holds: holds}
	if w.dice.hit(200) {
		reg.Rules.Owners = []string{owners[w.dice.IntN(len(owners))].Login}
	}
	if w.dice.hit(100) {
		reg.Rules.Hours = "06:00-22:00"
	}
	life := w.life
	s.send(w.dice, &call{name: "register", who: w, key: int64(w.i),
		do:    func(ctx context.Context, f *farm.Farm) (any, error) { return f.Register(ctx, reg) },
		check: func(c *call) { s.checkRegistered(c, &reg) },
		done: func(res any, err error) {
			switch {
			case w.life != life:
			case err != nil:
				s.at(w.later(), w, func() { w.join(holds) })
			default:
				w.joined(res.(*farm.Worker), holds)
			}
		}})
}

func (w *worker) joined(row *farm.Worker, holds []int64) {
	w.id = row.ID
	if !slices.Equal(row.Tags, w.class.tags) && !w.dice.hit(1000) { // its owner says what it is for
		w.s.at(w.soon(), w, func() { w.s.changeWorker(w.dice, row.ID, farm.WorkerChange{Tags: &w.class.tags}) })
	}
	w.held = slices.DeleteFunc(w.held, func(h *held) bool { return !slices.Contains(holds, h.lease) })
	w.s.at(w.soon(), w, w.ask)
	w.s.at(w.dice.between(0, w.beatEvery()), w, w.beat)
}

// rejoin is what a worker does that the farm does not know any more.
func (w *worker) rejoin() {
	w.life++
	w.hangUp()
	w.id, w.asks, w.held = 0, false, nil
	w.s.at(w.later(), w, func() { w.join(nil) })
}

// ask claims a task when there is a slot for it.
func (w *worker) ask() {
	if w.id == 0 || w.asks || len(w.held) >= w.class.slots {
		return
	}
	w.keys++
	w.asks = true
	w.claimWith(fmt.Sprint(w.key, "-", w.keys))
}

func (w *worker) claimWith(key string) {
	s, life := w.s, w.life
	req := farm.ClaimRequest{By: w.by(), Worker: w.id, Key: key, Warm: w.warm}
	c := &call{name: "claim", who: w, key: w.id}
	if w.open {
		req.Wait = s.waitSlot(w.dice.between(2*time.Second, 90*time.Second))
		c.wait, c.open = true, w.id
		w.claim = c
	}
	c.do = func(ctx context.Context, f *farm.Farm) (any, error) { return f.Claim(ctx, req) }
	c.check = func(c *call) { s.checkClaim(c, req.Worker) }
	c.done = func(res any, err error) {
		if w.claim == c {
			w.claim = nil
		}
		if w.life != life {
			return
		}
		l, _ := res.(*farm.Lease)
		switch {
		case farm.CodeOf(err) == farm.Gone:
			w.rejoin()
		case err != nil: // the same key: it may have got a lease
			s.at(w.later(), w, func() { w.claimWith(key) })
		case l == nil:
			w.asks = false
			s.at(w.pause(), w, w.ask)
		default:
			w.asks = false
			w.take(l)
		}
	}
	s.send(w.dice, c)
}

func (w *worker) pause() time.Duration {
	if w.open {
		return w.soon()
	}
	return w.dice.between(2*time.Second, 15*time.Second)
}

// hangUp breaks off the open claim; now and then nobody notices.
func (w *worker) hangUp() {
	if c := w.claim; c != nil && c.cancel != nil && !w.dice.hit(3000) {
		c.cancel()
	}
	w.claim = nil
}

// take begins to render.
func (w *worker) take(l *farm.Lease) {
	if slices.ContainsFunc(w.held, func(h *held) bool { return h.lease == l.ID }) {
		return
	}
	h := &held{lease: l.ID, task: l.Task}
	w.held = append(w.held, h)
	w.warm = l.Task.Job
	d := w.dice.about(w.s.cfg.Frame)
	if w.dice.hit(w.s.faults.Slow) {
		d *= 10
	}
	w.s.at(d, w, func() { w.rendered(h) })
	w.s.at(w.soon(), w, w.ask)
}

func (w *worker) holds(h *held) bool { return slices.Contains(w.held, h) }

func (w *worker) drop(h *held) {
	w.held = slices.DeleteFunc(w.held, func(o *held) bool { return o == h })
	w.s.at(w.soon(), w, w.ask)
}

// rendered is the end of a frame, such as it is.
func (w *worker) rendered(h *held) {
	s, f := w.s, w.s.faults
	if !w.holds(h) {
		return
	}
	if w.dice.hit(f.Lie) {
		w.lie(h)
	}
	switch {
	case w.dice.hit(f.Vanish):
		w.vanish()
	case w.dice.hit(f.Forget):
		h.silent = true
		s.at(30*time.Second, w, func() { w.drop(h) })
	case w.dice.hit(f.Overdue):
		h.silent = true
		s.at(w.dice.about(s.model.set.Lease+20*time.Second), w, func() { w.answer(h, nil) })
	case w.dice.hit(f.Fail):
		cause := []farm.Cause{farm.CauseJob, farm.CauseJob, farm.CauseWorker, farm.CauseNone}[w.dice.IntN(4)]
		w.answer(h, &farm.Failure{Cause: cause, Text: "it broke"})
	default:
		w.answer(h, nil)
	}
}

// answer sends a result, again and again until it is acknowledged.
func (w *worker) answer(h *held, fail *farm.Failure) {
	s, life := w.s, w.life
	if !w.holds(h) {
		return
	}
	r := farm.Result{By: w.by(), Worker: w.id, Lease: h.lease, Task: h.task, Seconds: 1 + w.dice.Float64()*10, Memory: 1 << 30}
	if w.dice.hit(6000) && !w.asks {
		w.keys++
		r.Next = &farm.ClaimRequest{By: w.by(), Worker: w.id, Key: fmt.Sprint(w.key, "-", w.keys), Warm: h.task.Job}
	}
	c := &call{name: "result", who: w, key: h.lease}
	c.before = func(c *call) { c.due = fail == nil && s.due(h, r.Worker) }
	c.do = func(ctx context.Context, f *farm.Farm) (any, error) {
		if fail != nil {
			return f.Fail(ctx, r, *fail)
		}
		return f.Complete(ctx, r)
	}
	c.check = func(c *call) { s.checkVerdict(c, &r, fail) }
	c.done = func(res any, err error) {
		if w.life != life || !w.holds(h) {
			return
		}
		switch code := farm.CodeOf(err); {
		case code == farm.Gone && s.model.workers[w.id] == nil:
			w.rejoin()
		case code == farm.Gone || h.tries > 20:
			w.drop(h)
		case err != nil:
			h.tries++
			s.at(w.later(), w, func() { w.answer(h, fail) })
		default:
			w.held = slices.DeleteFunc(w.held, func(o *held) bool { return o == h })
			if next := res.(*farm.Verdict).Next; next != nil {
				w.take(next)
				return
			}
			s.at(w.soon(), w, w.ask)
		}
	}
	s.send(w.dice, c)
}

// vanish ends the worker's life for a while or for ever.
func (w *worker) vanish() {
	s := w.s
	s.log.note("vanish", int64(w.i))
	w.life++
	w.hangUp()
	w.asks = false
	if w.dice.hit(1500) {
		w.signOff()
	}
	away := w.dice.between(time.Second, 3*s.model.set.Lease)
	switch w.dice.IntN(4) {
	case 0: // for ever; another machine takes its place
		w.rename()
		s.at(away, w, func() { w.join(nil) })
	case 1: // it comes back with nothing in its hands
		s.at(away, w, func() { w.join(nil) })
	case 2: // it comes back, registers, and has kept its work
		s.at(away, w, func() {
			w.resume()
			w.join(w.leases())
		})
	default: // it was only cut off, and goes on as if nothing had been
		s.at(away, w, func() {
			w.resume()
			w.beat()
			w.ask()
		})
	}
}

// signOff says good-bye.
func (w *worker) signOff() {
	s, id := w.s, w.id
	s.send(w.dice, &call{name: "sign off", who: w, key: id,
		do: func(ctx context.Context, f *farm.Farm) (any, error) { return nil, f.SignOff(ctx, w.by(), id) },
		check: func(c *call) {
			if row := s.model.workers[id]; s.fresh(c) && c.err == nil && (row == nil || row.row.Online || len(row.leases) > 0) {
				s.model.breach("worker %d has signed off and is there", id)
			}
		},
		done: func(any, error) {}})
}

func (w *worker) resume() {
	for _, h := range w.held {
		w.s.at(w.dice.about(w.s.cfg.Frame/2), w, func() { w.rendered(h) })
	}
}

func (w *worker) leases() (ids []int64) {
	for _, h := range w.held {
		ids = append(ids, h.lease)
	}
	return ids
}

func (w *worker) beatEvery() time.Duration { return w.s.model.set.Lease / 3 }

// beat renews the leases.
func (w *worker) beat() {
	s, life := w.s, w.life
	if w.id == 0 {
		return
	}
	p := farm.Pulse{By: w.by(), Worker: w.id}
	for _, h := range w.held {
		if !h.silent {
			p.Leases = append(p.Leases, farm.Progress{Lease: h.lease, Percent: w.dice.Float64() * 100, Message: "Sample", Memory: 1 << 20})
		}
	}
	c := &call{name: "beat", who: w, key: w.id}
	if w.open && w.dice.hit(1000) {
		p.Wait, c.wait = s.waitSlot(w.dice.between(time.Second, 10*time.Second)), true
	}
	c.before = func(c *call) { s.renewed(c, &p) }
	c.do = func(ctx context.Context, f *farm.Farm) (any, error) { return f.Heartbeat(ctx, p) }
	c.check = func(c *call) { s.checkBeat(c, &p) }
	c.done = func(res any, err error) {
		if w.life != life {
			return
		}
		if farm.CodeOf(err) == farm.Gone {
			w.rejoin()
			return
		}
		if err == nil {
			w.stopped(res.(*farm.PulseReply))
		}
	}
	s.at(w.dice.between(w.beatEvery()/2, w.beatEvery()), w, w.beat)
	s.send(w.dice, c)
}

// stopped obeys the farm's stop orders, mostly.
func (w *worker) stopped(r *farm.PulseReply) {
	for _, id := range slices.Sorted(maps.Keys(r.Stop)) {
		at := slices.IndexFunc(w.held, func(h *held) bool { return h.lease == id })
		if at < 0 {
			continue
		}
		switch h := w.held[at]; w.dice.IntN(4) {
		case 0: // it lets go without a word
			w.drop(h)
		case 1: // it renders on
		default:
			w.s.at(w.soon(), w, func() { w.answer(h, &farm.Failure{Cause: farm.CauseNone, Text: "stopped"}) })
		}
	}
}
