//go:build rootfs

package disk

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// TestFullFileSystem fills a real, small file system. It needs root:
//
//	go test -tags rootfs -run TestFullFileSystem ./internal/blob/disk
//
// The account is told of endless space, so that it is the system that refuses.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("drover-test", dir, "tmpfs", 0, "size=8m,mode=700"); err != nil {
		t.Fatalf("mount a tmpfs (root is needed): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s, err := Open(filepath.Join(dir, "files"), Options{free: func() (int64, error) { return 1 << 40, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	small, large := blobtest.Content(1, 2<<20), blobtest.Content(2, 12<<20)
	if _, err := s.Put(t.Context(), bytes.NewReader(small), nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Put(t.Context(), bytes.NewReader(large), nil); !errors.Is(err, blob.ErrFull) {
			t.Errorf("a file that does not fit: %v", err)
		}
		wantUsage(t, s, Usage{Blobs: 1, Bytes: 2 << 20})
	}
	testUploadOnFull(t, s, large)
	if left := leftovers(t, s.dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	if err := s.Verify(t.Context(), blobtest.HashOf(small)); err != nil {
		t.Error(err)
	}
}

// testUploadOnFull fills the disk by an upload, makes room and goes on.
func testUploadOnFull(t *testing.T, s *Store, data []byte) {
	t.Helper()
	data = data[:5<<20]
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data[:1<<20])); err != nil {
		t.Fatal(err)
	}
	filler := blobtest.Content(3, 3<<20)
	if _, err := s.Put(t.Context(), bytes.NewReader(filler), nil); err != nil {
		t.Fatal(err)
	}
	at, err := s.Uploads().Append(t.Context(), id, 1<<20, bytes.NewReader(data[1<<20:]))
	if !errors.Is(err, blob.ErrFull) || at != 1<<20 {
		t.Errorf("append to a full disk: at %d, %v", at, err)
	}
	if err := s.Delete(t.Context(), blobtest.HashOf(filler)); err != nil {
		t.Fatal(err)
	}
	at, err = s.Uploads().Append(t.Context(), id, at, io.NewSectionReader(bytes.NewReader(data), at, 5<<20))
	if err != nil || at != 5<<20 {
		t.Errorf("append after there is room: at %d, %v", at, err)
	}
	if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
}
