package flamenco

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

func TestTemplatesAreValid(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"print": printTemplate, "tile": tileTemplate} {
		if _, err := openjd.ParseJobTemplate([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := utf8.RuneCountInString(mixScript(maxTiles, -lastFrame, outputFolder)); n > maxPath {
		t.Errorf("the script that mixes has %d characters, more than a parameter takes", n)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	ss, err := parseShares([]string{"linux=/render;win=R:/;osx=/Volumes/render;farm=/srv/render", `linux=/render/deep;win=\\nas\deep`})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path     string
		from, to system
		want     string
	}{
		{"/render/a/b.blend", linux, win, "R:/a/b.blend"},
		{`r:\a\b.blend`, win, linux, "/render/a/b.blend"},
		{"R:/a", win, osx, "/Volumes/render/a"},
		{"/render/deep/x", linux, win, `\\nas\deep/x`},
		{`\\NAS\deep\x`, win, linux, "/render/deep/x"},
		{"/render/a/b", linux, farmSys, "/srv/render/a/b"},
		{"/rendering/a", linux, win, ""},
		{"/render/../etc", linux, win, ""},
		{"render/a", linux, win, ""},
		{"/render", linux, farmSys, "/srv/render/"},
	} {
		if got, _ := ss.translate(c.path, c.from, c.to); got != c.want {
			t.Errorf("%s from %s to %s: %q, want %q", c.path, c.from, c.to, got, c.want)
		}
	}
	if got := ss.on(paths{win: "R:/x"}, linux); got != "/render/x" {
		t.Errorf("on linux: %q", got)
	}
	for _, bad := range []string{"", "linux=render", "linux=/a;linux=/b", "plan9=/x", "win=/x;linux"} {
		if _, err := parseShares([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	got, err := parsePresets(Defaults().Presets)
	if err != nil || got["base_1080p.py"] != (preset{1920, 1080}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"x", "x=1", "x=0x5", "../x=1x1", "x=1x99999"} {
		if _, err := parsePresets([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The logs are of the forms of Blender 2.7 and of Blender 3.4.
func TestActivity(t *testing.T) {
	t.Parallel()
	var a activity
	a.add("Blender 2.73 (sub 0)\nFra:7 Mem:8.63M (0.00M, Peak 9.00M) | Time:00:01.02 | Remaining:01:02:03.50 | Mem:1.00M, Peak:2.00M | Scene, RenderLayer | Path Tracing Tile 3/8\n")
	if a.Version != "2.73" || *a.Frame != 7 || *a.Remaining != 3723 || a.Memory != 9<<20 || len(a.Saved) != 0 {
		t.Errorf("got %+v", a)
	}
	a.add("Saved: /r/1/00007.png Time: 00:01.50 (Saving: 00:00.10)\nFra:8 Mem:8M\nSaved: '/r/with blank/00008.png'\n")
	if diff := cmp.Diff([]string{"/r/1/00007.png", "/r/with blank/00008.png"}, a.Saved); diff != "" || !a.saved[7] || !a.saved[8] || *a.Frame != 8 {
		t.Errorf("%s %+v", diff, a)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(a.text()), &doc); err != nil || len(doc) != 4 {
		t.Errorf("its text is %s", a.text())
	}
	var b activity
	b.hear(`{"process":"Sample 1/2","remaining":5,"thumbnail":null,"current_frame":3}`)
	if b.message() != "frame 3, Sample 1/2, 5 s left" {
		t.Errorf("message %q", b.message())
	}
	b.hear(`{"remaining": 1e300}`)
	b.hear(`nonsense`)
}

func TestFresh(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"abc", "bcd", "d"}, {"", "x", "x"}, {"abc", "xyz", "xyz"}, {"abc", "abc", ""}} {
		if got := fresh(c[0], c[1]); got != c[2] {
			t.Errorf("fresh(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestFrameOfFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, pattern string
		want          int64
		ok            bool
	}{
		{"00007.png", "#####", 7, true},
		{"00070.png", "#####", 0, false},
		{"a/shot_07_L.exr", "shot_##", 7, true},
		{"shot_071.exr", "shot_##", 0, false},
		{"log.txt", "####", 0, false},
		{"plain0007.png", "plain", 7, true},
	} {
		got, ok := frameOfFile(c.file, c.pattern, []int64{3, 7})
		if got != c.want && c.ok || ok != c.ok {
			t.Errorf("%s in %s: %d %v", c.file, c.pattern, got, ok)
		}
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	want := []string{"--frame-start", "1", "--frame-end", "3", "--render-anim", "-f", "7", "--frame-start", "9", "--frame-end", "10", "--render-anim"}
	if diff := cmp.Diff(want, runs([]int64{1, 2, 3, 7, 9, 10})); diff != "" {
		t.Error(diff)
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(typeSimple, sceneSettings)
	f.Add(typePrint, `{"text":"x"}`)
	f.Add(typeTile, `{"tile":1,"tiles":4,"frames":"1-3,7","file_path_win":"P:\\x"}`)
	f.Fuzz(func(t *testing.T, kind, settings string) {
		o, err := parseOrder(kind, []byte(settings))
		if err != nil {
			return
		}
		for _, p := range []paths{o.file, o.output} {
			for _, v := range p {
				if strings.HasPrefix(v, "-") || strings.ContainsFunc(v, isControl) {
					t.Errorf("the path %q was taken", v)
				}
			}
		}
		if strings.HasPrefix(o.filepath, "/") || strings.HasPrefix(o.filepath, "-") || strings.Contains("/"+o.filepath+"/", "/../") {
			t.Errorf("the file %q was taken", o.filepath)
		}
	})
}

func FuzzActivity(f *testing.F) {
	f.Add("Fra:1 Mem:9M | Time:00:00.02 | Remaining:00:10.00 | x\nSaved: '/a'\n")
	f.Fuzz(func(t *testing.T, log string) {
		var a activity
		a.add(log)
		a.hear(log)
		if !json.Valid([]byte(a.text())) || a.Percent < 0 || a.Percent > 100 {
			t.Errorf("got %+v", a)
		}
	})
}

// TestALongLogOfManyFrames: of many progress lines of a frame the last say all; what
// is between them is not lost.
func TestALongLogOfManyFrames(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	for f := range 20 {
		for i := range 200 {
			fmt.Fprintf(&log, "Fra:%d Mem:%d.00M (0.00M, Peak %d.00M) | Time:00:01.00 | Remaining:00:00:%02d.00 | Scene, Layer | Path Tracing Tile %d/200\n", f+1, i, i, 59-i%60, i+1)
		}
		fmt.Fprintf(&log, "Warning: x\nSaved: '/r/%05d.png'\n", f+1)
	}
	var a activity
	a.add(log.String())
	if len(a.Saved) != 20 || len(a.saved) != 20 || a.Memory != 199<<20 || *a.Frame != 20 || a.Process != "Path Tracing Tile 200/200" || *a.Remaining != 40 {
		t.Errorf("got %+v, %s", a, a.message())
	}
}

// TestLinksDoNotLeadOutOfAShare: who may write to a share must not have the farm
// read, or write over, other files of its machine.
func TestLinksDoNotLeadOutOfAShare(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	ss, err := parseShares([]string{"linux=/render;farm=" + base + "/share", "linux=/other;farm=" + base + "/link", "linux=/far"})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"share/shots", "real", "private"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"link": base + "/real", "share/shots/in.blend": "../x.blend", "share/there": base + "/real", "share/out": base + "/private", "share/up": "../private",
		"share/broken": base + "/private/not-yet",
	} {
		if err := os.Symlink(to, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"share/x.blend", "private/secret"} {
		if err := os.WriteFile(filepath.Join(base, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/render/x.blend":        "/share/x.blend",
		"/render/new/and/deep":   "/share/new/and/deep",
		"/render/shots/in.blend": "/share/shots/in.blend",
		"/render/there/a":        "/share/there/a", // another share
		"/other/a":               "/link/a",
		"/render/out/secret":     "",
		"/render/out/new":        "",
		"/render/up/secret":      "",
		"/render/broken":         "",
		"/render/broken/a":       "",
		"/far/a":                 "",
	} {
		if want != "" {
			want = base + want
		}
		if got := ss.local(paths{linux: path}); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if ss.holds(filepath.Join(base, "private/secret")) || !ss.holds(filepath.Join(base, "share/x.blend")) {
		t.Error("what lies on a share is not told from what does not")
	}
}
