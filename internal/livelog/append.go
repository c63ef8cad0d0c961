package livelog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Append adds data to the log of a lease at an offset and returns where the log
// ends then. What the log has already is passed over, so that a request whose
// answer was lost can be repeated; an offset past the end leaves a gap. Data of
// more than MaxAppend bytes is refused.
func (s *Store) Append(lease, offset int64, data []byte) (end int64, err error) {
	switch {
	case lease <= 0:
		return 0, fmt.Errorf("%w: lease %d", ErrInvalid, lease)
	case offset < 0 || offset > maxOffset-int64(len(data)):
		return 0, fmt.Errorf("%w: the offset %d", ErrInvalid, offset)
	case len(data) > MaxAppend:
		return 0, fmt.Errorf("%w: %d bytes at once, more than %d", ErrInvalid, len(data), MaxAppend)
	}
	for {
		l := s.lookup(lease, true)
		if end, again, err := s.appendTo(l, lease, offset, data); !again {
			if err == nil {
				s.makeRoom(l)
			}
			return end, err
		}
	}
}

// appendTo writes to a log; again means that the log was removed meanwhile.
func (s *Store) appendTo(l *log, lease, offset int64, data []byte) (end int64, again bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return 0, true, nil
	}
	if n := len(l.pieces); n > 0 {
		end = l.pieces[n-1].end()
	}
	if have := min(max(end-offset, 0), int64(len(data))); have > 0 {
		offset, data = offset+have, data[have:]
	}
	l.updated = s.opt.Now()
	for len(data) > 0 {
		n, err := s.write(l, lease, offset, data)
		offset, data = offset+n, data[n:]
		if n > 0 {
			end = offset
		}
		if err != nil {
			l.wake()
			return end, false, err
		}
	}
	s.thin(l, lease)
	l.wake()
	return end, false, nil
}

// wake tells who follows the log that it has changed.
func (l *log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// write adds data to the last piece or begins a new one, as far as the piece
// reaches.
func (s *Store) write(l *log, lease, offset int64, data []byte) (int64, error) {
	n := len(l.pieces)
	if n == 0 || l.pieces[n-1].end() != offset || l.pieces[n-1].size >= s.room(l.pieces[n-1]) {
		l.pieces = append(l.pieces, piece{start: offset})
		n++
	}
	p := &l.pieces[n-1]
	data = data[:min(int64(len(data)), s.room(*p)-p.size)]
	wrote, err := s.put(lease, *p, data)
	p.size += wrote
	s.account(wrote)
	if p.size == 0 {
		l.pieces = l.pieces[:n-1]
	}
	if err != nil {
		return wrote, fmt.Errorf("write a live log: %w", err)
	}
	return wrote, nil
}

// room is how long a piece may become: the first holds the head.
func (s *Store) room(p piece) int64 {
	if p.start == 0 {
		return s.opt.Head
	}
	return max(s.opt.Tail/tailParts, 1)
}

// put writes data to the end of a piece's file.
func (s *Store) put(lease int64, p piece, data []byte) (int64, error) {
	path := s.path(lease, p)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		}
	}
	if err != nil {
		return 0, err
	}
	n, err := f.WriteAt(data, p.size)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return int64(n), err
}

// thin drops the pieces between the head and the tail.
func (s *Store) thin(l *log, lease int64) {
	first := 0
	if len(l.pieces) > 0 && l.pieces[0].start == 0 {
		first = 1
	}
	// The last piece is still growing, so it comes on top of the tail.
	for len(l.pieces)-first > tailParts+1 {
		s.drop(lease, l.pieces[first])
		l.pieces = slices.Delete(l.pieces, first, first+1)
	}
}

func (s *Store) drop(lease int64, p piece) {
	if err := os.Remove(s.path(lease, p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opt.Log.Warn("a live log cannot be removed", "lease", lease, "err", err)
	}
	s.account(-p.size)
}
