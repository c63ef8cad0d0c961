package blob

import (
	"context"
	"fmt"
	"io"
)

// maxEmptyReads is how often a reader may return neither bytes nor an error.
const maxEmptyReads = 100

// Sized is a reader that knows how many bytes it will give.
type Sized struct {
	r    io.Reader
	size int64
	left int64
}

// WithSize announces the exact length of r, so that a store can reserve the
// space and choose the way before the first byte. Reading fails with
// ErrIncomplete when r ends early and with ErrTooLarge when it does not end.
func WithSize(r io.Reader, size int64) *Sized { return &Sized{r: r, size: size, left: size} }

// Size is the announced length in bytes.
func (s *Sized) Size() int64 { return s.size }

// Read reads on and holds r to its announced length.
func (s *Sized) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.left <= 0 {
		return s.probe()
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	if n < 0 || n > len(p) {
		return 0, errBadReader
	}
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		return n, fmt.Errorf("%w: %d of %d bytes came", ErrIncomplete, s.size-s.left, s.size)
	}
	return n, err
}

// probe asks for one byte more than announced and wants the end instead.
func (s *Sized) probe() (int, error) {
	var one [1]byte
	for range maxEmptyReads {
		n, err := s.r.Read(one[:])
		if n != 0 {
			return 0, fmt.Errorf("%w: more than the announced %d bytes came", ErrTooLarge, s.size)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

var errBadReader = fmt.Errorf("%w: a reader that counts wrongly", ErrInvalid)

// SizeOf gives the length that a reader made by WithSize announces.
func SizeOf(r io.Reader) (int64, bool) {
	s, ok := r.(*Sized)
	if !ok {
		return 0, false
	}
	return s.size, true
}

// Fill reads until buf is full, the reader ends (io.EOF), it fails, or ctx is
// done. Unlike io.ReadFull it keeps a stream that was cut (for instance
// io.ErrUnexpectedEOF of an HTTP body) apart from one that ended, and holds its
// own against readers that misbehave.
func Fill(ctx context.Context, r io.Reader, buf []byte) (int, error) {
	n, empty := 0, 0
	for n < len(buf) {
		if err := ctx.Err(); err != nil {
			return n, context.Cause(ctx)
		}
		m, err := r.Read(buf[n:])
		if m < 0 || m > len(buf)-n {
			return n, errBadReader
		}
		n += m
		if err != nil {
			return n, err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty >= maxEmptyReads {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// Ended makes sure that r has no more bytes: nil at its end, ErrTooLarge if
// another byte comes, else the reader's error.
func Ended(ctx context.Context, r io.Reader) error {
	var one [1]byte
	n, err := Fill(ctx, r, one[:])
	switch {
	case n > 0:
		return fmt.Errorf("%w: more bytes came than were announced", ErrTooLarge)
	case err == io.EOF:
		return nil
	default:
		return err
	}
}
