package web

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	_ "image/png"
	"os/exec"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// TestActs acts on a job as its owner, as another, and as an operator.
func TestActs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Undo: time.Hour})
	j := b.scene()
	path := fmt.Sprintf("/ui/jobs/%d/", j.ID)
	state := func() farm.JobState {
		got, err := b.f.Job(t.Context(), j.ID)
		b.check(err)
		return got.State
	}
	sam, sue, olga := b.open("sam"), b.open("sue"), b.open("olga")
	for _, verb := range []string{"pause", "cancel", "retry", "priority", "undo", "remove"} {
		if a := sue.post(path+verb, "priority", "1", "all", "1"); a.status != 403 {
			t.Errorf("%s of another's job: %d", verb, a.status)
		}
	}
	if p := sue.page(fmt.Sprintf("/ui/jobs/%d", j.ID)); strings.Contains(p, "/cancel") {
		t.Error("who may not cancel is shown the button")
	}
	for _, c := range []struct {
		who  *browser
		verb string
		want farm.JobState
		form []string
	}{
		{sam, "pause", farm.JobPaused, nil}, {olga, "resume", farm.JobRunning, nil}, {sam, "cancel", farm.JobPaused, nil},
		{sam, "undo", farm.JobRunning, nil}, {sam, "priority", farm.JobRunning, []string{"priority", "90"}},
	} {
		a := c.who.post(path+c.verb, c.form...)
		if a.status != 303 || state() != c.want {
			t.Fatalf("%s: %d %s, the job is %s, not %s", c.verb, a.status, textOf(a.body), state(), c.want)
		}
	}
	if got, _ := b.f.Job(t.Context(), j.ID); got.Priority != 90 {
		t.Errorf("the priority is %d", got.Priority)
	}
	if a := sam.post(path+"cancel", "next", "/ui/jobs"); a.header.Get("Location") != "/ui/jobs?said=pending" {
		t.Errorf("after a cancel the browser goes to %q", a.header.Get("Location"))
	}
	if p := sam.page(fmt.Sprintf("/ui/jobs/%d?said=pending", j.ID)); !strings.Contains(p, path+"undo") || !strings.Contains(p, "can be undone") {
		t.Errorf("the page does not offer to undo: %s", textOf(p))
	}
	for bad, want := range map[string]int{"cancel": 409, "priority": 400, "remove": 409, "resume": 409} {
		if a := sam.post(path+bad, "priority", "x"); a.status != want {
			t.Errorf("%s: %d, not %d", bad, a.status, want)
		}
	}
}

// TestJobsAreMoved lets a job go on with another version of its renderer.
func TestJobsAreMoved(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.build("4.1.0")
	bad := b.build("4.2.1")
	b.submit("sam", "ball", 3, func(s *farm.Spec) { s.Renderer = "blender" })
	w := b.join("node", func(r *farm.Registration) { r.Machine.Fetches = []string{farm.Any} })
	b.finish(w, b.claim(w), "0001.png", drawing(1))
	_, err := b.f.SetBuildState(t.Context(), principal("olga"), bad, farm.BuildAside, "black frames")
	b.check(err)
	sam, sue := b.open("sam"), b.open("sue")
	p := sam.page("/ui/jobs/1000/why")
	if !strings.Contains(p, "was set aside: black frames") || !strings.Contains(p, "<option>4.1.0</option>") {
		t.Errorf("why it waits: %s", textOf(p))
	}
	if p := sue.page("/ui/jobs/1000/details"); strings.Contains(p, "/build") {
		t.Error("who may not move the job is shown how")
	}
	for _, c := range []struct {
		who     *browser
		version string
		want    int
	}{{sue, "4.1.0", 403}, {sam, "9.9", 409}, {sam, "4.1.0", 303}, {sam, "4.1.0", 409}} {
		if a := c.who.post("/ui/jobs/1000/build", "version", c.version); a.status != c.want {
			t.Errorf("to %s: %d, not %d: %s", c.version, a.status, c.want, textOf(a.body))
		}
	}
	if l := b.claim(w); l.Job.Build != "4.1.0" {
		t.Errorf("it goes on with %q", l.Job.Build)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.scene()
	sam := b.open("sam")
	if p := sam.page("/ui/jobs/1000?state=failed"); !strings.Contains(p, `name="task" value="0/1"`) {
		t.Errorf("failed tasks cannot be chosen: %s", textOf(p))
	}
	for _, c := range []struct {
		form []string
		want int
	}{{nil, 400}, {[]string{"task", "x"}, 400}, {[]string{"task", "0/3-1"}, 400}, {[]string{"task", "0/0-10000"}, 400}, {[]string{"task", "0/0-9"}, 404}, {[]string{"task", "0/0"}, 409}, {[]string{"task", "0/0-2"}, 303}, {[]string{"all", "1"}, 409}} {
		if a := sam.post("/ui/jobs/1000/retry", c.form...); a.status != c.want {
			t.Errorf("retry %q: %d, not %d: %s", c.form, a.status, c.want, textOf(a.body))
		}
	}
	if v, err := b.f.TaskView(t.Context(), farm.TaskKey{Job: 1000, Index: 1}); err != nil || v.State != farm.TaskWaiting {
		t.Errorf("the chosen task is %v, %v", v, err)
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "ball", 3)
	sam := b.open("sam")
	for _, path := range []string{"outputs.zip", "sheet", "film.mp4"} {
		if a := sam.get("/ui/jobs/1000/" + path); a.status != 404 {
			t.Errorf("%s of a job without outputs: %d", path, a.status)
		}
	}
	w := b.join("node")
	for i := range 3 {
		b.finish(w, b.claim(w), "frame.png", drawing(i))
	}
	names := func(query string) (out []string) {
		a := sam.get("/ui/jobs/1000/outputs.zip" + query)
		z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
		b.check(err)
		for _, f := range z.File {
			out = append(out, f.Name)
		}
		return out
	}
	if got := fmt.Sprint(names("")); got != "[frame.png frame~0-1.png frame~0-2.png]" {
		t.Errorf("the zip has %s", got)
	}
	if got := fmt.Sprint(names("?task=0/1-2")); got != "[frame.png frame~0-2.png]" {
		t.Errorf("the zip of two tasks has %s", got)
	}
	if got := fmt.Sprint(names("?task=0/2")); got != "[frame.png]" {
		t.Errorf("the zip of one task has %s", got)
	}
	a := sam.get("/ui/jobs/1000/sheet")
	if m, kind, err := image.Decode(strings.NewReader(a.body)); err != nil || kind != "png" || m.Bounds().Dx() < 300 {
		t.Errorf("the contact sheet: %v %v", kind, err)
	}
	if a := sam.get("/ui/jobs/1000/frames"); strings.Count(a.body, `"src":"/ui/jobs/1000/tasks/0/`) != 3 {
		t.Errorf("the frames of the film: %s", a.body)
	}
	if p := sam.page("/ui/jobs/1000/film"); !strings.Contains(p, "data-film") {
		t.Error("the film has no player")
	}
	if p := sam.page("/ui/jobs/1000/timeline"); strings.Count(p, "<rect") < 3 || !strings.Contains(p, "1 on node: done") {
		t.Errorf("the timeline: %s", textOf(p))
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is missing; run scripts/deps ffmpeg")
	}
	for path, want := range map[string]int{"?fps=0": 400, "?step=7": 404, "": 200} {
		a := sam.get("/ui/jobs/1000/film.mp4" + path)
		if a.status != want || want == 200 && !bytes.Contains([]byte(a.body), []byte("ftyp")) {
			t.Errorf("film.mp4%s: %d, %d bytes", path, a.status, len(a.body))
		}
	}
	if a := b.open("rick").get("/ui/jobs/1000/outputs.zip"); a.status != 403 {
		t.Errorf("outputs for who only lends machines: %d", a.status)
	}
}

// TestRefusedPicture shows what a worker put out although it did not count.
func TestRefusedPicture(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "ball", 1)
	w := b.join("node")
	l := b.claim(w)
	i, err := b.blobs.Put(t.Context(), bytes.NewReader(drawing(1)[:60]), nil)
	b.check(err)
	v, err := b.f.Complete(t.Context(), farm.Result{By: principal("rick"), Worker: w.ID, Lease: l.ID, Task: l.Task, Seconds: 2,
		Outputs: []farm.File{{Name: "0001.png", SHA256: i.SHA256.String(), Size: i.Size}}})
	b.check(err)
	if v.Accepted {
		t.Fatal("half a picture was accepted")
	}
	p := b.open("sam").page("/ui/jobs/1000/tasks/0/0?attempt=1")
	if !strings.Contains(p, "/attempts/1/out/0") {
		t.Errorf("the refused picture is not shown: %s", textOf(p))
	}
	if a := b.open("sam").get("/ui/jobs/1000/tasks/0/0/attempts/1/out/0"); a.status != 200 || a.header.Get("Content-Type") != "image/png" {
		t.Errorf("the refused picture: %d", a.status)
	}
	if a := b.open("sam").get("/ui/jobs/1000/tasks/0/0/attempts/2/out/0"); a.status != 404 {
		t.Errorf("a picture of no attempt: %d", a.status)
	}
}

// TestCompare lays the picture of one attempt over another's, or another task's.
func TestCompare(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "ball", 2)
	w := b.join("node")
	refuse := func(n int) {
		l := b.claim(w)
		i, err := b.blobs.Put(t.Context(), bytes.NewReader(drawing(n)[:60]), nil)
		b.check(err)
		_, err = b.f.Complete(t.Context(), farm.Result{By: principal("rick"), Worker: w.ID, Lease: l.ID, Task: l.Task, Seconds: 2,
			Outputs: []farm.File{{Name: "0001.png", SHA256: i.SHA256.String(), Size: i.Size}}})
		b.check(err)
	}
	refuse(1)
	for _, name := range []string{"two", "three"} {
		w = b.join(name)
		l := b.claim(w)
		b.finish(w, l, "0001.png", drawing(2))
	}
	sam := b.open("sam")
	for path, wants := range map[string][]string{
		"0":                       {`href="?with=attempt-1"`, `name="with"`},
		"0?attempt=1":             {`href="?attempt=1&amp;with=counts"`, "/attempts/1/out/0"},
		"0?attempt=1&with=counts": {`class="other" src="/ui/jobs/1000/tasks/0/0/out/0"`, "data-split"},
		"0?with=attempt-1":        {`class="other" src="/ui/jobs/1000/tasks/0/0/attempts/1/out/0"`},
		"1":                       {`href="?with=1000/0/0"`},
		"1?with=1000/0/0":         {`class="other" src="/ui/jobs/1000/tasks/0/0/out/0"`},
	} {
		p := sam.page("/ui/jobs/1000/tasks/0/" + path)
		for _, want := range wants {
			if !strings.Contains(p, want) {
				t.Errorf("%s lacks %q: %s", path, want, textOf(p))
			}
		}
	}
	for path, want := range map[string]int{"1?with=counts": 200, "0?with=attempt-2": 404, "0?with=x": 400} {
		if a := sam.get("/ui/jobs/1000/tasks/0/" + path); a.status != want {
			t.Errorf("%s: %d, not %d", path, a.status, want)
		}
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	d := drawDay([]farm.Sample{
		{Time: start.Add(-23 * time.Hour), Done: 10, Waiting: 100}, {Time: start.Add(-time.Hour), Done: 5, Failed: 5, Waiting: 50, Seconds: 7200},
		{Time: start.Add(-30 * time.Hour), Waiting: 7},
	}, start)
	if d.Done != 15 || d.Failed != 5 || d.Most != 10 || d.MostWaiting != 100 || d.Seconds != 7200 || len(d.Bars) != 2 || d.Line != "6.5,0.0 138.5,30.0 " {
		t.Errorf("%+v", d)
	}
	if x := d.Bars[1]; x.X != "138" || x.Y != "30.0" || x.H != "30.0" || x.FY != "0.0" || x.FH != "30.0" {
		t.Errorf("%+v", x)
	}
}

// TestErrorLine finds the line that tells most, not the last that was written.
func TestErrorLine(t *testing.T) {
	t.Parallel()
	log := strings.Split("start\nError: cannot open wood.png\nsaving what there is\nlast words of it", "\n")
	for message, want := range map[string]int{
		"the program ended with exit code 1; it wrote: last words of it": 1, // quotes only the last line
		"Error: cannot open wood.png":                                    1,
		"":                                                               1,
	} {
		if got := errorLine(log, message); got != want {
			t.Errorf("%q: line %d, not %d", message, got, want)
		}
	}
	plain := strings.Split("start\nsaving what there is\nlast words of it", "\n")
	if got := errorLine(plain, "exit code 1: last words of it"); got != 2 {
		t.Errorf("a log without an error: line %d", got)
	}
	if got := errorLine(plain, "no such thing"); got != -1 {
		t.Errorf("a log that tells nothing: line %d", got)
	}
}
