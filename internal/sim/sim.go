package sim

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// sim is a simulation under way. All of it but what call.do touches belongs to
// one goroutine.
type sim struct {
	cfg     Config
	faults  Faults // in force; none at the end
	dice    *dice
	log     journal
	report  Report
	start   time.Time
	agenda  agenda
	net     network
	store   *mem.Store
	model   *model
	server  *server   // nil while none runs
	old     []*server // replaced, and still there
	skew    time.Duration
	fence   atomic.Int64
	workers []*worker
	nextJob int64
	asked   int64 // tasks submitted
	sending int   // submissions on their way
	ending  bool
	fullAt  int64 // job with which the next full check goes on
}

// Run simulates a farm until all its jobs have ended. It must be called in a
// bubble of testing/synctest. The error says which rule was broken first, and
// when.
func Run(c Config) (*Report, error) {
	s := &sim{cfg: c, faults: c.Faults, dice: newDice(c.Seed, 0), start: time.Now(), store: mem.New()}
	if s.cfg.FullEvery == 0 {
		s.cfg.FullEvery = 10_000
	}
	s.log = journal{trace: c.Trace, start: s.start}
	s.net.waiting = make(map[uint64]*call)
	s.model = newModel(&s.log, settings(c.Settings))
	s.open()
	if err := s.setUp(); err != nil {
		return nil, fmt.Errorf("set the farm up: %w", err)
	}
	s.populate()
	err := s.run()
	s.close()
	s.sum()
	if err != nil {
		return &s.report, fmt.Errorf("after %d steps, at %v: %w", s.report.Steps, s.report.Virtual, err)
	}
	return &s.report, nil
}

// settings are c with the farm's defaults, as far as the model needs them.
func settings(c farm.Settings) farm.Settings {
	d := farm.Defaults()
	fill(&c.Lease, d.Lease)
	fill(&c.Scan, d.Scan)
	fill(&c.Tries, d.Tries)
	fill(&c.WorkerTries, d.WorkerTries)
	fill(&c.AvoidAfter, d.AvoidAfter)
	fill(&c.WorkerTimeout, d.WorkerTimeout)
	return c
}

func fill[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (s *sim) setUp() error {
	ctx, f := context.Background(), s.server.farm
	if _, err := f.Bootstrap(ctx, farm.User{Login: admin.Login, Roles: admin.Roles}, farm.Token{}); err != nil {
		return err
	}
	for i, p := range append(owners[:len(owners):len(owners)], rigs...) {
		if err := f.AddUser(ctx, admin, farm.User{Login: p.Login, Roles: p.Roles, Weight: float64(1 + i%2)}); err != nil {
			return err
		}
	}
	for name, milli := range licences {
		if err := f.SetLimit(ctx, admin, name, float64(milli)/1000); err != nil {
			return err
		}
	}
	synctest.Wait()
	return nil
}

func (s *sim) populate() {
	for i := range s.cfg.Workers {
		w := &worker{s: s, i: i, class: &classes[i%len(classes)], dice: newDice(s.cfg.Seed, uint64(i)+1000), open: i*7919%1000 < s.cfg.Open}
		s.workers = append(s.workers, w)
		w.rename()
		s.at(w.dice.between(0, 20*time.Second), w, func() { w.join(nil) })
	}
	s.submitLater(0)
	if s.faults.Operator > 0 {
		s.operateLater(newDice(s.cfg.Seed, 1))
	}
	if s.faults.Chaos > 0 {
		s.wreckLater(newDice(s.cfg.Seed, 2))
	}
}

// at puts something on the agenda. What a worker meant to do is not done when it
// has vanished meanwhile.
func (s *sim) at(d time.Duration, w *worker, do func()) { s.plan(d, w, false, do) }

// after puts something on the agenda that happens alone.
func (s *sim) after(d time.Duration, do func()) { s.plan(d, nil, true, do) }

func (s *sim) plan(d time.Duration, w *worker, solo bool, do func()) {
	e := entry{at: int64((time.Since(s.start) + max(d, 0) + time.Millisecond - 1) / time.Millisecond), who: w, solo: solo, do: do}
	if w != nil {
		e.life = w.life
	}
	s.agenda.push(e)
}

// run makes step after step until all is over or a rule was broken.
func (s *sim) run() error {
	for s.agenda.len() > 0 && !s.over() {
		if s.faults.Group > 0 && s.dice.hit(s.faults.Group) {
			s.net.grouping = true
			for n := 2 + s.dice.IntN(20); n > 0 && s.agenda.len() > 0 && !s.agenda.heap[0].solo; n-- {
				s.step()
			}
			s.together()
		} else {
			s.step()
		}
		s.model.allowed.clear()
		s.reap()
		if err := s.model.failed(); err != nil {
			return err
		}
		if s.report.Steps%s.cfg.FullEvery == 0 {
			if err := s.full(); err != nil {
				return err
			}
		}
	}
	if !s.over() {
		return fmt.Errorf("nothing is left to do, and %d jobs have not ended", s.model.unended)
	}
	return s.farewell()
}

// step does what is next on the agenda.
func (s *sim) step() {
	e := s.agenda.pop()
	s.report.Steps++
	s.sleepUntil(e.at)
	if e.who == nil || e.who.life == e.life {
		e.do()
	}
}

// sleepUntil sleeps to a whole millisecond, not before the given one.
func (s *sim) sleepUntil(ms int64) {
	now := time.Since(s.start)
	to := max(time.Duration(ms)*time.Millisecond, (now + time.Millisecond - 1).Truncate(time.Millisecond))
	if to > now {
		s.sleep(to - now)
	}
}

func (s *sim) sleep(d time.Duration) {
	s.fence.Add(1)
	time.Sleep(d)
	synctest.Wait()
}

// over reports whether all jobs were submitted and have ended; before the last
// ones do, the faults end.
func (s *sim) over() bool {
	if s.asked < s.cfg.Tasks || s.sending > 0 {
		return false
	}
	if !s.ending {
		s.ending = true
		s.calm()
	}
	return s.server != nil && s.model.unended == 0
}

// farewell waits until the last leases are given up, and compares everything.
func (s *sim) farewell() error {
	s.log.note("farewell")
	for _, w := range s.workers {
		w.life++ // nothing more is done; leases run out
	}
	for _, c := range s.net.waiting {
		c.cancel()
	}
	s.quiet()
	s.sleep(2*s.model.set.Lease + 3*s.model.set.Scan)
	s.quiet()
	if err := s.model.failed(); err != nil {
		return err
	}
	s.cfg.FullRows = 0
	if err := s.full(); err != nil {
		return err
	}
	if n := len(s.model.leases); n > 0 {
		return fmt.Errorf("%d leases are left when all is over", n)
	}
	for name, n := range s.model.used {
		if n != 0 {
			return fmt.Errorf("%d thousandths of %s are in use when all is over", n, name)
		}
	}
	return nil
}

func (s *sim) close() {
	s.net.grouping = false
	for _, srv := range s.servers() {
		srv.farm.Close()
	}
	for _, c := range s.net.waiting {
		c.cancel()
	}
	synctest.Wait()
}

func (s *sim) sum() {
	r, c := &s.report, &s.model.count
	r.Batches = s.model.batches
	r.Jobs, r.Tasks, r.Leases, r.Done, r.LateDone, r.Lost, r.Doubled = c.Jobs, c.Tasks, c.Leases, c.Done, c.LateDone, c.Lost, c.Doubled
	r.Virtual, r.Hash = time.Since(s.start), s.log.hash
}

// idle checks those who wait in a claim: there must be nothing for them.
func (s *sim) idle() {
	m := s.model
	if len(m.better)+len(m.roused) == 0 {
		return
	}
	if s.server != nil {
		for _, c := range s.net.waiting {
			if c.open == 0 || c.at != s.server {
				continue
			}
			w := m.workers[c.open]
			if w == nil {
				m.breach("worker %d was removed and its claim still waits", c.open)
				continue
			}
			if o := s.served(w); o != nil {
				m.breach("worker %d waits for work while a task of %v waits for it", c.open, o)
			}
		}
	}
	clear(m.better)
	clear(m.roused)
}

// served finds a step that changed, or any for a worker that changed, of which
// the worker should have been given a task.
func (s *sim) served(w *mWorker) *mStep {
	if s.model.roused[w.row.ID] {
		return s.model.overlooked(w.row.ID)
	}
	for o := range s.model.better {
		if s.model.must(w, o, 0) {
			return o
		}
	}
	return nil
}
