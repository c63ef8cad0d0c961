//go:build unix

package radiance_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/frame"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	radiancetest.Clean()
	os.Exit(code)
}

// bench is a runner in a project of its own.
func bench(t *testing.T, scene radiancetest.Scene) (*radiance.Runner, *bytes.Buffer) {
	t.Helper()
	tools, err := radiance.Find(radiancetest.Home(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), &bytes.Buffer{}
	scene.Write(t, dir)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return &radiance.Runner{Tools: tools, Dir: dir, Log: log}, log
}

func rifOf(t *testing.T, r *radiance.Runner) *radiance.Rif {
	t.Helper()
	rif, err := radiance.ReadRif(filepath.Join(r.Dir, "room.rif"))
	if err != nil {
		t.Fatal(err)
	}
	return rif
}

func put(t *testing.T, r *radiance.Runner, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTilesEqualTheWhole: where options leave nothing to chance, a picture in
// tiles is the whole picture, pixel by pixel.
func TestTilesEqualTheWhole(t *testing.T) {
	t.Parallel()
	for _, split := range [][2]int{{2, 2}, {3, 1}, {1, 7}} {
		r, _ := bench(t, radiancetest.Scene{Size: 100})
		if err := r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r), Frozen: true}, "room.oct"); err != nil {
			t.Fatal(err)
		}
		p, err := r.PlanPicture(t.Context(), rifOf(t, r), "v1", "room.oct", strings.Fields(radiancetest.Exact))
		if err != nil {
			t.Fatal(err)
		}
		if p.Width != 100 || p.Height != 74 {
			t.Errorf("the picture is %dx%d", p.Width, p.Height)
		}
		whole := radiance.Tile{Width: p.Width, Height: p.Height}
		if err := r.RenderTile(t.Context(), p, whole, "room.oct", "whole.hdr"); err != nil {
			t.Fatal(err)
		}
		tiles := radiance.Tiles(p.Width, p.Height, split[0], split[1])
		var files []string
		for i, tile := range tiles {
			files = append(files, fmt.Sprintf("tile%d.hdr", i))
			if err := r.RenderTile(t.Context(), p, tile, "room.oct", files[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.JoinTiles(t.Context(), p, tiles, files, "joined.hdr"); err != nil {
			t.Fatal(err)
		}
		if n := different(t, r, "whole.hdr", "joined.hdr"); n > 0 {
			t.Errorf("%v: %d of %d pixels differ", split, n, p.Width*p.Height)
		}
		if err := r.Filter(t.Context(), p, "joined.hdr", "final.hdr"); err != nil {
			t.Error(err)
		}
	}
}

// different counts the pixels in which two pictures differ.
func different(t *testing.T, r *radiance.Runner, a, b string) int {
	t.Helper()
	read := func(name string) *frame.HDRImage {
		f, err := os.Open(filepath.Join(r.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, _ := f.Stat()
		m, err := frame.ReadHDR(f, info.Size(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	x, y := read(a), read(b)
	if x.Width != y.Width || x.Height != y.Height {
		t.Fatalf("%dx%d and %dx%d", x.Width, x.Height, y.Width, y.Height)
	}
	n := 0
	for i := 0; i < len(x.Pix); i += 4 {
		if !slices.Equal(x.Pix[i:i+4], y.Pix[i:i+4]) {
			n++
		}
	}
	return n
}

func TestTrace(t *testing.T) {
	t.Parallel()
	r, _ := bench(t, radiancetest.Scene{})
	if err := r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r)}, "room.oct"); err != nil {
		t.Fatal(err)
	}
	if err := r.Trace(t.Context(), []string{"-I", "-ab", "0"}, "room.oct", "numeric/desk.pts", "desk.res"); err != nil {
		t.Fatal(err)
	}
	if err := radiance.CheckGrid(filepath.Join(r.Dir, "desk.res"), 96); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"1 1 1 0 0 1\n2 2 x 0 0 1\n": `line 2 has "x"`, "1 1 1 0 0 0\n": "direction of 0 0 0", "1 1 1\n": "has 3 words", "": "no sensors", "1 1 1 0 0 inf\n": "no number",
	} {
		put(t, r, "bad.pts", text)
		if err := r.Trace(t.Context(), nil, "room.oct", "bad.pts", "bad.res"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if _, err := os.Stat(filepath.Join(r.Dir, "bad.res")); err == nil {
			t.Errorf("%q left a result", text)
		}
	}
}

// TestTraps are runs that end with success, or leave files, although something
// is wrong.
func TestTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(t *testing.T, r *radiance.Runner) error
		want string
	}{
		"a command that fails": {func(t *testing.T, r *radiance.Runner) error {
			put(t, r, "room.rad", "!no-such-command\nvoid light l 0 0 3 1 1 1\n")
			return r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r)}, "room.oct")
		}, "a part of the scene is missing"},
		"a material that lacks a number": {func(t *testing.T, r *radiance.Runner) error {
			put(t, r, "room.mat", "void plastic white 0 0 4 .7 .7 .7 0\nvoid light bright 0 0 3 1 1 1\n")
			return render(t, r, "v1")
		}, "bad number of arguments"},
		"a view that is not there": {func(t *testing.T, r *radiance.Runner) error { return render(t, r, "v9") }, "no such view"},
		"a scene that is not there": {func(t *testing.T, r *radiance.Runner) error {
			os.Remove(filepath.Join(r.Dir, "room.rad"))
			return render(t, r, "v1")
		}, "cannot open scene file"},
		"a modifier that is not there": {func(t *testing.T, r *radiance.Runner) error {
			put(t, r, "room.mat", "")
			return render(t, r, "v1")
		}, "undefined modifier"},
		"a scene that changed after oconv": {func(t *testing.T, r *radiance.Runner) error {
			if err := r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r)}, "room.oct"); err != nil {
				return err
			}
			put(t, r, "room.rad", "void light l 0 0 3 1 1 1\n")
			p, err := r.PlanPicture(t.Context(), rifOf(t, r), "v1", "room.oct", nil)
			if err != nil {
				return err
			}
			return r.RenderTile(t.Context(), p, radiance.Tile{Width: 8, Height: 8}, "room.oct", "x.hdr")
		}, "octree stale?"},
		"no library": {func(t *testing.T, r *radiance.Runner) error {
			r.Tools.RayPath = "."
			return render(t, r, "v1")
		}, "rayinit.cal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := bench(t, radiancetest.Scene{Size: 16})
			err := c.do(t, r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			left, _ := filepath.Glob(filepath.Join(r.Dir, "*.hdr*"))
			if len(left) > 0 {
				t.Errorf("it left %q", left)
			}
			var fault *renderer.Fault
			if f, ok := err.(*renderer.Fault); ok {
				fault = f
			}
			if name == "no library" && (fault == nil || fault.Party != renderer.WorkerFault) {
				t.Errorf("a library that is missing is the worker's fault, not %+v", fault)
			}
		})
	}
}

func render(t *testing.T, r *radiance.Runner, view string) error {
	if err := r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r)}, "room.oct"); err != nil {
		return err
	}
	p, err := r.PlanPicture(t.Context(), rifOf(t, r), view, "room.oct", nil)
	if err != nil {
		return err
	}
	return r.RenderTile(t.Context(), p, radiance.Tile{Width: p.Width, Height: p.Height}, "room.oct", "x.hdr")
}

func TestIllum(t *testing.T) {
	t.Parallel()
	r, log := bench(t, radiancetest.Scene{Extra: "illum= window.rad\nmkillum= -ab 0\n"})
	put(t, r, "window.rad", "void glass gl 0 0 3 .9 .9 .9\ngl polygon win 0 0 12 0 1 1 0 2 1 0 2 2 0 1 2\n")
	var stages []string
	rc := radiance.Recipe{Rif: rifOf(t, r), Illum: true, Begin: func(s string) { stages = append(stages, s) }}
	if err := r.MakeOctree(t.Context(), rc, "room.oct"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"oconv", "mkillum", "oconv"}, stages); d != "" || !strings.Contains(log.String(), "$ mkillum -ab 0 room.oct.illum.oct") {
		t.Errorf("stages %s, log %s", d, log)
	}
	left, _ := filepath.Glob(filepath.Join(r.Dir, "room.oct?*"))
	if len(left) > 0 {
		t.Errorf("it left %q", left)
	}
}

func TestKilledIsTold(t *testing.T) {
	t.Parallel()
	r, _ := bench(t, radiancetest.Scene{Size: 2000, Hold: filepath.Join(t.TempDir(), "never")})
	if err := r.MakeOctree(t.Context(), radiance.Recipe{Rif: rifOf(t, r)}, "room.oct"); err != nil {
		t.Fatal(err)
	}
	p, err := r.PlanPicture(t.Context(), rifOf(t, r), "v1", "room.oct", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Started = func(_ string, pid int) { kill(t, pid) }
	err = r.RenderTile(context.Background(), p, radiance.Tile{Width: 2000, Height: 2000}, "room.oct", "x.hdr")
	if err == nil || !strings.Contains(err.Error(), "rpict was ended by the signal killed") {
		t.Errorf("error %v", err)
	}
}
