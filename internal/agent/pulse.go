package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"drover.farm/internal/api"
)

// maxFlying bounds how many pulses are held by the farm at once. The second is
// for news: it makes the farm answer the first.
const maxFlying = 2

// pulses tells the farm that the worker lives, renews its leases and obeys orders
// to stop, until ctx ends.
func (a *agent) pulses(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var flying sync.WaitGroup
	defer flying.Wait()
	defer cancel()
	answers := make(chan error, maxFlying)
	var away time.Time // since when no pulse has arrived
	for n, pause := 0, a.set.RetryMin; ; {
		p, timeout := a.pulse()
		sent := time.Now()
		n++
		flying.Go(func() { answers <- a.sendPulse(ctx, p, timeout) })
		err := a.nextPulse(ctx, sent, &n, answers)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			away, pause = time.Time{}, a.set.RetryMin
			continue
		}
		if away.IsZero() {
			away = sent
		} else if time.Since(away) >= a.set.Away {
			a.fail(&awayError{"send a sign of life", time.Since(away), err})
		}
		if !wait(ctx, pause) {
			return
		}
		pause = min(2*pause, a.set.RetryMax)
	}
}

// nextPulse waits for the time of the next pulse: when none is held any more, but
// not at once lest two programs chase each other; or when there is news.
func (a *agent) nextPulse(ctx context.Context, sent time.Time, n *int, answers <-chan error) error {
	var poke <-chan struct{}
	soon := time.NewTimer(time.Until(sent.Add(a.set.ProgressEvery / 2)))
	defer soon.Stop()
	late := time.NewTimer(time.Until(sent.Add(a.set.ProgressEvery)))
	defer late.Stop()
	early, failed := true, error(nil)
	for {
		if *n == 0 && (!early || failed != nil) {
			return failed
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-answers:
			*n--
			failed = err
		case <-soon.C:
			early = false
		case <-late.C:
			if *n < maxFlying {
				poke = a.poke
			}
		case <-poke:
			return nil
		}
	}
}

// pulse is what there is to tell, and how long the answer may take.
func (a *agent) pulse() (p api.Pulse, timeout time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait := a.set.PulseWait
	if a.period > 0 {
		wait = min(wait, a.period/3)
	}
	timeout = wait + max(a.period/3, time.Second)
	p.Leases, p.Vitals = []api.Progress{}, a.vitals
	for _, l := range a.leases {
		if progress, ok := l.progress(); ok {
			p.Leases = append(p.Leases, progress)
			if l.ctx.Err() != nil {
				wait = 0 // it is being stopped; the farm would answer at once
			}
		}
	}
	slices.SortFunc(p.Leases, func(a, b api.Progress) int { return cmp.Compare(a.Lease, b.Lease) })
	p.Wait = wait.Seconds()
	return p, timeout
}

// sendPulse sends a pulse and obeys the answer.
func (a *agent) sendPulse(ctx context.Context, p api.Pulse, timeout time.Duration) error {
	id := a.worker()
	cut, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reply, err := a.cfg.Farm.Heartbeat(cut, id, p)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		if final(err) {
			a.lost(ctx, id, err)
		} else {
			a.unreached("send a sign of life", err)
		}
		return err
	}
	if reply == nil {
		return errors.New("the farm's answer to a sign of life is empty")
	}
	a.reached()
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := seconds(reply.Period); d > 0 {
		a.period = d
	}
	for _, s := range reply.Stop {
		if l := a.leases[s.Lease]; l != nil && l.stop(s.Reason) {
			a.log.Info("the farm stops a task", "lease", s.Lease, "job", l.Job, "reason", s.Reason)
		}
	}
	return nil
}

// news asks for a pulse soon.
func (a *agent) news() {
	select {
	case a.poke <- struct{}{}:
	default:
	}
}
