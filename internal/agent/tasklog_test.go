package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/openjd/session"
)

func openLog(t *testing.T, limit int64, chunk int) *taskLog {
	t.Helper()
	l, err := newTaskLog(filepath.Join(t.TempDir(), "log"), limit, chunk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.finish() })
	return l
}

func (l *taskLog) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTaskLog(t *testing.T) {
	t.Parallel()
	l := openLog(t, 1<<20, 1<<10)
	l.line(session.Line{Text: "one"})
	l.line(session.Line{Text: "a long "})
	l.line(session.Line{Text: "line", Continued: true})
	l.line(session.Line{Text: "said", Stream: session.StreamOutput})
	l.line(session.Line{Text: "openjd_progress: 5", Stream: session.StreamOutput})
	l.line(session.Line{Text: ""})
	if _, last := l.end(); last != "said" {
		t.Errorf("the last line is %q", last)
	}
	first, again := l.finish(), l.finish()
	if !first || !again {
		t.Error("a log with lines counts as empty")
	}
	l.line(session.Line{Text: "late"})
	if got, want := l.text(t), "one\na long line\nsaid\nopenjd_progress: 5\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if openLog(t, 1<<20, 1).finish() {
		t.Error("an empty log counts as one")
	}
}

// TestTaskLogLimit keeps the beginning and the end of a log.
func TestTaskLogLimit(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{10, 400, 700, 1100, 40_000} {
		const limit = 100 << 10
		l := openLog(t, limit, 1<<10)
		var want strings.Builder
		for i := range lines {
			text := strings.Repeat(string('a'+rune(i%26)), 99)
			l.line(session.Line{Text: text})
			want.WriteString(text + "\n")
		}
		l.finish()
		got := l.text(t)
		if want.Len() <= limit {
			if got != want.String() {
				t.Errorf("%d lines: the log of %d bytes has %d", lines, want.Len(), len(got))
			}
			continue
		}
		head, tail := want.String()[:limit-maxTail], want.String()[want.Len()-maxTail:]
		if len(got) > limit+100 || !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || !strings.Contains(got, "bytes of the log are left out here") {
			t.Errorf("%d lines: a log of %d bytes", lines, len(got))
		}
	}
}

// liveLog is what arrives of a stream.
type liveLog struct {
	mu   sync.Mutex
	got  []byte
	n    int
	fail error
}

func (s *liveLog) send(_ context.Context, offset int64, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.fail != nil {
		return s.fail
	}
	s.got = append(s.got[:offset], data...)
	return nil
}

func (s *liveLog) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *liveLog) state() (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.got), s.n
}

func TestTaskLogStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := newTaskLog(filepath.Join(dir, "log"), 1<<20, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var s liveLog
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.stream(ctx, time.Second, s.send) }()
		check := func(what, want string, calls int) {
			t.Helper()
			synctest.Wait()
			if got, n := s.state(); got != want || n != calls {
				t.Errorf("%s: %d calls, %d bytes; want %d, %d", what, n, len(got), calls, len(want))
			}
		}
		l.say("one")
		check("before a second is over", "", 0)
		time.Sleep(time.Second)
		check("after a second", "one", 1)
		big := strings.Repeat("x", 1500)
		l.say("%s", big)
		check("a full chunk", "one\n"+big, 2)
		s.set(errors.New("away"))
		for range 100 {
			l.say("%s", big)
		}
		check("a farm that is away is not asked at each line", "one\n"+big, 3)
		time.Sleep(3 * time.Second)
		s.set(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got, _ := s.state(); len(got) != len("one\n")+101*1501-1 {
			t.Errorf("after the absence %d bytes arrived", len(got))
		}
		_, before := s.state()
		s.set(&farmError{"gone", "no such lease"})
		l.say("%s", big)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if _, n := s.state(); n != before+1 {
			t.Errorf("after a refusal the farm was asked %d times", n-before)
		}
		<-done
		cancel()
		l.finish()
	})
}
