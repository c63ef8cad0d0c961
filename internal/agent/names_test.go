package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "a/b.png", "été/图.exr", "a b/c", "..a/b..", strings.Repeat("n", 255)} {
		if err := checkName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "../a", "a/../b", "a/..", "/a", "a//b", "a/", "./a", "a/./b", `a\b`, `..\a`, "C:", "c:/a", "a:b", "a\x00b", "a\nb",
		"\xff", strings.Repeat("n", 256), strings.Repeat("n/", 600) + "n",
	} {
		if err := checkName(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// FuzzCheckName joins accepted names to a folder and looks that they are in it.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a/../../x", `a\..\..\x`, "con", "a/nul.txt", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) != nil {
			return
		}
		dir := filepath.FromSlash("/data/files/0")
		got := filepath.Join(dir, filepath.FromSlash(name))
		if !strings.HasPrefix(got, dir+string(filepath.Separator)) || got != dir+string(filepath.Separator)+filepath.FromSlash(name) {
			t.Errorf("%q leads to %q", name, got)
		}
	})
}

func TestCheckHash(t *testing.T) {
	t.Parallel()
	if err := checkHash(hashOf("x")); err != nil {
		t.Error(err)
	}
	for _, h := range []string{"", strings.Repeat("g", 64), strings.ToUpper(hashOf("x")), hashOf("x")[1:], hashOf("x") + "0"} {
		if checkHash(h) == nil {
			t.Errorf("%q was accepted", h)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"aéé", 2, "a…"}, {"", 0, ""}, {"é", 1, "…"}} {
		if got := clip(c.s, c.n); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}
