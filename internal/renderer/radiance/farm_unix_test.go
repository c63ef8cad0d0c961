//go:build unix

package radiance_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
	"drover.farm/openjd"
)

// TestPlans: what is planned is a template that OpenJD takes, with as many tasks
// as there are tiles and pieces.
func TestPlans(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	radiancetest.Scene{}.Write(t, dir)
	rif, points, out := filepath.Join(dir, "room.rif"), filepath.Join(dir, "numeric", "desk.pts"), filepath.Join(dir, "out")
	for _, c := range []struct {
		o    radiance.PlanOptions
		want []int64
	}{
		{radiance.PlanOptions{OutputDir: out}, []int64{1, 2, 2}},
		{radiance.PlanOptions{OutputDir: out, Tiles: "3x2"}, []int64{1, 12, 2}},
		{radiance.PlanOptions{OutputDir: out, Points: points, Pieces: 5}, []int64{1, 5, 1}},
		{radiance.PlanOptions{OutputDir: out, Points: points, Pieces: 500, Trace: "-ab 3"}, []int64{1, 96, 1}}, // never more than sensors
	} {
		p, err := radiance.NewPlan(t.Context(), rif, c.o)
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := openjd.ParseJobTemplate([]byte(p.Template))
		if err != nil {
			t.Fatal(err)
		}
		job, err := tpl.Instantiate(p.Parameters, openjd.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range job.Steps {
			if s.Space.Len() != c.want[i] {
				t.Errorf("%+v: step %s has %d tasks, want %d", c.o, s.Name, s.Space.Len(), c.want[i])
			}
		}
	}
	for want, o := range map[string]radiance.PlanOptions{
		"is not columns and rows": {Tiles: "0x2"},
		"there is no file":        {Points: dir + "/none.pts"},
		"is not allowed":          {Points: points, Trace: "-o x"},
	} {
		if _, err := radiance.NewPlan(t.Context(), rif, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

// TestJobUsesTheOctreeAgain: the tasks of a job by themselves, and the cache.
func TestJobUsesTheOctreeAgain(t *testing.T) {
	t.Parallel()
	r, _ := bench(t, radiancetest.Scene{Size: 40, Extra: "RAWFILE= x\n"})
	var log bytes.Buffer
	cache := t.TempDir()
	for i := range 2 {
		j := &radiance.Job{Tools: r.Tools, Output: t.TempDir(), Cache: cache, Log: &log}
		if err := j.Octree(t.Context(), filepath.Join(r.Dir, "room.rif"), true, ""); err != nil {
			t.Fatal(err)
		}
		for part := range 4 {
			if err := j.Tile(t.Context(), "2x1", part); err != nil {
				t.Fatal(err)
			}
		}
		for view := range 2 {
			if err := j.Join(t.Context(), "2x1", view); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"room_v%d.hdr", "room_v%d_raw.hdr"} {
				if err := radiance.CheckPicture(filepath.Join(j.Output, fmt.Sprintf(name, view+1)), 40, 0); err != nil {
					t.Error(err)
				}
			}
		}
		if err := j.Join(t.Context(), "2x1", 2); err == nil {
			t.Error("a view that is not there is joined")
		}
		if n := strings.Count(log.String(), "$ oconv "); n != 1 {
			t.Errorf("round %d: oconv ran %d times", i, n)
		}
		// A tile that is cut short is no tile.
		tile := filepath.Join(j.Output, renderer.PartsDir, "room_v1_0.tile")
		if err := os.Truncate(tile, 200); err != nil {
			t.Fatal(err)
		}
		if err := j.Join(t.Context(), "2x1", 0); err == nil || !strings.Contains(err.Error(), "tile 0") {
			t.Errorf("a cut tile: %v", err)
		}
	}
}

// TestGrids: sensors that are spread and put back are where they were.
func TestGrids(t *testing.T) {
	t.Parallel()
	in, out, back := t.TempDir(), filepath.Join(t.TempDir(), "new"), t.TempDir()
	counts := map[string]int{"a": 7, "b": 1, "c": 12}
	info := `[{"full_id":"a","count":7},{"full_id":"b","count":1},{"full_id":"c","count":12}]`
	for id, n := range counts {
		text := ""
		for i := range n {
			text += fmt.Sprintf("%d 0 %d 0 0 1\n", i, id[0])
		}
		if err := os.WriteFile(filepath.Join(in, id+".pts"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(in, "_info.json"), []byte(info), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ count, least, want int }{{3, 1, 3}, {500, 1, 20}, {10, 10, 2}, {1, 1, 1}} {
		os.RemoveAll(out)
		if err := radiance.SplitGrids(in, out, c.count, c.least); err != nil {
			t.Fatal(err)
		}
		made, _ := filepath.Glob(out + "/*.pts")
		if len(made) != c.want {
			t.Errorf("%+v: %d grids", c, len(made))
		}
		if err := radiance.MergeGrids(out, out, back, "pts"); err != nil {
			t.Fatal(err)
		}
		for id := range counts {
			a, _ := os.ReadFile(filepath.Join(in, id+".pts"))
			b, _ := os.ReadFile(filepath.Join(back, id+".pts"))
			if len(a) == 0 || !bytes.Equal(a, b) {
				t.Errorf("%+v: grid %s is %q, was %q", c, id, b, a)
			}
		}
	}
	os.WriteFile(filepath.Join(out, "0.pts"), []byte("1\n"), 0o644)
	if err := radiance.MergeGrids(out, out, back, "pts"); err == nil || !strings.Contains(err.Error(), "is asked for") {
		t.Errorf("results that are short: %v", err)
	}
}

// TestFolderOfGrids: the grids of a folder are planned as one job, with all files
// that it needs, and each gets the values of its own sensors.
func TestFolderOfGrids(t *testing.T) {
	t.Parallel()
	r, _ := bench(t, radiancetest.Scene{})
	grids := filepath.Join(r.Dir, "grids")
	texts := map[string]string{
		"_info.json":      `[{"full_id":"room/a","count":2},{"full_id":"b","count":3}]`,
		"_dist_info.json": `[{"identifier":"first","dist_info":[{"identifier":"room/a","st_ln":0,"end_ln":1},{"identifier":"b","st_ln":0,"end_ln":2}]}]`,
		"room/a.pts":      "1 1 1 0 0 1\n2 1 1 0 0 1\n",
		"b.pts":           "1 2 1 0 0 1\n2 2 1 0 0 1\n3 2 1 0 0 1\n",
		"whole.pts":       "1 1 1 0 0 1\n2 1 1 0 0 1\n1 2 1 0 0 1\n2 2 1 0 0 1\n3 2 1 0 0 1\n",
		"unlisted.pts":    "nonsense\n",
	}
	write := func() {
		for name, text := range texts {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(grids, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, r, filepath.Join("grids", name), text)
		}
	}
	write()
	rif := filepath.Join(r.Dir, "room.rif")
	out := t.TempDir()
	p, err := radiance.NewPlan(t.Context(), rif, radiance.PlanOptions{Points: grids, Pieces: 4, OutputDir: out})
	if err != nil {
		t.Fatal(err)
	}
	if p.Parameters["LastPiece"] != "3" {
		t.Errorf("the parameters are %v", p.Parameters)
	}
	for _, name := range []string{"_info.json", "_dist_info.json", "room/a.pts", "b.pts"} {
		if !slices.Contains(p.Inputs, filepath.Join(grids, name)) {
			t.Errorf("%s is not sent: %q", name, p.Inputs)
		}
	}
	if slices.Contains(p.Inputs, filepath.Join(grids, "unlisted.pts")) {
		t.Error("a grid that is not listed is sent")
	}
	compute := func(points string, pieces int) string {
		j := &radiance.Job{Tools: r.Tools, Output: t.TempDir(), Log: &bytes.Buffer{}}
		if err := j.Octree(t.Context(), rif, false, "-I -ab 0 -dj 0 -u-"); err != nil {
			t.Fatal(err)
		}
		for k := range pieces {
			if err := j.Trace(t.Context(), points, pieces, k); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Gather(points, pieces); err != nil {
			t.Fatal(err)
		}
		return j.Output
	}
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	made := compute(p.Parameters["Points"], 4)
	whole := read(filepath.Join(compute(filepath.Join(grids, "whole.pts"), 1), "whole.res"))
	a, b := read(filepath.Join(made, "room", "a.res")), read(filepath.Join(made, "b.res"))
	if strings.Count(a, "\n") != 2 || a+b != whole {
		t.Errorf("the grids have\n%sand\n%s, the whole has\n%s", a, b, whole)
	}
	// What is put out can be put back into the first grids at once.
	if err := radiance.MergeGrids(made, made, out, "res"); err != nil || read(filepath.Join(out, "first.res")) != whole {
		t.Errorf("put back: %v", err)
	}
	for want, info := range map[string]string{
		"leaves the folder": `[{"full_id":"../x"}]`, "twice": `[{"full_id":"b"},{"full_id":"b"}]`, "3 sensors, and 4": `[{"full_id":"b","count":4}]`,
		"lists no grids": `[]`, "end of JSON input": `[`, "no such file": `[{"full_id":"none"}]`, "has 1 words": `[{"full_id":"unlisted"}]`,
	} {
		put(t, r, "grids/_info.json", info)
		if _, err := radiance.NewPlan(t.Context(), rif, radiance.PlanOptions{Points: grids, Pieces: 4, OutputDir: out}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", info, err, want)
		}
	}
}
