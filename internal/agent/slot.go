package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"drover.farm/internal/api"
	"drover.farm/openjd/session"
)

// slot runs one task after the other.
type slot struct {
	a   *agent
	n   int
	sit *sitting
	// idle is since when the session has had nothing to do.
	idle time.Time
	// behind holds a place for each task that is being delivered.
	behind     chan struct{}
	deliveries sync.WaitGroup
	// ended is when the last render was over.
	ended time.Time
}

func newSlot(a *agent, n int) *slot {
	return &slot{a: a, n: n, behind: make(chan struct{}, a.set.Behind)}
}

// work runs tasks until taking ends and those at hand are done, or ctx ends.
func (s *slot) work(ctx, taking context.Context) {
	defer s.deliveries.Wait()
	defer func() { s.leaveSitting(ctx) }()
	var next *lease
	for {
		if next == nil {
			next = s.claim(ctx, taking)
		}
		if next == nil || ctx.Err() != nil {
			return
		}
		d := s.perform(ctx, next)
		if d == nil {
			next = nil
			continue
		}
		next = s.handOver(ctx, taking, d)
	}
}

// warm is the job whose session the slot holds.
func (s *slot) warm() int64 {
	if s.sit == nil {
		return 0
	}
	return s.sit.work.Job
}

// claim asks for work until there is some; nil when taking ends.
func (s *slot) claim(ctx, taking context.Context) *lease {
	s.idle = time.Now()
	key, pause := newKey(), s.a.set.RetryMin
	for taking.Err() == nil {
		hold := s.a.set.ClaimWait
		if s.sit != nil {
			left := s.a.set.Idle - time.Since(s.idle)
			if left <= 0 {
				s.leaveSitting(ctx)
				continue
			}
			hold = min(hold, left)
		}
		id := s.a.worker()
		var got *api.Lease
		err := s.a.persist(taking, "ask for work", func(ctx context.Context) (err error) {
			ctx, cancel := context.WithTimeout(ctx, hold+maxWait)
			defer cancel()
			got, err = s.a.cfg.Farm.Claim(ctx, id, api.Claim{Key: key, Wait: hold.Seconds(), Warm: s.warm()})
			return err
		})
		if err != nil {
			if taking.Err() == nil {
				s.a.log.Warn("the farm gives no work", "error", err)
				s.a.lost(taking, id, err)
				wait(taking, pause)
				pause = min(2*pause, s.a.set.RetryMax)
			}
			continue
		}
		pause = s.a.set.RetryMin
		if l := s.a.adopt(ctx, got); l != nil {
			return l
		}
		if got != nil { // a lease that came before
			key = newKey()
		}
	}
	return nil
}

// leaveSitting closes the slot's session.
func (s *slot) leaveSitting(ctx context.Context) {
	if s.sit != nil {
		s.sit.close(ctx)
		s.sit = nil
	}
}

// perform runs a task and returns what is to be told of it; nil when the farm is
// to be told nothing: the lease has ended, or goes back as the worker leaves.
func (s *slot) perform(ctx context.Context, l *lease) *delivery {
	log := s.a.log.With("lease", l.ID, "job", l.Job, "step", l.StepName, "task", l.Index)
	d := &delivery{
		a: s.a, lease: l, dir: filepath.Join(s.a.dir.spool(), strconv.FormatInt(l.ID, 10)),
		next: make(chan *api.Claim, 1), answer: make(chan *api.Lease, 1),
		result: api.Result{Job: l.Job, Step: l.Step, Index: l.Index},
	}
	log.Info("task started", "attempt", l.Attempt)
	err := s.attempt(ctx, d)
	var f *fault
	var order *stopped
	cause := context.Cause(l.ctx)
	switch {
	case err == nil:
		log.Info("task rendered", "seconds", d.result.Seconds, "outputs", len(d.outputs))
	case ctx.Err() != nil:
		d.log.finish()
		return nil // leave gives it back
	case errors.As(cause, &order):
		d.fail(jobFault(order))
		log.Info("task stopped", "reason", order.reason)
	case errors.As(err, &f):
		d.fail(f)
		log.Warn("task failed", "cause", f.cause, "error", f.text)
	case over(err):
		log.Info("the task's lease has ended", "error", err)
		d.discard()
		return nil
	default:
		d.fail(workerFault(err))
		log.Warn("task failed", "cause", causeWorker, "error", err)
	}
	l.set(func() { l.rendered = true })
	return d
}

// over reports an error by which the farm says that the lease is none any more.
func over(err error) bool {
	switch codeOf(err) {
	case codeGone, codeNotFound, codeConflict:
		return true
	}
	return false
}

// attempt runs a task and collects its outputs.
func (s *slot) attempt(ctx context.Context, d *delivery) error {
	l := d.lease
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return workerFault(fmt.Errorf("make a folder for the task's outputs: %w", err))
	}
	var err error
	if d.log, err = newTaskLog(filepath.Join(d.dir, "log"), s.a.set.LogLimit, s.a.set.LogChunk); err != nil {
		return workerFault(fmt.Errorf("make the task's log: %w", err))
	}
	following, stop := context.WithCancel(l.ctx)
	var followers sync.WaitGroup
	defer followers.Wait()
	defer stop()
	followers.Go(func() { d.log.stream(following, s.a.set.LogEvery, s.a.sendLog(l)) })
	w, err := s.a.work(l.ctx, l)
	if err != nil {
		return err
	}
	step, params, err := w.task(&l.Lease)
	if err != nil {
		return err
	}
	if err := s.sitDown(ctx, w, d); err != nil {
		return err
	}
	if err := s.sit.prepare(l.ctx, l, step); err != nil {
		return err
	}
	l.set(func() { l.message = "" })
	followers.Go(func() { s.a.watchMemory(following, l, s.sit.s.ID()) })
	var r session.Result
	s.a.gently(func() {
		r = s.sit.s.Run(l.ctx, step, params, session.Callbacks{Progress: s.a.progressOf(l), Status: s.a.statusOf(l)})
	})
	s.noteGap(l, r)
	if l.peak() == 0 { // over before it was looked at; its renderer is still loaded
		l.sampleMemory(s.sit.s.ID())
	}
	d.result.Seconds, d.result.Memory, d.result.Exit = r.Elapsed.Seconds(), max(r.MaxRSS, l.peak()), r.ExitCode
	if r.State != session.Succeeded {
		tail, last := d.log.end()
		return sortFailure(r, tail, last, s.a.dir.dir)
	}
	if d.outputs, err = s.sit.base.collect(l.ctx, filepath.Join(d.dir, "out"), s.a.set.MaxOutputs); err != nil {
		return localFault(err)
	}
	return nil
}

// noteGap logs how long the slot was without a render before this one.
func (s *slot) noteGap(l *lease, r session.Result) {
	if !s.ended.IsZero() && !r.Started.IsZero() {
		s.a.log.Debug("gap between tasks", "slot", s.n, "lease", l.ID, "gap", r.Started.Sub(s.ended))
	}
	s.ended = time.Now()
}

// sitDown makes the slot's session one of the job that can go on.
func (s *slot) sitDown(ctx context.Context, w *work, d *delivery) error {
	if s.sit != nil && s.sit.work.Job == w.Job && s.sit.work.Build == w.Build && !s.sit.s.Ended() {
		s.sit.log.Store(d.log)
		return nil
	}
	s.leaveSitting(ctx)
	var err error
	s.sit, err = s.a.sit(d.lease.ctx, w, d.lease, d.log)
	return err
}

// progressOf and statusOf note what a task says of itself.
func (a *agent) progressOf(l *lease) func(float64) {
	return func(percent float64) {
		l.set(func() { l.percent = percent })
		a.news()
	}
}

func (a *agent) statusOf(l *lease) func(string) {
	return func(text string) {
		l.set(func() { l.message = clip(text, 500) })
		a.news()
	}
}

// sendLog sends a part of a lease's live log.
func (a *agent) sendLog(l *lease) func(ctx context.Context, offset int64, data []byte) error {
	return func(ctx context.Context, offset int64, data []byte) error {
		return a.cfg.Farm.AppendLog(ctx, a.worker(), l.ID, offset, data)
	}
}

// handOver sends what became of a task and finds the next one. While outputs are
// on their way, the slot already asks for more work; if there is none yet, the
// next task may come with the answer to the result.
func (s *slot) handOver(ctx, taking context.Context, d *delivery) *lease {
	select {
	case s.behind <- struct{}{}:
	case <-ctx.Done():
		d.log.finish()
		return nil // leave gives it back
	}
	s.deliveries.Go(func() {
		defer func() { <-s.behind }()
		d.run(ctx)
	})
	if d.result.Cause != "" || s.sit == nil || s.sit.s.Ended() {
		s.leaveSitting(ctx) // while the farm is told
	} else {
		s.sit.log.Store(nil)
	}
	c := api.Claim{Key: newKey(), Warm: s.warm()}
	if taking.Err() != nil {
		d.next <- nil
		return nil
	}
	if d.result.Cause == "" {
		early := c
		early.Uploading = []int64{d.lease.ID}
		got, err := s.a.cfg.Farm.Claim(taking, s.a.worker(), early)
		if l := s.a.adopt(ctx, got); err == nil && l != nil {
			d.next <- nil
			return s.keep(taking, l)
		}
	}
	d.next <- &c
	select {
	case got := <-d.answer:
		return s.keep(taking, s.a.adopt(ctx, got))
	case <-ctx.Done():
		return nil
	}
}

// keep passes a lease on, unless the worker has been told to leave meanwhile: then
// it goes back.
func (s *slot) keep(taking context.Context, l *lease) *lease {
	if l == nil || taking.Err() == nil {
		return l
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(taking), s.a.set.Leave)
	defer cancel()
	if err := s.a.cfg.Farm.Return(ctx, s.a.worker(), api.GiveBack{Leases: []int64{l.ID}, Reason: errLeaving.Error()}); err != nil {
		return nil // leave tries again
	}
	s.a.drop(l)
	return nil
}
