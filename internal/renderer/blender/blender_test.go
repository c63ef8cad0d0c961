package blender

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// realBlender is the Blender that tests run.
func realBlender(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("blender")
	if err != nil {
		t.Fatal("these tests run a real Blender, which is not installed; install Blender: make deps")
	}
	return path
}

// runBlender runs a script in an empty Blender, with args after "--".
func runBlender(t testing.TB, script string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	all := append([]string{"-b", "--factory-startup", "--python-exit-code", "9", "-P", file, "--"}, args...)
	out, err := exec.CommandContext(ctx, realBlender(t), all...).CombinedOutput()
	if err != nil {
		t.Fatalf("run Blender: %v\n%s", err, out)
	}
}

// smallScene makes a scene that renders in a moment, or, with samples, in as
// long as one likes.
const smallScene = `
import bpy, sys
path, samples = sys.argv[sys.argv.index('--') + 1:][:2]
s = bpy.context.scene
r = s.render
r.engine = 'CYCLES'
s.cycles.samples, s.cycles.use_denoising, s.cycles.use_adaptive_sampling = int(samples), False, False
r.resolution_x, r.resolution_y, r.resolution_percentage = 64, 36, 100
r.filepath = '/nowhere/must/not/be/written_'
bpy.context.preferences.edit.use_negative_frames = True
bpy.data.objects['Cube'].keyframe_insert('location', frame=-10)
bpy.data.objects['Cube'].location.x = 3
bpy.data.objects['Cube'].keyframe_insert('location', frame=20)
bpy.ops.wm.save_as_mainfile(filepath=path)
`

// sharedScenes are small scenes that many tests render; Blender makes each once.
type sharedScenes struct {
	mu  sync.Mutex
	dir string
}

var shared sharedScenes

func (s *sharedScenes) scene(t testing.TB, samples string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "drover-scenes-")
		if err != nil {
			t.Fatal(err)
		}
		s.dir = dir
	}
	path := filepath.Join(s.dir, samples+".blend")
	if _, err := os.Stat(path); err != nil {
		runBlender(t, smallScene, path, samples)
	}
	return path
}
