package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

const (
	// blockSize is the unit of ReadAt.
	blockSize = 256 << 10
	// blocksKept is how many blocks a file remembers.
	blocksKept = 4
	// skipMax is how far ahead a seek is served by reading on.
	skipMax = 64 << 10
	// readTries is how often reading begins anew without a byte in between.
	readTries = 3
)

// file is a blob read by ranges. It keeps the context of its opening because
// the methods of a file have none of their own.
type file struct {
	s      *Store
	hash   blob.Hash
	size   int64
	ctx    context.Context
	cancel context.CancelFunc

	pos    int64 // of the next Read
	body   io.ReadCloser
	bodyAt int64

	mu     sync.Mutex
	blocks []block // the last used one at the end
}

type block struct {
	off  int64
	data []byte
}

var (
	_ blob.File = (*file)(nil)

	errFileClosed = errors.New("the file is closed")
)

func newFile(ctx context.Context, s *Store, h blob.Hash, size int64) *file {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.done, func() { cancel(blob.ErrClosed) })
	return &file{s: s, hash: h, size: size, ctx: ctx, cancel: func() { stop(); cancel(errFileClosed) }}
}

// Size implements blob.File.
func (f *file) Size() int64 { return f.size }

// Close ends every request of the file.
func (f *file) Close() error {
	f.drop()
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = nil
	return nil
}

// drop ends the stream of Read.
func (f *file) drop() {
	if f.body != nil {
		_ = f.body.Close() // what it still had is not wanted
		f.body = nil
	}
}

// Seek implements io.Seeker; it makes no request.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.size
	default:
		return 0, fmt.Errorf("%w: seek of kind %d", blob.ErrInvalid, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: seek to %d", blob.ErrInvalid, offset)
	}
	f.pos = offset
	return offset, nil
}

// Read implements io.Reader. A stream that breaks is taken up where it broke.
func (f *file) Read(p []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	if f.pos >= f.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if left := f.size - f.pos; int64(len(p)) > left {
		p = p[:left]
	}
	var err error
	for range readTries {
		if err = f.stream(); err != nil {
			break // the client made its own tries
		}
		var n int
		n, err = f.body.Read(p)
		f.pos += int64(n)
		f.bodyAt = f.pos
		if n > 0 {
			return n, nil // an error will come again
		}
		if err != nil {
			f.drop()
		}
		if f.ctx.Err() != nil {
			break
		}
	}
	if err == io.EOF || err == nil {
		err = io.ErrUnexpectedEOF
	}
	return 0, fmt.Errorf("read file %s at %d: %w", f.hash, f.pos, cause(f.ctx, err))
}

// stream brings the stream to the position.
func (f *file) stream() error {
	if f.body != nil && f.bodyAt < f.pos && f.pos-f.bodyAt <= skipMax {
		n, err := io.CopyN(io.Discard, f.body, f.pos-f.bodyAt)
		f.bodyAt += n
		if err != nil {
			f.drop()
		}
	}
	if f.body != nil && f.bodyAt == f.pos {
		return nil
	}
	f.drop()
	body, err := f.get(f.pos, f.size-f.pos)
	if err != nil {
		return err
	}
	f.body, f.bodyAt = body, f.pos
	return nil
}

// get asks for n bytes at off; n is not 0.
func (f *file) get(off, n int64) (io.ReadCloser, error) {
	var opt minio.GetObjectOptions
	if err := opt.SetRange(off, off+n-1); err != nil {
		return nil, err
	}
	body, _, _, err := f.s.core.GetObject(f.ctx, f.s.bucket, f.s.keys.blob(f.hash), opt)
	if err != nil {
		return nil, asBlob(err)
	}
	return body, nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: read at %d", blob.ErrInvalid, off)
	}
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	total := 0
	for total < len(p) {
		at := off + int64(total)
		if at >= f.size {
			return total, io.EOF
		}
		n, err := f.readPart(p[total:], at)
		total += n
		if err != nil {
			return total, fmt.Errorf("read file %s at %d: %w", f.hash, at, cause(f.ctx, err))
		}
	}
	return total, nil
}

// readPart reads some bytes at off: from one block, or as many whole blocks as
// p takes in one request and past the cache.
func (f *file) readPart(p []byte, off int64) (int, error) {
	start := off - off%blockSize
	if off == start && len(p) >= blockSize {
		n := min(int64(len(p)-len(p)%blockSize), f.size-off)
		return f.fetch(p[:n], off)
	}
	data, ok := f.cached(start)
	if !ok {
		data = make([]byte, min(blockSize, f.size-start))
		if _, err := f.fetch(data, start); err != nil {
			return 0, err
		}
		f.remember(block{start, data})
	}
	return copy(p, data[off-start:]), nil
}

// fetch fills p from off, in a few tries.
func (f *file) fetch(p []byte, off int64) (n int, err error) {
	for range readTries {
		var body io.ReadCloser
		if body, err = f.get(off+int64(n), int64(len(p)-n)); err != nil {
			return n, err
		}
		var m int
		m, err = io.ReadFull(body, p[n:])
		_ = body.Close() // all that is wanted was read, or the read failed
		n += m
		if err == nil || f.ctx.Err() != nil {
			return n, err
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *file) cached(off int64) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.blocks, func(b block) bool { return b.off == off })
	if i < 0 {
		return nil, false
	}
	b := f.blocks[i]
	f.blocks = append(slices.Delete(f.blocks, i, i+1), b)
	return b.data, true
}

func (f *file) remember(b block) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.blocks) == blocksKept {
		f.blocks = slices.Delete(f.blocks, 0, 1)
	}
	f.blocks = append(f.blocks, b)
}
