//go:build unix

package vray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/renderer"
	"drover.farm/openjd"
)

// standIn is the program that stands in for V-Ray, built once.
var standIn string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "standin-")
	if err == nil {
		standIn = filepath.Join(dir, "vray")
		cmd := exec.Command("go", "build", "-o", standIn, "./standin")
		cmd.Stderr = os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the stand-in for V-Ray:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// write makes files below a folder of its own and returns it.
func write(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(dir, files[i])
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(files[i+1]), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const sample = `// a scene
#include "geo/mesh.vrscene"
SettingsOutput settings_output {
  img_width=64;
  img_height=48.0;
  img_file="out.png";
  anim_start=3;
  anim_end=7;
}
BitmapBuffer wood@bitmap {
  file="TEX/wood.png";
}
`

func TestReadScene(t *testing.T) {
	t.Parallel()
	other := write(t, "abs.exr", "x")
	dir := write(t, "s.vrscene", strings.ReplaceAll(sample, "TEX", "tex")+"GeomMeshFile m { file=\""+other+"/abs.exr\"; }\nBitmapBuffer b { file=\"tex/u.<UDIM>.png\"; }\nText t { text=\"no file.png at all\"; }\n"+
		"Geom g { faces=ListIntHex(\"ZIPB"+strings.Repeat("0", 200_000)+"\"); }\nIES l { ies_file=\"lost.ies\"; }\n",
		"geo/mesh.vrscene", "#include \"../s.vrscene\"\nX y { file=\"t.png\"; }", "geo/t.png", "", "tex/wood.png", "", "tex/u.1001.png", "", "tex/u.1002.png", "")
	s, err := ReadScene(t.Context(), filepath.Join(dir, "s.vrscene"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.Files {
		name := strings.TrimPrefix(strings.TrimPrefix(f.Path, dir+"/"), other+"/")
		if f.Missing {
			name += " missing"
		}
		got = append(got, name)
	}
	slices.Sort(got)
	want := []string{"abs.exr", "geo/mesh.vrscene", "geo/t.png", "lost.ies missing", "s.vrscene", "tex/u.1001.png", "tex/u.1002.png", "tex/wood.png"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Width != 64 || s.Height != 48 || s.Start != 3 || s.End != 7 {
		t.Errorf("%+v", s)
	}
	if _, err := ReadScene(t.Context(), filepath.Join(write(t, "x.vrscene", "a\x00b"), "x.vrscene")); err == nil {
		t.Error("a file that is no text was read")
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	dir := write(t, "s.vrscene", strings.ReplaceAll(sample, "TEX", "tex"), "geo/mesh.vrscene", "", "tex/wood.png", "")
	path := filepath.Join(dir, "s.vrscene")
	p, err := NewPlan(t.Context(), path, PlanOptions{Width: 32, Tiles: "2x2", Licence: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Parameters["Frames"] != "3-7" || p.Parameters["Height"] != "24" || p.Parameters["LastTile"] != "4" || len(p.Inputs) != 3 || len(p.Roots) != 1 {
		t.Errorf("%+v", p)
	}
	for _, licence := range []bool{true, false} {
		for _, tiles := range []string{"", "2x2"} {
			p, err := NewPlan(t.Context(), path, PlanOptions{Tiles: tiles, Licence: licence})
			if err != nil {
				t.Fatal(err)
			}
			tmpl, err := openjd.ParseJobTemplate([]byte(p.Template))
			if err != nil {
				t.Fatal(err)
			}
			j, err := tmpl.Instantiate(p.Parameters, openjd.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(j.Steps); got != map[string]int{"": 1, "2x2": 2}[tiles] {
				t.Errorf("tiles %q: %d steps", tiles, got)
			}
			if h := j.Steps[0].Host; licence != (h != nil && len(h.Amounts) == 1 && h.Amounts[0].Name == LicenceLimit) {
				t.Errorf("licence %v: %+v", licence, h)
			}
		}
	}
	for _, c := range []struct {
		says string
		o    PlanOptions
	}{
		{"not COLUMNSxROWS", PlanOptions{Tiles: "2"}}, {"joined as PNG only", PlanOptions{Tiles: "2x2", Format: "OPEN_EXR"}}, {"no picture format", PlanOptions{Format: "MP4"}},
		{"run backwards", PlanOptions{Frames: "9-1"}}, {"output name", PlanOptions{OutputName: "a/b"}}, {"cannot be cut", PlanOptions{Tiles: "64x64"}},
	} {
		if _, err := NewPlan(t.Context(), path, c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want an error with %q", c.o, err, c.says)
		}
	}
	odd := write(t, "a;b/s.vrscene", "")
	if _, err := NewPlan(t.Context(), filepath.Join(odd, "a;b", "s.vrscene"), PlanOptions{}); err == nil || !strings.Contains(err.Error(), "remapPath") {
		t.Errorf("a path that V-Ray cannot be told: %v", err)
	}
}

// bundle is a session's folder with a scene in it.
type bundle struct {
	t   *testing.T
	o   RenderOptions
	out bytes.Buffer
}

func setup(t *testing.T, scene string) *bundle {
	t.Helper()
	dir := write(t, "s.vrscene", scene)
	return &bundle{t: t, o: RenderOptions{VRay: standIn, Session: t.TempDir(), Scene: filepath.Join(dir, "s.vrscene"), Frame: 7, Tile: 1, Tiles: "1x1", Output: filepath.Join(t.TempDir(), "out"), Name: "shot_###", Format: "PNG"}}
}

func (b *bundle) render() error { return Render(b.t.Context(), b.o, &b.out) }

// outputs lists what lies in the output folder.
func (b *bundle) outputs() (names []string) {
	filepath.WalkDir(b.o.Output, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(b.o.Output, p)
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	return names
}

func TestRender(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]string{"a frame": "", "a V-Ray that adds the number": "standin_numbers", "a plug-in without its library": "standin_exit_3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, scene)
			if err := b.render(); err != nil {
				t.Fatalf("%v\n%s", err, &b.out)
			}
			if diff := cmp.Diff([]string{"shot_007.png"}, b.outputs()); diff != "" {
				t.Error(diff)
			}
			for _, want := range []string{"openjd_progress: 50\n", "openjd_progress: 100\n", "openjd_status: rendering frame 7\n", "-display=0"} {
				if !strings.Contains(b.out.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, &b.out)
				}
			}
			if left, _ := os.ReadDir(b.o.Session); len(left) != 0 {
				t.Errorf("left in the session: %v", left)
			}
		})
	}
}

func TestPathsAreMapped(t *testing.T) {
	t.Parallel()
	here := write(t, "tex/wood.png", "12345")
	b := setup(t, `BitmapBuffer x { file="/jobs/film/tex/wood.png"; }`)
	rules, _ := json.Marshal(map[string]any{"path_mapping_rules": []map[string]string{
		{"source_path": "/jobs", "destination_path": "/nowhere"}, {"source_path": "/jobs/film", "destination_path": here}}})
	b.o.Rules = filepath.Join(b.o.Session, "..", "rules.json")
	if err := os.WriteFile(b.o.Rules, rules, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.render(); err != nil || !strings.Contains(b.out.String(), "read /jobs/film/tex/wood.png: 5 bytes") {
		t.Errorf("%v\n%s", err, &b.out)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*bundle)
		party  renderer.Party
		says   string
	}{
		"a texture that is missing": {func(b *bundle) {
			b.o.Scene = filepath.Join(write(b.t, "s.vrscene", `X y { file="lost.png"; }`), "s.vrscene")
		}, renderer.JobFault, "lost.png"},
		"no licence": {func(b *bundle) {
			b.o.Scene = filepath.Join(write(b.t, "s.vrscene", `standin_fail_licence`), "s.vrscene")
		}, renderer.WorkerFault, "Could not obtain a license"},
		"no V-Ray":                 {func(b *bundle) { b.o.VRay = "/no/such/vray" }, renderer.WorkerFault, "cannot be started"},
		"a camera that it refuses": {func(b *bundle) { b.o.Scene = "/no/such/scene" }, renderer.JobFault, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "")
			c.change(b)
			err := b.render()
			var f *renderer.Fault
			if !errors.As(err, &f) || f.Party != c.party || !strings.Contains(f.Message, c.says) {
				t.Errorf("%v (%+v)", err, f)
			}
			if n := b.outputs(); len(n) != 0 {
				t.Errorf("it left %v", n)
			}
		})
	}
}

func TestLicenceIsNotShown(t *testing.T) {
	t.Setenv("VRAY_AUTH_CLIENT_FILE_PATH", "/secret/place/of/licence")
	b := setup(t, "standin_fail_licence")
	err := b.render()
	if err == nil || strings.Contains(b.out.String()+err.Error(), "/secret/place") || !strings.Contains(err.Error(), "(hidden)") {
		t.Errorf("%v\n%s", err, &b.out)
	}
}

func TestTilesMakeTheFrame(t *testing.T) {
	t.Parallel()
	whole, tiled := setup(t, "img_width=63;img_height=47;"), setup(t, "")
	whole.o.Scene = filepath.Join(write(t, "s.vrscene", "SettingsOutput o {\nimg_width=63;\nimg_height=47;\n}"), "s.vrscene")
	tiled.o.Scene, tiled.o.Tiles = whole.o.Scene, "3x2"
	if err := whole.render(); err != nil {
		t.Fatal(err)
	}
	for tiled.o.Tile = 1; tiled.o.Tile <= 6; tiled.o.Tile++ {
		if err := tiled.render(); err != nil {
			t.Fatal(err)
		}
	}
	if err := join(tiled.o.Output, tiled.o.Name, 7, grid{3, 2}); err != nil {
		t.Fatal(err)
	}
	a, err := readPNG(filepath.Join(whole.o.Output, "shot_007.png"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := readPNG(filepath.Join(tiled.o.Output, "shot_007.png"))
	if err != nil {
		t.Fatal(err)
	}
	for py := range 47 {
		for px := range 63 {
			if got, want := color.NRGBA64Model.Convert(c.At(px, py)), color.NRGBA64Model.Convert(a.At(px, py)); got != want {
				t.Fatalf("pixel %d,%d is %v, want %v", px, py, got, want)
			}
		}
	}
	os.Remove(filepath.Join(tiled.o.Output, tileName(tiled.o.Name, 7, 4, ".png")))
	if err := join(tiled.o.Output, tiled.o.Name, 7, grid{3, 2}); err == nil {
		t.Error("a frame was joined without a tile")
	}
}

func TestWatcherIsNotFooled(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &watcher{out: &out, hide: strings.NewReplacer()}
	fmt.Fprint(w, "openjd_fail: no\nRendering image: 250%\rRendering image x:  12.5%\n"+strings.Repeat("x", 100_000)+"\nerror: one\n[2026] error: two")
	w.end()
	if strings.Contains(out.String(), "openjd_fail") || strings.Contains(out.String(), "progress: 250") || !strings.Contains(out.String(), "openjd_progress: 12.5\n") {
		t.Errorf("printed %.300s", out.String())
	}
	if diff := cmp.Diff([]string{"one", "two"}, w.errors); diff != "" {
		t.Error(diff)
	}
}

func TestDetect(t *testing.T) {
	t.Setenv("DROVER_VRAY", standIn)
	t.Setenv("PATH", filepath.Dir(standIn))
	if diff := cmp.Diff([]Install{{standIn, "6.20.10"}}, Detect(context.Background())); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadScene(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("#include \"a.vrscene\"\nX y{file=\"\\\\\\\\x.png\"}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := filepath.Join(t.TempDir(), "s.vrscene")
		if err := os.WriteFile(p, text, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := ReadScene(t.Context(), p)
		if err == nil && len(s.Files) > maxFiles {
			t.Error(len(s.Files))
		}
	})
}
