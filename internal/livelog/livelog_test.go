package livelog_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/livelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, o livelog.Options) *livelog.Store {
	t.Helper()
	s, err := livelog.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *livelog.Store, lease, offset int64, data string) int64 {
	t.Helper()
	end, err := s.Append(lease, offset, []byte(data))
	if err != nil {
		t.Fatalf("append at %d: %v", offset, err)
	}
	return end
}

// part is a run of bytes of a log as it was read.
type part struct {
	At   int64
	Text string
}

// read gives the whole log, runs joined, in small pieces.
func read(t *testing.T, s *livelog.Store, lease, from int64) []part {
	t.Helper()
	var out []part
	buf := make([]byte, 5)
	for {
		at, n, err := s.ReadAt(lease, from, buf)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			t.Fatal("a read of nothing without io.EOF")
		}
		if k := len(out) - 1; k >= 0 && out[k].At+int64(len(out[k].Text)) == at {
			out[k].Text += string(buf[:n])
		} else {
			out = append(out, part{at, string(buf[:n])})
		}
		from = at + int64(n)
	}
}

func TestAppendIsIdempotent(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{})
	for _, step := range []struct {
		offset int64
		data   string
		end    int64
	}{
		{0, "one\n", 4},
		{0, "one\n", 4},           // a repeat
		{0, "one\ntwo\n", 8},      // a repeat with more
		{4, "two\n", 8},           // an old part
		{8, "", 8},                // nothing
		{6, "o\nthree\n", 14},     // half old
		{2, "XXXXXXXXXXXXXX", 16}, // what is there is not written over
	} {
		if end := add(t, s, 7, step.offset, step.data); end != step.end {
			t.Errorf("append %q at %d: the end is %d, not %d", step.data, step.offset, end, step.end)
		}
	}
	want := []part{{0, "one\ntwo\nthree\nXX"}}
	if d := cmp.Diff(want, read(t, s, 7, 0)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]part{{5, "wo\nthree\nXX"}}, read(t, s, 7, 5)); d != "" {
		t.Error(d)
	}
}

func TestHeadAndTailAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, livelog.Options{Head: 10, Tail: 16})
	var all strings.Builder
	for i := range 100 {
		line := strings.Repeat(string(rune('a'+i%26)), 7)
		add(t, s, 1, int64(all.Len()), line)
		all.WriteString(line)
	}
	got := read(t, s, 1, 0)
	if len(got) != 2 || got[0] != (part{0, all.String()[:10]}) {
		t.Fatalf("got %v", got)
	}
	tail := got[1]
	if len(tail.Text) < 16 || len(tail.Text) > 18 || !strings.HasSuffix(all.String(), tail.Text) || tail.At != int64(all.Len()-len(tail.Text)) {
		t.Errorf("tail %v of %d", tail, all.Len())
	}
	if got := s.Total(); got != int64(10+len(tail.Text)) {
		t.Errorf("the store counts %d bytes", got)
	}
	again := open(t, dir, livelog.Options{Head: 10, Tail: 16})
	if d := cmp.Diff(got, read(t, again, 1, 0)); d != "" {
		t.Error(d)
	}
}

func TestOneLargeAppend(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{Head: 100, Tail: 80})
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte('A' + i%50)
	}
	add(t, s, 1, 0, string(data))
	got := read(t, s, 1, 0)
	if len(got) != 2 || got[0].Text != string(data[:100]) || !strings.HasSuffix(string(data), got[1].Text) || len(got[1].Text) < 80 {
		t.Errorf("got %v", got)
	}
}

func TestSurvivesRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, livelog.Options{})
	const lease = 3<<32 + 17
	add(t, s, lease, 0, "before")
	s = open(t, dir, livelog.Options{})
	if end, err := s.Size(lease); end != 6 || err != nil {
		t.Errorf("size %d, %v", end, err)
	}
	add(t, s, lease, 0, "before and after")
	if d := cmp.Diff([]part{{0, "before and after"}}, read(t, s, lease, 0)); d != "" {
		t.Error(d)
	}
}

// TestLostBytesLeaveAGap is what a power cut comes to: the worker goes on at an
// offset that the store does not have.
func TestLostBytesLeaveAGap(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{})
	add(t, s, 1, 0, "abc")
	if end := add(t, s, 1, 10, "xyz"); end != 13 {
		t.Errorf("end %d", end)
	}
	add(t, s, 1, 5, "too late")
	if d := cmp.Diff([]part{{0, "abc"}, {10, "xyz"}}, read(t, s, 1, 0)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]part{{10, "xyz"}}, read(t, s, 1, 4)); d != "" {
		t.Error(d)
	}
}

func TestHostilePlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, livelog.Options{Head: 64, Tail: 64})
	for _, c := range []struct {
		lease, offset int64
		size          int
	}{
		{0, 0, 1}, {-1, 0, 1}, {math.MinInt64, 0, 1}, {1, -1, 1}, {1, math.MinInt64, 1}, {1, math.MaxInt64, 1},
		{1, math.MaxInt64 - 1, 10}, {1, 1 << 40, 1}, {1, 0, livelog.MaxAppend + 1},
	} {
		if _, err := s.Append(c.lease, c.offset, make([]byte, c.size)); !errors.Is(err, livelog.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, _, err := s.ReadAt(1, -1, make([]byte, 1)); !errors.Is(err, livelog.ErrInvalid) {
		t.Errorf("read: %v", err)
	}
	// A writer that jumps about costs no more room than one that does not.
	for i := range 1000 {
		add(t, s, 1, int64(i)<<30, "x")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > 12 {
		t.Errorf("%d files for one log", len(files))
	}
	if s.Total() > 128+8 {
		t.Errorf("%d bytes for one log", s.Total())
	}
	if _, _, err := s.ReadAt(1, math.MaxInt64, make([]byte, 1)); err != io.EOF {
		t.Errorf("read far away: %v", err)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "01", "1-7.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := []string{"notes.txt", "01/2-0.log", "01/x-0.log", "01/1--5.log", "01/1-0", "01/-1-0.log", "01/1-99999999999999999999.log"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte("keep"), 0o600); err != nil {
			if mkerr := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); mkerr != nil {
				t.Fatal(err)
			}
		}
	}
	s := open(t, dir, livelog.Options{})
	if s.Total() != 0 {
		t.Errorf("%d bytes counted", s.Total())
	}
	if n := s.Expire(time.Now().Add(time.Hour)); n != 0 {
		t.Errorf("%d logs expired", n)
	}
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{})
	if _, _, err := s.ReadAt(5, 0, make([]byte, 1)); !errors.Is(err, livelog.ErrNotFound) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.Size(5); !errors.Is(err, livelog.ErrNotFound) {
		t.Errorf("size: %v", err)
	}
	s.Remove(5)
}

func TestExpireAndRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	s := open(t, dir, livelog.Options{Now: func() time.Time { return now }})
	add(t, s, 1, 0, "old")
	now = now.Add(time.Hour)
	add(t, s, 2, 0, "young")
	add(t, s, 3, 0, "removed")
	if n := s.Expire(now.Add(-time.Minute)); n != 1 {
		t.Errorf("%d expired", n)
	}
	s.Remove(3)
	for lease, want := range map[int64]error{1: livelog.ErrNotFound, 2: nil, 3: livelog.ErrNotFound} {
		if _, err := s.Size(lease); !errors.Is(err, want) {
			t.Errorf("lease %d: %v", lease, err)
		}
	}
	if s.Total() != 5 {
		t.Errorf("total %d", s.Total())
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if len(files) != 1 {
		t.Errorf("files %v", files)
	}
	add(t, s, 1, 0, "again")
	if d := cmp.Diff([]part{{0, "again"}}, read(t, s, 1, 0)); d != "" {
		t.Error(d)
	}
}

func TestTotalIsKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := open(t, t.TempDir(), livelog.Options{Total: 100, Now: func() time.Time { return now }})
	for lease := range int64(30) {
		now = now.Add(time.Second)
		add(t, s, lease+1, 0, strings.Repeat("x", 10))
		add(t, s, 1, int64(10+lease), "y") // one that always has news
		if s.Total() > 100 {
			t.Fatalf("%d bytes kept", s.Total())
		}
	}
	if _, err := s.Size(1); err != nil {
		t.Errorf("the liveliest log went: %v", err)
	}
	if _, err := s.Size(2); !errors.Is(err, livelog.ErrNotFound) {
		t.Errorf("the oldest log stays: %v", err)
	}
	if _, err := s.Size(30); err != nil {
		t.Errorf("the newest log went: %v", err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{})
	var want, got bytes.Buffer
	for range 200 {
		want.Write(bytes.Repeat([]byte{byte('a' + rand.IntN(26))}, 1+rand.IntN(40)))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for off := 0; off < want.Len(); {
			n := min(1+rand.IntN(100), want.Len()-off)
			if _, err := s.Append(1, int64(off), want.Bytes()[off:off+n]); err != nil {
				t.Error(err)
				return
			}
			off += n
		}
	})
	buf := make([]byte, 33)
	for got.Len() < want.Len() {
		changed := s.Changed(1)
		_, n, err := s.ReadAt(1, int64(got.Len()), buf)
		got.Write(buf[:n])
		if n > 0 {
			continue
		}
		if err != io.EOF && !errors.Is(err, livelog.ErrNotFound) {
			t.Fatal(err)
		}
		<-changed
	}
	wg.Wait()
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("what was followed is not what was written")
	}
}

func TestRemovalWakesFollowers(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{})
	add(t, s, 1, 0, "x")
	changed := s.Changed(1)
	s.Remove(1)
	<-changed
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), livelog.Options{Head: 50, Tail: 80, Total: 2000})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			buf := make([]byte, 16)
			for i := range int64(200) {
				lease := (i+int64(g))%20 + 1
				if _, err := s.Append(lease, i*3, []byte("abcdef")); err != nil {
					t.Error(err)
				}
				if _, _, err := s.ReadAt(lease, i, buf); err != nil && err != io.EOF && !errors.Is(err, livelog.ErrNotFound) {
					t.Error(err)
				}
				if i%50 == 0 {
					s.Remove(lease)
				}
			}
		})
	}
	wg.Wait()
	for lease := range int64(20) {
		s.Remove(lease + 1)
	}
	if s.Total() != 0 {
		t.Errorf("%d bytes are counted for no logs", s.Total())
	}
}

func TestDiskRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, livelog.Options{})
	// A file in the place of the folder that the log would lie in.
	if err := os.WriteFile(filepath.Join(dir, "01"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(1, 0, []byte("x")); err == nil {
		t.Error("no error")
	}
	if s.Total() != 0 {
		t.Errorf("total %d", s.Total())
	}
	if err := os.Remove(filepath.Join(dir, "01")); err != nil {
		t.Fatal(err)
	}
	if end := add(t, s, 1, 0, "x"); end != 1 {
		t.Errorf("end %d", end)
	}
	if _, err := livelog.Open(filepath.Join(dir, "01", "1-0.log"), livelog.Options{}); err == nil {
		t.Error("a file was opened as a folder")
	}
}

// FuzzAppend holds the store to a simple model: bytes by offset.
func FuzzAppend(f *testing.F) {
	f.Add([]byte{0, 5, 3, 5, 200, 9, 2, 2})
	f.Add([]byte{9, 9, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, moves []byte) {
		s := open(t, t.TempDir(), livelog.Options{Head: 1 << 20})
		model := make(map[int64]byte)
		var end int64
		for i := 0; i+1 < len(moves) && i < 100; i += 2 {
			offset, data := int64(moves[i]), bytes.Repeat([]byte{byte('a' + i%26)}, int(moves[i+1]%64))
			got, err := s.Append(1, offset, data)
			if err != nil {
				t.Fatal(err)
			}
			for k, c := range data {
				if at := offset + int64(k); at >= end {
					model[at] = c
				}
			}
			if len(data) > 0 {
				end = max(end, offset+int64(len(data)))
			}
			if got != end {
				t.Fatalf("end %d, not %d", got, end)
			}
		}
		if end == 0 {
			return
		}
		n := 0
		for _, p := range read(t, s, 1, 0) {
			for k := range len(p.Text) {
				if model[p.At+int64(k)] != p.Text[k] {
					t.Fatalf("byte %d is %q, not %q", p.At+int64(k), p.Text[k], model[p.At+int64(k)])
				}
				n++
			}
		}
		// Gaps make pieces, and only the last of them stay.
		if n > len(model) {
			t.Fatalf("%d bytes of %d", n, len(model))
		}
	})
}
