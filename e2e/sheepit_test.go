package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/e2e/flock"
	"drover.farm/e2e/harness"
)

// publish gives the farm a build that starts this machine's Blender.
func publish(t *testing.T, f *harness.Farm) {
	t.Helper()
	path := blender(t)
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.Fields(string(out))[1]
	file := filepath.Join(t.TempDir(), "blender.tar.gz")
	w, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gz := gzip.NewWriter(w)
	tw := tar.NewWriter(gz)
	for name, text := range map[string]string{
		"drover-renderer.json": fmt.Sprintf(`{"product": "blender", "version": %q, "os": "linux", "arch": "x86_64", "program": "blender"}`, version),
		"blender":              "#!/bin/sh\nexec '" + path + "' \"$@\"\n",
	} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	f.Drover("renderer", "add", file).OK(t)
}

// sheep is a client of a generation that is logged in.
func sheep(t *testing.T, f *harness.Farm, g flock.Generation) *flock.Client {
	t.Helper()
	c := &flock.Client{Generation: g, Server: f.URL, Login: "lena", Password: "a long password", Dir: t.TempDir()}
	if err := c.Open(t.Context()); err != nil {
		t.Fatalf("%s: %v", g.Name, err)
	}
	return c
}

func lender(t *testing.T, f *harness.Farm) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), "user", "add", "lena", "--role", "renderer", "--password-stdin")
	cmd.Env = append(os.Environ(), f.Env()...)
	cmd.Stdin = strings.NewReader("a long password\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// graze renders frames until there are none left for the client, at most n.
func graze(ctx context.Context, c *flock.Client, n int) (done int, err error) {
	for done < n {
		j, err := c.Ask(ctx)
		var s *flock.Status
		if errors.As(err, &s) && s.Code == 200 {
			return done, nil
		} else if err != nil {
			return done, fmt.Errorf("%s: %w", c.Name, err)
		}
		name, data, err := c.Render(ctx, j)
		if err != nil {
			return done, fmt.Errorf("%s: %w", c.Name, err)
		}
		goOn, err := c.Beat(ctx, j)
		if err != nil {
			return done, fmt.Errorf("%s: the heartbeat: %w", c.Name, err)
		}
		if !goOn { // a native worker was faster
			if err := c.Report(ctx, "?type=22&job="+j.ID+"&frame="+j.Frame, "stopped"); err != nil {
				return done, fmt.Errorf("%s: %w", c.Name, err)
			}
			continue
		}
		if err := c.Deliver(ctx, j, name, data); err != nil {
			return done, fmt.Errorf("%s: %w", c.Name, err)
		}
		if err := os.Remove(name); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// TestSheepItClientsOfAllGenerationsAndNativeWorkers share one job: each frame is
// delivered once, and is what Blender alone makes of it.
func TestSheepItClientsOfAllGenerationsAndNativeWorkers(t *testing.T) {
	t.Parallel()
	const frames = 14
	blend := scene(t, 96, 54, 1, frames)
	f := harness.StartFarm(t, "--sheepit-repeat", "1ms")
	publish(t, f)
	lender(t, f)
	job := f.Submit(blend).ID
	var flockOf []*flock.Client
	for _, g := range flock.All { // one frame each, whoever is faster
		c := sheep(t, f, g)
		if n, err := graze(t.Context(), c, 1); err != nil || n != 1 {
			t.Fatalf("%s delivered %d frames: %v", g.Name, n, err)
		}
		flockOf = append(flockOf, c)
	}
	f.StartWorker()
	errs := make(chan error)
	for _, c := range flockOf {
		go func() {
			_, err := graze(t.Context(), c, frames)
			errs <- err
		}()
	}
	for range flockOf {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, c := range flockOf {
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if j := f.WaitJob(job, long); j.State != "done" {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	doors := map[string]int{}
	for _, k := range f.Tasks(job) {
		doors[k.Worker]++
		if len(k.Output) != 1 || k.Output[0].Width != 96 || k.Output[0].Height != 54 {
			t.Errorf("frame %v: %+v", k.Parameters, k.Output)
		}
	}
	for _, g := range flock.All {
		if doors["sheep-"+g.Name] == 0 {
			t.Errorf("no frame is by the client of %s: %v", g.Name, doors)
		}
	}
	dir := fetched(t, f, job)
	alone := filepath.Join(t.TempDir(), "####")
	if o, err := exec.Command(blender(t), "-b", blend, "-o", alone, "-F", "PNG", "-f", "1").CombinedOutput(); err != nil {
		t.Fatalf("blender: %v\n%s", err, o)
	}
	same(t, filepath.Join(dir, "0001.png"), filepath.Join(filepath.Dir(alone), "0001.png"))
	if strings.Contains(f.Log(), "long+password") || strings.Contains(f.Log(), "a long password") {
		t.Error("the log holds a password")
	}
}

// TestDroverCalledRendStartsBlender as in archives for Windows: it prints nothing
// before the scene is read, and leaves the rest to Blender.
func TestDroverCalledRendStartsBlender(t *testing.T) {
	t.Parallel()
	dir, blend := t.TempDir(), scene(t, 32, 18, 1, 1)
	data, err := os.ReadFile(harness.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	rend := filepath.Join(dir, "rend.exe")
	if err := os.WriteFile(rend, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(blender(t), filepath.Join(dir, "blender")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(rend, "--factory-startup", "-b", blend, "-o", filepath.Join(dir, "1000_"), "-f", "0001", "-x", "1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1<<20)
	n, err := out.Read(first) // what was held back comes at once
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(first[:n], []byte("Blender ")) || !bytes.Contains(first[:n], []byte("\nFra:1 ")) {
		t.Errorf("what it printed first does not reach to the scene: %s", first[:n])
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "1000_0001.png")); err != nil {
		t.Error(err)
	}
}

// TestWhatAJobAsksForHoldsThroughSheepIt renders with settings of the job, a
// library beside the scene, an output node that points elsewhere, and encryption.
func TestWhatAJobAsksForHoldsThroughSheepIt(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	blend := filepath.Join(dir, "shots", "my shot.blend")
	script := filepath.Join(dir, "make.py")
	text := fmt.Sprintf(`
import bpy, os
os.makedirs(%[2]q); os.makedirs(%[3]q)
img = bpy.data.images.new("tex", 8, 8); img.generated_color = (1, 0, 0, 1)
img.filepath_raw = os.path.join(%[3]q, "red.png"); img.file_format = "PNG"; img.save()
bpy.ops.wm.read_factory_settings()
s = bpy.context.scene
s.render.engine = 'CYCLES'; s.cycles.samples = 1; s.cycles.use_denoising = False
s.render.resolution_x, s.render.resolution_y, s.render.resolution_percentage = 64, 36, 100
s.render.image_settings.file_format = 'FFMPEG'
mat = bpy.data.materials.new("red"); mat.use_nodes = True
n = mat.node_tree.nodes.new("ShaderNodeTexImage"); n.image = bpy.data.images.load(os.path.join(%[3]q, "red.png"))
e = mat.node_tree.nodes.new("ShaderNodeEmission"); mat.node_tree.links.new(n.outputs[0], e.inputs[0])
mat.node_tree.links.new(e.outputs[0], mat.node_tree.nodes["Material Output"].inputs[0])
cube = bpy.data.objects["Cube"]; cube.data.materials.clear(); cube.data.materials.append(mat); cube.scale = (9, 9, 9)
s.use_nodes = True
out = s.node_tree.nodes.new("CompositorNodeOutputFile"); out.base_path = %[4]q
s.node_tree.links.new(next(x for x in s.node_tree.nodes if x.type == "R_LAYERS").outputs[0], out.inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=%[1]q)
bpy.ops.file.make_paths_relative(); bpy.ops.wm.save_mainfile()
`, blend, filepath.Dir(blend), filepath.Join(dir, "textures"), elsewhere)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(blender(t), "-b", "--factory-startup", "-P", script, "--python-exit-code", "1").CombinedOutput(); err != nil {
		t.Fatalf("make a scene: %v\n%s", err, out)
	}
	f := harness.StartFarm(t, "--sheepit-chunk-size", "65536")
	publish(t, f)
	lender(t, f)
	job := f.Submit(blend, "--frames", "5", "--width", "48", "--format", "JPEG", "--output-name", "shot_##", "--encrypt").ID
	old := sheep(t, f, flock.Go2017) // cannot open it
	if n, err := graze(t.Context(), old, 1); n != 0 || err != nil {
		t.Errorf("a client that opens no encrypted archives was given one: %d, %v", n, err)
	}
	c := sheep(t, f, flock.Rust2024)
	if n, err := graze(t.Context(), c, 1); n != 1 || err != nil {
		t.Fatalf("%d frames, %v", n, err)
	}
	if j := f.WaitJob(job, long); j.State != "done" {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	got := fetched(t, f, job)
	data, err := os.ReadFile(filepath.Join(got, "shot_05.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	pic, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if b := pic.Bounds(); b.Dx() != 48 || b.Dy() != 27 {
		t.Errorf("the picture is %v", b)
	}
	if r, g, _, _ := pic.At(24, 13).RGBA(); r < 0x8000 || g > 0x4000 {
		t.Errorf("the texture was not found: %v", pic.At(24, 13))
	}
	if _, err := os.Stat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an output node of the scene wrote elsewhere: %v", err)
	}
}
