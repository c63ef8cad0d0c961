package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"drover.farm/internal/blob"
)

// pieceSize is how much is read, hashed and written at a time.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error) {
	if err := s.begin(); err != nil {
		return blob.Info{}, err
	}
	defer s.ops.Done()
	if err := s.quotaKnown(ctx); err != nil {
		return blob.Info{}, err
	}
	p := put{s: s, hash: blob.NewHasher()}
	info, err := p.run(ctx, r, want)
	if err != nil {
		p.abandon()
		return blob.Info{}, fmt.Errorf("store a file: %w", blob.AsFull(err))
	}
	return info, nil
}

// put is one Put under way.
type put struct {
	s        *Store
	f        *os.File
	hash     *blob.Hasher
	reserved int64 // bytes promised by the account
	written  int64 // of those, in the file
	sized    bool
}

func (p *put) run(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error) {
	if n, ok := blob.SizeOf(r); ok {
		if n < 0 {
			return blob.Info{}, fmt.Errorf("%w: a file of %d bytes", blob.ErrInvalid, n)
		}
		if err := p.reserve(n); err != nil {
			return blob.Info{}, err
		}
		p.sized = true
	}
	f, err := os.CreateTemp(filepath.Join(p.s.dir, tempDir), tempPrefix)
	if err != nil {
		return blob.Info{}, err
	}
	p.f = f
	if err := p.copy(ctx, r); err != nil {
		return blob.Info{}, err
	}
	info := p.hash.Info()
	if want != nil && !want.IsZero() && info.SHA256 != *want {
		return blob.Info{}, fmt.Errorf("%w: it is %s, not %s", blob.ErrMismatch, info.SHA256, *want)
	}
	p.s.opt.at("put: written")
	info.Stored = p.s.opt.Now()
	if err := settle(p.f, info); err != nil {
		return blob.Info{}, err
	}
	if err := p.s.running(ctx); err != nil {
		return blob.Info{}, err
	}
	p.s.opt.at("put: synced")
	return info, p.s.commit(p.f.Name(), info, p.reserved)
}

func (p *put) copy(ctx context.Context, r io.Reader) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for {
		n, rerr := blob.Fill(ctx, r, *buf)
		if err := p.write((*buf)[:n]); err != nil {
			return err
		}
		if rerr == io.EOF {
			return nil
		}
		if rerr != nil {
			return rerr
		}
		if err := p.s.running(ctx); err != nil {
			return err
		}
	}
}

func (p *put) write(piece []byte) error {
	if !p.sized {
		if err := p.reserve(int64(len(piece))); err != nil {
			return err
		}
	}
	return p.hash.Beside(piece, func() error {
		n, err := p.f.Write(piece)
		p.s.acct.wrote(int64(n))
		p.written += int64(n)
		return err
	})
}

func (p *put) reserve(n int64) error {
	if err := p.s.reserve(n); err != nil {
		return err
	}
	p.reserved += n
	return nil
}

// abandon forgets the Put and its bytes. When the commit failed after it had
// taken the file away there is nothing left to remove.
func (p *put) abandon() {
	if p.f != nil {
		_ = p.f.Close() // the bytes are not wanted any more
		if err := os.Remove(p.f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			p.s.log.Warn("cannot remove a temporary file; the next start will", "file", p.f.Name(), "error", err)
		}
	}
	p.s.acct.release(p.reserved, p.reserved-p.written)
}

// settle makes the content and the time of a file durable and closes it.
func settle(f *os.File, info blob.Info) error {
	if err := os.Chtimes(f.Name(), info.Stored, info.Stored); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// writeDurably replaces a small file so that a crash leaves the old or the new.
func writeDurably(path string, data []byte, sync func(string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return sync(filepath.Dir(path))
}
