package livelog

import (
	"fmt"
	"io"
	"os"
)

// ReadAt reads what the log has from offset on into p. It returns the offset at
// which the bytes read stand: greater than the one asked for when a gap lies
// between. At the end of what is there it returns io.EOF; more may come, as Wait
// tells. It fails with ErrNotFound when nothing of the log is there.
func (s *Store) ReadAt(lease, offset int64, p []byte) (at int64, n int, err error) {
	if offset < 0 {
		return 0, 0, fmt.Errorf("%w: the offset %d", ErrInvalid, offset)
	}
	l := s.lookup(lease, false)
	if l == nil {
		return offset, 0, ErrNotFound
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || len(l.pieces) == 0 {
		return offset, 0, ErrNotFound
	}
	for _, pc := range l.pieces {
		if offset >= pc.end() {
			continue
		}
		at := max(offset, pc.start)
		n, err := s.get(lease, pc, at-pc.start, p)
		return at, n, err
	}
	return offset, 0, io.EOF
}

func (s *Store) get(lease int64, pc piece, from int64, p []byte) (int, error) {
	f, err := os.Open(s.path(lease, pc))
	if err != nil {
		return 0, fmt.Errorf("read a live log: %w", err)
	}
	defer func() { _ = f.Close() }()
	p = p[:min(int64(len(p)), pc.size-from)]
	n, err := f.ReadAt(p, from)
	if err != nil && (err != io.EOF || n < len(p)) {
		return n, fmt.Errorf("read a live log: %w", err)
	}
	return n, nil
}

// Size is where the log ends: the sum of what came and of the gaps.
func (s *Store) Size(lease int64) (int64, error) {
	l := s.lookup(lease, false)
	if l == nil {
		return 0, ErrNotFound
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || len(l.pieces) == 0 {
		return 0, ErrNotFound
	}
	return l.pieces[len(l.pieces)-1].end(), nil
}

// Changed gives a channel that is closed when the log next changes or is
// removed. For a log that is not there yet it waits for its first bytes. Who
// follows a log asks for the channel first and reads then.
func (s *Store) Changed(lease int64) <-chan struct{} {
	l := s.lookup(lease, true)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}
