package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

// collectBundle is a stage with an input root 0 and output roots 1 and 2.
type collectBundle struct {
	t *testing.T
	s *stage
	b *baseline
	n int
}

func newCollectBundle(t *testing.T, before map[string]string) *collectBundle {
	t.Helper()
	dir := t.TempDir()
	c, err := openCache(filepath.Join(dir), 1<<20, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(dir, []api.Root{{Path: "/in", Format: "POSIX"}, {Path: "/out", Format: "POSIX", Output: true},
		{Path: "/more", Format: "POSIX", Output: true}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	cb := &collectBundle{t: t, s: s}
	for name, content := range before {
		cb.write(name, content)
	}
	if cb.b, err = newBaseline(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return cb
}

func (c *collectBundle) path(name string) string {
	return filepath.Join(c.s.dir, filepath.FromSlash(name))
}

func (c *collectBundle) write(name, content string) {
	c.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(c.path(name)), 0o700), os.WriteFile(c.path(name), []byte(content), 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

// touch moves a file's time.
func (c *collectBundle) touch(name string) {
	c.t.Helper()
	at := time.Now().Add(time.Hour)
	if err := os.Chtimes(c.path(name), at, at); err != nil {
		c.t.Fatal(err)
	}
}

// collect lists outputs as root/name=content.
func (c *collectBundle) collect() []string {
	c.t.Helper()
	c.n++
	out, err := c.b.collect(c.t.Context(), filepath.Join(c.s.dir, "..", fmt.Sprint("spool", c.n)), 100)
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, o := range out {
		content, err := os.ReadFile(o.path)
		if err != nil {
			c.t.Error(err)
		}
		if o.file.Size != int64(len(content)) {
			c.t.Errorf("%s: said to have %d bytes, has %d", o.file.Name, o.file.Size, len(content))
		}
		got = append(got, fmt.Sprintf("%d/%s=%s", o.file.Root, o.file.Name, content))
	}
	return got
}

func TestCollect(t *testing.T) {
	t.Parallel()
	c := newCollectBundle(t, map[string]string{"0/scene": "in", "1/keep": "keep", "1/grow": "a", "1/same": "same", "2/again": "old"})
	c.write("0/scene2", "new, but in an input root")
	c.write("1/frames/0001.png", "one")
	c.write("1/frames/0002.png", "two")
	c.write("2/x", "x")
	c.write("1/grow", "ab")
	c.write("1/same", "same")
	c.touch("1/same")
	c.write("2/again", "new")
	c.touch("2/again")
	want := []string{"1/frames/0001.png=one", "1/frames/0002.png=two", "1/grow=ab", "2/again=new", "2/x=x"}
	if diff := cmp.Diff(want, c.collect()); diff != "" {
		t.Errorf("first task: %s", diff)
	}
	if got := c.collect(); got != nil {
		t.Errorf("a task that wrote nothing put out %q", got)
	}
	// What was new is gone from the root, what was there before stays.
	for name, stays := range map[string]bool{"1/frames/0001.png": false, "1/grow": true, "1/keep": true, "2/again": true} {
		if _, err := os.Stat(c.path(name)); (err == nil) != stays {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
	c.write("1/frames/0001.png", "one")
	c.write("1/grow", "abc")
	if diff := cmp.Diff([]string{"1/frames/0001.png=one", "1/grow=abc"}, c.collect()); diff != "" {
		t.Errorf("next task: %s", diff)
	}
}

func TestCollectReplacedFile(t *testing.T) {
	t.Parallel()
	c := newCollectBundle(t, map[string]string{"1/a": "old"})
	info, err := os.Stat(c.path("1/a"))
	if err != nil {
		t.Fatal(err)
	}
	c.write("1/b", "new")
	if err := errors.Join(os.Rename(c.path("1/b"), c.path("1/a")), os.Chtimes(c.path("1/a"), info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1/a=new"}, c.collect()); diff != "" {
		t.Errorf("a file replaced by one of its size and time: %s", diff)
	}
}

func TestCollectPassesOverLinks(t *testing.T) {
	t.Parallel()
	c := newCollectBundle(t, nil)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(secret, c.path("1/link")), os.Symlink(filepath.Dir(secret), c.path("1/dir"))); err != nil {
		t.Fatal(err)
	}
	if got := c.collect(); got != nil {
		t.Errorf("links were taken for outputs: %q", got)
	}
}

func TestCollectBounds(t *testing.T) {
	t.Parallel()
	c := newCollectBundle(t, nil)
	for i := range 5 {
		c.write(fmt.Sprint("1/", i), "x")
	}
	var f *fault
	if _, err := c.b.collect(t.Context(), t.TempDir(), 4); !errors.As(err, &f) || f.cause != causeJob {
		t.Errorf("more files than allowed: %v", err)
	}
	c = newCollectBundle(t, nil)
	c.write("1/"+strings.Repeat("n", 200)+"/"+strings.Repeat("n", 255), "x")
	if got := c.collect(); len(got) != 1 {
		t.Errorf("a long name: %q", got)
	}
}
