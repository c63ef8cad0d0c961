package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStripsMakeTheWholePicture renders a frame in strips, once by a worker of
// 2015 from a share and once by workers of 2016 from an archive. What is put
// together is, to the last bit, the picture that one Blender makes of the scene,
// its compositing and strips of unequal height included.
func TestStripsMakeTheWholePicture(t *testing.T) {
	t.Parallel()
	f := startFlamenco(t)
	path := filepath.Join(f.share, "tiled.blend")
	blend(t, fmt.Sprintf(`
import bpy
s = bpy.context.scene
s.render.engine = 'CYCLES'
s.cycles.samples, s.cycles.use_denoising = 2, False
s.render.resolution_x, s.render.resolution_y, s.render.resolution_percentage = 48, 37, 100
s.view_layers[0].use_pass_z = True
s.use_nodes = True
n, l = s.node_tree.nodes, s.node_tree.links
i, m = n.new('CompositorNodeInvert'), n.new('CompositorNodeMixRGB')
l.new(n['Render Layers'].outputs['Image'], i.inputs[1])
l.new(i.outputs[0], m.inputs[1])
l.new(n['Render Layers'].outputs['Depth'], m.inputs[2])
m.inputs[0].default_value = .01
l.new(m.outputs[0], n['Composite'].inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=%q)
`, path))
	whole := filepath.Join(f.share, "whole_")
	if out, err := exec.Command(blender(t), "-b", path, "--render-output", whole, "--render-format", "PNG", "-f", "1").CombinedOutput(); err != nil {
		t.Fatalf("render the whole: %v\n%s", err, out)
	}
	want := decode(t, whole+"0001.png")

	settings := func(more map[string]any) map[string]any {
		v := map[string]any{"filepath": "tiled.blend", "render_settings": "", "format": "PNG", "frame_start": 1, "frame_end": 1, "tiles": 3}
		for k, x := range more {
			v[k] = x
		}
		return v
	}
	shared := map[string]any{"file_path_linux": path, "output_path_linux": filepath.Join(f.share, "strips")}
	p := f.startPush("push")
	for i := range 3 {
		f.postTiled(21+i, "tiled_blender_render", settings(shared), map[string]any{"tile": i}, "")
	}
	for i := range 3 {
		f.wait(21+i, "finished")
	}
	f.postTiled(20, "tiled_blender_render_simple_mix", settings(shared), nil, "")
	f.wait(20, "finished")
	samePixels(t, want, decode(t, filepath.Join(f.share, "strips", "0001.png")))
	ended(t, 4, p)
	p.kill()

	a, b := f.startPull("pull-a"), f.startPull("pull-b")
	for i := range 3 {
		f.postTiled(31+i, "tiled_blender_render", settings(nil), map[string]any{"tile": i, "child": 30}, path)
	}
	f.postTiled(30, "tiled_blender_render_simple_mix", settings(nil), nil, path) // it waits for the strips
	f.wait(30, "finished")
	ended(t, 4, a, b)
	_, body := f.form("GET", "/tasks/30")
	var task struct {
		Job int64 `json:"job"`
	}
	if err := json.Unmarshal([]byte(body), &task); err != nil {
		t.Fatal(err)
	}
	samePixels(t, want, decode(t, filepath.Join(fetched(t, f.Farm, task.Job), "0001.png")))
}

// postTiled posts a task, with the scene in an archive if there is one.
func (f *flamencoFarm) postTiled(id int, kind string, settings, more map[string]any, scene string) {
	f.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	if child, ok := more["child"]; ok {
		m.WriteField("child_id", fmt.Sprint(child))
	}
	for k, v := range more {
		settings[k] = v
	}
	text, err := json.Marshal(settings)
	if err != nil {
		f.t.Fatal(err)
	}
	for k, v := range map[string]string{"task_id": fmt.Sprint(id), "type": kind, "parser": "blender_render", "settings": string(text)} {
		m.WriteField(k, v)
	}
	if scene != "" {
		m.WriteField("job_id", "77")
		data, err := os.ReadFile(scene)
		if err != nil {
			f.t.Fatal(err)
		}
		w, _ := m.CreateFormFile("jobfile", "jobfile.zip")
		z := zip.NewWriter(w)
		e, _ := z.Create(filepath.Base(scene))
		e.Write(data)
		z.Close()
	}
	m.Close()
	if status, text := f.call("POST", "/tasks", m.FormDataContentType(), &body); status != 202 {
		f.t.Fatalf("POST /tasks: %d %s", status, text)
	}
}

// blend runs a script that makes a scene.
func blend(t *testing.T, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "make.py")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(blender(t), "-b", "--factory-startup", "--python-exit-code", "1", "-P", path).CombinedOutput(); err != nil {
		t.Fatalf("make a scene: %v\n%s", err, out)
	}
}

func decode(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return m
}

// samePixels fails unless two pictures have the same pixels, and more than one colour.
func samePixels(t *testing.T, want, got image.Image) {
	t.Helper()
	if want.Bounds() != got.Bounds() {
		t.Fatalf("the picture has %v, want %v", got.Bounds(), want.Bounds())
	}
	differ, colours := 0, make(map[[4]uint32]bool)
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			var a, b [4]uint32
			a[0], a[1], a[2], a[3] = want.At(x, y).RGBA()
			b[0], b[1], b[2], b[3] = got.At(x, y).RGBA()
			colours[a] = true
			if a != b {
				differ++
			}
		}
	}
	if differ > 0 || len(colours) < 10 {
		t.Errorf("%d pixels differ of a picture of %d colours", differ, len(colours))
	}
}
