package blender

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"drover.farm/openjd"
	"github.com/google/go-cmp/cmp"
)

// writeScene writes a scene of the test writer, changed by edit, with files.
func writeScene(t testing.TB, edit func(f *testFile), others ...string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "show", "shots", "first.blend")
	f := newTestFile(testHeaders["new little"])
	f.block("GLOB", 8, f.set(f.rec("FileGlobal"), "curscene", uint64(1)))
	edit(f)
	writeFile(t, path, f.finish())
	for _, o := range others {
		writeFile(t, filepath.Join(dir, o), []byte("x"))
	}
	return path
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func plainScene(f *testFile, values map[string]any) {
	s := f.rec("Scene")
	for path, v := range map[string]any{
		"id.name": "SCMain", "r.sfra": 5, "r.efra": 11, "r.frame_step": 3, "r.xsch": 640, "r.ysch": 360, "r.size": 50,
		"r.engine": "CYCLES", "r.im_format.imtype": 17, "camera": uint64(2),
	} {
		f.set(s, path, v)
	}
	for path, v := range values {
		f.set(s, path, v)
	}
	f.block("SC", 1, s)
	f.block("OB", 2, f.set(f.set(f.rec("Object"), "id.name", "OBCam"), "type", 11))
}

func image(f *testFile, name, path string, source int) {
	f.block("IM", 9, f.set(f.set(f.set(f.rec("Image"), "id.name", "IM"+name), "name", path), "source", source))
}

func TestPlanOfScene(t *testing.T) {
	t.Parallel()
	path := writeScene(t, func(f *testFile) {
		plainScene(f, nil)
		image(f, "wood", "//tex/wood.png", 1)
		image(f, "gone", "//tex/gone.png", 1)
		image(f, "seq", "//../common/s_01.exr", 2)
		f.block("LI", 3, f.set(f.set(f.rec("Library"), "id.name", "LIset"), "name", "//../common/set.blend"))
	}, "show/shots/tex/wood.png", "show/common/s_01.exr", "show/common/s_02.exr", "show/common/lib.png")
	dir := filepath.Dir(filepath.Dir(filepath.Dir(path)))
	lib := newTestFile(testHeaders["old little 8"])
	image(lib, "in lib", "//lib.png", 1)
	image(lib, "lost", "//lost.png", 1)
	writeFile(t, filepath.Join(dir, "show/common/set.blend"), lib.finish())

	p, err := NewPlan(t.Context(), path, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"JobName": "first", "Scene": path, "Frames": "5-11:3", "OutputDir": filepath.Join(filepath.Dir(path), "first-frames"),
		"OutputName": "####", "Format": "PNG", "Width": "0", "Height": "0", "Engine": "", "Device": "", "Samples": "0", "SceneName": "",
		"Camera": "", "Autoexec": "false",
	}
	if diff := cmp.Diff(want, p.Parameters); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	root := filepath.Join(dir, "show")
	var inputs []string
	for _, in := range p.Inputs {
		inputs = append(inputs, string(in.Kind)+" "+strings.TrimPrefix(in.Path, dir))
		if in.Root != root {
			t.Errorf("%s has root %q, want %q", in.Path, in.Root, root)
		}
	}
	if diff := cmp.Diff([]string{
		"scene /show/shots/first.blend", "image /show/shots/tex/wood.png", "image /show/common/s_01.exr", "image /show/common/s_02.exr",
		"library /show/common/set.blend", "image /show/common/lib.png",
	}, inputs); diff != "" {
		t.Error(diff)
	}
	var missing []string
	for _, f := range p.Missing {
		missing = append(missing, f.Name+" "+f.Path)
	}
	if diff := cmp.Diff([]string{"gone //tex/gone.png", "set.blend/lost //lost.png"}, missing); diff != "" {
		t.Error(diff)
	}
	if (p.Size != Size{320, 180}) || len(p.Warnings) != 0 || p.Frames.Len() != 3 {
		t.Errorf("size %v, %d frames, warnings %v", p.Size, p.Frames.Len(), p.Warnings)
	}
	if diff := cmp.Diff([]string{"0008.png"}, p.OutputNames(8)); diff != "" {
		t.Error(diff)
	}
	checkTemplate(t, p)
}

// checkTemplate proves that a plan is a job that OpenJD takes.
func checkTemplate(t *testing.T, p *Plan) *openjd.Job {
	t.Helper()
	tmpl, err := openjd.ParseJobTemplate([]byte(p.Template))
	if err != nil {
		t.Fatal(err)
	}
	job, err := tmpl.Instantiate(p.Parameters, openjd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(job.Steps) != 1 || job.Steps[0].Name != "Render" || job.Steps[0].Space.Len() != p.Frames.Len() {
		t.Errorf("%d steps, %d tasks, want %d", len(job.Steps), job.Steps[0].Space.Len(), p.Frames.Len())
	}
	i := int64(0)
	for frame := range p.Frames.All() {
		task, err := job.Steps[0].Space.At(i)
		if err != nil || len(task) != 1 || task[0].Name != "Frame" || task[0].Value != strconv.FormatInt(frame, 10) {
			t.Errorf("task %d is %v, %v, want frame %d", i, task, err, frame)
		}
		i++
	}
	return job
}

func TestPlanOptions(t *testing.T) {
	t.Parallel()
	path := writeScene(t, func(f *testFile) {
		plainScene(f, map[string]any{
			"r.im_format.imtype": 24, "r.scemode": scemodeViews, "camera": uint64(0),
		})
		f.block("DATA", 3, f.rec("ListBase"))
	})
	p, err := NewPlan(t.Context(), path, PlanOptions{
		JobName: "Night shot", Frames: "-3--1,20-30,25-40:5", OutputDir: "/out", OutputName: "v2_##", Width: 100, Samples: 7,
		Engine: "CYCLES", Camera: "Cam", SceneName: "Main", Autoexec: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"JobName": "Night shot", "Frames": "-3--1,20-30,35,40", "OutputDir": "/out", "OutputName": "v2_##", "Format": "PNG",
		"Width": "100", "Height": "0", "Samples": "7", "Engine": "CYCLES", "Camera": "Cam", "SceneName": "Main", "Autoexec": "true",
	} {
		if name == "Frames" {
			want = p.Frames.String()
		}
		if p.Parameters[name] != want {
			t.Errorf("%s is %q, want %q", name, p.Parameters[name], want)
		}
	}
	if p.Frames.Len() != 16 || (p.Size != Size{100, 56}) {
		t.Errorf("%d frames of %v", p.Frames.Len(), p.Size)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "FFMPEG") {
		t.Errorf("warnings %v", p.Warnings)
	}
	checkTemplate(t, p)
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	path := writeScene(t, func(f *testFile) { plainScene(f, nil) })
	empty := writeScene(t, func(*testFile) {})
	backwards := writeScene(t, func(f *testFile) { plainScene(f, map[string]any{"r.efra": 1}) })
	tiny := writeScene(t, func(f *testFile) { plainScene(f, map[string]any{"r.size": 0}) })
	text := filepath.Join(t.TempDir(), "x.blend")
	writeFile(t, text, []byte("no scene at all, just text"))
	var scattered []string
	for i := range 400 {
		scattered = append(scattered, strconv.Itoa(i*i))
	}
	for name, c := range map[string]struct {
		path string
		o    PlanOptions
		says string
	}{
		"no file":      {"/nowhere/x.blend", PlanOptions{}, "no such file"},
		"folder":       {t.TempDir(), PlanOptions{}, "is not a file"},
		"no blend":     {text, PlanOptions{}, "not a .blend"},
		"only data":    {empty, PlanOptions{}, "holds no scene"},
		"own range":    {backwards, PlanOptions{}, "own frame range"},
		"frames":       {path, PlanOptions{Frames: "9-1"}, "write 1-9"},
		"too many":     {path, PlanOptions{Frames: "1-1000000000"}, "at most 10000000"},
		"far frame":    {path, PlanOptions{Frames: "1,1048575"}, "to 1048574"},
		"early frame":  {path, PlanOptions{Frames: "-2000000"}, "from -1048574"},
		"scattered":    {path, PlanOptions{Frames: strings.Join(scattered, ",")}, "submit it in parts"},
		"camera":       {path, PlanOptions{Camera: "x"}, `it has "Cam"`},
		"scene":        {path, PlanOptions{SceneName: "x"}, `it has "Main"`},
		"format":       {path, PlanOptions{Format: "GIF"}, "use one of PNG"},
		"output name":  {path, PlanOptions{OutputName: "../../x"}, "output name"},
		"tiny":         {tiny, PlanOptions{}, "less than one pixel"},
		"too wide":     {path, PlanOptions{Width: 70000}, "larger than Blender"},
		"long name":    {path, PlanOptions{Camera: ""}, ""},
		"long OutDir":  {path, PlanOptions{OutputDir: "/" + strings.Repeat("x/", 700)}, "parameter OutputDir"},
		"long pattern": {path, PlanOptions{OutputName: strings.Repeat("x", 300)}, "300 bytes"},
	} {
		_, err := NewPlan(t.Context(), c.path, c.o)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.says)
		}
	}
}

func TestPlanOfViews(t *testing.T) {
	t.Parallel()
	s := &Settings{Multiview: true, ViewFormat: "INDIVIDUAL", Views: []View{{"left", "_L", false}, {"right", "_R", false}, {"mid", "_M", true}}}
	p := &Plan{Format: "OPEN_EXR", pattern: "a_###", suffixes: viewSuffixes(s)}
	if diff := cmp.Diff([]string{"a_012_L.exr", "a_012_R.exr"}, p.OutputNames(12)); diff != "" {
		t.Error(diff)
	}
	if n := p.Pictures(); n != 2 {
		t.Errorf("a frame gives %d pictures", n)
	}
	if n := (&Plan{suffixes: viewSuffixes(&Settings{Multiview: true, ViewFormat: "STEREO_3D"})}).Pictures(); n != 0 {
		t.Errorf("a stereo picture counts as %d", n)
	}
}

func TestRoots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want []string }{
		{[]string{"/a/b/s.blend", "/a/b/tex/x.png"}, []string{"/a/b"}},
		{[]string{"/a/b/c/s.blend", "/a/b/tex/x.png"}, []string{"/a/b"}},
		{[]string{"/home/ann/s.blend", "/mnt/tex/x.png", "/mnt/tex/y/z.png"}, []string{"/home/ann", "/mnt/tex"}},
		{[]string{"/home/ann/p/s.blend", "/home/bob/x.png"}, []string{"/home/ann/p", "/home/bob"}},
		{[]string{"/m/show/a/1", "/n/show/b/1", "/m/show/c/1"}, []string{"/m/show", "/n/show/b"}},
	} {
		p := &Plan{}
		for _, path := range c.in {
			p.Inputs = append(p.Inputs, Input{Path: path})
		}
		p.setRoots()
		if diff := cmp.Diff(c.want, p.Roots); diff != "" {
			t.Errorf("%v: %s", c.in, diff)
		}
		for _, in := range p.Inputs {
			if in.Root == "" {
				t.Errorf("%s has no root", in.Path)
			}
		}
	}
}

func TestJobName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"shot": "shot", "a\nb": "ab", "": "Blender", strings.Repeat("ж", 300): strings.Repeat("ж", 128)} {
		if got := jobName(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// TestAStrangersSceneIsLookedForInItsFolderAlone: the farm plans what strangers
// upload, and must neither read nor tell of other files of its machine.
func TestAStrangersSceneIsLookedForInItsFolderAlone(t *testing.T) {
	t.Parallel()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(base, "sent")
	scene := sampleFile(testHeaders["new little"]).finish() // names //tex/wood.png and //../lib/set.blend
	for name, content := range map[string][]byte{"sent/x.blend": scene, "sent/tex/wood.png": {1}, "lib/set.blend": scene, "lib/tex/wood.png": {1}} {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string][]string{"": {"sent/x.blend", "sent/tex/wood.png", "lib/set.blend", "lib/tex/wood.png"}, inside: {"sent/x.blend", "sent/tex/wood.png"}} {
		p, err := NewPlan(t.Context(), filepath.Join(inside, "x.blend"), PlanOptions{Inside: in})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range p.Inputs {
			rel, err := filepath.Rel(base, f.Path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(rel))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("inside %q: %s", in, d)
		}
	}
}

// TestFoldersOfAStrangersSceneAreNotListed: a folder of caches may be any folder.
func TestFoldersOfAStrangersSceneAreNotListed(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(dir, "own"), filepath.Join(other, "secret.0001")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &Scene{Files: []File{{Path: "//own"}, {Path: other, Folder: true}, {Path: other + "/secret.0009", Sequence: true}, {Path: "//../" + filepath.Base(other) + "/secret.0001"}}}
	s.resolve(filepath.Join(dir, "x.blend"), dir)
	for i, f := range s.Files {
		if own := i == 0; f.Exists != own || len(f.OnDisk()) > 0 != own {
			t.Errorf("%s: exists %t, on disk %q", f.Path, f.Exists, f.OnDisk())
		}
	}
}
