package disk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// The crash tests run this test binary once more as a child that writes into a
// store and dies of SIGKILL, either of its own hand at a named point of a write
// or of its parent's at any moment. The child prints what was acknowledged.
const (
	crashEnv   = "DROVER_TEST_CRASH" // the work: "put", "upload" or "load"
	crashDir   = "DROVER_TEST_DIR"
	crashPoint = "DROVER_TEST_POINT" // where to die
	crashCount = "DROVER_TEST_COUNT" // the how manieth time

	crashSize  = 700_001
	crashPiece = 300_000
)

func crashChild() int {
	left, _ := strconv.Atoi(os.Getenv(crashCount))
	s, err := Open(os.Getenv(crashDir), Options{Checkpoint: 100_000, at: func(point string) {
		if point != os.Getenv(crashPoint) {
			return
		}
		if left--; left <= 0 {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
	}})
	if err == nil {
		err = map[string]func(*Store) error{"put": crashPut, "upload": crashUpload, "load": crashLoad}[os.Getenv(crashEnv)](s)
	}
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

func crashPut(s *Store) error {
	for seed := uint64(0); seed < 3; seed++ {
		if _, err := s.Put(context.Background(), bytes.NewReader(blobtest.Content(seed, crashSize)), nil); err != nil {
			return err
		}
		fmt.Println("put", seed)
	}
	return nil
}

func crashUpload(s *Store) error {
	for seed := uint64(0); seed < 3; seed++ {
		data := blobtest.Content(seed, crashSize)
		id, err := s.Uploads().Create(context.Background(), blob.Upload{Want: blobtest.HashOf(data), Size: crashSize})
		if err != nil {
			return err
		}
		fmt.Println("upload", seed, id, 0)
		for from := 0; from < crashSize; {
			to := min(from+crashPiece, crashSize)
			at, err := s.Uploads().Append(context.Background(), id, int64(from), bytes.NewReader(data[from:to]))
			if err != nil || at != int64(to) {
				return fmt.Errorf("append: at %d: %w", at, err)
			}
			fmt.Println("upload", seed, id, to)
			from = to
		}
	}
	return nil
}

// crashLoad writes until it is killed, with a pace that the point of death
// cannot foresee, in several goroutines.
func crashLoad(s *Store) error {
	errs := make(chan error)
	for g := range uint64(4) {
		go func() {
			for i := uint64(0); ; i++ {
				seed := g<<32 | i
				data := blobtest.Content(seed, loadSize(seed))
				var err error
				if i%3 == 2 {
					var id string
					id, err = s.Uploads().Create(context.Background(), blob.Upload{Size: int64(len(data))})
					if err == nil {
						_, err = s.Uploads().Append(context.Background(), id, 0, bytes.NewReader(data))
					}
				} else {
					_, err = s.Put(context.Background(), bytes.NewReader(data), nil)
				}
				if err != nil {
					errs <- err
					return
				}
				fmt.Println("put", seed)
			}
		}()
	}
	return <-errs
}

func loadSize(seed uint64) int { return int(seed*7919%90_000) + 1 }

// crash runs the child and gives the lines it printed before it died. If kill
// is set, the parent kills after so many lines.
func crash(t *testing.T, dir, work, point string, count, kill int) [][]string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+work, crashDir+"="+dir, crashPoint+"="+point, crashCount+"="+strconv.Itoa(count))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for sc := bufio.NewScanner(out); sc.Scan(); {
		lines = append(lines, strings.Fields(sc.Text()))
		if len(lines) == kill {
			_ = cmd.Process.Kill()
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child was to be killed, it ended with %v after %q", err, lines)
	}
	return lines
}

func TestCrashAtEachPoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ work, point string }{
		{"put", "put: written"},
		{"put", "put: synced"},
		{"put", "commit: renamed"},
		{"put", "commit: durable"},
		{"upload", "create: data"},
		{"upload", "append: data synced"},
		{"upload", "append: marked"},
		{"upload", "commit: renamed"},
		{"upload", "commit: durable"},
		{"upload", "finish: committed"},
	} {
		for count := 1; count <= 3; count++ {
			t.Run(fmt.Sprintf("%s/%s/%d", c.work, strings.ReplaceAll(c.point, " ", "_"), count), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "files")
				lines := crash(t, dir, c.work, c.point, count, 0)
				checkAfterCrash(t, dir, lines, func(uint64) int { return crashSize })
			})
		}
	}
}

func TestCrashAtAnyMoment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	var lines [][]string
	for _, kill := range []int{1, 7, 20, 33, 50} {
		lines = append(lines, crash(t, dir, "load", "", 0, kill)...)
		checkAfterCrash(t, dir, lines, loadSize)
	}
}

// checkAfterCrash opens the store and holds it to what was acknowledged.
func checkAfterCrash(t *testing.T, dir string, lines [][]string, size func(uint64) int) {
	t.Helper()
	s := mustOpen(t, dir, Options{Limit: 1 << 30})
	defer s.Close()
	for _, l := range lines {
		seed, _ := strconv.ParseUint(l[1], 10, 64)
		data := blobtest.Content(seed, size(seed))
		switch l[0] {
		case "put":
			if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
				t.Errorf("an acknowledged file: %v", err)
			}
		case "upload":
			kept, _ := strconv.ParseInt(l[3], 10, 64)
			checkUpload(t, s, l[2], data, kept)
		default:
			t.Fatalf("the child says %q", l)
		}
	}
	checkWhole(t, s)
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("a crash left %q", left)
	}
}

// checkUpload goes on with an upload whose first bytes were acknowledged.
func checkUpload(t *testing.T, s *Store, id string, data []byte, kept int64) {
	t.Helper()
	p, err := s.Uploads().Info(t.Context(), id)
	if err != nil {
		t.Fatalf("an acknowledged upload: %v", err)
	}
	if p.Offset < kept {
		t.Fatalf("%d bytes were acknowledged, %d are kept", kept, p.Offset)
	}
	if p.Offset < p.Size {
		if _, err := s.Uploads().Append(t.Context(), id, p.Offset, bytes.NewReader(data[p.Offset:])); err != nil {
			t.Fatalf("go on with an upload: %v", err)
		}
	}
	info, err := s.Uploads().Finish(t.Context(), id)
	if err != nil {
		t.Fatalf("finish an upload: %v", err)
	}
	if err := s.Verify(t.Context(), info.SHA256); err != nil || info.SHA256 != blobtest.HashOf(data) {
		t.Errorf("the uploaded file %s: %v", info.SHA256, err)
	}
}

// checkWhole verifies every blob and the account.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	var bytes, n int64
	err := s.Walk(t.Context(), func(i blob.Info) error {
		n++
		bytes += i.Size
		return s.Verify(t.Context(), i.SHA256)
	})
	if err != nil {
		t.Errorf("after a crash: %v", err)
	}
	u, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.Blobs != n || u.Bytes != bytes {
		t.Errorf("counted %d files of %d bytes, there are %d of %d", u.Blobs, u.Bytes, n, bytes)
	}
}

// TestCrashInTheMiddleOfAStream kills while the content is still coming.
func TestCrashInTheMiddleOfAStream(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	// A checkpoint of an append under way: the child dies at its second one,
	// before any append was acknowledged.
	lines := crash(t, dir, "upload", "append: marked", 2, 0)
	if len(lines) != 1 {
		t.Fatalf("the child says %q", lines)
	}
	s := mustOpen(t, dir, Options{})
	p, err := s.Uploads().Info(t.Context(), lines[0][2])
	if err != nil {
		t.Fatal(err)
	}
	if p.Offset == 0 || p.Offset >= crashSize {
		t.Errorf("after a crash in the middle of an append the upload is at %d", p.Offset)
	}
	data := blobtest.Content(0, crashSize)
	r := io.NewSectionReader(bytes.NewReader(data), p.Offset, crashSize)
	if at, err := s.Uploads().Append(t.Context(), lines[0][2], p.Offset, r); err != nil || at != crashSize {
		t.Errorf("go on: at %d, %v", at, err)
	}
}
