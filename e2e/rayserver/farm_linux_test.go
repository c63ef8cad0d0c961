package rayserver_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drover.farm/e2e/harness"
	"drover.farm/internal/frame"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

const long = 4 * time.Minute

// workers starts a farm with two workers that have a Radiance.
func workers(t *testing.T) *harness.Farm {
	t.Helper()
	harness.Binary(t)                               // before the cache, in which Go builds, is another one
	t.Setenv("RADIANCE_HOME", radiancetest.Home(t)) // the workers inherit it
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	f := harness.StartFarm(t)
	f.StartWorker()
	f.StartWorker()
	f.WaitWorkers(2, long)
	return f
}

// fetch waits for a job and fetches its files.
func fetch(t *testing.T, f *harness.Farm, id int64) (dir string, names []string) {
	t.Helper()
	if j := f.WaitJob(id, long); j.State != "done" {
		t.Fatalf("the job is %s:\n%s", j.State, f.Drover("job", "tasks", fmt.Sprint(id), "--all").Out)
	}
	dir = filepath.Join(t.TempDir(), "out")
	f.Drover("job", "fetch", fmt.Sprint(id), "--out", dir).OK(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return dir, names
}

func pixels(t *testing.T, path string) *frame.HDRImage {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := frame.ReadHDR(bytes.NewReader(data), int64(len(data)), 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPicturesAndFieldsOnTheFarm: a picture of 400x297 in 2x2 tiles over two
// workers without a shared disk equals the whole picture, which one rpict made
// here; a measuring field in pieces equals the whole too.
func TestPicturesAndFieldsOnTheFarm(t *testing.T) {
	tools, err := radiance.Find(radiancetest.Home(t))
	if err != nil {
		t.Fatal(err)
	}
	f := workers(t)
	dir := t.TempDir()
	radiancetest.Scene{Size: 400, Extra: "RAWFILE= raw\n"}.Write(t, dir)
	job := f.Submit(filepath.Join(dir, "room.rif"), "--tiles", "2x2")
	out, names := fetch(t, f, job.ID)
	if want := []string{"room_v1.hdr", "room_v1_raw.hdr", "room_v2.hdr", "room_v2_raw.hdr"}; !slices.Equal(names, want) {
		t.Errorf("the outputs are %q, want %q", names, want)
	}
	run := func(in string, to string, name string, args ...string) {
		t.Helper()
		cmd := tools.Command(t.Context(), dir, name, args...)
		w, err := os.Create(filepath.Join(dir, to))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		cmd.Stdin, cmd.Stdout = strings.NewReader(in), w
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	run("", "room.oct", "oconv", "room.mat", "room.rad")
	args := strings.Fields("-vp 2 .5 1.5 -vd 0 1 -.1 -vh 60 -vv 46.3972 -x 400 -y 400 -av .09 .09 .09 " + radiancetest.Exact + " room.oct")
	if radiancetest.Real() { // with the options that rad chooses
		plan := &radiance.Runner{Tools: tools, Dir: dir}
		rif, err := radiance.ReadRif(filepath.Join(dir, "room.rif"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.PlanPicture(t.Context(), rif, "v1", "room.oct", nil)
		if err != nil {
			t.Fatal(err)
		}
		args = append(p.Args(), "room.oct")
	}
	run("", "whole.hdr", "rpict", args...)
	got, want := pixels(t, filepath.Join(out, "room_v1_raw.hdr")), pixels(t, filepath.Join(dir, "whole.hdr"))
	if got.Width != 400 || got.Height != 297 || want.Width != 400 || want.Height != 297 {
		t.Fatalf("%dx%d and %dx%d", got.Width, got.Height, want.Width, want.Height)
	}
	if n := differing(got, want); n > 0 {
		t.Errorf("%d of %d pixels differ", n, 400*297)
	}
	busy := map[string]bool{}
	for _, k := range f.Tasks(job.ID) {
		busy[k.Worker] = true
	}
	if len(busy) != 2 {
		t.Errorf("the tasks ran on %d workers", len(busy))
	}

	grid := f.Submit(filepath.Join(dir, "room.rif"), "--grid", filepath.Join(dir, "numeric/desk.pts"), "--rtrace", "-I -ab 0 -dj 0 -u-", "--pieces", "5")
	out, names = fetch(t, f, grid.ID)
	if !slices.Equal(names, []string{"desk.res"}) {
		t.Errorf("the outputs are %q", names)
	}
	points, err := os.ReadFile(filepath.Join(dir, "numeric/desk.pts"))
	if err != nil {
		t.Fatal(err)
	}
	run(string(points), "whole.res", "rtrace", "-I", "-h", "-ab", "0", "-dj", "0", "-u-", "room.oct")
	a, _ := os.ReadFile(filepath.Join(out, "desk.res"))
	b, _ := os.ReadFile(filepath.Join(dir, "whole.res"))
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Errorf("the measuring field in pieces differs from the whole:\n%.300s\n%.300s", a, b)
	}
	// The same sensors as two grids of a folder.
	sensors := strings.SplitAfter(string(points), "\n")
	put(t, dir+"/grids/_info.json", `[{"full_id":"one","count":40},{"full_id":"two","count":56}]`)
	put(t, dir+"/grids/one.pts", strings.Join(sensors[:40], ""))
	put(t, dir+"/grids/two.pts", strings.Join(sensors[40:], ""))
	both := f.Submit(filepath.Join(dir, "room.rif"), "--grid", filepath.Join(dir, "grids"), "--rtrace", "-I -ab 0 -dj 0 -u-", "--pieces", "3")
	out, names = fetch(t, f, both.ID)
	if !slices.Equal(names, []string{"_info.json", "one.res", "two.res"}) {
		t.Errorf("the outputs are %q", names)
	}
	one, _ := os.ReadFile(filepath.Join(out, "one.res"))
	two, _ := os.ReadFile(filepath.Join(out, "two.res"))
	if !bytes.Equal(append(one, two...), b) {
		t.Errorf("the grids of a folder differ from the whole:\n%.300s\n%.300s", one, two)
	}
	log := f.Drover("job", "log", fmt.Sprint(grid.ID), "Octree/0").Out
	cached := strings.Contains(log, "was made before")
	if first := f.Tasks(job.ID)[0].Worker; !cached && first == f.Tasks(grid.ID)[0].Worker {
		t.Errorf("the octree was made again:\n%s", log)
	}
}

func differing(a, b *frame.HDRImage) int {
	n := 0
	for i := 0; i < len(a.Pix); i += 4 {
		if !slices.Equal(a.Pix[i:i+4], b.Pix[i:i+4]) {
			n++
		}
	}
	return n
}

func TestSubmitRefusesBadVariableFiles(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(dir string){
		"names files that are not there: room.rad": func(dir string) { os.Remove(dir + "/room.rad") },
		"line 3 has \"x\"":                         func(dir string) { put(t, dir+"/numeric/desk.pts", "1 1 1 0 0 1\n\n1 1 x 0 0 1\n") },
		"rad has no variable \"colour\"":           func(dir string) { put(t, dir+"/room.rif", "colour= red\n") },
		"files outside of its folder": func(dir string) {
			put(t, dir+"/room.mat", "!xform "+put(t, filepath.Join(filepath.Dir(dir), "x.rad"), "")+"\n")
		},
	} {
		dir := filepath.Join(t.TempDir(), "scene")
		radiancetest.Scene{}.Write(t, dir)
		change(dir)
		got := harness.Run(t, []string{"DROVER_TOKEN=x"}, "submit", dir+"/room.rif", "--grid", dir+"/numeric/desk.pts", "--rtrace", "-ab 1")
		if got.Code != 1 || !strings.Contains(got.ErrOut, want) {
			t.Errorf("exit %d, %q, want %q", got.Code, got.ErrOut, want)
		}
	}
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
