package farm

import (
	"context"
	"slices"
)

// What a door needs whose clients do not name their leases: the worker's leases
// are the farm's to remember.

// Keep is a sign of life of a worker that cannot say which leases it holds: it
// renews them all but those that are only being uploaded, with the progress that
// it tells of some. It fails with Gone
// when the worker is unknown or has counted as offline meanwhile: its session is
// over then. Stop names the leases that it should stop.
func (f *Farm) Keep(ctx context.Context, by Principal, workerID int64, progress []Progress) (*PulseReply, error) {
	out := &PulseReply{Stop: make(map[int64]string)}
	err := f.do(ctx, func(st *state) error {
		if w := st.workers[workerID]; w != nil && !w.Online {
			return Errorf(Gone, "worker %d was not heard of for too long; its session has ended", workerID)
		}
		w, err := st.claimant(by, workerID)
		if err != nil {
			return err
		}
		for _, l := range w.leases {
			if !l.sent { // whose outputs never come must go back some time
				st.extend(l)
			}
			if l.stopping {
				out.Stop[l.id] = l.why
			}
		}
		out.Period = st.period(w)
		for _, p := range progress {
			if l := w.leases[p.Lease]; l != nil {
				l.progress, l.message = min(max(p.Percent, 0), 100), clip(p.Message, 500)
				l.memory = max(l.memory, p.Memory)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Held lists the leases that a worker holds and is not to stop, oldest first.
func (f *Farm) Held(ctx context.Context, by Principal, workerID int64) ([]*Lease, error) {
	var cs []*claim
	err := f.do(ctx, func(st *state) error {
		w, err := st.claimant(by, workerID)
		if err != nil {
			return err
		}
		for _, l := range w.leases {
			if !l.stopping {
				cs = append(cs, &claim{lease: st.lent(l), build: st.building(l.step.job), built: l.step.job.built})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*Lease, 0, len(cs))
	for _, c := range cs {
		l, err := f.finishLease(c)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *Lease) int { return int(a.ID - b.ID) })
	return out, nil
}

// Outlook is the farm as one worker sees it.
type Outlook struct {
	Worker      *Worker
	Maintenance bool
	Jobs        int   // that have not ended
	Frames      int64 // that wait or run
	Renderable  int   // jobs with waiting tasks that the worker fits
	Machines    int   // workers that are there
	Balance     Points
}

// Outlook sums the farm up for a worker. It fails with Gone when the worker is
// not known.
func (f *Farm) Outlook(ctx context.Context, workerID int64) (*Outlook, error) {
	out := &Outlook{}
	err := f.do(ctx, func(st *state) error {
		w := st.workers[workerID]
		if w == nil {
			return Errorf(Gone, "worker %d is not known here any more; register again", workerID)
		}
		out.Worker, out.Maintenance, out.Balance = st.show(w), st.values[ValueMaintenance] == "on", st.balance[w.User]
		out.Machines = st.roster.online()
		for _, j := range st.jobs {
			if j.State.Ended() {
				continue
			}
			c := j.Counts()
			out.Jobs++
			out.Frames += c.Waiting + c.Running
			if slices.ContainsFunc(j.steps, func(s *step) bool {
				return st.queue.Has(s.Job, s.Index) && s.Needs.Fit(&w.info, st.queue.Limits())
			}) {
				out.Renderable++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
