// Package livelog keeps the logs of running attempts while they grow: bytes
// come in by offset, people read and follow them. It is a convenience of the
// farm, not its record: what is appended survives the end of the process, but
// is not forced to the disk, for a worker uploads the whole log when its
// attempt is over.
//
// Of each log the head and the tail are kept. It knows nothing of jobs or of
// who may read; a log is known by the number of its lease.
package livelog

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Errors to test for with errors.Is.
var (
	// ErrNotFound means that nothing of the log is there: none came, or it was
	// removed.
	ErrNotFound = errors.New("there is no live log of this attempt")
	// ErrInvalid means a lease or an offset that cannot be.
	ErrInvalid = errors.New("invalid place in a log")
)

// Options are the bounds of a store; zero fields have the defaults named.
type Options struct {
	// Head and Tail are how many bytes of each log are kept of its beginning and
	// of its end; 8 MiB each. Tail is kept in whole eighths.
	Head, Tail int64
	// Total is how many bytes all logs may take together; 4 GiB. Beyond it the
	// logs that were longest without news go.
	Total int64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log gets what the store cannot do; nil: nowhere.
	Log *slog.Logger
}

const (
	// MaxAppend is the most that one Append takes.
	MaxAppend = 4 << 20
	// maxOffset is where a log ends at the latest: nobody reads a tebibyte.
	maxOffset = 1 << 40
	tailParts = 8
	suffix    = ".log"
)

// Store is a folder of live logs. Its methods may be called from many
// goroutines; one process at a time uses the folder.
type Store struct {
	dir string
	opt Options

	mu    sync.Mutex
	logs  map[int64]*log
	total int64
}

// log is one log: pieces of it in the order of their offsets, and a channel that
// is closed when it changes.
type log struct {
	mu      sync.Mutex // guards the files and pieces; never taken while Store.mu is held
	pieces  []piece
	updated time.Time
	gone    bool
	changed chan struct{}
}

// piece is a file that holds the bytes from start on.
type piece struct{ start, size int64 }

func (p piece) end() int64 { return p.start + p.size }

// Open takes up the logs of the folder, which it makes if it is not there.
func Open(dir string, opt Options) (*Store, error) {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&opt.Head, 8<<20)
	def(&opt.Tail, 8<<20)
	def(&opt.Total, 4<<30)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{dir: dir, opt: opt, logs: make(map[int64]*log)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of live logs: %w", err)
	}
	if err := s.scan(); err != nil {
		return nil, fmt.Errorf("read the folder of live logs: %w", err)
	}
	return s, nil
}

// scan reads the names of all pieces. Files of other names are left alone.
func (s *Store) scan() error {
	shards, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, sh := range shards {
		if !sh.IsDir() || len(sh.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.dir, sh.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			lease, start, ok := parseName(f.Name())
			if !ok || shard(lease) != sh.Name() {
				continue
			}
			info, err := f.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			l := s.logs[lease]
			if l == nil {
				l = newLog()
				s.logs[lease] = l
			}
			l.pieces = append(l.pieces, piece{start, info.Size()})
			s.total += info.Size()
			if info.ModTime().After(l.updated) {
				l.updated = info.ModTime()
			}
		}
	}
	for _, l := range s.logs {
		slices.SortFunc(l.pieces, func(a, b piece) int { return cmp.Compare(a.start, b.start) })
	}
	return nil
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func shard(lease int64) string { return fmt.Sprintf("%02x", lease&0xff) }

func (s *Store) path(lease int64, p piece) string {
	return filepath.Join(s.dir, shard(lease), fmt.Sprintf("%d-%d%s", lease, p.start, suffix))
}

func parseName(name string) (lease, start int64, ok bool) {
	name, found := strings.CutSuffix(name, suffix)
	a, b, cut := strings.Cut(name, "-")
	lease, e1 := strconv.ParseInt(a, 10, 64)
	start, e2 := strconv.ParseInt(b, 10, 64)
	return lease, start, found && cut && e1 == nil && e2 == nil && lease > 0 && start >= 0 && start <= maxOffset
}

// lookup finds a log, or makes it.
func (s *Store) lookup(lease int64, make bool) *log {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[lease]
	if l == nil && make {
		l = newLog()
		s.logs[lease] = l
	}
	return l
}

func (s *Store) account(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += n
}

// Total is how many bytes all logs take.
func (s *Store) Total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
