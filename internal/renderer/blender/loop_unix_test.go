//go:build unix

package blender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drover.farm/internal/renderer"
	"github.com/google/go-cmp/cmp"
)

type opened struct {
	t     testing.TB
	dir   string
	scene string
	out   string
	open  OpenOptions
	log   bytes.Buffer
}

// newOpened saves a scene by script and opens it.
func newOpened(t testing.TB, script string, args ...string) *opened {
	t.Helper()
	s := prepared(t, script, args...)
	if err := s.start(); err != nil {
		t.Fatalf("%v\n%s", err, s.log.String())
	}
	return s
}

func prepared(t testing.TB, script string, args ...string) *opened {
	t.Helper()
	s := &opened{t: t, dir: filepath.Join(t.TempDir(), "state"), out: filepath.Join(t.TempDir(), "out")}
	if script == smallScene {
		s.scene = shared.scene(t, args[0])
	} else {
		s.scene = filepath.Join(t.TempDir(), "scene.blend")
		runBlender(t, script, append([]string{s.scene}, args...)...)
	}
	s.open = OpenOptions{Dir: s.dir, Scene: s.scene, Blender: realBlender(t), Serve: serveArgs(t), Watch: os.Getpid()}
	t.Cleanup(func() {
		pid := s.supervisor()
		if err := Close(context.Background(), s.dir); err != nil {
			t.Error(err)
		}
		if pid > 0 {
			gone(t, pid)
		}
	})
	return s
}

func (s *opened) start() error { return Open(s.t.Context(), s.open, &s.log) }

func (s *opened) supervisor() int {
	var st state
	data, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if err != nil || json.Unmarshal(data, &st) != nil {
		return 0
	}
	return st.PID
}

func (s *opened) options(frame int64) FrameOptions {
	return FrameOptions{Dir: s.dir, Frame: frame, Output: s.out, Name: "f_####", Serve: serveArgs(s.t)}
}

func (s *opened) frame(o FrameOptions) (*FrameResult, string, error) {
	var log bytes.Buffer
	r, err := Frame(s.t.Context(), o, &log)
	return r, log.String(), err
}

func (s *opened) must(o FrameOptions) (*FrameResult, string) {
	s.t.Helper()
	r, log, err := s.frame(o)
	if err != nil {
		s.t.Fatalf("frame %d: %v\n%s", o.Frame, err, log)
	}
	return r, log
}

// blenderPID asks for the process id of the session's Blender.
func (s *opened) blenderPID() int {
	s.t.Helper()
	end, err := ask(s.t.Context(), s.dir, request{Verb: "load"}, func(string) error { return nil })
	if err != nil || !end.OK || end.PID == 0 {
		s.t.Fatalf("no Blender: %v %v", end, err)
	}
	return end.PID
}

// gone waits until a process has ended.
func gone(t testing.TB, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for running(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// running is false for a process that has ended but was not yet waited for.
func running(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(data, []byte(") "))
	return len(after) > 0 && after[0] != 'Z'
}

// awaiter lets a test wait for a text in a log.
type awaiter struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want string
	seen chan struct{}
	once sync.Once
}

func newAwaiter(want string) *awaiter { return &awaiter{want: want, seen: make(chan struct{})} }

func (a *awaiter) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buf.Write(b)
	if strings.Contains(a.buf.String(), a.want) {
		a.once.Do(func() { close(a.seen) })
	}
	return len(b), nil
}

func (a *awaiter) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buf.String()
}

func pixels(t testing.TB, path string) (w, h int, data []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := img.At(x, y).RGBA()
			data = append(data, byte(r>>8), byte(g>>8), byte(bl>>8))
		}
	}
	return b.Dx(), b.Dy(), data
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestFramesAreThoseOfBlender(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "4")
	pid := s.blenderPID()
	for _, n := range []int64{1, 20, 2, -4} {
		r, log := s.must(s.options(n))
		if want := []string{renderer.FrameName("f_####", n) + ".png"}; !slices.Equal(r.Files, want) {
			t.Errorf("files %v, want %v", r.Files, want)
		}
		for _, text := range []string{"Fra:" + strconv.FormatInt(n, 10), "Saved: ", "openjd_progress: 100\n", "openjd_status: frame "} {
			if !strings.Contains(log, text) {
				t.Errorf("the log of frame %d has no %q:\n%s", n, text, log)
			}
		}
	}
	if now := s.blenderPID(); now != pid {
		t.Errorf("Blender was started again: %d, then %d", pid, now)
	}
	plain := t.TempDir()
	cmd := exec.Command(realBlender(t), "-b", s.scene, "-o", filepath.Join(plain, "f_####"), "-F", "PNG", "-f", "1,2,20")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	negative := filepath.Join(plain, "negative.png")
	setFrame := fmt.Sprintf("import bpy; s = bpy.context.scene; s.frame_set(-4); s.render.filepath = %q; bpy.ops.render.render(write_still=True)", negative)
	if out, err := exec.Command(realBlender(t), "-b", s.scene, "--python-expr", setFrame).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Rename(negative, filepath.Join(plain, "f_-0004.png")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(t, plain), names(t, s.out)); diff != "" {
		t.Fatal(diff)
	}
	for _, n := range names(t, plain) {
		_, _, want := pixels(t, filepath.Join(plain, n))
		_, _, got := pixels(t, filepath.Join(s.out, n))
		if !bytes.Equal(want, got) {
			t.Errorf("%s differs from what Blender alone renders", n)
		}
	}
}

func TestFrameSettings(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene, "1")
	for format, ext := range map[string]string{"JPEG": ".jpg", "OPEN_EXR": ".exr", "TIFF": ".tif", "TARGA": ".tga", "BMP": ".bmp", "HDR": ".hdr"} {
		o := s.options(3)
		o.Format, o.Name = format, "as_"+format
		r, _ := s.must(o)
		if want := []string{"as_" + format + "0003" + ext}; !slices.Equal(r.Files, want) {
			t.Errorf("%s: %v, want %v", format, r.Files, want)
		}
		if Extension(format) != ext {
			t.Errorf("Extension(%s) = %s, want %s", format, Extension(format), ext)
		}
	}
	o := s.options(4)
	o.Format, o.Width, o.Samples, o.Device, o.Camera, o.Scene = "PNG", 32, 2, "CPU", "Camera", "Scene"
	r, log := s.must(o)
	if w, h, _ := pixels(t, filepath.Join(s.out, r.Files[0])); w != 32 || h != 18 {
		t.Errorf("got %dx%d, want 32x18", w, h)
	}
	if !strings.Contains(log, "/2") {
		t.Errorf("no 2 samples in\n%s", log)
	}
}

func TestFrameFaults(t *testing.T) {
	t.Parallel()
	s := newOpened(t, smallScene+"\ns.camera = None\nbpy.ops.wm.save_as_mainfile(filepath=path)\n", "1")
	for name, c := range map[string]struct {
		change func(*FrameOptions)
		party  renderer.Party
		says   string
	}{
		"no camera":      {func(*FrameOptions) {}, renderer.JobFault, "camera"},
		"unknown camera": {func(o *FrameOptions) { o.Camera = "Nobody" }, renderer.JobFault, "'Nobody'; it has 'Camera'"},
		"unknown scene":  {func(o *FrameOptions) { o.Scene = "None" }, renderer.JobFault, "it has 'Scene'"},
		"unknown engine": {func(o *FrameOptions) { o.Engine = "POVRAY" }, renderer.WorkerFault, "no render engine POVRAY"},
		"no GPU":         {func(o *FrameOptions) { o.Device = "OPTIX" }, renderer.WorkerFault, "OPTIX"},
		"bad name":       {func(o *FrameOptions) { o.Name = "../x" }, renderer.JobFault, "output name"},
		"no output":      {func(o *FrameOptions) { o.Output = "/dev/null/x" }, renderer.WorkerFault, "output folder"},
	} {
		o := s.options(1)
		c.change(&o)
		_, log, err := s.frame(o)
		var f *renderer.Fault
		if !errors.As(err, &f) || f.Party != c.party || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: got %v, want a fault of the %s with %q\n%s", name, err, c.party, c.says, log)
		}
	}
	if left := names(t, s.out); len(left) != 0 {
		t.Errorf("failed frames left %v", left)
	}
	o := s.options(1)
	o.Camera = "Camera"
	s.must(o) // the same Blender still renders
}
