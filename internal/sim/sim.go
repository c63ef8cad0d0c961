package sim

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// sim is a simulation under way. All of it belongs to one goroutine, but answers.
type sim struct {
	cfg    Config
	faults Faults // in force; none at the end
	dice   dice
	report Report
	start  time.Time
	agenda agenda
	store  *mem.Store
	check  *checker
	farm   *farm.Farm // nil while none runs
	link   *link
	skew   time.Duration
	jumped time.Duration // when the clock last jumped
	rigs   []*rig
	asked  int64 // frames submitted
	ending bool

	calls   int64
	known   int64                 // calls up to this one have been through a batch
	grouped bool                  // requests have met in one batch since
	warm    map[int64]int64       // the job whose session a worker says it has, by its last claim
	held    map[int64]*call       // heartbeats that were last to be held open, by worker
	open    map[int64]*call       // whose answer has not come
	waiting map[int64]*call       // of them, those in which a worker waits for a task
	lines   map[*class]*list.List // the same by class, in order
	mu      sync.Mutex
	answers []*call
}

// Run simulates a farm until all its jobs have ended. It must be called in a
// bubble of testing/synctest. The error says which rule was broken first, and
// when.
func Run(c Config) (*Report, error) {
	s := &sim{cfg: c, faults: c.Faults, dice: newDice(c.Seed, 0), start: time.Now(), store: mem.New(), open: make(map[int64]*call),
		waiting: make(map[int64]*call), warm: make(map[int64]int64), held: make(map[int64]*call), lines: make(map[*class]*list.List)}
	if s.cfg.FullEvery == 0 {
		s.cfg.FullEvery = 10_000
	}
	s.check = newChecker(s)
	err := s.setUp()
	if err == nil {
		err = s.run()
	}
	s.close()
	s.sum()
	if err != nil {
		return &s.report, fmt.Errorf("after %d steps, at %v: %w", s.report.Steps, s.report.Virtual, err)
	}
	return &s.report, nil
}

// setUp opens the farm, makes accounts and a limit, and puts everybody's first
// act on the agenda.
func (s *sim) setUp() error {
	ctx := context.Background()
	if err := s.openFarm(); err != nil {
		return err
	}
	if _, err := s.farm.Bootstrap(ctx, farm.User{Login: admin.Login, Roles: admin.Roles}, farm.Token{}); err != nil {
		return err
	}
	for i, p := range slices.Concat(owners, lenders) {
		if err := s.farm.AddUser(ctx, admin, farm.User{Login: p.Login, Roles: p.Roles, Weight: float64(1 + i%2)}); err != nil {
			return err
		}
	}
	if err := s.farm.SetLimit(ctx, admin, licence, licences(s.cfg.Workers)); err != nil {
		return err
	}
	for i := range s.cfg.Workers {
		r := &rig{s: s, i: i, class: &classes[i%len(classes)], dice: newDice(s.cfg.Seed, uint64(i)+1000)}
		s.rigs = append(s.rigs, r)
		r.rename()
		s.at(r.dice.between(0, 20*time.Second), r, func() { r.join(nil) })
	}
	s.alone(time.Second, s.submit)
	s.at(time.Minute, nil, s.tidy)
	if s.faults.Operator > 0 {
		s.at(s.dice.about(s.faults.Operator), nil, s.operate)
	}
	if s.faults.Chaos > 0 {
		s.at(s.dice.about(s.faults.Chaos), nil, s.wreck)
	}
	return nil
}

func licences(workers int) float64 { return float64(max(workers/10, 2)) }

// openFarm opens a farm on the store; an earlier one that still runs is replaced.
func (s *sim) openFarm() error {
	// The farm's own timers go off between the steps, which are at whole
	// milliseconds, never together with one.
	half := 500 * time.Microsecond
	time.Sleep((time.Since(s.start) + half).Truncate(time.Millisecond) + half - time.Since(s.start))
	synctest.Wait()
	s.link = &link{Store: s.store, sim: s}
	set := s.cfg.Settings
	f, err := farm.Open(context.Background(), farm.Config{Store: s.link, Settings: set, Clock: func() time.Time { return time.Now().Add(s.skew) }})
	if err != nil {
		return fmt.Errorf("open the farm: %w", err)
	}
	s.farm = f
	s.report.Farms++
	return nil
}

// at puts something on the agenda, a time from now.
func (s *sim) at(d time.Duration, r *rig, do func()) {
	e := entry{at: int64((time.Since(s.start)+max(d, 0))/time.Millisecond) + 1, who: r, do: do}
	if r != nil {
		e.life = r.life
	}
	s.agenda.add(e)
}

// alone puts something on the agenda that happens by itself.
func (s *sim) alone(d time.Duration, do func()) {
	s.agenda.add(entry{at: int64((time.Since(s.start)+d)/time.Millisecond) + 1, solo: true, do: do})
}

// run makes step after step until all is over or a rule was broken.
func (s *sim) run() error {
	idle := 0
	for !s.over() {
		if s.agenda.Len() == 0 {
			return fmt.Errorf("nothing is left to do, and there are jobs that have not ended")
		}
		done := s.check.ended
		if s.dice.hit(s.faults.Together) {
			s.together()
		} else {
			s.step()
		}
		if err := s.settle(); err != nil {
			return err
		}
		if s.check.ended != done || !s.ending {
			idle = 0
		} else if idle++; idle > 200*len(s.rigs)+200_000 {
			return fmt.Errorf("nothing ends any more; %s", s.check.unfinished())
		}
	}
	return s.farewell()
}

// step does what is next on the agenda.
func (s *sim) step() {
	e := s.agenda.next()
	s.report.Steps++
	s.tell("%d: entry %d at %d", s.report.Steps, e.seq, e.at)
	if d := time.Duration(e.at)*time.Millisecond - time.Since(s.start); d > 0 {
		time.Sleep(d)
		synctest.Wait()
	}
	if e.who == nil || e.who.life == e.life {
		e.do()
	}
}

// together makes some steps whose requests meet in one batch: the farm's commit
// is held up until all have been made.
func (s *sim) together() {
	s.grouped = true
	gate := make(chan struct{})
	s.link.gate = gate
	for n := 2 + s.dice.IntN(20); n > 0 && s.agenda.Len() > 0 && !s.agenda.entries[0].solo && s.link.gate == gate; n-- {
		s.step()
	}
	s.release()
}

// release lets a commit that is held up go on.
func (s *sim) release() {
	if g := s.link.gate; g != nil {
		s.link.gate = nil
		l := s.link
		l.step.Store(true)
		close(g)
		for synctest.Wait(); l.rests.Load(); synctest.Wait() {
			time.Sleep(time.Nanosecond)
		}
		l.step.Store(false)
	}
}

// settle hands the answers that came to those who asked, and checks what has
// become of the farm.
func (s *sim) settle() error {
	for {
		synctest.Wait() // a farm that ends answers many, whom the machine would wake in any order
		s.mu.Lock()
		got := s.answers
		s.answers = nil
		s.mu.Unlock()
		if len(got) == 0 {
			break
		}
		slices.SortFunc(got, func(a, b *call) int { return cmp.Compare(a.seq, b.seq) })
		for _, c := range got {
			s.closed(c)
			s.tell("%d: answer to %d: %v", s.report.Steps, c.seq, c.err)
			s.check.answered(c)
			c.then()
		}
	}
	select {
	case <-s.farm.Done():
		if err := s.openFarm(); err != nil {
			return err
		}
	default:
	}
	if s.check.idle(); s.link.gate == nil {
		s.known, s.grouped = s.calls, false
	}
	if s.check.err == nil && s.report.Steps%s.cfg.FullEvery == 0 {
		s.check.full()
	}
	return s.check.err
}

// over reports whether all jobs were submitted and have ended; before the last
// ones do, the faults end.
func (s *sim) over() bool {
	if s.asked < s.cfg.Frames || !s.ending && len(s.check.open) > s.cfg.OpenJobs/2 {
		return false
	}
	if !s.ending {
		s.ending = true
		s.calm()
	}
	return len(s.check.open) == 0
}

// farewell waits until the last leases are given up, and compares everything.
func (s *sim) farewell() error {
	for _, r := range s.rigs {
		r.life++ // they do nothing any more
	}
	s.hangUp()
	set := s.farm.Settings()
	for range 3 {
		time.Sleep(set.Lease + 2*set.Scan)
		synctest.Wait()
		if err := s.settle(); err != nil {
			return err
		}
	}
	s.check.full()
	s.check.nothingLeft()
	return s.check.err
}

// hangUp breaks all open requests off.
func (s *sim) hangUp() {
	for _, seq := range sortedKeys(s.open) {
		s.open[seq].cancel() // one after another, so that what they take back comes in order
		synctest.Wait()
	}
}

func (s *sim) close() {
	if s.farm == nil {
		return
	}
	s.release()
	s.hangUp()
	s.farm.Close()
	synctest.Wait()
}

func (s *sim) sum() {
	s.report.Calls, s.report.Frames, s.report.Virtual = s.calls, s.asked, time.Since(s.start)
	s.report.Hash = s.check.trace.Sum64()
}
