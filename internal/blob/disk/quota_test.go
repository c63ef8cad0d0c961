package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

func TestQuotaIsExactWhateverRunsAtOnce(t *testing.T) {
	t.Parallel()
	const size, room, tries = 300_000, 10, 40
	s := mustOpen(t, t.TempDir(), Options{Limit: room*size + size - 1})
	var kept atomic.Int64
	var wg sync.WaitGroup
	for i := range uint64(tries) {
		wg.Go(func() {
			r := blob.WithSize(bytes.NewReader(blobtest.Content(i, size)), size)
			switch _, err := s.Put(t.Context(), r, nil); {
			case err == nil:
				kept.Add(1)
			case !errors.Is(err, blob.ErrFull):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if kept.Load() != room {
		t.Errorf("%d files were kept where %d fit", kept.Load(), room)
	}
	wantUsage(t, s, Usage{Blobs: room, Bytes: room * size})
	if left := leftovers(t, s.dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// wantUsage compares what is counted, not what the file system says.
func wantUsage(t *testing.T, s *Store, want Usage) {
	t.Helper()
	got, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got.Free, got.Limit = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wrong account (-want +got):\n%s", diff)
	}
	s.acct.mu.Lock()
	defer s.acct.mu.Unlock()
	if want.Reserved == 0 && s.acct.pending != 0 {
		t.Errorf("%d bytes are still to be written by nobody", s.acct.pending)
	}
}

func TestQuotaOfAStreamOfUnknownLength(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{Limit: 1 << 20})
	put := func(seed uint64, n int) error {
		_, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(seed, n)), nil)
		return err
	}
	if err := put(1, 1<<20+1); !errors.Is(err, blob.ErrFull) {
		t.Errorf("one byte too many: %v", err)
	}
	wantUsage(t, s, Usage{})
	if err := put(2, 1<<20); err != nil {
		t.Errorf("a file that just fits: %v", err)
	}
	if err := put(3, 1); !errors.Is(err, blob.ErrFull) {
		t.Errorf("a byte into a full store: %v", err)
	}
	if err := put(4, 0); err != nil {
		t.Errorf("an empty file into a full store: %v", err)
	}
	if err := s.Delete(t.Context(), blobtest.HashOf(blobtest.Content(2, 1<<20))); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, s, Usage{Blobs: 1})
	if err := put(5, 1<<20); err != nil {
		t.Errorf("after a delete: %v", err)
	}
}

func TestQuotaCountsUploads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opt := Options{Limit: 1000}
	s := mustOpen(t, dir, opt)
	create := func(size int64) (string, error) {
		return s.Uploads().Create(t.Context(), blob.Upload{Size: size})
	}
	id, err := create(600)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{401, math.MaxInt64} {
		if _, err := create(size); !errors.Is(err, blob.ErrFull) {
			t.Errorf("an upload of %d bytes beside one of 600: %v", size, err)
		}
	}
	wantUsage(t, s, Usage{Reserved: 600})
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(blobtest.Content(1, 100))); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, s, Usage{Reserved: 600})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, opt)
	wantUsage(t, s, Usage{Reserved: 600})
	if _, err := create(401); !errors.Is(err, blob.ErrFull) {
		t.Errorf("after a restart: %v", err)
	}
	rest := blobtest.Content(1, 600)[100:]
	if _, err := s.Uploads().Append(t.Context(), id, 100, bytes.NewReader(rest)); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, s, Usage{Blobs: 1, Bytes: 600})
	if id, err = create(400); err != nil {
		t.Fatal(err)
	}
	if err := s.Uploads().Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, s, Usage{Blobs: 1, Bytes: 600})
}

// disk is a pretended file system with so much space.
type disk struct{ free atomic.Int64 }

func (d *disk) ask() (int64, error) { return d.free.Load(), nil }

func TestMinFreeIsLeftAlone(t *testing.T) {
	t.Parallel()
	var d disk
	d.free.Store(10_000)
	s := mustOpen(t, t.TempDir(), Options{MinFree: 4000, free: d.ask})
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 6001)), nil); !errors.Is(err, blob.ErrFull) {
		t.Errorf("a file that eats into what is kept free: %v", err)
	}
	// What is promised and not yet written is still free for the file system,
	// but not for others.
	if _, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 5000}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 1001)), nil); !errors.Is(err, blob.ErrFull) {
		t.Errorf("a file in space that was promised: %v", err)
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 1000)), nil); err != nil {
		t.Errorf("a file that just fits: %v", err)
	}
}

func TestFreeSpaceThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	broken := errors.New("no such device")
	s := mustOpen(t, t.TempDir(), Options{free: func() (int64, error) { return 0, broken }})
	if _, err := s.Put(t.Context(), bytes.NewReader([]byte("x")), nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Usage(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestFreeBytes(t *testing.T) {
	t.Parallel()
	if n, err := freeBytes(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("free space of a folder: %d, %v", n, err)
	}
	if _, err := freeBytes(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("free space of nothing")
	}
}

func TestTooManyUploads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{MaxUploads: 2})
	var ids []string
	for range 2 {
		id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	_, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
	if !errors.Is(err, blob.ErrTooMany) {
		t.Errorf("a third upload: %v", err)
	}
	if err := s.Uploads().Remove(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	// Finished ones do not count, and only the latest are remembered.
	for i := range byte(4) {
		id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader([]byte{i})); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for i, want := range []error{blob.ErrNotFound, nil, blob.ErrNotFound, blob.ErrNotFound, nil, nil} {
		if _, err := s.Uploads().Info(t.Context(), ids[i]); !errors.Is(err, want) {
			t.Errorf("upload %d: %v, want %v", i, err, want)
		}
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

func TestQuotaWaitsForTheCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 900)), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	counting, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s = mustOpen(t, dir, Options{Limit: 1000, syncDir: func(string) error {
		once.Do(func() { close(counting); <-release })
		return nil
	}})
	<-counting
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(done, bytes.NewReader(nil), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a put that may not wait: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(2, 101)), nil)
		got <- err
	}()
	close(release)
	if err := <-got; !errors.Is(err, blob.ErrFull) {
		t.Errorf("a put beyond the quota during the count: %v", err)
	}
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	t.Parallel()
	var d disk
	d.free.Store(math.MaxInt64)
	s := mustOpen(t, t.TempDir(), Options{free: d.ask})
	// The disk fills up while the stream runs.
	data := blobtest.Content(1, 3*pieceSize)
	r := io.MultiReader(bytes.NewReader(data[:pieceSize]), readFunc(func([]byte) (int, error) {
		d.free.Store(0)
		return 0, io.EOF
	}), bytes.NewReader(data[pieceSize:]))
	if _, err := s.Put(t.Context(), r, nil); !errors.Is(err, blob.ErrFull) {
		t.Errorf("got %v", err)
	}
	wantUsage(t, s, Usage{})
	if left := leftovers(t, s.dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	d.free.Store(math.MaxInt64)
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
