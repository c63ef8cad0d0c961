package sim

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// errLost is what one hears whose request or answer was lost.
var errLost = errors.New("the connection broke")

// call is a request on its way, or one that the farm holds open.
type call struct {
	seq    int64
	at     *farm.Farm // that was asked
	waits  int64      // worker that waits in it for a task; 0: none
	cancel context.CancelFunc

	class *class
	line  *list.Element // among those of its class that wait
	warm  int64         // the job whose session it has, when it waits for a task
	err   error
	judge func() // holds the answer against the rows, the moment it comes
	then  func() // what who asked does with it
}

// send makes a request of the farm and hands the answer to then, which is told
// errLost when the request or its answer was lost. Chance is that of d.
func send[T any](s *sim, d dice, waits int64, do func(context.Context, *farm.Farm) (T, error), judge func(T, error), then func(T, error)) {
	var zero T
	switch {
	case d.hit(s.faults.Late):
		s.at(d.between(time.Second, 20*time.Second), nil, func() { sendNow(s, waits, do, judge, then) })
	case d.hit(s.faults.Lost / 2):
		s.at(d.between(time.Second, 5*time.Second), nil, func() { then(zero, errLost) })
	case d.hit(s.faults.Lost / 2):
		sendNow(s, 0, do, judge, func(T, error) {})
		s.at(d.between(time.Second, 5*time.Second), nil, func() { then(zero, errLost) })
	case d.hit(s.faults.Twice):
		sendNow(s, 0, do, judge, func(T, error) {})
		sendNow(s, waits, do, judge, then)
	default:
		sendNow(s, waits, do, judge, then)
	}
}

// tell adds a line to the trace.
func (s *sim) tell(format string, args ...any) {
	if s.cfg.Trace != nil {
		fmt.Fprintf(s.cfg.Trace, format+"\n", args...)
	}
}

// callKey is under which a request finds its call.
type callKey struct{}

// sendNow makes a request that arrives; it returns when the farm has answered or
// holds it open.
func sendNow[T any](s *sim, waits int64, do func(context.Context, *farm.Farm) (T, error), judge func(T, error), then func(T, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	s.calls++
	c := &call{seq: s.calls, at: s.farm, waits: waits, cancel: cancel}
	ctx = context.WithValue(ctx, callKey{}, c)
	s.opened(c)
	s.tell("%d: call %d of worker %d", s.report.Steps, c.seq, waits)
	go func() {
		v, err := do(ctx, c.at)
		cancel()
		c.err = err
		c.judge = func() { judge(v, err) }
		c.then = func() { then(v, err) }
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answers = append(s.answers, c)
	}()
	synctest.Wait()
}

// opened notes a request.
func (s *sim) opened(c *call) {
	s.open[c.seq] = c
	w := s.check.workers[c.waits]
	if w == nil {
		return
	}
	s.waiting[c.waits], c.warm = c, s.warm[c.waits]
	if s.lines[w.class] == nil {
		s.lines[w.class] = list.New()
	}
	c.line = s.lines[w.class].PushBack(c)
	c.class = w.class
	s.check.roused[w] = true
}

// closed notes its answer.
func (s *sim) closed(c *call) {
	delete(s.open, c.seq)
	if c.line != nil {
		s.lines[c.class].Remove(c.line)
	}
	if s.waiting[c.waits] == c {
		delete(s.waiting, c.waits)
	}
}

// patience is how long a request may be held open: it ends at a moment of its
// own, so that no two end together.
func (s *sim) patience(d time.Duration) time.Duration {
	s.calls++
	return d + time.Duration(1+s.calls%400_000)*time.Nanosecond
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
