package submit

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSequenceFindsItsFrames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.0001.exr", "a.0010.exr", "a.final.exr", "b.0001.exr", "a.0001.exr.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"a.%04d.exr", "a.####.exr", "a.%d.exr"} {
		in := New("")
		if err := in.sequence(filepath.Join(dir, pattern)); err != nil {
			t.Error(err)
		}
		want := []string{filepath.Join(dir, "a.0001.exr"), filepath.Join(dir, "a.0010.exr")}
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(in.files))); d != "" {
			t.Errorf("%s: %s", pattern, d)
		}
	}
	for _, pattern := range []string{"nothing.exr", "no/such.####.exr"} {
		if err := New("").sequence(filepath.Join(dir, pattern)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if err := New("").sequence(filepath.Join(dir, "c.####.exr")); err == nil {
		t.Error("an empty sequence was taken")
	}
}
