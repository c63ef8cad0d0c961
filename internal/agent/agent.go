package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"drover.farm/internal/api"
)

// agent is a running worker.
type agent struct {
	cfg    Config
	set    Settings
	log    *slog.Logger
	dir    *folder
	cache  *cache
	builds *builds
	env    []string
	// fail ends the worker for good.
	fail context.CancelCauseFunc
	// draining is closed when no more tasks are to be taken.
	draining <-chan struct{}
	// poke asks for a pulse before its time.
	poke chan struct{}
	// tell asks for the farm to be told what this machine has.
	tell chan struct{}
	away atomic.Bool

	mu      sync.Mutex
	machine api.Machine
	vitals  *api.Vitals
	id      int64 // as the farm knows the worker
	leases  map[int64]*lease
	period  time.Duration // of leases, as the farm said last
	works   []*work       // of jobs, the one used last at the end
	// join makes one registration of several that are wanted at once.
	join sync.Mutex
}

// Run works for the farm until ctx ends or Config.Drain is closed. Closing Drain
// lets running tasks finish; when ctx ends they are killed and given back, which
// takes some seconds. Both ways Run signs off and returns nil. It returns an error
// when the worker cannot go on: the data folder is in use, the farm refuses it, or
// the farm was out of reach for Settings.Away. Nothing is left running or lying
// about in the data folder but the cache.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	dir, err := openFolder(cfg.Data, cfg.Executable, cfg.Log)
	if err != nil {
		return err
	}
	defer dir.close()
	a := &agent{
		cfg: cfg, set: cfg.Settings, log: cfg.Log, dir: dir, poke: make(chan struct{}, 1), tell: make(chan struct{}, 1),
		leases: make(map[int64]*lease),
	}
	if a.cache, err = openCache(dir.cache(), a.set.CacheSize, a.download, a.log); err != nil {
		return err
	}
	if a.builds, err = openBuilds(dir.builds(), a.set.BuildsSize, a.download, a.log); err != nil {
		return err
	}
	a.builds.changed = a.changed
	giveWay(a.set.Nice)
	cfg.Data = dir.dir
	a.machine = describe(ctx, &cfg)
	a.env = baseEnv(cfg.Env, dir.bin(), a.machine.Renderers)
	return a.run(ctx)
}

// run registers, works and leaves.
func (a *agent) run(told context.Context) error {
	ctx, fail := context.WithCancelCause(told)
	a.fail = fail
	defer a.fail(nil)
	// taking ends when no more tasks are to be taken.
	taking, take := context.WithCancel(ctx)
	defer take()
	a.draining = taking.Done()
	stopWatch := a.watchDrain(ctx, take)
	defer stopWatch()
	if err := a.register(taking, 0); err != nil {
		return a.ending(told, ctx, err)
	}
	pulsing, stopPulses := context.WithCancel(context.WithoutCancel(ctx))
	var pulses, slots sync.WaitGroup
	pulses.Go(func() { a.pulses(pulsing) })
	pulses.Go(func() { a.tellNews(pulsing) })
	pulses.Go(func() { a.watchVitals(pulsing) })
	for n := range a.cfg.Slots {
		slots.Go(func() { newSlot(a, n).work(ctx, taking) })
	}
	slots.Wait()
	stopPulses()
	pulses.Wait()
	a.leave(ctx)
	return a.ending(told, ctx, nil)
}

// ending is what Run returns: nothing when it was told to end.
func (a *agent) ending(told, ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case told.Err() != nil, cause == errLeaving:
		return nil
	case cause != nil:
		return cause
	}
	select {
	case <-a.draining:
		return nil
	default:
		return err
	}
}

// watchDrain ends the taking of tasks when the worker is told to leave, and the
// tasks that still run when the time for that is over.
func (a *agent) watchDrain(ctx context.Context, take context.CancelFunc) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-a.cfg.Drain:
		case <-ctx.Done():
			return
		case <-done:
			return
		}
		a.log.Info("no more tasks are taken; running ones finish", "grace", a.set.Grace)
		take()
		t := time.NewTimer(a.set.Grace)
		defer t.Stop()
		select {
		case <-t.C:
			a.fail(errLeaving)
		case <-ctx.Done():
		case <-done:
		}
	}()
	return func() { close(done); <-ended }
}

// register makes the worker known, unless another goroutine has done so since the
// worker was known as old.
func (a *agent) register(ctx context.Context, old int64) error {
	a.join.Lock()
	defer a.join.Unlock()
	if id := a.worker(); id != old {
		return nil
	}
	r := api.Registration{
		Key: a.dir.key, Name: a.cfg.Name, Machine: a.current(), Slots: a.cfg.Slots, Rules: a.cfg.Rules, Holds: a.holds(),
	}
	var w *api.Worker
	err := a.persist(ctx, "register", func(ctx context.Context) (err error) {
		w, err = a.cfg.Farm.Register(ctx, r)
		return err
	})
	if err != nil {
		return fmt.Errorf("register with the farm: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.id = w.ID
	a.log.Info("registered", "worker", w.ID, "name", w.Name, "slots", a.cfg.Slots, "state", w.State)
	return nil
}

// lost deals with an error that may mean that the farm does not know the worker
// any more, or does not let it in: it registers again, or ends the worker.
func (a *agent) lost(ctx context.Context, as int64, err error) {
	switch codeOf(err) {
	case codeGone, codeNotFound:
		a.log.Warn("the farm does not know this worker; registering again", "worker", as, "error", err)
		if err := a.register(ctx, as); err != nil && ctx.Err() == nil {
			a.fail(err)
		}
	case codeUnauthorized, codeForbidden:
		a.fail(fmt.Errorf("the farm does not let this worker in: %w", err))
	default:
		var away *awayError
		if errors.As(err, &away) {
			a.fail(err)
		}
	}
}

func (a *agent) worker() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.id
}

// holds lists the leases of the worker.
func (a *agent) holds() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]int64, 0, len(a.leases))
	for id := range a.leases {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// adopt takes up a lease; nil when the worker holds it already: an answer came
// twice.
func (a *agent) adopt(ctx context.Context, al *api.Lease) *lease {
	if al == nil {
		return nil
	}
	l := &lease{Lease: *al}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leases[al.ID] != nil {
		l.cancel(nil)
		a.log.Warn("the farm gave a lease twice; it is taken once", "lease", al.ID)
		return nil
	}
	a.leases[al.ID] = l
	if p := l.period(); p > 0 {
		if a.period = p; p < 2*a.set.PulseWait {
			a.news() // the pulse that is held may outlast the lease
		}
	}
	return l
}

// drop forgets a lease that is over.
func (a *agent) drop(l *lease) {
	l.cancel(nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.leases, l.ID)
}

// leave gives back what is left and signs off.
func (a *agent) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.set.Leave)
	defer cancel()
	if ids := a.holds(); len(ids) > 0 {
		if err := a.cfg.Farm.Return(ctx, a.worker(), api.GiveBack{Leases: ids, Reason: errLeaving.Error()}); err != nil {
			a.log.Warn("tasks could not be given back; the farm takes them when their leases run out", "leases", ids, "error", err)
		}
	}
	if err := a.cfg.Farm.SignOff(ctx, a.worker()); err != nil {
		a.log.Warn("could not sign off", "error", err)
	}
	for _, dir := range []string{a.dir.stage(), a.dir.spool()} {
		if err := removeAll(dir); err != nil {
			a.log.Warn("files could not be removed", "dir", dir, "error", err)
		}
	}
	a.log.Info("the worker has left", "worker", a.worker())
}

// awayError means that the farm was out of reach for too long.
type awayError struct {
	what string
	time time.Duration
	err  error
}

func (e *awayError) Error() string {
	return fmt.Sprintf("%s: the farm was out of reach for %v: %v", e.what, e.time.Round(time.Second), e.err)
}

func (e *awayError) Unwrap() error { return e.err }

// persist calls f until it succeeds, ctx ends, the farm refuses for good or this
// machine is at fault; or until it has failed for Settings.Away.
func (a *agent) persist(ctx context.Context, what string, f func(ctx context.Context) error) error {
	var since time.Time
	for pause := a.set.RetryMin; ; pause = min(2*pause, a.set.RetryMax) {
		err := f(ctx)
		if err == nil {
			a.reached()
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var local *os.PathError
		if final(err) || noSpace(err) || errors.As(err, &local) {
			return err
		}
		a.unreached(what, err)
		if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) >= a.set.Away {
			return &awayError{what, time.Since(since), err}
		}
		if !wait(ctx, pause/2+rand.N(pause/2+1)) {
			return context.Cause(ctx)
		}
	}
}

// wait waits for d; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reached and unreached log when the farm goes and comes.
func (a *agent) reached() {
	if a.away.Swap(false) {
		a.log.Info("the farm is back")
	}
}

func (a *agent) unreached(what string, err error) {
	if !a.away.Swap(true) {
		a.log.Warn("the farm does not answer; trying again", "request", what, "error", err)
	}
}

// download brings a blob, for as long as it takes.
func (a *agent) download(ctx context.Context, hash string, size int64, path string) error {
	return a.persist(ctx, "download a file", func(ctx context.Context) error {
		return a.cfg.Files.Download(ctx, hash, size, path)
	})
}
