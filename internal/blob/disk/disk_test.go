package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second open: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	mustOpen(t, dir, Options{})
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, formatName), []byte("drover files 2\nmore\n"), fileMode); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), `"drover files 2"`) {
		t.Errorf("a folder of a newer Drover: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, blobDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was changed: %v", err)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(dir, Options{}); err == nil {
			t.Errorf("opened a store at %s", dir)
		}
	}
}

func TestStartSweeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	keep := filepath.Join(dir, blobDir, "ab", "readme")
	for _, path := range []string{
		filepath.Join(dir, tempDir, "put-123"),
		filepath.Join(dir, uploadDir, strings.Repeat("a", 32)+dataExt),
		filepath.Join(dir, uploadDir, strings.Repeat("b", 32)+stateExt),
		filepath.Join(dir, uploadDir, "put-99"),
		filepath.Join(dir, uploadDir, "strange"),
		keep,
	} {
		if err := os.WriteFile(path, []byte("half"), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir, Options{})
	if left := leftovers(t, dir); len(left) != 1 || left[0] != filepath.Join(blobDir, "ab", "readme") {
		t.Errorf("after a start there is %q", left)
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{})
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var h blob.Hash
	_, put := s.Put(t.Context(), strings.NewReader("x"), nil)
	_, touch := s.Touch(t.Context(), h)
	_, create := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
	_, app := s.Uploads().Append(t.Context(), id, 0, strings.NewReader("x"))
	for what, err := range map[string]error{
		"put": put, "touch": touch, "create": create, "append": app,
		"delete": s.Delete(t.Context(), h), "remove": s.Uploads().Remove(t.Context(), id),
	} {
		if !errors.Is(err, blob.ErrClosed) {
			t.Errorf("%s after close: %v", what, err)
		}
	}
}

// TestCloseEndsWhatIsUnderWay closes between two pieces of a Put and of an
// Append: the Put leaves nothing, the Append what came.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 3 * pieceSize})
	if err != nil {
		t.Fatal(err)
	}
	closing := make(chan struct{})
	// stream gives a piece, waits until the store is closing, and goes on.
	stream := func(at chan<- struct{}) io.Reader {
		wait := readFunc(func([]byte) (int, error) {
			at <- struct{}{}
			<-closing
			return 0, io.EOF
		})
		return io.MultiReader(bytes.NewReader(blobtest.Content(1, pieceSize)), wait, bytes.NewReader(blobtest.Content(2, 2*pieceSize)))
	}
	reached, errs := make(chan struct{}), make(chan error, 2)
	go func() { _, err := s.Put(t.Context(), stream(reached), nil); errs <- err }()
	go func() { _, err := s.Uploads().Append(t.Context(), id, 0, stream(reached)); errs <- err }()
	<-reached
	<-reached
	ended := make(chan error)
	go func() { ended <- s.Close() }()
	<-s.done
	close(closing)
	for range 2 {
		if err := <-errs; !errors.Is(err, blob.ErrClosed) {
			t.Errorf("what was under way ended with %v", err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("close: %v", err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	s = mustOpen(t, dir, Options{})
	if p, err := s.Uploads().Info(t.Context(), id); err != nil || p.Offset != 2*pieceSize {
		t.Errorf("the upload is at %d, %v", p.Offset, err)
	}
}

func TestDirectoryThatCannotBeSynced(t *testing.T) {
	t.Parallel()
	broken := false
	s := mustOpen(t, t.TempDir(), Options{syncDir: func(path string) error {
		if broken && strings.Contains(path, blobDir) {
			return syscall.EIO
		}
		return nil
	}})
	<-s.counted
	broken = true
	data := blobtest.Content(1, 1000)
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Stat(t.Context(), blobtest.HashOf(data)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("what could not be made durable is there: %v", err)
	}
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data)); !errors.Is(err, syscall.EIO) {
		t.Errorf("append: %v", err)
	}
	if left := leftovers(t, s.dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	broken = false
	if _, err := s.Uploads().Finish(t.Context(), id); err != nil {
		t.Errorf("finish when the disk is well again: %v", err)
	}
	if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
	wantUsage(t, s, Usage{Blobs: 1, Bytes: 1000})
}

// TestFilesCanBeSentByTheKernel holds open blobs to the interface by which
// package net finds a file that sendfile can take.
func TestFilesCanBeSentByTheKernel(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{})
	info, err := s.Put(t.Context(), strings.NewReader("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(t.Context(), info.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := f.(interface {
		fs.File
		io.Seeker
		syscall.Conn
	}); !ok {
		t.Errorf("%T is not a file for net", f)
	}
}

func TestABlobThatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	data := blobtest.Content(1, 100)
	if err := os.Mkdir(blobPath(dir, blobtest.HashOf(data)), dirMode); err != nil {
		t.Fatal(err)
	}
	_, stat := s.Stat(t.Context(), blobtest.HashOf(data))
	_, open := s.Open(t.Context(), blobtest.HashOf(data))
	_, put := s.Put(t.Context(), bytes.NewReader(data), nil)
	for what, err := range map[string]error{"stat": stat, "open": open, "put": put, "delete": s.Delete(t.Context(), blobtest.HashOf(data))} {
		if !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
