package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"drover.farm/internal/blob"
)

// shard is one of the 256 directories of blobs. Its lock is held for writing
// from a rename until the directory is synced, so that nobody is told of a
// blob that a power cut could still take back.
type shard struct {
	mu      sync.RWMutex
	dir     string
	counted bool // its blobs are in the account
}

func (s *Store) shard(h blob.Hash) *shard { return &s.shards[h[0]] }

func (sh *shard) path(h blob.Hash) string { return filepath.Join(sh.dir, h.String()) }

// stat gives the length and time of a blob's file, or blob.ErrNotFound.
func (sh *shard) stat(h blob.Hash) (int64, time.Time, error) {
	st, err := os.Lstat(sh.path(h))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, time.Time{}, fmt.Errorf("file %s: %w", h, blob.ErrNotFound)
	case err != nil:
		return 0, time.Time{}, err
	case !st.Mode().IsRegular():
		return 0, time.Time{}, fmt.Errorf("%w: %s is not a regular file", blob.ErrCorrupt, sh.path(h))
	}
	return st.Size(), st.ModTime(), nil
}

// commit makes the settled file at tmp the blob that info describes and turns
// the reserved bytes into used ones. After an error the content is at tmp as
// before, and the bytes stay reserved.
func (s *Store) commit(tmp string, info blob.Info, reserved int64) error {
	sh := s.shard(info.SHA256)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old, _, err := sh.stat(info.SHA256)
	exists := err == nil
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	if exists && old == info.Size {
		if err := sh.renew(info.SHA256, info.Stored); err != nil {
			return err
		}
		if err := os.Remove(tmp); err != nil {
			return err
		}
		s.acct.settle(reserved, 0, 0)
	} else {
		path := sh.path(info.SHA256)
		if err := rename(tmp, path); err != nil {
			return err
		}
		s.opt.at("commit: renamed")
		if err := s.opt.syncDir(sh.dir); err != nil {
			return errors.Join(err, rename(path, tmp))
		}
		s.settleNew(sh, info, reserved, exists, old)
		s.opt.at("commit: durable")
		s.keepSum(sh, info)
	}
	return nil
}

// settleNew books a blob that is new or took the place of a damaged one.
func (s *Store) settleNew(sh *shard, info blob.Info, reserved int64, replaced bool, old int64) {
	switch {
	case !sh.counted: // the count is yet to find it
		s.acct.settle(reserved, 0, 0)
	case replaced:
		s.acct.settle(reserved, 0, info.Size-old)
	default:
		s.acct.settle(reserved, 1, info.Size)
	}
}

// renew sets the time of a blob, durably.
func (sh *shard) renew(h blob.Hash, now time.Time) error {
	path := sh.path(h)
	if err := os.Chtimes(path, now, now); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs only what may be written
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// remove deletes a blob under the shard's lock and says whether it was there.
func (s *Store) remove(sh *shard, h blob.Hash) (bool, error) {
	size, _, err := sh.stat(h)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := os.Remove(sh.path(h)); err != nil {
		return false, err
	}
	s.md5.Remove(h)
	if sh.counted {
		s.acct.change(-1, -size)
	}
	return true, nil
}

// count adds up what the blobs take, shard by shard, so that a start need not
// wait for it. It also makes each directory durable: a crash may have come
// between a rename and its sync.
func (s *Store) count() {
	defer close(s.counted)
	for i := range s.shards {
		select {
		case <-s.done:
			s.countErr = blob.ErrClosed
			return
		default:
		}
		if err := s.countShard(&s.shards[i]); err != nil {
			s.countErr = fmt.Errorf("count the files in store: %w", err)
			s.log.Error("cannot count the files in store", "error", err)
			return
		}
	}
}

func (s *Store) countShard(sh *shard) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var blobs, bytes int64
	known := make(map[blob.Hash]bool)
	err := sh.each(func(h blob.Hash, st fs.FileInfo) error {
		blobs++
		bytes += st.Size()
		known[h] = true
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.opt.syncDir(sh.dir); err != nil {
		return err
	}
	if err := compactSums(sh.dir, known); err != nil {
		return err
	}
	s.acct.change(blobs, bytes)
	sh.counted = true
	return nil
}

// each calls f for every blob of the shard.
func (sh *shard) each(f func(blob.Hash, fs.FileInfo) error) error {
	entries, err := os.ReadDir(sh.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		h, err := blob.ParseHash(e.Name())
		if err != nil || h.String() != e.Name() || !e.Type().IsRegular() {
			continue
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f(h, st); err != nil {
			return err
		}
	}
	return nil
}

// quotaKnown waits until the account is complete, when there is a quota.
func (s *Store) quotaKnown(ctx context.Context) error {
	if s.opt.Limit <= 0 {
		return nil
	}
	return s.waitCounted(ctx)
}

func (s *Store) waitCounted(ctx context.Context) error {
	select {
	case <-s.counted:
		return s.countErr
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
