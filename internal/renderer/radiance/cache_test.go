package radiance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestCacheKeepsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most int64
		keep time.Duration
		want []string
	}{
		{30, 0, []string{"a", "b", "c"}}, {29, 0, []string{"b", "c"}}, {10, 0, []string{"c"}}, {9, 0, nil},
		{30, 90 * time.Minute, []string{"b", "c"}}, {10, 90 * time.Minute, []string{"c"}}, {30, 30 * time.Minute, []string{"c"}},
	} {
		dir := t.TempDir()
		for age, name := range []string{"c", "b", "a"} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, make([]byte, 10), 0o600); err != nil {
				t.Fatal(err)
			}
			used := time.Now().Add(-time.Duration(age) * time.Hour)
			if err := os.Chtimes(path, used, used); err != nil {
				t.Fatal(err)
			}
		}
		pruneCache(dir, c.most, c.keep)
		var got []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("of %d bytes and %s: %q, want %q", c.most, c.keep, got, c.want)
		}
	}
}

func TestAloneIsReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "room.rif")
	text := "mat= a.mat\nscene= a.rad\nscene= b.rad\nillum= w.rad\nrpict= -ps 1\nQUAL= H\nview= v1 -vp 0 0 0\nview= v2 -vp 1 1 1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRif(path)
	if err != nil {
		t.Fatal(err)
	}
	alone := func(illum bool) *Rif {
		if err := os.WriteFile(path, []byte(r.Alone(&NamedView{"v2", "-vp 1 1 1"}, nil, "-ab 2", illum)), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRif(path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := alone(true)
	if !slices.Equal(got.Views, []NamedView{{"v2", "-vp 1 1 1"}}) || got.Value("rpict") != "-ps 1 -ab 2" || got.Value("QUALITY") != "H" || got.Value("illum") != "w.rad" {
		t.Errorf("%+v", got)
	}
	if got := alone(false); got.Value("scene") != "a.rad b.rad w.rad" || got.Value("illum") != "" {
		t.Errorf("without mkillum: %+v", got)
	}
	if got := r.Value("rpict") + r.Value("scene"); got != "-ps 1a.rad b.rad" {
		t.Errorf("the first one changed: %s", got)
	}
}
