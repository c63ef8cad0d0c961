package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/archive"
)

// builds keeps renderers of the farm's library unpacked, each in a folder named
// by the hash of its archive, up to a size. What is in use is never removed, so
// that the size may be exceeded meanwhile. It is safe for concurrent use.
type builds struct {
	dir   string
	limit int64
	// fetch puts a blob at a path that does not exist, verified.
	fetch func(ctx context.Context, hash string, size int64, path string) error
	log   *slog.Logger
	// changed is called, without a lock, when other builds are held than before.
	changed func()

	mu    sync.Mutex
	trees map[string]*tree
	total int64
}

// tree is an unpacked build, or one that is on its way.
type tree struct {
	hash string
	size int64 // of its files, unpacked
	used time.Time
	refs int
	// ready is closed once it is there, or err says why it is not.
	ready chan struct{}
	err   error
}

// openBuilds takes over the builds of an earlier run and removes what one that
// was killed has left.
func openBuilds(dir string, limit int64, fetch func(context.Context, string, int64, string) error, log *slog.Logger) (*builds, error) {
	b := &builds{dir: dir, limit: limit, fetch: fetch, log: log, changed: func() {}, trees: make(map[string]*tree)}
	if err := archive.Sweep(dir); err != nil {
		return nil, fmt.Errorf("open the builds: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the builds: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil || !e.IsDir() || checkHash(e.Name()) != nil {
			if err := os.RemoveAll(path); err != nil { // a broken-off download
				return nil, fmt.Errorf("open the builds: %w", err)
			}
			continue
		}
		t := &tree{hash: e.Name(), size: treeSize(path), used: info.ModTime(), ready: make(chan struct{})}
		close(t.ready)
		b.trees[t.hash], b.total = t, b.total+t.size
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evict()
	return b, nil
}

// acquire returns the folder of a build, which it fetches and unpacks if need be.
// It stays until it is released as often as it was acquired.
func (b *builds) acquire(ctx context.Context, x *api.Build) (string, error) {
	if err := checkHash(x.SHA256); err != nil {
		return "", err
	}
	for {
		t, mine := b.reserve(x.SHA256)
		if mine {
			if err := b.bring(ctx, t, x); err != nil {
				return "", err
			}
			b.changed()
			return filepath.Join(b.dir, t.hash), nil
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			b.release(t.hash)
			return "", context.Cause(ctx)
		}
		if t.err == nil {
			return filepath.Join(b.dir, t.hash), nil
		}
		// Who fetched it failed, perhaps because its task was stopped.
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		var refused *archive.Refusal
		if final(t.err) || noSpace(t.err) || errors.As(t.err, &refused) {
			return "", t.err
		}
	}
}

// reserve counts a use of a build. mine means that the caller is to bring it.
func (b *builds) reserve(hash string) (t *tree, mine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t = b.trees[hash]; t != nil {
		t.refs++
		return t, false
	}
	t = &tree{hash: hash, refs: 1, ready: make(chan struct{})}
	b.trees[hash] = t
	return t, true
}

// bring fetches, verifies and unpacks a build; it appears whole, by one rename.
func (b *builds) bring(ctx context.Context, t *tree, x *api.Build) error {
	err := b.unpack(ctx, x)
	if err != nil && noSpace(err) {
		b.mu.Lock()
		b.drop(b.idle()...)
		b.mu.Unlock()
		err = b.unpack(ctx, x)
	}
	size := int64(0)
	if err == nil {
		size = treeSize(filepath.Join(b.dir, x.SHA256))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		t.err = err
		delete(b.trees, t.hash)
	} else {
		t.size, t.used = size, time.Now()
		b.total += size
		b.log.Info("renderer fetched", "product", x.Product, "version", x.Version, "bytes", size)
		b.evict()
	}
	close(t.ready)
	return err
}

func (b *builds) unpack(ctx context.Context, x *api.Build) error {
	packed := filepath.Join(b.dir, ".archive-"+x.SHA256)
	defer func() { _, _ = os.Remove(packed), os.Remove(packed+".part") }()
	if err := b.fetch(ctx, x.SHA256, x.Size, packed); err != nil {
		return err
	}
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	program := path.Join(x.Root, x.Program)
	return archive.Unpack(ctx, f, x.Size, b.dir, x.SHA256, archive.Options{Lasting: true, Finish: func(dir string) error {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		// Archives that were made on Windows know no executable files.
		if err := root.Chmod(filepath.FromSlash(program), 0o755); program != "" && err != nil {
			return &archive.Refusal{Entry: program, Why: "cannot be made executable: " + err.Error()}
		}
		return nil
	}})
}

// release ends a use that acquire began.
func (b *builds) release(hash string) {
	b.mu.Lock()
	t := b.trees[hash]
	if t == nil || t.refs == 0 {
		b.mu.Unlock()
		return
	}
	t.refs--
	t.used = time.Now()
	_ = os.Chtimes(filepath.Join(b.dir, hash), t.used, t.used) // the order of use outlives a restart
	n := len(b.trees)
	b.evict()
	fewer := len(b.trees) < n
	b.mu.Unlock()
	if fewer {
		b.changed()
	}
}

// held lists the builds that are there, by hash.
func (b *builds) held() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for h, t := range b.trees {
		select {
		case <-t.ready:
			out = append(out, h)
		default:
		}
	}
	slices.Sort(out)
	return out
}

// idle are the builds that nobody uses, longest unused first. The lock is held.
func (b *builds) idle() []*tree {
	var out []*tree
	for _, t := range b.trees {
		if t.refs == 0 {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y *tree) int { return cmp.Or(x.used.Compare(y.used), strings.Compare(x.hash, y.hash)) })
	return out
}

// evict removes what was used longest ago until the limit is kept. The lock is
// held.
func (b *builds) evict() {
	for _, t := range b.idle() {
		if b.total <= b.limit {
			return
		}
		b.drop(t)
	}
	if b.total > b.limit {
		b.log.Warn("the running tasks need larger renderers than the limit", "bytes", b.total, "limit", b.limit)
	}
}

// drop removes unused builds; the lock is held. A folder loses its name first, so
// that one that is half removed is never taken for whole.
func (b *builds) drop(ts ...*tree) {
	for _, t := range ts {
		gone := filepath.Join(b.dir, ".removed-"+t.hash)
		err := os.Rename(filepath.Join(b.dir, t.hash), gone)
		if err == nil {
			err = removeAll(gone)
		}
		if err != nil {
			b.log.Warn("a renderer cannot be removed", "sha256", t.hash, "error", err)
		}
		delete(b.trees, t.hash)
		b.total -= t.size
	}
}

// treeSize adds up the files below a folder.
func treeSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
