package livelog

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Remove drops a log. One that is not there is no error.
func (s *Store) Remove(lease int64) {
	l := s.lookup(lease, false)
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.remove(lease, l)
}

// remove drops a log whose lock is held.
func (s *Store) remove(lease int64, l *log) {
	if l.gone {
		return
	}
	l.gone = true
	for _, p := range l.pieces {
		s.drop(lease, p)
	}
	l.pieces = nil
	close(l.changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[lease] == l {
		delete(s.logs, lease)
	}
}

// Expire drops the logs that had no news since before, and returns how many.
func (s *Store) Expire(before time.Time) int {
	n := 0
	for lease, l := range s.all() {
		l.mu.Lock()
		if !l.gone && l.updated.Before(before) {
			if len(l.pieces) > 0 {
				n++
			}
			s.remove(lease, l)
		}
		l.mu.Unlock()
	}
	return n
}

func (s *Store) all() map[int64]*log {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int64]*log, len(s.logs))
	for k, v := range s.logs {
		out[k] = v
	}
	return out
}

// makeRoom drops the logs longest without news while all take more than Total,
// sparing the one just written.
func (s *Store) makeRoom(spare *log) {
	if s.Total() <= s.opt.Total {
		return
	}
	type aged struct {
		lease int64
		l     *log
		at    int64
	}
	var old []aged
	for lease, l := range s.all() {
		if l == spare {
			continue
		}
		l.mu.Lock()
		at := int64(math.MinInt64)
		if !l.updated.IsZero() {
			at = l.updated.UnixNano()
		}
		old = append(old, aged{lease, l, at})
		l.mu.Unlock()
	}
	slices.SortFunc(old, func(a, b aged) int { return cmp.Compare(a.at, b.at) })
	for _, o := range old {
		if s.Total() <= s.opt.Total {
			return
		}
		o.l.mu.Lock()
		s.remove(o.lease, o.l)
		o.l.mu.Unlock()
	}
}
