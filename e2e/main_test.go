// Package e2e holds scenarios of the farm as a whole: real processes, real
// Blender, kills at random moments. Each file is named by the behaviour that
// it shows.
package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drover.farm/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// long is how long a scenario may take on a slow and busy machine before it
// counts as stuck.
const long = 8 * time.Minute

// quick writes the template of a job whose tasks take little time and leave a
// file each: the stand-in for a renderer where many frames matter more than
// pictures.
func quick(t *testing.T, frames int, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quick.yaml")
	text := fmt.Sprintf(`specificationVersion: jobtemplate-2023-09
name: quick
parameterDefinitions:
- {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT, default: out}
steps:
- name: Render
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: INT, range: "1-%d"}
  script:
    actions:
      onRun: {command: sh, args: ["{{Task.File.Run}}"]}
    embeddedFiles:
    - name: Run
      type: TEXT
      data: |
        set -e
        frame={{Task.Param.Frame}}
        out='{{Param.Out}}'
        %s
`, frames, strings.ReplaceAll(script, "\n", "\n        "))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// frameFile is the stand-in renderer's file for a frame.
const frameFile = `mkdir -p "$out"; printf 'frame %s\n' "$frame" > "$out/frame_$frame.txt"`

// everyFrameOnce checks that each task is done by exactly one attempt that
// counts and put out exactly its own file.
func everyFrameOnce(t *testing.T, f *harness.Farm, job int64, frames int) {
	t.Helper()
	tasks := f.Tasks(job)
	if len(tasks) != frames {
		t.Errorf("%d tasks are listed, want %d", len(tasks), frames)
	}
	for i, k := range tasks {
		frame := fmt.Sprint(i + 1)
		want := fmt.Sprintf("%x", sha256.Sum256([]byte("frame "+frame+"\n")))
		if k.State != "done" || len(k.Output) != 1 || k.Output[0].SHA256 != want || filepath.Base(k.Output[0].Name) != "frame_"+frame+".txt" {
			t.Errorf("frame %s is %s with %+v", frame, k.State, k.Output)
		}
	}
}

// fetched fetches a job's outputs and returns the folder.
func fetched(t *testing.T, f *harness.Farm, job int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fetched")
	f.Drover("job", "fetch", fmt.Sprint(job), "--out", dir).OK(t)
	return dir
}

// files lists the files below a folder by their path within it.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// blender is the real one; without it the tests fail with what to do.
func blender(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("blender")
	if err != nil {
		t.Fatal("Blender is missing; install it with: make deps")
	}
	return path
}

// scene makes a small scene of moving things, quick to render, whose frames
// differ.
func scene(t *testing.T, width, height, first, last int) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "scene.blend")
	script := filepath.Join(dir, "make.py")
	text := fmt.Sprintf(`
import bpy
s = bpy.context.scene
s.render.engine = 'CYCLES'
s.cycles.samples = 1
s.cycles.use_denoising = False
s.render.resolution_x, s.render.resolution_y, s.render.resolution_percentage = %d, %d, 100
s.frame_start, s.frame_end = %d, %d
cube = bpy.data.objects['Cube']
cube.location.x = -2; cube.keyframe_insert('location', frame=s.frame_start)
cube.location.x = 2; cube.keyframe_insert('location', frame=s.frame_end)
bpy.ops.wm.save_as_mainfile(filepath=%q)
`, width, height, first, last, path)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(blender(t), "-b", "--factory-startup", "-P", script, "--python-exit-code", "1").CombinedOutput(); err != nil {
		t.Fatalf("make a scene: %v\n%s", err, out)
	}
	return path
}
