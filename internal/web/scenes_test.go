package web

import (
	"strings"
	"testing"

	"drover.farm/internal/farm"
)

const vrscene = `#include "set/room.vrscene"
SettingsOutput output {
  img_width=640;
  img_height=480;
  anim_start=1;
  anim_end=4;
}
BitmapBuffer wood {
  file="tex/wood.png";
}
BitmapBuffer secret {
  file="/etc/hostname.png";
}
`

// TestSubmitVRayScene submits a scene of V-Ray: the form is made from the
// template's hints and says what the scene says.
func TestSubmitVRayScene(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("sam")
	file := sam.uploadFile("shot.zip", zipped("shot.vrscene", vrscene, "set/room.vrscene", "// a room\n", "readme.txt", "not needed"))
	a := sam.post("/ui/submit/read", "file", file)
	for _, want := range []string{`name="p.Frames" value="1-4"`, "<option selected>PNG</option>", "Columns and rows", "Overrides", "2 files will be sent along", "2 files of the scene are missing", "tex/wood.png", "Render one test frame first"} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("the form (%d) lacks %q: %s", a.status, want, textOf(a.body))
		}
	}
	for _, bad := range []string{"p.Scene", "p.OutputDir", "p.LastTile", "drover-submit-"} {
		if strings.Contains(a.body, bad) {
			t.Errorf("the form has %q", bad)
		}
	}
	if a := sam.post("/ui/submit", "file", file, "p.Frames", "4-x", "p.Camera", "kept"); a.status != 400 || !strings.Contains(a.body, `value="4-x"`) || !strings.Contains(a.body, `value="kept"`) {
		t.Errorf("a bad list of frames: %d %s", a.status, textOf(a.body))
	}
	if a := sam.post("/ui/submit", "file", file, "p.Frames", "1-4", "p.Tiles", "2x2", "p.Width", "320", "p.Format", "PNG", "test", "1", "tags", "fast", "version", "6.2"); a.status != 303 {
		t.Fatalf("submitting: %d %s", a.status, textOf(a.body))
	}
	rest, err := b.f.Job(t.Context(), 1000)
	b.check(err)
	test, err := b.f.Job(t.Context(), 1001)
	b.check(err)
	if !rest.Paused || rest.Spec.Renderer != "vray" || rest.Steps[0].Tasks != 16 || len(rest.Steps) != 2 || rest.Spec.Check.Height != 240 || rest.Build != "6.2" || len(rest.Spec.Tags) != 1 {
		t.Errorf("the job: %+v", rest)
	}
	if got := rest.Spec.Parameters["Scene"]; got != "/submitted/shot/shot.vrscene" || len(rest.Spec.Files) != 2 {
		t.Errorf("the scene is %q with %d files", got, len(rest.Spec.Files))
	}
	if test.Spec.Parameters["Frames"] != "1" || test.Steps[0].Tasks != 4 {
		t.Errorf("the test frame: %+v", test.Spec.Parameters)
	}
}

// TestSubmitRadiance submits the views of a variable file, or sensors in its place.
func TestSubmitRadiance(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("sam")
	rif := "scene= room.rad\nview= north -vp 1 1 1 -vd 0 1 0\nview= south -vp 1 1 1 -vd 0 -1 0\nZONE= I 0 2 0 2 0 2\n"
	file := sam.uploadFile("room.zip", zipped("room.rif", rif, "room.rad", "!genbox grey box 1 1 1\nvoid plastic grey 0 0 5 .5 .5 .5 0 0\n", "desk.pts", "1 1 1 0 0 1\n1 2 1 0 0 1\n1 3 1 0 0 1\n"))
	a := sam.post("/ui/submit/read", "file", file)
	for _, want := range []string{"the sensors of room/desk.pts", `name="p.Tiles" value="1x1"`, "runs a command on the worker", "Renders the views"} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("the form (%d) lacks %q: %s", a.status, want, textOf(a.body))
		}
	}
	if strings.Contains(a.body, "p.LastPart") || strings.Contains(a.body, "test frame") {
		t.Errorf("the form asks for what it should not: %s", textOf(a.body))
	}
	a = sam.post("/ui/submit/read", "file", file, "points", "room/desk.pts")
	if !strings.Contains(a.body, `name="p.Pieces" type="number" value="1"`) || !strings.Contains(a.body, `name="points" value="room/desk.pts"`) {
		t.Errorf("the form for sensors: %s", textOf(a.body))
	}
	for _, form := range [][]string{{"p.Tiles", "2x2"}, {"points", "room/desk.pts", "p.Pieces", "2"}} {
		if a := sam.post("/ui/submit", append([]string{"file", file}, form...)...); a.status != 303 {
			t.Fatalf("%q: %d %s", form, a.status, textOf(a.body))
		}
	}
	for id, tasks := range map[int64]int64{1000: 1 + 2*4 + 2, 1001: 1 + 2 + 1} {
		j, err := b.f.Job(t.Context(), id)
		b.check(err)
		if j.Spec.Renderer != "radiance" || j.Counts().Total != tasks {
			t.Errorf("job %d: %s, %d tasks, want %d", id, j.Spec.Renderer, j.Counts().Total, tasks)
		}
	}
	for _, c := range []struct{ form, words string }{{"points=/etc/passwd", "no file"}, {"p.Tiles=9", "columns and rows"}} {
		k, val, _ := strings.Cut(c.form, "=")
		if a := sam.post("/ui/submit", "file", file, k, val); a.status != 400 || !strings.Contains(a.body, c.words) {
			t.Errorf("%s: %d %s", c.form, a.status, textOf(a.body))
		}
	}
	lone := sam.uploadFile("room.rif", []byte(rif))
	if a := sam.post("/ui/submit/read", "file", lone); a.status != 400 || !strings.Contains(a.body, "not there: room.rad") {
		t.Errorf("a variable file alone: %d %s", a.status, textOf(a.body))
	}
}

// TestSubmitTestsTemplates offers a test frame where a template has frames.
func TestSubmitTestsTemplates(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("sam")
	text := `{"specificationVersion": "jobtemplate-2023-09", "name": "x", "parameterDefinitions": [{"name": "Frames", "type": "STRING", "default": "5-9"}],
		"steps": [{"name": "s", "parameterSpace": {"taskParameterDefinitions": [{"name": "Frame", "type": "INT", "range": "{{Param.Frames}}"}]}, "script": {"actions": {"onRun": {"command": "x"}}}}]}`
	file := sam.uploadFile("template.json", []byte(text))
	if a := sam.post("/ui/submit/read", "file", file); !strings.Contains(a.body, "test frame first") {
		t.Errorf("no test frame is offered: %s", textOf(a.body))
	}
	if a := sam.post("/ui/submit", "file", file, "p.Frames", "5-9", "test", "1"); a.status != 303 {
		t.Fatalf("submitting: %d %s", a.status, textOf(a.body))
	}
	for id, tasks := range map[int64]int64{1000: 5, 1001: 1} {
		if j, err := b.f.Job(t.Context(), id); err != nil || j.Counts().Total != tasks || (j.State == farm.JobPaused) != (id == 1000) {
			t.Errorf("job %d: %+v %v", id, j, err)
		}
	}
}
