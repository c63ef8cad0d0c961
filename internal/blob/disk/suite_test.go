package disk

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashEnv) != "" {
		os.Exit(crashChild())
	}
	goleak.VerifyTestMain(m)
}

// clock is a clock that goes on by itself and can be moved.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// mustOpen opens a store; the caller or the end of the test closes it.
func mustOpen(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{
		"plain":                {},
		"with a quota":         {Limit: 1 << 30, MinFree: 1},
		"with few checkpoints": {Checkpoint: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, func(t testing.TB) blobtest.Fixture { return fixture(t, opt) })
		})
	}
}

func fixture(t testing.TB, opt Options) blobtest.Fixture {
	dir := filepath.Join(t.TempDir(), "files")
	var c clock
	opt.Now = c.now
	return blobtest.Fixture{
		Open: func(t testing.TB) blobtest.Server {
			s := mustOpen(t, dir, opt)
			return blobtest.Server{Store: s, Janitor: s, Uploads: s.Uploads(), Close: s.Close}
		},
		Advance: c.advance,
		Replace: func(t testing.TB, h blob.Hash, data []byte) {
			if err := os.WriteFile(blobPath(dir, h), data, fileMode); err != nil {
				t.Fatal(err)
			}
		},
		Leftovers: func(t testing.TB) []string { return leftovers(t, dir) },
	}
}

func blobPath(dir string, h blob.Hash) string {
	return filepath.Join(dir, blobDir, h.String()[:2], h.String())
}

// leftovers lists what is neither a blob, nor of an upload, nor of the layout.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	var left []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		name, ext := filepath.Base(rel), filepath.Ext(rel)
		shard := filepath.Dir(rel)
		_, notBlob := blob.ParseHash(name)
		switch {
		case rel == formatName, rel == lockName:
		case notBlob == nil && shard == filepath.Join(blobDir, name[:2]):
		case name == sumsName && filepath.Dir(shard) == blobDir:
		case shard == uploadDir && ext == stateExt:
		case shard == uploadDir && ext == dataExt:
			if _, err := os.Stat(path[:len(path)-len(ext)] + stateExt); err != nil {
				left = append(left, rel)
			}
		default:
			left = append(left, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
