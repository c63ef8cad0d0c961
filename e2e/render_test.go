package e2e

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/e2e/harness"
	"drover.farm/internal/api"
)

// TestASceneBecomesItsFrames is the farm's reason to be: two workers render a
// scene by its own range, and each frame is what Blender alone makes of it.
func TestASceneBecomesItsFrames(t *testing.T) {
	t.Parallel()
	blend := scene(t, 96, 54, 3, 10)
	f := harness.StartFarm(t)
	f.StartWorker()
	f.StartWorker()
	f.WaitWorkers(2, harness.Patience)
	out := filepath.Join(t.TempDir(), "out")
	r := f.Drover("submit", blend, "--wait", "--out", out, "--json").OK(t)
	if !strings.Contains(r.Out, `"done"`) {
		t.Errorf("submit --wait printed\n%s", r.Out)
	}
	got := files(t, out)
	if len(got) != 8 {
		t.Fatalf("%d files for 8 frames: %v", len(got), names(got))
	}
	alone := filepath.Join(t.TempDir(), "####")
	if o, err := exec.Command(blender(t), "-b", blend, "-o", alone, "-F", "PNG", "-f", "7").CombinedOutput(); err != nil {
		t.Fatalf("blender: %v\n%s", err, o)
	}
	same(t, filepath.Join(out, "0007.png"), filepath.Join(filepath.Dir(alone), "0007.png"))

	workers := map[string]bool{}
	for _, k := range f.Tasks(1000) {
		workers[k.Worker] = true
		if k.Output[0].Width != 96 || k.Output[0].Height != 54 || k.Output[0].Thumb == "" || k.Seconds <= 0 || k.Memory <= 0 {
			t.Errorf("frame %v: %+v, %g s, %d bytes", k.Parameters, k.Output, k.Seconds, k.Memory)
		}
	}
	if len(workers) != 2 {
		t.Errorf("rendered by %v, want both workers", workers)
	}
	log := f.Drover("job", "log", "1000", "0").OK(t).Out
	if !strings.Contains(log, "Fra:3") {
		t.Errorf("the log of frame 3 has no line of Blender's:\n%s", log)
	}
}

// TestASubmissionOutlivesKills: one `submit --wait --out` of 24 frames that
// Blender renders brings 24 right pictures, although worker, farm, and both at
// once are killed on the way.
func TestASubmissionOutlivesKills(t *testing.T) {
	t.Parallel()
	blend := scene(t, 320, 180, 1, 24)
	f := harness.StartFarm(t, "--farm-lease", "5s", "--farm-worker-timeout", "5s", "--farm-worker-tries", "50", "--farm-aside-faults", "1000")
	w := f.StartWorker()
	out := filepath.Join(t.TempDir(), "out")
	ended := make(chan harness.Result, 1)
	go func() { ended <- f.Drover("submit", blend, "--wait", "--out", out, "--json") }()
	done := func(n int64) func() bool {
		return func() bool {
			var jobs []api.Job
			f.Drover("job", "ls", "--json").OK(t).JSON(t, &jobs)
			return len(jobs) == 1 && jobs[0].Tasks.Done >= n
		}
	}
	harness.Until(t, "frames are done", harness.Patience, done(3))
	w.Kill()
	w.Start()
	harness.Until(t, "more are done", harness.Patience, done(8))
	f.Kill()
	f.Start()
	harness.Until(t, "still more are done", harness.Patience, done(13))
	w.Kill()
	f.Kill()
	f.Start()
	w.Start()
	(<-ended).OK(t)
	got := files(t, out)
	if len(got) != 24 {
		t.Fatalf("%d files for 24 frames: %v", len(got), names(got))
	}
	for name := range got {
		if b := picture(t, filepath.Join(out, name)).Bounds(); b.Dx() != 320 || b.Dy() != 180 {
			t.Errorf("%s is %v", name, b)
		}
	}
	for _, k := range f.Tasks(1000) {
		if k.State != "done" || len(k.Output) != 1 || k.Output[0].Thumb == "" {
			t.Errorf("frame %v is %s with %+v", k.Parameters, k.State, k.Output)
		}
	}
}

func names(m map[string]string) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	return out
}

// same compares two pictures by their pixels.
func same(t *testing.T, a, b string) {
	t.Helper()
	x, y := picture(t, a), picture(t, b)
	if x.Bounds() != y.Bounds() {
		t.Fatalf("%s is %v, %s is %v", a, x.Bounds(), b, y.Bounds())
	}
	for j := range x.Bounds().Dy() {
		for i := range x.Bounds().Dx() {
			if x.At(i, j) != y.At(i, j) {
				t.Fatalf("pixel %d,%d of %s differs from Blender's own", i, j, a)
			}
		}
	}
}

func picture(t *testing.T, path string) image.Image {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := png.Decode(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// TestEveryFormat renders one frame in each output format; each is proved by
// the farm before it counts.
func TestEveryFormat(t *testing.T) {
	t.Parallel()
	blend := scene(t, 32, 18, 1, 1)
	f := harness.StartFarm(t)
	f.StartWorker()
	for _, format := range []string{"PNG", "JPEG", "OPEN_EXR", "TIFF", "TARGA", "BMP", "HDR"} {
		j := f.Submit(blend, "--frames", "1", "--format", format, "--wait")
		if j.State != "done" {
			t.Errorf("%s: the job is %s: %s", format, j.State, j.Reason)
			continue
		}
		if o := f.Tasks(j.ID)[0].Output; len(o) != 1 || o[0].Width != 32 || o[0].Height != 18 {
			t.Errorf("%s: outputs %+v", format, o)
		}
	}
}

// TestASecondSubmissionSendsNothing: content goes to the farm once.
func TestASecondSubmissionSendsNothing(t *testing.T) {
	t.Parallel()
	blend := scene(t, 32, 18, 1, 2)
	f := harness.StartFarm(t)
	f.Submit(blend)
	before := blobs(t, f)
	j := f.Submit(blend)
	if j.ID != 1001 || blobs(t, f) != before {
		t.Errorf("job %d; %d files in the store before, %d after", j.ID, before, blobs(t, f))
	}
}

func blobs(t *testing.T, f *harness.Farm) int {
	t.Helper()
	return len(files(t, filepath.Join(f.Data, "blobs", "sha256")))
}

// TestBrokenScenesFailWithAReason: a scene without a camera fails the job, not
// the worker; a black frame is no frame.
func TestBrokenScenesFailWithAReason(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := func(name, change string) string {
		path := filepath.Join(dir, name+".blend")
		script := filepath.Join(dir, name+".py")
		text := fmt.Sprintf("import bpy\ns = bpy.context.scene\ns.render.engine='CYCLES'\ns.cycles.samples=1\ns.cycles.use_denoising=False\ns.render.resolution_x=s.render.resolution_y=16\ns.render.resolution_percentage=100\n%s\nbpy.ops.wm.save_as_mainfile(filepath=%q)\n", change, path)
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(blender(t), "-b", "--factory-startup", "-P", script, "--python-exit-code", "1").CombinedOutput(); err != nil {
			t.Fatalf("make a scene: %v\n%s", err, out)
		}
		return path
	}
	f := harness.StartFarm(t)
	f.StartWorker()
	for name, c := range map[string]struct{ change, want string }{
		"no camera": {"s.camera = None", "camera"},
		"black":     {"s.world.node_tree.nodes['Background'].inputs[1].default_value = 0\nfor o in list(bpy.data.objects):\n    if o.type != 'CAMERA': bpy.data.objects.remove(o)\n", "black"},
	} {
		path := build(strings.ReplaceAll(name, " ", "_"), c.change)
		r := f.Drover("submit", path, "--frames", "1", "--wait", "--json")
		if r.Code != 1 {
			t.Errorf("%s: submit --wait exits with %d\n%s%s", name, r.Code, r.Out, r.ErrOut)
		}
		var job struct{ ID int64 }
		r.JSON(t, &job)
		tasks, found := f.Tasks(job.ID), false
		for _, k := range tasks {
			found = found || strings.Contains(strings.ToLower(k.Error), c.want)
		}
		if !found {
			t.Errorf("%s: no task's error speaks of %q: %+v", name, c.want, tasks)
		}
	}
	var ws []struct {
		State  string
		Failed int
	}
	f.Drover("worker", "ls", "--json").OK(t).JSON(t, &ws)
	if ws[0].State != "idle" {
		t.Errorf("the worker is %s after two broken jobs", ws[0].State)
	}
}
