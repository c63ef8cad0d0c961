package frame

import (
	"bufio"
	"errors"
	"io"
)

// source is a picture's file. It remembers an error of the file itself, so that
// a failing disk is never taken for a bad picture.
type source struct {
	r    io.ReaderAt
	size int64
	err  error
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// section returns a reader of n bytes from off, fewer where the file ends.
func (s *source) section(off, n int64) io.Reader {
	n = min(n, s.size-off)
	if off < 0 || n < 0 {
		n = 0
	}
	return io.NewSectionReader(s, off, n)
}

// from returns a buffered reader of the file from off to its end.
func (s *source) from(off int64) *bufio.Reader {
	return bufio.NewReaderSize(s.section(off, s.size), 64<<10)
}

// full fills p from off; an early end is io.ErrUnexpectedEOF.
func (s *source) full(p []byte, off int64) error {
	_, err := io.ReadFull(s.section(off, int64(len(p))), p)
	return early(err)
}

// early makes a clean end of file an early one.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
