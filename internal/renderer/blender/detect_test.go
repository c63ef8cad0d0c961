package blender

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDetectFindsTheRealBlender(t *testing.T) {
	t.Parallel()
	path := realBlender(t)
	builds := Detect(t.Context(), DetectOptions{})
	if len(builds) == 0 || builds[0].Path != path || !strings.Contains(builds[0].Version, ".") {
		t.Errorf("got %+v, want %s first", builds, path)
	}
	found, err := Find(t.Context())
	if err != nil || found != path {
		t.Errorf("Find gives %q, %v", found, err)
	}
}

// fakeBlender writes a program that says a version and counts its runs.
func fakeBlender(t testing.TB, dir, version string) {
	t.Helper()
	script := "#!/bin/sh\necho run >> '" + dir + "/runs'\necho 'Blender " + version + "'\necho '	build hash: 0123abcdef01'\n"
	writeFile(t, filepath.Join(dir, "blender"), []byte(script))
	if err := os.Chmod(filepath.Join(dir, "blender"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDetectRemembers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, v := range []string{"2.83.20", "4.2.1"} {
		fakeBlender(t, filepath.Join(dir, "blender-"+v), v)
	}
	silent := filepath.Join(dir, "blender-9")
	writeFile(t, filepath.Join(silent, "blender"), []byte("#!/bin/sh\nexit 1\n"))
	if err := os.Symlink("blender-4.2.1", filepath.Join(dir, "blender-current")); err != nil {
		t.Fatal(err)
	}
	o := DetectOptions{Cache: filepath.Join(dir, "builds.json"), Places: []string{filepath.Join(dir, "blender-*/blender")}}
	runs := func() int {
		data, err := os.ReadFile(filepath.Join(dir, "blender-4.2.1", "runs"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), "run")
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, b := range Detect(t.Context(), o) {
			got = append(got, b.Version+" "+b.Hash)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	check("4.2.1 0123abcdef01", "2.83.20 0123abcdef01")
	check("4.2.1 0123abcdef01", "2.83.20 0123abcdef01")
	if runs() != 1 {
		t.Errorf("Blender was run %d times, want once", runs())
	}
	fakeBlender(t, filepath.Join(dir, "blender-4.2.1"), "4.2.10 LTS")
	check("4.2.10 0123abcdef01", "2.83.20 0123abcdef01")
	writeFile(t, o.Cache, []byte("nonsense"))
	check("4.2.10 0123abcdef01", "2.83.20 0123abcdef01")
	if runs() != 3 {
		t.Errorf("Blender was run %d times, want 3", runs())
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"Blender 3.4.1\n": "3.4.1",
		"warning: x\nBlender 4.5.0 LTS (hash abc)\n\tbuild date": "4.5.0",
		"Blender 2.83 (sub 20)\n":                                "2.83",
		"Blender x":                                              "",
		"":                                                       "",
	} {
		b, err := parseVersion("/b", []byte(out))
		if b.Version != want || (err == nil) != (want != "") {
			t.Errorf("%q: %+v, %v", out, b, err)
		}
	}
}

func TestNewer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{{"4.10.0", "4.9.9", true}, {"3.4", "3.4.1", false}, {"5.0.0", "4.5.3", true}, {"3.4.1", "3.4.1", false}} {
		if (&Build{Version: c.a}).Newer(&Build{Version: c.b}) != c.want {
			t.Errorf("%s newer than %s is not %v", c.a, c.b, c.want)
		}
	}
}

func TestDemoIsAScene(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "demo.blend")
	if err := MakeDemo(t.Context(), realBlender(t), path); err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(t.Context(), path, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := p.Scene.ActiveScene()
	if p.Frames.Len() != DemoFrames || (p.Size != Size{320, 180}) || set.Engine != "CYCLES" || set.Camera != "Camera" || len(p.Missing)+len(p.Warnings) != 0 {
		t.Errorf("%d frames of %v, %+v", p.Frames.Len(), p.Size, set)
	}
	if err := MakeDemo(t.Context(), "/bin/false", path); err == nil {
		t.Error("a Blender that fails made a demo")
	}
	if err := MakeDemo(t.Context(), "/bin/true", path+".none"); err == nil {
		t.Error("a Blender that does nothing made a demo")
	}
}
