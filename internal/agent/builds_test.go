package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
	"drover.farm/internal/archive"
)

// buildsBundle keeps builds from a fake store.
type buildsBundle struct {
	*builds
	f *fakeFarm
}

func newBuildsBundle(t *testing.T, dir string, limit int64, f *fakeFarm) *buildsBundle {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := openBuilds(dir, limit, f.Download, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &buildsBundle{b, f}
}

// add puts the archive of a build into the store.
func (b *buildsBundle) add(t *testing.T, name string, size int) *api.Build {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(size)}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, strings.Repeat("x", size))
	w.Close()
	b.f.put("build", buf.String())
	return &api.Build{Product: "toon", Version: name, SHA256: hashOf(buf.String()), Size: int64(buf.Len()), Program: name}
}

// use acquires a build and looks at its folder.
func (b *buildsBundle) use(t *testing.T, x *api.Build, file string) {
	t.Helper()
	dir, err := b.acquire(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, file)); err != nil || st.Mode().Perm() != 0o755 {
		t.Fatalf("%s: %v, %v", file, st, err)
	}
}

func TestBuildsAreFetchedOnceAndKeptWithinTheLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFakeFarm()
	b := newBuildsBundle(t, dir, 100, f)
	one, two, three := b.add(t, "one", 60), b.add(t, "two", 30), b.add(t, "three", 50)
	b.use(t, one, "one")
	b.use(t, two, "two")
	b.release(two.SHA256)
	b.use(t, three, "three") // two goes: one is in use
	if diff := cmp.Diff(sorted(one.SHA256, three.SHA256), b.held()); diff != "" {
		t.Error(diff)
	}
	b.release(one.SHA256)
	b.release(three.SHA256)
	b = newBuildsBundle(t, dir, 100, f)
	b.use(t, three, "three")
	if n := f.fetched[three.SHA256]; n != 1 {
		t.Errorf("after a restart the build was fetched again: %d times", n)
	}
	if diff := cmp.Diff([]string{three.SHA256}, b.held()); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("there lie %v, %v", entries, err)
	}
}

func sorted(a, b string) []string {
	if b < a {
		a, b = b, a
	}
	return []string{a, b}
}

func TestBuildIsFetchedByOneOfMany(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	b := newBuildsBundle(t, t.TempDir(), 1000, f)
	one := b.add(t, "one", 60)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := b.acquire(t.Context(), one); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := f.fetched[one.SHA256]; n != 1 {
		t.Errorf("ten sessions fetched the build %d times", n)
	}
}

func TestBuildsOfAKilledWorkerAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, p := range []string{".unpacking-1/bin/x", ".removed-" + strings.Repeat("0", 64) + "/x", ".archive-1", "stray"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	newBuildsBundle(t, dir, 100, newFakeFarm())
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestBrokenBuildsLeaveNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFakeFarm()
	b := newBuildsBundle(t, dir, 100, f)
	var refused *archive.Refusal
	if _, err := b.acquire(t.Context(), b.add(t, "../out", 1)); !errors.As(err, &refused) {
		t.Errorf("a way out: %v", err)
	}
	if _, err := b.acquire(t.Context(), &api.Build{SHA256: "../../etc"}); err == nil {
		t.Error("a hash that is none was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.acquire(ctx, b.add(t, "one", 1)); err == nil {
		t.Error("a stopped task fetched on")
	}
	b.use(t, b.add(t, "one", 1), "one")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestFetchedBuildInTheEnvironment(t *testing.T) {
	t.Parallel()
	list := string(filepath.ListSeparator)
	a := &agent{env: []string{"PATH=/ours" + list + "/usr/bin"}, machine: api.Machine{Cores: 1}, cfg: Config{Slots: 1}}
	root := filepath.Join("/data", "blender-4.2.1")
	program := filepath.Join(root, "bin", "blender")
	got := a.sessionEnv(&api.Work{Renderer: "blender", Build: "4.2.1", Fetch: &api.Build{Program: "bin/blender"}}, root)
	want := []string{"PATH=/ours" + list + filepath.Dir(program) + list + "/usr/bin", "DROVER_BLENDER=" + program, "DROVER_BLENDER_ROOT=" + root}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if fmt.Sprint(a.env) != "[PATH=/ours"+list+"/usr/bin]" {
		t.Errorf("the worker's own environment is now %v", a.env)
	}
}
