package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// rig is a simulated worker: it registers, claims, renders for a while, renews
// and answers; and it vanishes, forgets, lies and repeats itself.
type rig struct {
	s     *sim
	i     int
	class *class
	dice  dice
	names int // how many machines have stood in its place
	key   string
	id    int64 // 0: not registered
	life  uint32
	held  []*held
	asks  bool // a claim is on its way
	keys  int
	warm  int64
}

// held is a lease that the rig works on.
type held struct {
	lease  int64
	task   farm.TaskKey
	frames int64
	took   time.Duration
	silent bool // not named in heartbeats any more
	tries  int
}

func (r *rig) by() farm.Principal   { return lenders[r.i%len(lenders)] }
func (r *rig) soon() time.Duration  { return r.dice.between(0, 50*time.Millisecond) }
func (r *rig) later() time.Duration { return r.dice.between(500*time.Millisecond, 4*time.Second) }

// rename makes another machine of it, which nobody knows.
func (r *rig) rename() {
	r.names++
	r.key = fmt.Sprintf("machine-%d-%d", r.i, r.names)
	r.id, r.held = 0, nil
}

// join registers the rig; holds are leases that it keeps.
func (r *rig) join(holds []int64) {
	reg := farm.Registration{By: r.by(), Key: r.key, Name: r.key, Door: r.class.door, Machine: r.class.machine(r.key), Slots: r.class.slots, Holds: holds}
	if r.dice.hit(200) {
		reg.Rules.Owners = []string{owners[r.dice.IntN(len(owners))].Login}
	}
	if r.i >= 2*len(classes) && r.i%7 == 0 { // the first ones are there at all hours
		reg.Rules.Hours = hours[r.i%len(hours)]
	}
	life := r.life
	send(r.s, r.dice, 0, func(ctx context.Context, f *farm.Farm) (*farm.Worker, error) { return f.Register(ctx, reg) },
		func(w *farm.Worker, err error) { r.s.check.registered(w, err) },
		func(w *farm.Worker, err error) {
			switch {
			case r.life != life:
			case err != nil:
				r.s.at(r.later(), r, func() { r.join(holds) })
			default:
				r.joined(w, holds)
			}
		})
}

func (r *rig) joined(w *farm.Worker, holds []int64) {
	r.id = w.ID
	if !slices.Equal(w.Tags, r.class.tags) && r.class.tags != nil {
		r.s.changeWorker(r.dice, w.ID, farm.WorkerChange{Tags: &r.class.tags})
	}
	r.held = slices.DeleteFunc(r.held, func(h *held) bool { return !slices.Contains(holds, h.lease) })
	r.s.at(r.soon(), r, r.ask)
	r.s.at(r.dice.between(0, r.beatEvery()), r, r.beat)
}

// rejoin is what a rig does that the farm does not know any more.
func (r *rig) rejoin() {
	r.life++
	r.id, r.asks, r.held = 0, false, nil
	r.s.at(r.later(), r, func() { r.join(nil) })
}

// ask claims a task when there is a slot for it.
func (r *rig) ask() {
	if r.id == 0 || r.asks || len(r.held) >= r.class.slots {
		return
	}
	r.keys++
	r.asks = true
	r.claim(fmt.Sprint(r.key, "-", r.keys))
}

func (r *rig) claim(key string) {
	life, id := r.life, r.id
	req := farm.ClaimRequest{By: r.by(), Worker: id, Key: key, Warm: r.warm, Wait: r.s.patience(r.dice.between(2*time.Second, r.s.cfg.Patience))}
	r.s.warm[id] = r.warm
	send(r.s, r.dice, id, func(ctx context.Context, f *farm.Farm) (*farm.Lease, error) { return f.Claim(ctx, req) },
		func(l *farm.Lease, err error) { r.s.check.leased(id, l, err) },
		func(l *farm.Lease, err error) {
			if r.life != life {
				return
			}
			switch {
			case farm.CodeOf(err) == farm.Gone:
				r.rejoin()
			case err != nil: // with the same key: it may have got a lease
				r.s.at(r.later(), r, func() { r.claim(key) })
			default:
				r.asks = false
				r.take(l)
			}
		})
}

// take begins to render.
func (r *rig) take(l *farm.Lease) {
	r.s.at(r.soon(), r, r.ask)
	if l == nil || slices.ContainsFunc(r.held, func(h *held) bool { return h.lease == l.ID }) {
		return
	}
	h := &held{lease: l.ID, task: l.Task, frames: framesOf(l).count()}
	r.held = append(r.held, h)
	r.warm = l.Task.Job
	r.s.at(r.renders(h), r, func() { r.rendered(h) })
}

func (r *rig) renders(h *held) time.Duration {
	d := time.Duration(max(h.frames, 1)) * r.dice.about(r.s.cfg.Frame)
	if r.dice.hit(r.s.faults.Slow) {
		d *= 10
	}
	h.took = d
	return d
}

func (r *rig) has(h *held) bool { return slices.Contains(r.held, h) }

func (r *rig) drop(h *held) {
	r.held = slices.DeleteFunc(r.held, func(o *held) bool { return o == h })
	r.s.at(r.soon(), r, r.ask)
}

// rendered is the end of a frame, such as it is.
func (r *rig) rendered(h *held) {
	s, f := r.s, r.s.faults
	if !r.has(h) {
		return
	}
	if r.dice.hit(f.Lie) {
		r.lie(h)
	}
	switch {
	case r.dice.hit(f.Vanish):
		r.vanish()
	case r.dice.hit(f.Forget):
		h.silent = true
		s.at(30*time.Second, r, func() { r.drop(h) })
	case r.dice.hit(f.Overdue):
		h.silent = true
		s.at(r.dice.about(s.farm.Settings().Lease+20*time.Second), r, func() { r.answer(h, nil) })
	case r.dice.hit(f.Fail):
		cause := []farm.Cause{farm.CauseJob, farm.CauseJob, farm.CauseWorker, farm.CauseNone}[r.dice.IntN(4)]
		r.answer(h, &farm.Failure{Cause: cause, Text: "it broke"})
	default:
		r.answer(h, nil)
	}
}

// report is the sending of a result, true or not.
func (r *rig) report(res farm.Result, fail *farm.Failure, then func(*farm.Verdict, error)) {
	send(r.s, r.dice, 0, func(ctx context.Context, f *farm.Farm) (*farm.Verdict, error) {
		if fail != nil {
			return f.Fail(ctx, res, *fail)
		}
		return f.Complete(ctx, res)
	}, func(v *farm.Verdict, err error) { r.s.check.judged(&res, fail, v, err) }, then)
}

// answer sends a result, again and again until it is acknowledged.
func (r *rig) answer(h *held, fail *farm.Failure) {
	s, life := r.s, r.life
	if !r.has(h) {
		return
	}
	res := farm.Result{By: r.by(), Worker: r.id, Lease: h.lease, Task: h.task, Seconds: h.took.Seconds() * (0.8 + r.dice.Float64()/5), Memory: 1 << 30}
	again := res
	if !r.asks && r.dice.hit(7000) {
		r.keys++
		res.Next = &farm.ClaimRequest{By: r.by(), Worker: r.id, Key: fmt.Sprint(r.key, "-", r.keys), Warm: h.task.Job}
	}
	r.report(res, fail, func(v *farm.Verdict, err error) {
		if r.life != life || !r.has(h) {
			return
		}
		switch code := farm.CodeOf(err); {
		case code == farm.Gone && s.check.workers[r.id] == nil:
			r.rejoin()
		case code == farm.Gone || h.tries > 20:
			r.drop(h)
		case err != nil && v == nil:
			h.tries++
			s.at(r.later(), r, func() { r.answer(h, fail) })
		default:
			if r.dice.hit(s.faults.Again) {
				s.at(r.dice.about(time.Minute), nil, func() { r.report(again, fail, func(*farm.Verdict, error) {}) })
			}
			r.held = slices.DeleteFunc(r.held, func(o *held) bool { return o == h })
			r.take(v.Next)
		}
	})
}

// vanish ends the rig's life for a while or for good.
func (r *rig) vanish() {
	s := r.s
	r.life++
	r.asks = false
	if r.dice.hit(3000) && r.id != 0 {
		by, id := r.by(), r.id
		send(s, r.dice, 0, func(ctx context.Context, f *farm.Farm) (bool, error) { return true, f.SignOff(ctx, by, id) }, unjudged, forget[bool])
	}
	away := r.dice.between(time.Second, 3*s.farm.Settings().Lease)
	switch r.dice.IntN(4) {
	case 0: // for good; another machine takes its place
		r.rename()
		s.at(away, r, func() { r.join(nil) })
	case 1: // it comes back with nothing in its hands
		s.at(away, r, func() { r.join(nil) })
	case 2: // it comes back, registers, and has kept its work
		s.at(away, r, func() { r.resume(); r.join(r.leases()) })
	default: // it was only cut off, and goes on as if nothing had been
		s.at(away, r, func() { r.resume(); r.beat(); r.ask() })
	}
}

func (r *rig) resume() {
	for _, h := range r.held {
		r.s.at(r.renders(h), r, func() { r.rendered(h) })
	}
}

func (r *rig) leases() (ids []int64) {
	for _, h := range r.held {
		ids = append(ids, h.lease)
	}
	return ids
}

func (r *rig) beatEvery() time.Duration { return r.s.farm.Settings().Lease / 3 }

// beat renews the leases, and now and then lets the answer be held back.
func (r *rig) beat() {
	s, life := r.s, r.life
	if r.id == 0 {
		return
	}
	p := farm.Pulse{By: r.by(), Worker: r.id}
	for _, h := range r.held {
		if !h.silent {
			p.Leases = append(p.Leases, farm.Progress{Lease: h.lease, Percent: r.dice.Float64() * 100, Message: "Sample", Memory: 1 << 20})
		}
	}
	if r.dice.hit(1000) {
		p.Wait = s.patience(r.dice.between(time.Second, 10*time.Second))
	}
	s.at(r.dice.between(r.beatEvery()/2, r.beatEvery()), r, r.beat)
	b := &beat{check: s.check, pulse: p}
	send(s, r.dice, 0, b.send, b.judge,
		func(a *farm.PulseReply, err error) {
			switch {
			case r.life != life:
			case farm.CodeOf(err) == farm.Gone:
				r.rejoin()
			case err == nil:
				r.stopped(a)
			}
		})
}

// stopped obeys the farm's orders to stop, mostly.
func (r *rig) stopped(a *farm.PulseReply) {
	for _, id := range slices.Sorted(maps.Keys(a.Stop)) {
		at := slices.IndexFunc(r.held, func(h *held) bool { return h.lease == id })
		if at < 0 {
			continue
		}
		switch h := r.held[at]; r.dice.IntN(4) {
		case 0: // it lets go without a word
			r.drop(h)
		case 1: // it renders on
		default:
			r.s.at(r.soon(), r, func() { r.answer(h, &farm.Failure{Cause: farm.CauseNone, Text: "stopped"}) })
		}
	}
}
