package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cacheBundle is a cache over a fake store.
type cacheBundle struct {
	*cache
	f *fakeFarm
}

func newCacheBundle(t *testing.T, dir string, limit int64, f *fakeFarm) *cacheBundle {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := openCache(dir, limit, f.Download, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &cacheBundle{c, f}
}

// use acquires content and checks it.
func (c *cacheBundle) use(t *testing.T, content string) {
	t.Helper()
	c.f.put("x", content)
	path, err := c.acquire(t.Context(), hashOf(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != content {
		t.Fatalf("%s holds %q, %v; want %q", path, got, err, content)
	}
}

func (c *cacheBundle) fetches(content string) int { return c.f.fetched[hashOf(content)] }

func TestCacheEvictsWhatWasUsedLongestAgo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCacheBundle(t, dir, 10, newFakeFarm())
	c.use(t, "aaaa")
	c.use(t, "bbbb")
	c.release(hashOf("bbbb"))
	c.release(hashOf("aaaa"))
	c.use(t, "cccc") // bbbb goes: it was released first
	c.release(hashOf("cccc"))
	c.use(t, "aaaa")
	if n := c.fetches("aaaa"); n != 1 {
		t.Errorf("aaaa was fetched %d times", n)
	}
	c.use(t, "dddd") // cccc goes, aaaa is in use
	c.use(t, "eeee") // over the limit, for nothing can go
	if c.total != 12 {
		t.Errorf("the cache holds %d bytes, want 12", c.total)
	}
	for content, want := range map[string]bool{"aaaa": true, "bbbb": false, "cccc": false, "dddd": true, "eeee": true} {
		if _, err := os.Stat(c.path(hashOf(content))); (err == nil) != want {
			t.Errorf("%s: in the cache: %v, want %v", content, err == nil, want)
		}
	}
	c.release(hashOf("dddd"))
	if c.total > 10 {
		t.Errorf("the cache holds %d bytes after a release", c.total)
	}
}

func TestCacheFetchesOnce(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	f.put("x", "content")
	c := newCacheBundle(t, t.TempDir(), 100, f)
	gate := make(chan struct{})
	c.fetch = func(ctx context.Context, hash string, size int64, path string) error {
		<-gate
		return f.Download(ctx, hash, size, path)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.acquire(t.Context(), hashOf("content"), 7); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	wg.Wait()
	if n := c.fetches("content"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

// TestCacheWaiterGoesOn stops who downloads a file; who waits for it downloads it.
func TestCacheWaiterGoesOn(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	f.put("x", "content")
	c := newCacheBundle(t, t.TempDir(), 100, f)
	begun := make(chan struct{}, 1)
	c.fetch = func(ctx context.Context, hash string, size int64, path string) error {
		if f.fetched[hash] == 0 {
			f.fetched[hash]++
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return f.Download(ctx, hash, size, path)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.acquire(ctx, hashOf("content"), 7); !errors.Is(err, context.Canceled) {
			t.Errorf("the stopped download: %v", err)
		}
	})
	<-begun
	wg.Go(func() {
		if _, err := c.acquire(t.Context(), hashOf("content"), 7); err != nil {
			t.Errorf("the other: %v", err)
		}
	})
	cancel()
	wg.Wait()
}

func TestCacheAfterRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFakeFarm()
	c := newCacheBundle(t, dir, 100, f)
	for _, s := range []string{"whole", "wrong", "short"} {
		c.use(t, s)
		c.release(hashOf(s))
	}
	spoil := func(content, with string) {
		path := c.path(hashOf(content))
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(with), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	spoil("wrong", "WRONG")
	spoil("short", "sho")
	for _, name := range []string{"junk", filepath.Join("ab", strings.Repeat("c", 64)), hashOf("whole")[:2] + "/" + hashOf("whole") + ".part"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	c = newCacheBundle(t, dir, 100, f)
	if c.total != int64(len("whole")+len("WRONG")+len("sho")) {
		t.Errorf("after a restart the cache holds %d bytes", c.total)
	}
	for s, want := range map[string]int{"whole": 1, "wrong": 2, "short": 2} {
		c.use(t, s)
		if n := c.fetches(s); n != want {
			t.Errorf("%s was fetched %d times, want %d", s, n, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "junk")); len(left) > 0 {
		t.Error("a foreign file is left")
	}
	if c.total != 15 {
		t.Errorf("the cache holds %d bytes, want 15", c.total)
	}
}

// TestCacheRemembersOrder restarts a cache whose limit has shrunk.
func TestCacheRemembersOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFakeFarm()
	c := newCacheBundle(t, dir, 100, f)
	for i, s := range []string{"old", "new", "mid"} {
		c.use(t, s)
		c.release(hashOf(s))
		at := time.Now().Add(time.Duration([]int{-3, -1, -2}[i]) * time.Hour)
		if err := os.Chtimes(c.path(hashOf(s)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	newCacheBundle(t, dir, 3, f)
	for s, want := range map[string]bool{"old": false, "mid": false, "new": true} {
		if _, err := os.Stat(c.path(hashOf(s))); (err == nil) != want {
			t.Errorf("%s is there: %v", s, err == nil)
		}
	}
}

func TestCacheDropsChangedFiles(t *testing.T) {
	t.Parallel()
	c := newCacheBundle(t, t.TempDir(), 100, newFakeFarm())
	c.use(t, "scene")
	path := c.path(hashOf("scene"))
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("SCENE"), 0o600)); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	c.release(hashOf("scene"))
	c.use(t, "scene")
	if n := c.fetches("scene"); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}

func TestCacheRefusesOddHashes(t *testing.T) {
	t.Parallel()
	c := newCacheBundle(t, t.TempDir(), 100, newFakeFarm())
	for _, h := range []string{"", "..", strings.Repeat("A", 64), strings.Repeat("a", 63), "../" + strings.Repeat("a", 61)} {
		if _, err := c.acquire(t.Context(), h, 1); err == nil {
			t.Errorf("%q was accepted", h)
		}
	}
}

// TestCacheMakesRoom has a disk that is full until unused files go.
func TestCacheMakesRoom(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	c := newCacheBundle(t, t.TempDir(), 100, f)
	c.use(t, "old")
	c.release(hashOf("old"))
	c.fetch = func(ctx context.Context, hash string, size int64, path string) error {
		if _, err := os.Stat(c.path(hashOf("old"))); err == nil {
			return fmt.Errorf("write: %w", errFullDisk)
		}
		return f.Download(ctx, hash, size, path)
	}
	c.use(t, "new")
	c.fetch = func(context.Context, string, int64, string) error { return errFullDisk }
	if _, err := c.acquire(t.Context(), hashOf("more"), 4); !noSpace(err) {
		t.Errorf("a full disk: %v", err)
	}
	if c.total != 3 {
		t.Errorf("the cache counts %d bytes", c.total)
	}
}
