package sim

import (
	"context"
	"math"

	"drover.farm/internal/farm"
)

func forget[T any](T, error) {}
func unjudged(bool, error)   {}

// lie sends what is not true before the result of a frame: another's lease or
// task, a lease that never was, a time that cannot be, another's heartbeat.
func (r *rig) lie(h *held) {
	s := r.s
	other := s.rigs[r.dice.IntN(len(s.rigs))]
	res := farm.Result{By: r.by(), Worker: r.id, Lease: h.lease, Task: h.task, Seconds: 5}
	quiet := func(*farm.Verdict, error) {}
	switch r.dice.IntN(7) {
	case 0: // the result is another task's
		res.Task.Index++
	case 1: // a lease that never was
		res.Lease += 1 << 40
	case 2: // another's lease
		if len(other.held) > 0 && other != r {
			res.Lease, res.Task = other.held[0].lease, other.held[0].task
		}
	case 3: // in another's name
		res.Worker = other.id
	case 4: // its own, with a time that cannot be
		res.Seconds, res.Memory, res.Exit = []float64{math.NaN(), math.Inf(1), -1e300, 1e300}[r.dice.IntN(4)], -1, -1
		quiet = func(v *farm.Verdict, err error) {
			if err == nil {
				r.drop(h)
			}
		}
	case 5: // a heartbeat that names others' leases
		p := farm.Pulse{By: r.by(), Worker: r.id, Leases: []farm.Progress{{Lease: h.lease, Percent: math.NaN(), Memory: -1}}}
		for _, o := range r.held {
			p.Leases = append(p.Leases, farm.Progress{Lease: o.lease})
		}
		if len(other.held) > 0 {
			p.Leases = append(p.Leases, farm.Progress{Lease: other.held[0].lease})
		}
		b := &beat{check: s.check, pulse: p}
		send(s, r.dice, 0, b.send, b.judge, forget)
		return
	case 6: // another's lease is given back
		if len(other.held) > 0 && other != r {
			by, id, lease := r.by(), r.id, other.held[0].lease
			send(s, r.dice, 0, func(ctx context.Context, f *farm.Farm) (bool, error) {
				return true, f.Return(ctx, by, id, []int64{lease}, "it is not mine")
			}, unjudged, forget)
		}
		return
	}
	r.report(res, nil, quiet)
}
