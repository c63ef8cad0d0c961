package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"drover.farm/internal/blob"
)

// file is an open blob. It embeds the *os.File so that net/http finds what it
// needs to let the kernel send the bytes.
type file struct {
	*os.File
	size int64
}

var _ blob.File = (*file)(nil)

// Size implements blob.File.
func (f *file) Size() int64 { return f.size }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, h blob.Hash) (blob.Info, error) {
	if ctx.Err() != nil {
		return blob.Info{}, context.Cause(ctx)
	}
	sh := s.shard(h)
	sh.mu.RLock()
	size, stored, err := sh.stat(h)
	sh.mu.RUnlock()
	if err != nil {
		return blob.Info{}, err
	}
	info := blob.Info{SHA256: h, Size: size, Stored: stored}
	if info.MD5, err = s.md5Of(ctx, sh, h, size); err != nil {
		return blob.Info{}, err
	}
	return info, nil
}

// md5Of gives the MD5 of a blob: from memory, from the list, or by reading it.
func (s *Store) md5Of(ctx context.Context, sh *shard, h blob.Hash, size int64) ([16]byte, error) {
	if md5, ok := s.md5.Get(h); ok {
		return md5, nil
	}
	md5, found, err := findSum(sh.dir, h, size)
	if err != nil {
		return md5, fmt.Errorf("look up the MD5 of %s: %w", h, err)
	}
	if found {
		s.md5.Add(h, md5)
		return md5, nil
	}
	info, err := s.check(ctx, h)
	if err != nil {
		return md5, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.keepSum(sh, info)
	return info.MD5, nil
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, h blob.Hash) (blob.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.open(h)
}

func (s *Store) open(h blob.Hash) (*file, error) {
	f, err := os.Open(s.shard(h).path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("file %s: %w", h, blob.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open file %s: %w", h, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = blob.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("open file %s: %w", h, errors.Join(err, f.Close()))
	}
	return &file{File: f, size: st.Size()}, nil
}

// Verify implements blob.Janitor.
func (s *Store) Verify(ctx context.Context, h blob.Hash) error {
	_, err := s.check(ctx, h)
	return err
}

// check reads a blob whole and compares.
func (s *Store) check(ctx context.Context, h blob.Hash) (blob.Info, error) {
	f, err := s.open(h)
	if err != nil {
		return blob.Info{}, err
	}
	defer f.Close()
	hash := blob.NewHasher()
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for {
		n, err := blob.Fill(ctx, f, *buf)
		_, _ = hash.Write((*buf)[:n]) // never fails
		if err == io.EOF {
			break
		}
		if err != nil {
			return blob.Info{}, fmt.Errorf("verify file %s: %w", h, err)
		}
	}
	info := hash.Info()
	if info.SHA256 != h {
		return blob.Info{}, fmt.Errorf("file %s: %w: its %d bytes have SHA-256 %s", h, blob.ErrCorrupt, info.Size, info.SHA256)
	}
	return info, nil
}

// Touch implements blob.Janitor.
func (s *Store) Touch(ctx context.Context, h blob.Hash) (blob.Info, error) {
	if err := s.begin(); err != nil {
		return blob.Info{}, err
	}
	defer s.ops.Done()
	if err := s.renew(h); err != nil {
		return blob.Info{}, err
	}
	return s.Stat(ctx, h)
}

func (s *Store) renew(h blob.Hash) error {
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, _, err := sh.stat(h); err != nil {
		return err
	}
	if err := sh.renew(h, s.opt.Now()); err != nil {
		return fmt.Errorf("renew file %s: %w", h, err)
	}
	return nil
}

// Delete implements blob.Store. On Windows a blob that is being read cannot be
// deleted: the error says so, and a later Delete succeeds.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	_, err := s.prune(ctx, h, func(time.Time) bool { return true })
	return err
}

// Prune implements blob.Janitor.
func (s *Store) Prune(ctx context.Context, h blob.Hash, before time.Time) (bool, error) {
	return s.prune(ctx, h, func(stored time.Time) bool { return stored.Before(before) })
}

func (s *Store) prune(ctx context.Context, h blob.Hash, old func(time.Time) bool) (bool, error) {
	if err := s.begin(); err != nil {
		return false, err
	}
	defer s.ops.Done()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	sh := s.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, stored, err := sh.stat(h)
	if errors.Is(err, blob.ErrNotFound) || err == nil && !old(stored) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete file %s: %w", h, err)
	}
	gone, err := s.remove(sh, h)
	if err != nil {
		return false, fmt.Errorf("delete file %s: %w", h, err)
	}
	return gone, nil
}

// Walk implements blob.Store.
func (s *Store) Walk(ctx context.Context, f func(blob.Info) error) error {
	for i := range s.shards {
		var found []blob.Info
		err := s.shards[i].each(func(h blob.Hash, st fs.FileInfo) error {
			found = append(found, blob.Info{SHA256: h, Size: st.Size(), Stored: st.ModTime()})
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("list files: %w", err)
		}
		for _, info := range found {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// Usage says what the store takes. After a start it waits until the blobs are
// counted.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	if err := s.waitCounted(ctx); err != nil {
		return Usage{}, err
	}
	return s.acct.usage()
}
