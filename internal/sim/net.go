package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// errNet is what a client sees of a request or an answer that was lost.
var errNet = errors.New("the connection broke")

// call is one request on its way through the simulated network.
type call struct {
	name string
	who  *worker // nil: not a worker's
	key  int64   // job or worker that it is about, for the journal
	// before runs just before the farm gets the request, do is the verb, and
	// check looks at what came of it before anybody else acts. do may run in a
	// goroutine of its own and touches nothing but the farm.
	before func(*call)
	do     func(context.Context, *farm.Farm) (any, error)
	check  func(*call)
	// done gets the answer, or errNet, or Unavailable when there is no farm.
	done func(res any, err error)
	wait bool  // the answer may take long
	open int64 // the worker whose open claim this is

	seq    uint64
	alone  bool // not made together with others
	due    bool // it has to succeed
	cancel context.CancelFunc
	res    any
	err    error
	at     *server
}

// network is what has been sent and not answered.
type network struct {
	mu       sync.Mutex
	answered []*call // by calls in goroutines of their own
	waiting  map[uint64]*call
	seq      uint64
	group    []*call // being gathered
	grouping bool
	waits    int64
}

// send brings a call to the farm, or loses it, or brings it late or twice.
func (s *sim) send(d *dice, c *call) {
	f := s.faults
	switch {
	case d.hit(f.Lost / 2):
		s.lose(d, c)
	case d.hit(f.Late):
		s.at(d.between(time.Second, 25*time.Second), nil, func() { s.arrive(d, c) })
	default:
		s.arrive(d, c)
	}
}

// lose lets the client see a broken connection after a while.
func (s *sim) lose(d *dice, c *call) {
	s.log.note("lost "+c.name, c.key)
	s.at(d.between(100*time.Millisecond, 3*time.Second), nil, func() { c.done(nil, errNet) })
}

// arrive lets a call reach the farm, after which its answer may be lost or late
// and the request may come again.
func (s *sim) arrive(d *dice, c *call) {
	f := s.faults
	done := c.done
	if d.hit(f.Lost / 2) {
		delay := d.between(100*time.Millisecond, 3*time.Second)
		c.done = func(any, error) { s.at(delay, nil, func() { done(nil, errNet) }) }
	} else if d.hit(f.Late) {
		delay := d.between(time.Second, 10*time.Second)
		c.done = func(res any, err error) { s.at(delay, nil, func() { done(res, err) }) }
	}
	if d.hit(f.Twice) && !c.wait {
		again := *c
		again.done = func(any, error) {}
		s.at(d.between(0, 20*time.Second), nil, func() { s.deliver(&again) })
	}
	s.deliver(c)
}

// deliver hands a call to a farm, at once or with the group being gathered.
func (s *sim) deliver(c *call) {
	s.net.seq++
	c.seq = s.net.seq
	c.at = s.pick()
	if c.at == nil {
		s.log.note("down "+c.name, c.key)
		err := farm.Errorf(farm.Unavailable, "there is no farm")
		s.at(100*time.Millisecond, nil, func() { c.done(nil, err) })
		return
	}
	if s.net.grouping {
		s.net.group = append(s.net.group, c)
		return
	}
	s.begin(c)
	c.alone = true
	if c.wait {
		s.launch(c)
		synctest.Wait()
		s.quiet()
		return
	}
	c.res, c.err = c.do(context.Background(), c.at.farm)
	s.quiet()
	s.finish(c)
}

func (s *sim) begin(c *call) {
	s.log.note(c.name, c.key, int64(c.seq))
	s.report.Messages++
	if c.open != 0 {
		s.model.roused[c.open] = true
	}
	if c.before != nil {
		c.before(c)
	}
}

// launch runs a call in a goroutine of its own; its end is seen by quiet.
func (s *sim) launch(c *call) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	s.net.waiting[c.seq] = c
	go func() {
		res, err := c.do(ctx, c.at.farm)
		cancel()
		s.net.mu.Lock()
		defer s.net.mu.Unlock()
		c.res, c.err = res, err
		s.net.answered = append(s.net.answered, c)
	}()
}

// waitSlot makes every wait end at a moment of its own, between the
// milliseconds in which all else happens: two timers never fire together.
func (s *sim) waitSlot(d time.Duration) time.Duration {
	s.net.waits++
	return d.Truncate(time.Millisecond) + time.Duration(1+s.net.waits%400_000)
}

// quiet waits until nothing moves any more, hands on what was answered
// meanwhile, and repeats this until nothing was. Then who still waits must wait.
func (s *sim) quiet() {
	for {
		synctest.Wait()
		s.net.mu.Lock()
		got := s.net.answered
		s.net.answered = nil
		s.net.mu.Unlock()
		if len(got) == 0 {
			break
		}
		slices.SortFunc(got, func(a, b *call) int { return cmp.Compare(a.seq, b.seq) })
		for _, c := range got {
			delete(s.net.waiting, c.seq)
		}
		for _, c := range got {
			s.finish(c)
		}
	}
	s.idle()
}

// finish checks what came of a call and gives the answer to who asked.
func (s *sim) finish(c *call) {
	code := farm.CodeOf(c.err)
	s.log.note("answer "+string(code), c.key, int64(c.seq))
	switch {
	case errors.Is(c.err, context.Canceled): // who asked has hung up
	case code == farm.Internal:
		s.model.breach("%s of %d: %v", c.name, c.key, c.err)
	case code == farm.Unavailable:
	default:
		if c.check != nil {
			c.check(c)
		}
	}
	c.done(c.res, c.err)
}

// together delivers what was gathered in one batch: the dispatcher is held up
// while the requests queue in order.
func (s *sim) together() {
	group := s.net.group
	s.net.group, s.net.grouping = nil, false
	if len(group) == 0 {
		return
	}
	s.log.note("group", int64(len(group)))
	held := make(map[*server]chan struct{})
	for _, c := range group {
		if held[c.at] == nil {
			held[c.at] = s.holdUp(c.at)
		}
	}
	for _, c := range group {
		s.begin(c)
		s.launch(c)
		synctest.Wait()
	}
	for _, srv := range s.servers() {
		if gate := held[srv]; gate != nil {
			srv.gate = nil
			close(gate)
			synctest.Wait()
		}
	}
	s.quiet()
}

// holdUp stops a farm's dispatcher at its clock until the gate is closed.
func (s *sim) holdUp(srv *server) chan struct{} {
	gate := make(chan struct{})
	srv.gate = gate
	go func() { _, _ = srv.farm.Estimate(context.Background(), 0) }()
	synctest.Wait()
	return gate
}
