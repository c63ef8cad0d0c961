package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// cache keeps input files by the hash of their content, up to a size. What is in
// use is never evicted, so that the size may be exceeded while a single job needs
// more. It is safe for concurrent use.
type cache struct {
	dir   string
	limit int64
	// fetch puts a blob at a path that does not exist.
	fetch func(ctx context.Context, hash string, size int64, path string) error
	log   *slog.Logger

	mu      sync.Mutex
	entries map[string]*entry
	total   int64
}

// entry is a file of the cache, or one that is on its way.
type entry struct {
	hash string
	size int64
	used time.Time
	refs int
	// mod is the file's time when it was known to be right. Jobs see the file
	// under other names; one that was written to through them is not kept.
	mod time.Time
	// proved is false for files of an earlier run until they were hashed again: a
	// power cut may have left them with the right size and wrong content.
	proved bool
	// ready is closed once the file is there, or err says why it is not.
	ready chan struct{}
	err   error
}

// openCache takes over the files of an earlier run.
func openCache(dir string, limit int64, fetch func(context.Context, string, int64, string) error, log *slog.Logger) (*cache, error) {
	c := &cache{dir: dir, limit: limit, fetch: fetch, log: log, entries: make(map[string]*entry)}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		hash := d.Name()
		info, infoErr := d.Info()
		if checkHash(hash) != nil || infoErr != nil || !info.Mode().IsRegular() || path != c.path(hash) {
			return os.RemoveAll(path) // a broken-off download
		}
		e := &entry{hash: hash, size: info.Size(), used: info.ModTime(), ready: make(chan struct{})}
		close(e.ready)
		c.entries[hash], c.total = e, c.total+e.size
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evict(0)
	return c, nil
}

func (c *cache) path(hash string) string { return filepath.Join(c.dir, hash[:2], hash) }

// acquire returns the path of the blob's file, which it downloads if need be. The
// file stays until it is released as often as it was acquired, and must not be
// changed.
func (c *cache) acquire(ctx context.Context, hash string, size int64) (string, error) {
	if err := checkHash(hash); err != nil {
		return "", err
	}
	for {
		e, mine := c.reserve(hash, size)
		if mine {
			err := c.fill(ctx, e)
			if err != nil {
				return "", err
			}
			return c.path(hash), nil
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			c.unref(e)
			return "", context.Cause(ctx)
		}
		if e.err == nil {
			return c.path(hash), nil
		}
		// Who downloaded it failed, perhaps because its task was stopped.
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if final(e.err) || noSpace(e.err) {
			return "", e.err
		}
	}
}

// reserve counts a use of the entry. mine means that the caller is to fill it.
func (c *cache) reserve(hash string, size int64) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.entries[hash]
	if e != nil && e.refs == 0 && !c.intact(e, size) {
		c.drop(e)
		e = nil
	}
	if e != nil {
		e.refs++
		if e.proved || e.refs > 1 {
			return e, false
		}
		e.ready = make(chan struct{})
		return e, true
	}
	c.evict(size)
	e = &entry{hash: hash, size: size, refs: 1, ready: make(chan struct{})}
	c.entries[hash], c.total = e, c.total+size
	return e, true
}

// intact reports whether an unused file is as it was left.
func (c *cache) intact(e *entry, size int64) bool {
	info, err := os.Lstat(c.path(e.hash))
	return err == nil && info.Mode().IsRegular() && info.Size() == size && e.size == size &&
		(!e.proved || info.ModTime().Equal(e.mod))
}

// fill brings the file of a fresh entry, or proves one of an earlier run.
func (c *cache) fill(ctx context.Context, e *entry) error {
	path := c.path(e.hash)
	err := errors.New("not proved")
	if _, statErr := os.Lstat(path); statErr == nil {
		if err = proveFile(ctx, path, e.hash); err != nil {
			_ = os.Remove(path)
		}
	}
	if err != nil {
		err = c.download(ctx, e, path)
	}
	var info fs.FileInfo
	if err == nil {
		now := time.Now()
		if err = errors.Join(os.Chmod(path, 0o444), os.Chtimes(path, now, now)); err == nil {
			info, err = os.Stat(path)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		e.err = err
		delete(c.entries, e.hash)
		c.total -= e.size
		_ = os.Remove(path)
	} else {
		e.proved, e.mod, e.used = true, info.ModTime(), time.Now()
	}
	close(e.ready)
	return err
}

// download fetches the blob. On a full disk it makes room and tries once more.
func (c *cache) download(ctx context.Context, e *entry, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := c.fetch(ctx, e.hash, e.size, path)
	if err != nil && noSpace(err) {
		c.mu.Lock()
		c.evict(c.limit)
		c.mu.Unlock()
		err = c.fetch(ctx, e.hash, e.size, path)
	}
	if err != nil {
		_ = os.Remove(path + ".part")
	}
	return err
}

// release ends a use that acquire began.
func (c *cache) release(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[hash]
	if e == nil || e.refs == 0 {
		return
	}
	if e.refs--; e.refs > 0 {
		return
	}
	e.used = time.Now()
	if !c.intact(e, e.size) {
		c.log.Warn("a job has changed an input file; the cache drops it", "sha256", hash)
		c.drop(e)
	} else if os.Chtimes(c.path(hash), e.used, e.used) == nil {
		// The order of use outlives a restart.
		if info, err := os.Stat(c.path(hash)); err == nil {
			e.mod = info.ModTime()
		}
	}
	c.evict(0)
}

// unref takes back a use of an entry that is not filled yet.
func (c *cache) unref(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.refs--
}

// drop removes an unused entry; the lock is held.
func (c *cache) drop(e *entry) {
	if err := os.Remove(c.path(e.hash)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("a file of the cache cannot be removed", "sha256", e.hash, "error", err)
	}
	delete(c.entries, e.hash)
	c.total -= e.size
}

// evict makes room for more bytes: what was used longest ago goes first. The lock
// is held.
func (c *cache) evict(more int64) {
	if c.total+more <= c.limit {
		return
	}
	var idle []*entry
	for _, e := range c.entries {
		if e.refs == 0 {
			idle = append(idle, e)
		}
	}
	slices.SortFunc(idle, func(a, b *entry) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.hash, b.hash)) })
	for _, e := range idle {
		if c.total+more <= c.limit {
			return
		}
		c.drop(e)
	}
	if c.total+more > c.limit && more < c.limit {
		c.log.Warn("the running tasks need more input files than the cache's limit", "bytes", c.total+more, "limit", c.limit)
	}
}

// proveFile compares a file with its hash.
func proveFile(ctx context.Context, path, hash string) error {
	got, err := hashFile(ctx, path)
	if err != nil {
		return err
	}
	if got != hash {
		return fmt.Errorf("%s has another content than its name says", path)
	}
	return nil
}

// hashFile is the SHA-256 of a file in lower-case hex.
func hashFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(p)
	})); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// copyFile copies a regular file; to must not exist.
func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(to, mode) // whatever the umask
	}
	if err != nil {
		_ = os.Remove(to)
	}
	return err
}
