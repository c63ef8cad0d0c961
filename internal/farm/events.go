package farm

import (
	"slices"
	"sync"
)

// bus hands events on to subscribers of this process. What it hands on is
// durable already; a subscriber that is too slow is told so and reads the
// rest from the store.
type bus struct {
	mu   sync.Mutex
	subs []*Subscription
}

// Subscription receives events in the order of their ids.
type Subscription struct {
	// C delivers groups of events. It is closed when the subscriber fell behind
	// or the subscription was ended.
	C      <-chan []Event
	c      chan []Event
	bus    *bus
	closed bool
}

// subscriberRoom is how many groups a subscriber may be behind.
const subscriberRoom = 256

// Subscribe delivers all events from now on.
func (f *Farm) Subscribe() *Subscription {
	c := make(chan []Event, subscriberRoom)
	s := &Subscription{C: c, c: c, bus: &f.bus}
	f.bus.mu.Lock()
	defer f.bus.mu.Unlock()
	f.bus.subs = append(f.bus.subs, s)
	return s
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.end()
	s.bus.subs = slices.DeleteFunc(s.bus.subs, func(o *Subscription) bool { return o == s })
}

func (s *Subscription) end() {
	if !s.closed {
		s.closed = true
		close(s.c)
	}
}

// publish never waits for a subscriber.
func (b *bus) publish(events []Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = slices.DeleteFunc(b.subs, func(s *Subscription) bool {
		select {
		case s.c <- events:
			return false
		default:
			s.end()
			return true
		}
	})
}
