package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"drover.farm/internal/blob"
)

// spoolMemory is up to which length content waits in memory; it is also the
// size of the pieces in which more is written to a file.
const spoolMemory = 1 << 20

// nameless tells whether an open file can be removed and used on, so that it
// goes with its process.
const nameless = runtime.GOOS != "windows"

var spoolBuffers = sync.Pool{New: func() any { b := make([]byte, spoolMemory); return &b }}

// spool is content on its way into the bucket: short in memory, long in a file
// that has no name any more where the system allows that.
type spool struct {
	buf  *[]byte
	n    int
	file *os.File
	size int64

	tainted bool
}

// fillSpool reads at most limit bytes of r. The error is io.EOF if r ended, nil
// if it may go on, else the reason of a failure; the spool has what came before
// in each case but a failure of the spool itself. The hash, if there is one,
// gets what the spool gets.
func fillSpool(ctx context.Context, dir string, r io.Reader, limit int64, hash *blob.Hasher) (*spool, error) {
	sp := &spool{buf: spoolBuffers.Get().(*[]byte)}
	n, err := blob.Fill(ctx, r, (*sp.buf)[:min(limit, spoolMemory)])
	if hash != nil {
		_, _ = hash.Write((*sp.buf)[:n]) // never fails
	}
	sp.n, sp.size = n, int64(n)
	if err != nil || sp.size == limit {
		return sp, err
	}
	if sp.file, err = createSpool(dir); err != nil {
		return sp.failed(err)
	}
	if _, err := sp.file.Write((*sp.buf)[:n]); err != nil {
		return sp.failed(err)
	}
	for sp.size < limit {
		n, rerr := blob.Fill(ctx, r, (*sp.buf)[:min(limit-sp.size, spoolMemory)])
		if err := sp.write((*sp.buf)[:n], hash); err != nil {
			return sp.failed(err)
		}
		sp.size += int64(n)
		if rerr != nil {
			return sp, rerr
		}
	}
	return sp, nil
}

func (sp *spool) write(piece []byte, hash *blob.Hasher) error {
	write := func() error {
		_, err := sp.file.Write(piece)
		return err
	}
	if hash == nil {
		return write()
	}
	return hash.Beside(piece, write)
}

// failed gives up a spool that cannot be written.
func (sp *spool) failed(err error) (*spool, error) {
	sp.close()
	return &spool{}, &spoolError{fmt.Errorf("write the spool file: %w", blob.AsFull(err))}
}

// spoolError is a failure of the spool, not of the reader.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return e.err.Error() }
func (e *spoolError) Unwrap() error { return e.err }

// reader gives the content from its begin, with ReadAt and Seek so that parts
// can be sent side by side and sent again.
func (sp *spool) reader() interface {
	io.ReadSeeker
	io.ReaderAt
} {
	if sp.file != nil {
		return io.NewSectionReader(sp.file, 0, sp.size)
	}
	if sp.buf == nil {
		return bytes.NewReader(nil)
	}
	return bytes.NewReader((*sp.buf)[:sp.n])
}

// taint keeps the memory from being used again: a request that failed may still
// be reading it.
func (sp *spool) taint() { sp.tainted = true }

// close gives the memory and the file back.
func (sp *spool) close() {
	if sp.buf != nil && !sp.tainted {
		spoolBuffers.Put(sp.buf)
	}
	sp.buf = nil
	if sp.file != nil {
		_ = sp.file.Close() // nobody wants the bytes any more
		if !nameless {
			_ = os.Remove(sp.file.Name())
		}
		sp.file = nil
	}
}

func createSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, spoolPrefix)
	if err != nil {
		return nil, err
	}
	if nameless {
		if err := os.Remove(f.Name()); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return f, nil
}

// openSpool makes an empty spool file, to see that it can be made.
func openSpool(dir string) (*spool, error) {
	f, err := createSpool(dir)
	if err != nil {
		return nil, err
	}
	return &spool{file: f}, nil
}
