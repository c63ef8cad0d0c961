package sim

import (
	"context"
	"math"

	"drover.farm/internal/farm"
)

// lie sends the farm something that is not so. What it may do no lie can: it is
// checked by the model like everything else, and no false result may count.
func (w *worker) lie(h *held) {
	s, d := w.s, w.dice
	r := farm.Result{By: w.by(), Worker: w.id, Lease: h.lease, Task: h.task, Seconds: 1}
	other := s.workers[d.IntN(len(s.workers))]
	switch d.IntN(9) {
	case 0: // a lease that there is not
		r.Lease = d.Int64N(1 << 40)
	case 1: // somebody else's lease
		if len(other.held) == 0 || other == w {
			return
		}
		r.Lease, r.Task = other.held[0].lease, other.held[0].task
	case 2: // in somebody else's name
		if other.id == 0 || other == w || len(other.held) == 0 {
			return
		}
		r.Worker, r.Lease, r.Task = other.id, other.held[0].lease, other.held[0].task
		if other.by().Login == w.by().Login {
			r.By = farm.Principal{Login: "stranger", Roles: r.By.Roles}
		}
	case 3: // another task than the lease is of
		r.Task.Index++
	case 4: // another job
		r.Task.Job = farm.FirstJob + d.Int64N(50)
		if r.Task.Job == h.task.Job {
			return
		}
	case 5:
		r.Task.Step = []int{-1, 1 << 40, math.MinInt}[d.IntN(3)]
	case 6:
		r.Task.Index = []int64{-1, math.MaxInt64, math.MinInt64}[d.IntN(3)]
		r.Lease = d.Int64N(1 << 40)
	case 7:
		w.boast(h)
		return
	default:
		w.giveBack(other)
		return
	}
	s.send(d, &call{name: "lie", who: w, key: w.id,
		do: func(ctx context.Context, f *farm.Farm) (any, error) { return f.Complete(ctx, r) },
		check: func(c *call) {
			if v, _ := c.res.(*farm.Verdict); c.err == nil && v.Accepted {
				s.model.breach("a false result counts: worker %d as %s, %+v", w.id, r.By.Login, r)
			}
		},
		done: func(any, error) {}})
}

// boast claims progress and times that cannot be.
func (w *worker) boast(h *held) {
	s, d := w.s, w.dice
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300}[d.IntN(5)]
	p := farm.Pulse{By: w.by(), Worker: w.id}
	for _, o := range w.held {
		p.Leases = append(p.Leases, farm.Progress{Lease: o.lease, Percent: odd, Memory: -1})
	}
	c := &call{name: "boast", who: w, key: w.id, done: func(any, error) {}}
	c.before = func(c *call) { s.renewed(c, &p) }
	c.do = func(ctx context.Context, f *farm.Farm) (any, error) { return f.Heartbeat(ctx, p) }
	s.send(d, c)
	r := farm.Result{By: w.by(), Worker: w.id, Lease: h.lease, Task: h.task, Seconds: odd, Memory: math.MinInt64}
	s.send(d, &call{name: "boast", who: w, key: w.id,
		do: func(ctx context.Context, f *farm.Farm) (any, error) {
			return f.Fail(ctx, r, farm.Failure{Cause: farm.CauseJob, Text: "boasted"})
		},
		done: func(any, error) {}})
}

// giveBack returns leases that are not its own.
func (w *worker) giveBack(other *worker) {
	ids := other.leases()
	if other == w || len(ids) == 0 {
		return
	}
	s, before := w.s, make(map[int64]bool)
	c := &call{name: "give back", who: w, key: w.id, done: func(any, error) {}}
	c.before = func(*call) {
		for _, id := range ids {
			before[id] = s.model.leases[id] != nil
		}
	}
	c.do = func(ctx context.Context, f *farm.Farm) (any, error) {
		return nil, f.Return(ctx, w.by(), w.id, ids, "not mine")
	}
	c.check = func(c *call) {
		for _, id := range ids {
			if c.alone && before[id] && s.model.leases[id] == nil {
				s.model.breach("worker %d gave back lease %d, which is not its own", w.id, id)
			}
		}
	}
	s.send(w.dice, c)
}
