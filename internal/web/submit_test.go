package web

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/internal/blob"
	"drover.farm/internal/renderer/blender"
)

// send uploads a file as the page's script does and returns the field of the
// form that names it.
func (b *browser) uploadFile(name string, content []byte) string {
	b.Helper()
	req := b.request(post, "/ui/uploads/", nil)
	req.Header.Set("Origin", b.origin)
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", fmt.Sprint(len(content)))
	req.Header.Set("Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte(name)))
	a := b.send(req)
	url := a.header.Get("Location")
	if a.status != 201 || !strings.HasPrefix(url, "/ui/uploads/") {
		b.Fatalf("beginning an upload: %d to %q: %s", a.status, url, a.body)
	}
	for from := 0; from < len(content); {
		to := min(from+100, len(content))
		req := b.request(http.MethodPatch, url, bytes.NewReader(content[from:to]))
		req.Header.Set("Origin", b.origin)
		req.Header.Set("Tus-Resumable", "1.0.0")
		req.Header.Set("Upload-Offset", fmt.Sprint(from))
		req.Header.Set("Content-Type", "application/offset+octet-stream")
		if a := b.send(req); a.status != 204 {
			b.Fatalf("going on with an upload: %d %s", a.status, a.body)
		}
		from = to
	}
	return strings.TrimPrefix(url, "/ui/uploads/") + " " + name
}

const hinted = `specificationVersion: jobtemplate-2023-09
name: "{{Param.Title}}"
description: A template with hints.
parameterDefinitions:
- {name: Title, type: STRING, default: clouds, userInterface: {control: LINE_EDIT, label: What is it called, groupLabel: Names}}
- {name: Quality, type: STRING, default: low, allowedValues: [low, high], userInterface: {control: DROPDOWN_LIST, label: How good}}
- {name: Many, type: INT, default: 3, minValue: 1, maxValue: 9}
- {name: Input, type: PATH, objectType: FILE, dataFlow: IN, default: data.txt}
- {name: Secret, type: STRING, default: x, userInterface: {control: HIDDEN}}
steps:
- name: s
  parameterSpace: {taskParameterDefinitions: [{name: I, type: INT, range: "1-{{Param.Many}}"}]}
  script: {actions: {onRun: {command: echo, args: ["{{Param.Input}}"]}}}
`

func zipped(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.Create(files[i])
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = z.Close()
	return b.Bytes()
}

func TestSubmitTemplate(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("sam")
	file := sam.uploadFile("bundle.zip", zipped("template.yaml", hinted, "data.txt", "hello"))
	a := sam.post("/ui/submit/read", "file", file)
	for _, want := range []string{"What is it called", `value="clouds"`, "<option selected>low</option>", `min="1" max="9"`, "A template with hints.", "Names"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the form lacks %q: %s", want, textOf(a.body))
		}
	}
	if strings.Contains(a.body, "p.Secret") {
		t.Error("a hidden parameter is asked for")
	}
	bad := sam.post("/ui/submit", "file", file, "p.Many", "99", "p.Title", "kept")
	if bad.status != 400 || !strings.Contains(bad.body, "refused") || !strings.Contains(bad.body, `value="kept"`) || strings.Contains(bad.body, "drover-submit-") {
		t.Errorf("a value out of bounds: %d %s", bad.status, textOf(bad.body))
	}
	a = sam.post("/ui/submit", "file", file, "p.Many", "5", "p.Title", "rain", "priority", "70")
	if a.status != 303 || a.header.Get("Location") != "/ui/jobs/1000?said=submitted" {
		t.Fatalf("submitting: %d to %q: %s", a.status, a.header.Get("Location"), textOf(a.body))
	}
	j, err := b.f.Job(t.Context(), 1000)
	b.check(err)
	if j.Spec.Name != "rain" || j.Counts().Total != 5 || j.Priority != 70 || j.Spec.Parameters["Input"] != "/submitted/bundle/data.txt" || len(j.Spec.Files) != 1 {
		t.Errorf("the job is %+v", j.Spec)
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam, sue := b.open("sam"), b.open("sue")
	mine := sam.uploadFile("notes.txt", []byte("hello"))
	scene := sam.uploadFile("x.blend", []byte("no scene"))
	steal := sam.uploadFile("template.yaml", []byte(strings.ReplaceAll(hinted, "default: data.txt", "default: x")))
	for _, c := range []struct {
		who   *browser
		field string
		want  int
		words string
	}{
		{sam, mine, 400, "nothing in it that can be submitted"}, {sue, mine, 404, "not there any more"}, {sam, "x y", 400, "cannot be used"},
		{sam, strings.Replace(mine, "notes.txt", "../../etc/passwd", 1), 400, "cannot be used"}, {sam, scene, 400, ""},
	} {
		a := c.who.post("/ui/submit/read", "file", c.field)
		if a.status != c.want || !strings.Contains(a.body, c.words) || strings.Contains(a.body, "drover-submit-") {
			t.Errorf("%q: %d %s", c.field, a.status, textOf(a.body))
		}
	}
	if a := sam.post("/ui/submit/read"); a.status != 400 {
		t.Errorf("nothing: %d", a.status)
	}
	// A path of the farm's own machine is no file of the job.
	if a := sam.post("/ui/submit", "file", steal, "p.Input", "/etc/passwd"); a.status != 400 {
		t.Errorf("a file of the farm's machine: %d", a.status)
	}
}

// TestSubmitScene submits a real scene: the form has what the scene says, and a
// test frame goes ahead of the rest, which waits.
func TestSubmitScene(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("blender")
	if err != nil {
		t.Fatal("this test takes Blender; scripts/deps blender installs it")
	}
	path := filepath.Join(t.TempDir(), "demo.blend")
	if err := blender.MakeDemo(t.Context(), program, path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, Config{})
	sam := b.open("sam")
	// The conversation of an upload is held elsewhere.
	id, err := b.blobs.Uploads().Create(t.Context(), blob.Upload{Owner: "sam", Size: int64(len(content))})
	b.check(err)
	if _, err := b.blobs.Uploads().Append(t.Context(), id, 0, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	file := id + " demo.blend"
	a := sam.post("/ui/submit/read", "file", file)
	for _, want := range []string{`value="1-24"`, `placeholder="320"`, `placeholder="180"`, "CYCLES", "as in the scene (PNG)"} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("the form (%d) lacks %q: %s", a.status, want, textOf(a.body))
		}
	}
	if a := sam.post("/ui/submit", "file", file, "frames", "9-1x"); a.status != 400 || !strings.Contains(a.body, `value="9-1x"`) {
		t.Errorf("a bad list of frames: %d %s", a.status, textOf(a.body))
	}
	if a := sam.post("/ui/submit", "file", file, "frames", "3-7", "name", "ball", "test", "1"); a.status != 303 || a.header.Get("Location") != "/ui/jobs/1001?said=submitted" {
		t.Fatalf("submitting: %d to %q: %s", a.status, a.header.Get("Location"), textOf(a.body))
	}
	rest, err := b.f.Job(t.Context(), 1000)
	b.check(err)
	test, err := b.f.Job(t.Context(), 1001)
	b.check(err)
	if !rest.Paused || rest.Counts().Total != 5 || rest.Spec.Check == nil || rest.Spec.Check.Width != 320 {
		t.Errorf("the rest: %+v", rest)
	}
	if test.Paused || test.Counts().Total != 1 || test.Priority <= rest.Priority || test.Spec.Parameters["Frames"] != "3" {
		t.Errorf("the test frame: %+v", test)
	}
}
