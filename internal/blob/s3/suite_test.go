package s3

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is the time of a bucket: it goes on by itself and can be moved.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// bucket is an S3 server of this process with one empty bucket.
type bucket struct {
	clock
	url string
}

func newBucket(t testing.TB) *bucket {
	t.Helper()
	b := &bucket{}
	backend := s3mem.New(s3mem.WithTimeSource(&b.clock))
	if err := backend.CreateBucket("farm"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend, gofakes3.WithTimeSource(&b.clock), gofakes3.WithTimeSkewLimit(0))
	srv := httptest.NewServer(fake.Server())
	t.Cleanup(srv.Close)
	b.url = srv.URL
	return b
}

func (b *bucket) address(prefix string) string {
	return "s3://farm/" + prefix + "?path_style=true&endpoint=" + b.url
}

func (b *bucket) open(t testing.TB, opt Options) *Store {
	t.Helper()
	opt.AccessKey, opt.SecretKey = "farm", "a secret"
	if opt.SpoolDir == "" {
		opt.SpoolDir = t.TempDir()
	}
	if opt.Retries == 0 {
		opt.Retries = 1
	}
	s, err := Open(t.Context(), b.address("some/folder"), opt)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{
		"plain":            {},
		"with short parts": {PartSize: 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, func(t testing.TB) blobtest.Fixture { return fixture(t, opt) })
		})
	}
}

func fixture(t testing.TB, opt Options) blobtest.Fixture {
	b := newBucket(t)
	behind := b.open(t, Options{}) // a view that stays open
	return blobtest.Fixture{
		Shared: true,
		Open: func(t testing.TB) blobtest.Server {
			s := b.open(t, opt)
			return blobtest.Server{Store: s, Janitor: s, Uploads: s.Uploads(), Close: s.Close}
		},
		Advance: b.advance,
		Replace: func(t testing.TB, h blob.Hash, data []byte) {
			info, err := behind.Stat(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			_, err = behind.core.Client.PutObject(t.Context(), "farm", behind.keys.blob(h), bytes.NewReader(data), int64(len(data)),
				minio.PutObjectOptions{UserMetadata: map[string]string{metaMD5: hex.EncodeToString(info.MD5[:])}})
			if err != nil {
				t.Fatal(err)
			}
		},
		Leftovers: func(t testing.TB) []string { return leftovers(t, behind) },
	}
}

// leftovers lists the keys that are neither of a blob nor of an upload that is
// known, and the parts of writes that did not end.
func leftovers(t testing.TB, s *Store) []string {
	t.Helper()
	var left []string
	for o := range s.list(t.Context(), "") {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		rest := strings.TrimPrefix(o.Key, s.keys.prefix)
		kind, _, _ := strings.Cut(rest, "/")
		_, isBlob := s.keys.parseBlob(o.Key)
		open, isOpen := s.keys.parseUpload(s.keys.uploads(), o.Key)
		_, isDone := s.keys.parseUpload(s.keys.finished(), o.Key)
		if isOpen {
			_, err := s.Uploads().Info(t.Context(), open)
			isOpen = err == nil
		}
		if !isBlob && !isOpen && !isDone || kind == rest {
			left = append(left, o.Key)
		}
	}
	for m := range s.core.ListIncompleteUploads(t.Context(), s.bucket, "", true) {
		if errors.Is(asBlob(m.Err), blob.ErrNotFound) {
			continue // what gofakes3 says of a bucket that never had any
		}
		if m.Err != nil {
			t.Fatal(m.Err)
		}
		left = append(left, path.Join("incomplete", m.Key))
	}
	return left
}
