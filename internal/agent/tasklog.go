package agent

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"drover.farm/openjd/session"
)

// maxTail is how much of the end of a log that outgrew its limit is kept, and how
// much of it is searched for the cause of a failure.
const maxTail = 64 << 10

// taskLog is the log of one attempt: a file that grows up to a limit, and the end
// of what followed.
type taskLog struct {
	path  string
	limit int64
	chunk int

	mu      sync.Mutex
	f       *os.File
	size    int64 // of the file
	total   int64 // of all that was logged
	tail    []byte
	pending bool   // a line end is due before the next line
	last    string // of what the task's processes printed for people
	sent    int64  // by stream, which alone changes it
	err     error
	// more is signaled when a chunk is full.
	more chan struct{}
}

func newTaskLog(path string, limit int64, chunk int) (*taskLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &taskLog{path: path, limit: limit, chunk: chunk, f: f, more: make(chan struct{}, 1)}, nil
}

// line adds a line of a session. It never fails: what the disk does not take is
// only missing from the log.
func (l *taskLog) line(n session.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := n.Text
	if l.pending && !n.Continued {
		text = "\n" + text
	}
	l.pending = true
	if said := strings.TrimSpace(n.Text); n.Stream == session.StreamOutput && !n.Background && said != "" && !strings.HasPrefix(said, "openjd_") {
		l.last = clip(said, 300)
	}
	l.write(text)
}

// say adds a line of the worker itself.
func (l *taskLog) say(format string, args ...any) {
	l.line(session.Line{Text: fmt.Sprintf(format, args...)})
}

func (l *taskLog) write(text string) {
	if l.f == nil {
		return
	}
	l.total += int64(len(text))
	l.tail = append(l.tail, text...)
	if len(l.tail) > 2*maxTail {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-maxTail:]...)
	}
	if room := max(l.limit-maxTail-l.size, 0); int64(len(text)) > room {
		text = text[:room]
	}
	if text == "" || l.err != nil {
		return
	}
	var n int
	n, l.err = l.f.WriteString(text)
	l.size += int64(n)
	if l.size-l.sent >= int64(l.chunk) {
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
}

// end is the end of the log and the last line printed, for the cause of a failure.
func (l *taskLog) end() (tail, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail[max(len(l.tail)-maxTail, 0):]), l.last
}

// finish writes the end of the log to the file and closes it. It reports whether
// anything was logged.
func (l *taskLog) finish() bool {
	if l == nil { // the task did not get that far
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return l.size > 0
	}
	if l.pending {
		l.write("\n")
	}
	if missing := l.total - l.size; missing > 0 && l.err == nil {
		tail := l.tail[max(len(l.tail)-maxTail, 0):]
		if left := missing - int64(len(tail)); left > 0 {
			tail = append(fmt.Appendf(nil, "\n[%d bytes of the log are left out here]\n", left), tail...)
		} else {
			tail = tail[int64(len(tail))-missing:]
		}
		n, _ := l.f.Write(tail)
		l.size += int64(n)
	}
	_ = l.f.Close()
	l.f = nil
	return l.size > 0
}

// fresh reads what was not sent yet, at most n bytes; nothing once the log is
// finished, for then it is sent as a whole.
func (l *taskLog) fresh(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil || l.size <= l.sent {
		return nil
	}
	b := make([]byte, min(int64(n), l.size-l.sent))
	got, _ := l.f.ReadAt(b, l.sent)
	return b[:got]
}

// stream sends the log as it grows until ctx ends: every so often, or as soon as a
// chunk is full. A farm that is away gets it later; one that refuses gets no more.
func (l *taskLog) stream(ctx context.Context, every time.Duration, send func(ctx context.Context, offset int64, data []byte) error) {
	t := time.NewTicker(every)
	defer t.Stop()
	more := l.more
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-more:
		}
		err := l.catchUp(ctx, send)
		if final(err) {
			return
		}
		if more = l.more; err != nil {
			more = nil // not at each line, while the farm is away
		}
	}
}

// catchUp sends what is new.
func (l *taskLog) catchUp(ctx context.Context, send func(ctx context.Context, offset int64, data []byte) error) error {
	for {
		data := l.fresh(4 * l.chunk)
		if len(data) == 0 {
			return nil
		}
		if err := send(ctx, l.sent, data); err != nil {
			return err
		}
		l.mu.Lock()
		l.sent += int64(len(data))
		l.mu.Unlock()
	}
}
