package move_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/blob/s3"
	"drover.farm/internal/cli/move"
	"drover.farm/internal/farm"
	"drover.farm/internal/store/pgtest"
	"drover.farm/internal/store/postgres"
	"drover.farm/internal/store/sqlite"
	"drover.farm/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Shutdown()
	os.Exit(code)
}

// end is one end of a move.
type end struct {
	state move.Store
	files blob.Store
	dir   string // of a folder
}

func local(t *testing.T) *end {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "drover.db"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(filepath.Join(dir, "blobs"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); s.Close() })
	return &end{s, d, dir}
}

func shared(t *testing.T, url string) *end {
	t.Helper()
	s, err := postgres.Open(context.Background(), url, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	backend := s3mem.New()
	if err := backend.CreateBucket("farm"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server())
	f, err := s3.Open(t.Context(), "s3://farm/x?path_style=true&endpoint="+srv.URL, s3.Options{SpoolDir: t.TempDir(), AccessKey: "a", SecretKey: "b"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); s.Close(); srv.Close() })
	return &end{state: s, files: f}
}

// fill makes a farm with something of everything, n files, and a job that refers
// to all of these.
func (e *end) fill(t *testing.T, n int) (files map[string]string) {
	t.Helper()
	epoch, err := e.state.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, e.state, epoch)
	files = make(map[string]string)
	k := &farm.Task{TaskKey: farm.TaskKey{Job: 1000, Step: 0, Index: 900}, State: farm.TaskDone}
	for i := range n {
		text := strings.Repeat(fmt.Sprint("content ", i, " "), 1+i*1000)
		info, err := e.files.Put(t.Context(), strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		files[info.SHA256.String()] = text
		k.Outputs = append(k.Outputs, farm.File{Name: fmt.Sprint(i), SHA256: info.SHA256.String(), Size: info.Size})
	}
	if err := e.state.Commit(t.Context(), &farm.Batch{Epoch: epoch, Tasks: []*farm.Task{k}}); err != nil {
		t.Fatal(err)
	}
	return files
}

func (e *end) has(t *testing.T, files map[string]string) {
	t.Helper()
	got := make(map[string]string)
	err := e.files.Walk(t.Context(), func(i blob.Info) error { got[i.SHA256.String()] = ""; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for name := range got {
		h, _ := blob.ParseHash(name)
		f, err := e.files.Open(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(text)
	}
	if d := cmp.Diff(files, got); d != "" {
		t.Errorf("the files differ (-want +got):\n%.2000s", d)
	}
}

func quiet(string) {}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	a, b, c := local(t), shared(t, pgtest.URL(t)), local(t)
	files := a.fill(t, 20)
	r, err := move.Move(t.Context(), a.state, b.state, a.files, b.files, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r.Files != 20 || r.Sent != 20 || r.Rows < 300 || len(r.Missing) == 0 {
		t.Errorf("the report is %+v", r)
	}
	b.has(t, files)
	storetest.Moved(t, a.state, b.state)
	if _, err := move.Move(t.Context(), b.state, c.state, b.files, c.files, quiet); err != nil {
		t.Fatal(err)
	}
	c.has(t, files)
	storetest.Moved(t, a.state, c.state)
}

func TestAFullPlaceIsRefused(t *testing.T) {
	t.Parallel()
	a, b := local(t), shared(t, pgtest.URL(t))
	a.fill(t, 1)
	b.fill(t, 0)
	_, err := move.Move(t.Context(), a.state, b.state, a.files, b.files, quiet)
	if farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "jobs: 2 rows") {
		t.Errorf("into a farm that is there: %v", err)
	}
	b.has(t, map[string]string{})
}

func TestAFarmAtWorkIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	a, again, b := shared(t, url), shared(t, url), local(t)
	a.fill(t, 1) // and goes on holding the writer's place
	_, err := move.Move(t.Context(), again.state, b.state, a.files, b.files, quiet)
	if farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("from a farm at work: %v", err)
	}
}

// breaking is a store of files that fails after some Puts.
type breaking struct {
	blob.Store
	left chan struct{}
}

var errLine = errors.New("the line is cut")

func (b breaking) Put(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error) {
	select {
	case <-b.left:
		return b.Store.Put(ctx, r, want)
	default:
		return blob.Info{}, errLine
	}
}

func TestAMoveThatBrokeOffGoesOn(t *testing.T) {
	t.Parallel()
	a, b := local(t), shared(t, pgtest.URL(t))
	files := a.fill(t, 20)
	cut := breaking{b.files, make(chan struct{}, 12)}
	for range 12 {
		cut.left <- struct{}{}
	}
	if _, err := move.Move(t.Context(), a.state, b.state, a.files, cut, quiet); !errors.Is(err, errLine) {
		t.Fatalf("with a cut line: %v", err)
	}
	if err := b.state.Empty(t.Context()); err != nil {
		t.Errorf("after the cut the state is there already: %v", err)
	}
	r, err := move.Move(t.Context(), a.state, b.state, a.files, b.files, quiet)
	if err != nil || r.Sent >= 20 || r.Files != 20 {
		t.Errorf("the second try: %+v, %v; want it to send only what was missing", r, err)
	}
	b.has(t, files)
	storetest.Moved(t, a.state, b.state)
}

func TestADamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	a, b := local(t), local(t)
	files := a.fill(t, 3)
	var name string
	for name = range files {
	}
	path := filepath.Join(a.dir, "blobs", "sha256", name[:2], name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ToUpper(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := move.Move(t.Context(), a.state, b.state, a.files, b.files, quiet); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with a damaged file: %v, want it named", err)
	}
	if err := b.state.Empty(t.Context()); err != nil {
		t.Errorf("the state moved all the same: %v", err)
	}
}
