package session

import (
	"sync"
	"time"
)

// The bounds of what waits for a slow reader of the log.
const (
	maxQueuedBytes = 8 << 20
	maxQueuedItems = 1 << 16
)

// item is one thing to deliver: a line, a call, or a mark that all before it has
// been delivered.
type item struct {
	line *Line
	call func()
	mark chan struct{}
}

// events delivers lines and calls to their receivers in order, from one goroutine
// of its own, so that a slow receiver never holds up the process that prints.
type events struct {
	log func(Line)
	// wait makes put wait for room instead of dropping lines.
	wait bool

	mu      sync.Mutex
	more    *sync.Cond // something to deliver, or closed
	room    *sync.Cond // something was taken
	queue   []item
	bytes   int
	dropped int
	closed  bool
	done    chan struct{}
}

func newEvents(log func(Line), wait bool) *events {
	e := &events{log: log, wait: wait, done: make(chan struct{})}
	e.more, e.room = sync.NewCond(&e.mu), sync.NewCond(&e.mu)
	go e.deliver()
	return e
}

// line queues l. When the queue is full it waits or drops l, as configured; how
// many lines were dropped is said in the log once there is room.
func (e *events) line(l Line) {
	if e.log == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.wait && e.full() && !e.closed {
		e.room.Wait()
	}
	if e.full() {
		e.dropped++
		return
	}
	e.noteDropped(l.Time)
	e.push(item{line: &l}, len(l.Text))
}

func (e *events) full() bool {
	return e.bytes >= maxQueuedBytes || len(e.queue) >= maxQueuedItems
}

func (e *events) noteDropped(now time.Time) {
	if e.dropped == 0 {
		return
	}
	text := plural(e.dropped, "line of output was", "lines of output were") +
		" dropped here: the log was read more slowly than the process printed"
	e.dropped = 0
	e.push(item{line: &Line{Time: now, Stream: StreamSession, Text: text}}, len(text))
}

func (e *events) push(i item, bytes int) {
	e.queue = append(e.queue, i)
	e.bytes += bytes
	e.more.Signal()
}

// call queues f, which is small and never dropped.
func (e *events) call(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.push(item{call: f}, 0)
}

// flush waits until all that was queued before has been delivered, or give.
func (e *events) flush(give <-chan time.Time) {
	mark := make(chan struct{})
	e.mu.Lock()
	if e.log != nil {
		e.noteDropped(time.Now())
	}
	e.push(item{mark: mark}, 0)
	e.mu.Unlock()
	select {
	case <-mark:
	case <-give:
	case <-e.done:
	}
}

// close delivers what is queued and ends the goroutine; it does not wait.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.more.Signal()
	e.room.Broadcast()
}

func (e *events) deliver() {
	defer close(e.done)
	for {
		e.mu.Lock()
		for len(e.queue) == 0 && !e.closed {
			e.more.Wait()
		}
		batch := e.queue
		e.queue, e.bytes = nil, 0
		ended := e.closed && len(batch) == 0
		e.room.Broadcast()
		e.mu.Unlock()
		if ended {
			return
		}
		for _, i := range batch {
			switch {
			case i.line != nil:
				e.log(*i.line)
			case i.call != nil:
				i.call()
			case i.mark != nil:
				close(i.mark)
			}
		}
	}
}
