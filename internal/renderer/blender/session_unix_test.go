//go:build unix

package blender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"drover.farm/internal/renderer"
	"github.com/google/go-cmp/cmp"
)

func TestCrashCostsOneFrame(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "1000000")
	pid := s.blenderPID()
	log := newAwaiter("Sample ")
	go func() {
		<-log.seen
		syscall.Kill(pid, syscall.SIGSEGV)
	}()
	_, err := Frame(t.Context(), s.options(1), log)
	var f *renderer.Fault
	if !errors.As(err, &f) || f.Party != renderer.JobFault || !strings.Contains(f.Message, "segmentation fault") {
		t.Errorf("got %v\n%s", err, log)
	}
	o := s.options(2)
	o.Samples = 1
	s.must(o)
	if now := s.blenderPID(); now == pid {
		t.Error("the same Blender after a crash")
	}
	if diff := cmp.Diff([]string{"f_0002.png"}, names(t, s.out)); diff != "" {
		t.Error(diff)
	}
	second := s.blenderPID()
	killed := newAwaiter("Sample ")
	go func() {
		<-killed.seen
		syscall.Kill(second, syscall.SIGKILL)
	}()
	_, err = Frame(t.Context(), s.options(3), killed)
	if !errors.As(err, &f) || f.Party != renderer.WorkerFault || !strings.Contains(f.Message, "SIGKILL") {
		t.Errorf("got %v", err)
	}
}

func TestCancelStopsBlender(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "1000000")
	pid := s.blenderPID()
	log := newAwaiter("Sample ")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-log.seen
		cancel()
	}()
	_, err := Frame(ctx, s.options(1), log)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if running(pid) {
		t.Error("Blender still runs after the cancel was answered")
	}
	o := s.options(2)
	o.Samples = 1
	s.must(o)
	if diff := cmp.Diff([]string{"f_0002.png"}, names(t, s.out)); diff != "" {
		t.Error(diff)
	}
}

// TestCommands drives the commands as a session does, as processes.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := prepared(t, smallScene, "1000000")
	folder := t.TempDir()
	s.dir = stateDir(folder)
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(serveArgs(t)[0], args...)
		cmd.Env = append(os.Environ(), EnvSessionPID+"="+strconv.Itoa(os.Getpid()))
		return cmd
	}
	out, err := run("open", "--session="+folder, "--scene="+s.scene, "--autoexec=false").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = run("frame", "--session="+folder, "--frame=-2", "--output="+s.out, "--name=x_###", "--samples=1", "--format=").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff([]string{"x_-002.png"}, names(t, s.out)); diff != "" {
		t.Error(diff)
	}
	out, err = run("frame", "--session="+folder, "--frame=1", "--output="+s.out, "--camera=Nobody").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != renderer.ExitJob || !bytes.Contains(out, []byte("openjd_fail: the file has no camera 'Nobody'")) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = run("frame", "--session="+folder, "--frame=1", "--output="+s.out, "--engine=POVRAY").CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != renderer.ExitWorker || !bytes.Contains(out, []byte("openjd_fail: this worker is at fault")) {
		t.Errorf("%v\n%s", err, out)
	}
	pid, supervisor := s.blenderPID(), s.supervisor()
	long := run("frame", "--session="+folder, "--frame=5", "--output="+s.out)
	log := newAwaiter("Sample ")
	long.Stdout, long.Stderr = log, log
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	<-log.seen
	if err := long.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := long.Wait(); !errors.As(err, &exit) || !strings.Contains(log.String(), "canceled") {
		t.Errorf("%v\n%s", err, log)
	}
	if running(pid) {
		t.Error("Blender still runs after SIGTERM was answered")
	}
	if out, err := run("close", "--session="+folder).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	gone(t, supervisor)
}

func TestKilledFrameCommandStopsBlender(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "1000000")
	pid := s.blenderPID()
	cmd := exec.Command(serveArgs(t)[0], "frame", "--session="+filepath.Dir(s.dir), "--frame=1", "--output="+s.out)
	if err := os.Symlink(s.dir, stateDir(filepath.Dir(s.dir))); err != nil {
		t.Fatal(err)
	}
	log := newAwaiter("Sample ")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-log.seen
	cmd.Process.Kill()
	cmd.Wait()
	gone(t, pid)
}

func TestBlenderDiesWithItsSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *opened, watched *exec.Cmd){
		"supervisor killed": func(s *opened, _ *exec.Cmd) { syscall.Kill(s.supervisor(), syscall.SIGKILL) },
		"folder removed":    func(s *opened, _ *exec.Cmd) { os.RemoveAll(s.dir) },
		"watched process":   func(_ *opened, w *exec.Cmd) { w.Process.Kill(); w.Wait() },
		"told to end":       func(s *opened, _ *exec.Cmd) { syscall.Kill(s.supervisor(), syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepared(t, smallScene, "1000000")
			watched := exec.Command("sleep", "600")
			if err := watched.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { watched.Process.Kill(); watched.Wait() })
			s.open.Watch = watched.Process.Pid
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			pid, supervisor := s.blenderPID(), s.supervisor()
			log := newAwaiter("Sample ")
			done := make(chan error, 1)
			go func() {
				o := s.options(1)
				o.Serve = []string{"false"}
				_, err := Frame(t.Context(), o, log)
				done <- err
			}()
			<-log.seen
			end(s, watched)
			gone(t, pid)
			gone(t, supervisor)
			if err := <-done; err == nil {
				t.Error("a frame was rendered by a session that ended")
			}
		})
	}
}

func TestIdleSupervisorEnds(t *testing.T) {
	t.Parallel()
	s := prepared(t, smallScene, "1")
	s.open.Idle = time.Second
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	pid, supervisor := s.blenderPID(), s.supervisor()
	gone(t, supervisor)
	gone(t, pid)
	_, log := s.must(s.options(1)) // a new supervisor takes over
	if !strings.Contains(log, "started anew") {
		t.Errorf("the log does not say so:\n%s", log)
	}
}

func TestScriptsRunOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	const script = smallScene + `
t = bpy.data.texts.new('run.py')
t.use_module = True
t.write("import bpy\nprint('SCRIPT RAN')\nopen(bpy.data.filepath + '.ran', 'w')\nprint('openjd_env: PATH=/evil')\n")
bpy.ops.wm.save_as_mainfile(filepath=path)
`
	s := newOpened(t, script, "1")
	if _, err := os.Stat(s.scene + ".ran"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a script in the scene ran: %v", err)
	}
	allowed := prepared(t, script, "1")
	allowed.open.Autoexec = true
	if err := allowed.start(); err != nil {
		t.Fatal(err)
	}
	if log := allowed.log.String(); !strings.Contains(log, "SCRIPT RAN") || !strings.Contains(log, "\n openjd_env:") {
		t.Errorf("no script ran, or it gave a directive:\n%s", log)
	}
}

func TestOutputNodesStayInTheOutputFolder(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	s := newOpened(t, smallScene+`
s.use_nodes = True
tree = s.node_tree
layers = next(n for n in tree.nodes if n.type == 'R_LAYERS')
for name, base, slot in (('Depth', sys.argv[-1], '../../up_'), ('Depth', sys.argv[-1], '/abs/x_'), ('Multi', sys.argv[-1] + '/multi', '')):
    n = tree.nodes.new('CompositorNodeOutputFile')
    n.label = name
    n.base_path = base
    if slot:
        n.file_slots[0].path = slot
    else:
        n.format.file_format = 'OPEN_EXR_MULTILAYER'
    tree.links.new(layers.outputs['Image'], n.inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=path)
`, "1", outside)
	r, log := s.must(s.options(7))
	want := []string{"Depth/up_0007.png", "Depth_/x_0007.png", "Multi/multi0007.exr", "f_0007.png"}
	if diff := cmp.Diff(want, r.Files); diff != "" {
		t.Errorf("%s\n%s", diff, log)
	}
	if left := names(t, outside); len(left) != 0 {
		t.Errorf("Blender wrote %v outside", left)
	}
}

func TestMultiviewWritesEachView(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene+"\nr.use_multiview = True\nbpy.ops.wm.save_as_mainfile(filepath=path)\n", "1")
	r, _ := s.must(s.options(1))
	if diff := cmp.Diff([]string{"f_0001_L.png", "f_0001_R.png"}, r.Files); diff != "" {
		t.Error(diff)
	}
}

func TestPathsAreMapped(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	s := prepared(t, smallScene+`
import os
place = sys.argv[-1]
os.makedirs(place + '/tex'); os.makedirs(place + '/lib')
i = bpy.data.images.new('made', 4, 4)
i.filepath_raw, i.file_format = place + '/tex/a.png', 'PNG'
i.save()
bpy.data.images.remove(i)
bpy.data.worlds.new('from the library').use_fake_user = True
bpy.ops.wm.save_as_mainfile(filepath=place + '/lib/set.blend')
bpy.data.worlds.remove(bpy.data.worlds['from the library'])
bpy.ops.wm.save_as_mainfile(filepath=path)
with bpy.data.libraries.load(place + '/lib/set.blend', link=True) as (there, here):
    here.worlds = ['from the library']
bpy.context.scene.world = bpy.data.worlds['from the library']
bpy.data.libraries[0].filepath = 'C:\\Show\\lib\\set.blend'
for n, p in (('win', 'c:\\show\\TEX\\a.png'), ('posix', '/mnt/show/tex/a.png'), ('relative', '//../../tex/a.png'), ('other', '/mnt/showroom/a.png')):
    i = bpy.data.images.load(place + '/tex/a.png')
    i.name, i.filepath, i.use_fake_user = n, p, True
bpy.ops.wm.save_as_mainfile(filepath=path)
`, "1", place)
	// TEX is not the same as tex on this side.
	if err := os.Symlink("tex", filepath.Join(place, "TEX")); err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(t.TempDir(), "rules.json")
	data, err := json.Marshal(map[string]any{"version": "pathmapping-1.0", "path_mapping_rules": []map[string]string{
		{"source_path_format": "WINDOWS", "source_path": `C:\Show`, "destination_path": place},
		{"source_path_format": "POSIX", "source_path": "/mnt/show", "destination_path": place},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.open.Rules, s.open.Original = rules, "/mnt/show/shots/s1/scene.blend"
	if err := s.start(); err != nil {
		t.Fatalf("%v\n%s", err, s.log.String())
	}
	log := s.log.String()
	if !strings.Contains(log, "4 paths were mapped, 1 files are missing") || !strings.Contains(log, "drover: warning: missing image 'other': /mnt/showroom/a.png") {
		t.Errorf("got\n%s", log)
	}
	s.must(s.options(1))
}

func TestOpenFaults(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.blend")
	if err := os.WriteFile(broken, []byte("BLENDER-v304 and then nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scene, blender string
		party          renderer.Party
		says           string
	}{
		"no scene":     {"/nowhere/x.blend", realBlender(t), renderer.JobFault, "is not there"},
		"broken scene": {broken, realBlender(t), renderer.JobFault, ""},
		"no Blender":   {broken, "/nowhere/blender", renderer.WorkerFault, "/nowhere/blender"},
		"no such loop": {broken, "/bin/false", renderer.JobFault, "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			err := Open(t.Context(), OpenOptions{Dir: dir, Scene: c.scene, Blender: c.blender, Serve: serveArgs(t)}, io.Discard)
			var f *renderer.Fault
			if !errors.As(err, &f) || f.Party != c.party || !strings.Contains(f.Message, c.says) {
				t.Errorf("got %v, want a fault of the %s with %q", err, c.party, c.says)
			}
		})
	}
}

func TestAnotherSceneOfTheFile(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene+`
film = bpy.data.scenes.new('Film')
film.render.engine, film.cycles.samples, film.cycles.use_denoising = 'CYCLES', 1, False
film.render.resolution_x, film.render.resolution_y = 40, 20
film.render.image_settings.file_format = 'FFMPEG'
film.camera = s.camera
for ob in s.collection.all_objects:
    film.collection.objects.link(ob)
bpy.ops.wm.save_as_mainfile(filepath=path)
`, "1")
	o := s.options(2)
	o.Scene = "Film"
	r, _ := s.must(o)
	if w, h, _ := pixels(t, filepath.Join(s.out, r.Files[0])); w != 40 || h != 20 || !slices.Equal(r.Files, []string{"f_0002.png"}) {
		t.Errorf("got %v of %dx%d", r.Files, w, h)
	}
	r, _ = s.must(s.options(3)) // the active scene again
	if w, h, _ := pixels(t, filepath.Join(s.out, r.Files[0])); w != 64 || h != 36 {
		t.Errorf("got %dx%d", w, h)
	}
	_, _, err := s.frame(s.options(3_000_000))
	if err == nil || !strings.Contains(err.Error(), "no frame 3000000") {
		t.Errorf("got %v", err)
	}
}

func TestCallsWithoutASession(t *testing.T) {
	t.Parallel()
	_, err := Frame(t.Context(), FrameOptions{Dir: t.TempDir(), Output: t.TempDir(), Name: "####"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "drover blender open") {
		t.Errorf("got %v", err)
	}
	if err := Close(t.Context(), t.TempDir()); err != nil {
		t.Errorf("closing what was never opened: %v", err)
	}
}

func TestStrangersAreNotServed(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "1")
	var st state
	data, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &st); err != nil {
		t.Fatal(err)
	}
	for _, hello := range []string{"{}\n", `{"token":"wrong","verb":"close"}` + "\n", "nonsense\n", "\n", strings.Repeat("x", maxRequest+10)} {
		c, err := net.Dial(st.Network, st.Address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, hello)
		if answer, _ := io.ReadAll(c); len(answer) != 0 {
			t.Errorf("%.20q is answered with %q", hello, answer)
		}
		c.Close()
	}
	s.must(s.options(1))
}

// BenchmarkFrame renders a picture that takes Blender a moment, so that what
// Drover adds to a frame shows.
func BenchmarkFrame(b *testing.B) {
	s := newOpened(b, smallScene, "1")
	s.must(s.options(1))
	b.ResetTimer()
	for b.Loop() {
		s.must(s.options(1))
	}
}
