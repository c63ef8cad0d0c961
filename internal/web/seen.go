package web

import (
	"context"

	"drover.farm/internal/farm"
)

// seen is the farm as it is looked at for one page, or for all live parts that
// are drawn in one round: each thing is read once, however many accounts it is
// then shown to. It is used by one goroutine.
type seen struct {
	s       *site
	workers []*farm.Worker // by id
	status  *farm.FarmStatus
	live    []*farm.Job // under way or failed, newest first
	stuck   []stuckJob
	misfit  string
	day     day
}

// look reads what the first screen tells of.
func (n *seen) look(ctx context.Context) error {
	if n.status != nil {
		return nil
	}
	st, err := n.s.Farm.Status(ctx)
	if err != nil {
		return err
	}
	if n.live, err = n.s.Farm.Jobs(ctx, farm.JobQuery{States: []farm.JobState{farm.JobWaiting, farm.JobRunning, farm.JobPaused, farm.JobFailed}, Limit: 50}); err != nil {
		return err
	}
	if n.day, err = n.s.day(ctx); err != nil {
		return err
	}
	if _, err = n.workersOf(ctx, ""); err != nil {
		return err
	}
	n.stuck, n.misfit = n.s.stuck(ctx, st, n.live)
	n.status = st
	return nil
}

// workersOf lists the workers of an account, or all for "".
func (n *seen) workersOf(ctx context.Context, of string) (out []*farm.Worker, err error) {
	if n.workers == nil {
		if n.workers, err = n.s.Farm.Farmhands(ctx); err != nil {
			return nil, err
		}
	}
	for _, w := range n.workers {
		if belongs(w, of) {
			out = append(out, w)
		}
	}
	return out, nil
}
