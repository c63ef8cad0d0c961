package session

import (
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// graceTime is how long an action's output is read after its process has ended
// while some other process still holds it open.
const graceTime = 200 * time.Millisecond

// output reads what the processes of one action print, until the last of them has
// closed it: an action that has left a server running goes on being read, so that
// the server is not killed by a closed pipe.
type output struct {
	r    *os.File
	done chan struct{}
	// reading is set while the reader waits for more, having handled all before;
	// handled counts the bytes of that.
	reading atomic.Bool
	handled atomic.Int64

	mu    sync.Mutex
	lines splitter
}

// read runs until the end of the stream.
func (o *output) read() {
	defer o.r.Close()
	buf := make([]byte, 32<<10)
	for {
		o.reading.Store(true)
		n, err := o.r.Read(buf)
		o.reading.Store(false)
		o.mu.Lock()
		_, _ = o.lines.Write(buf[:n])
		if err != nil {
			o.lines.close()
		}
		o.mu.Unlock()
		o.handled.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// maxPipe is more than a pipe holds.
const maxPipe = 1 << 20

// drain waits until all that an ended process has printed was handled: to the end
// of the stream, or, while others hold it open, for a short time and until there
// is nothing to read or more was read than can have been waiting. It then hands
// on an unfinished line.
func (o *output) drain() {
	before := o.handled.Load()
	timer := time.NewTimer(graceTime)
	defer timer.Stop()
	select {
	case <-o.done:
		return
	case <-timer.C:
	}
	for !o.reading.Load() && o.handled.Load()-before < maxPipe {
		timer.Reset(5 * time.Millisecond)
		select {
		case <-o.done:
			return
		case <-timer.C:
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines.flush()
}

// streams are the outputs that are still open.
type streams struct {
	mu   sync.Mutex
	open map[*output]bool
}

func newStreams() *streams { return &streams{open: map[*output]bool{}} }

// start reads r until its end, giving each piece to emit.
func (s *streams) start(r *os.File, emit func(piece) int) *output {
	o := &output{r: r, done: make(chan struct{}), lines: splitter{max: maxLine, emit: emit}}
	s.mu.Lock()
	s.open[o] = true
	s.mu.Unlock()
	go func() {
		defer close(o.done)
		o.read()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, o)
	}()
	return o
}

// close waits for the ends of all streams, whose processes have been killed, and
// cuts off those that some other process keeps open.
func (s *streams) close() {
	s.mu.Lock()
	var open []*output
	for o := range s.open {
		open = append(open, o)
	}
	s.mu.Unlock()
	if !awaitOutputs(open) {
		for _, o := range open {
			o.r.Close()
		}
		awaitOutputs(open)
	}
}

// awaitOutputs waits a second for the ends of all; false if some go on.
func awaitOutputs(open []*output) bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for _, o := range open {
		select {
		case <-o.done:
		case <-timer.C:
			return false
		}
	}
	return true
}

// clean makes text fit for a log: secrets hidden, valid UTF-8.
func (s *Session) clean(text string) string {
	return strings.ToValidUTF8(s.redactor.apply(redactedForm(text)), "\uFFFD")
}

var _ io.Writer = (*splitter)(nil)
