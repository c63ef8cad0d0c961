package flamenco

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

// zipOf makes a zip of files by name.
func zipOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[i+1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func picture(t *testing.T) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 4, 4))
	m.Set(1, 1, color.Gray{200})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// form sends a multipart form with a file.
func (b *bundle) form(method, path string, fields map[string]string, name, file string, content []byte) answer {
	b.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range fields {
		m.WriteField(k, v)
	}
	if name != "" {
		w, err := m.CreateFormFile(name, file)
		b.check(err)
		w.Write(content)
	}
	b.check(m.Close())
	return b.send(method, path, &body, "Content-Type", m.FormDataContentType())
}

// pulled is a task as a worker of 2016 gets it.
type pulled struct {
	Options struct {
		Task     int64           `json:"task_id"`
		Job      int64           `json:"job_id"`
		Parser   string          `json:"task_parser"`
		Type     string          `json:"type"`
		Settings json.RawMessage `json:"settings"`
		Command  string          `json:"task_command"`
	} `json:"options"`
	Files map[string]any `json:"files"`
}

// ask is one round of a worker of 2016: it registers and asks for work.
func (b *bundle) ask(host string) (pulled, answer) {
	b.t.Helper()
	b.want(204, b.send("POST", "/workers", url.Values{"port": {"5000"}, "hostname": {host}, "system": {"Linux 4.2"}}))
	a := b.send("GET", "/tasks/compiled/0?worker="+host, nil)
	var p pulled
	if a.status == 200 {
		b.check(json.Unmarshal([]byte(a.body), &p))
	}
	return p, a
}

func (b *bundle) mustAsk(host string) pulled {
	b.t.Helper()
	var p pulled
	b.until("a task for "+host, func() bool {
		var a answer
		p, a = b.ask(host)
		return a.status == 200
	})
	return p
}

func (b *bundle) postZip(id int, frames string) answer {
	b.t.Helper()
	return b.form("POST", "/tasks", map[string]string{"task_id": fmt.Sprint(id), "job_id": "77", "type": typeFrames, "parser": "blender_render",
		"settings": `{"filepath":"cube.blend","format":"PNG","frames":"` + frames + `"}`}, "jobfile", "jobfile.zip", zipOf(b.t, "cube.blend", "BLENDER", "tex/a.png", "x"))
}

func TestPullWorkerRendersAnArchive(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	if _, a := b.ask("node"); a.status != 400 || a.body != "\"\"\n" {
		t.Errorf("without work: %d %q", a.status, a.body)
	}
	b.want(202, b.postZip(501, "1-2,7"))
	if a := b.send("GET", "/tasks/file/77", nil); a.body != `{"file":true}`+"\n" {
		t.Errorf("file: %s", a.body)
	}
	p := b.mustAsk("node")
	var argv []string
	b.check(json.Unmarshal([]byte(p.Options.Command), &argv))
	want := []string{"==command==", "--enable-autoexec", "-noaudio", "--background", "==jobpath==/cube.blend", "--render-output", "==outputpath==/#####",
		"--render-format", "PNG", "--frame-start", "1", "--frame-end", "2", "--render-anim", "-f", "7"}
	if diff := cmp.Diff(want, argv); diff != "" || p.Options.Task != 501 || p.Options.Job != 77 {
		t.Errorf("%+v\n%s", p, diff)
	}
	a := b.want(200, b.send("GET", "/tasks/zip/77", nil))
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	b.check(err)
	if len(z.File) != 2 || z.File[0].Name != "cube.blend" || z.File[1].Name != "tex/a.png" {
		t.Errorf("the archive has %v", z.File)
	}
	b.want(204, b.send("PATCH", "/tasks/501", url.Values{"status": {"active"}, "time_cost": {"1"}, "job_id": {"77"}, "log": {"Blender 3.4.1\nFra:1 Mem:9.04M (Peak 10.83M) | Time:00:00.02 | Remaining:00:10.00 | Mem:0.00M, Peak:0.00M | Scene | Sample 3/16\n"}}))
	if w := b.send("GET", "/tasks/501", nil).body; !strings.Contains(w, `\"current_frame\":1`) || !strings.Contains(w, `\"remaining\":10`) || !strings.Contains(w, `"status":"running"`) {
		t.Errorf("progress: %s", w)
	}
	out := zipOf(t, "00001.png", picture(t), "00002.png", picture(t), "00007.png", picture(t))
	b.want(204, b.form("PATCH", "/tasks/501", map[string]string{"status": "completed", "log": "done", "time_cost": "3", "job_id": "77"}, "taskfile", "taskfile.zip", out))
	b.status(501, "finished")
	tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
	b.check(err)
	var got []string
	for _, k := range tasks {
		for _, f := range k.Outputs {
			got = append(got, fmt.Sprint(k.Index, " ", f.Name, " ", f.Root, " ", f.SHA256 != ""))
		}
	}
	if diff := cmp.Diff([]string{"0 00001.png 1 true", "1 00002.png 1 true", "2 00007.png 1 true"}, got); diff != "" {
		t.Error(diff)
	}
	// The next task of the same render brings no archive.
	b.want(202, b.send("POST", "/tasks", url.Values{"task_id": {"502"}, "job_id": {"77"}, "type": {typeFrames}, "settings": {`{"filepath":"cube.blend","format":"PNG","frames":"9"}`}}))
	if p := b.mustAsk("node"); p.Options.Task != 502 {
		t.Errorf("got %+v", p)
	}
}

func TestPullWorkerIsStoppedByA403(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.postZip(501, "1")
	b.mustAsk("node")
	b.want(202, b.send("DELETE", "/tasks/501", nil))
	active := url.Values{"status": {"active"}, "log": {"x"}}
	b.want(403, b.send("PATCH", "/tasks/501", active))
	b.want(403, b.send("PATCH", "/tasks/501", active))
	b.want(204, b.form("PATCH", "/tasks/501", map[string]string{"status": "canceled"}, "taskfile", "taskfile.zip", zipOf(t)))
	b.status(501, "aborted")
}

func TestPullWorkerThatDies(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.postZip(501, "1")
	b.mustAsk("node")
	p := b.mustAsk("other") // node says nothing for the time of a lease
	if p.Options.Task == 501 {
		t.Error("the second try has the id of the first")
	}
	b.want(204, b.form("PATCH", fmt.Sprintf("/tasks/%d", p.Options.Task), map[string]string{"status": "completed"}, "taskfile", "t.zip", zipOf(t, "00001.png", picture(t))))
	b.status(501, "finished")
}

func TestPullWorkerWithoutAPictureHasFailed(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.postZip(501, "1")
	for range 3 {
		p := b.mustAsk("node")
		b.want(204, b.form("PATCH", fmt.Sprintf("/tasks/%d", p.Options.Task), map[string]string{"status": "completed"}, "taskfile", "t.zip", zipOf(t, "log.txt", "x")))
	}
	b.status(501, "failed")
}

func TestArchivesThatEscape(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	for name, content := range map[string][]byte{"escapes": zipOf(t, "../evil.blend", "x"), "absolute": zipOf(t, "/etc/x", "x"), "no zip": []byte("nothing")} {
		a := b.form("POST", "/tasks", map[string]string{"task_id": "5", "job_id": "7", "type": typeFrames, "settings": `{"filepath":"cube.blend","frames":"1"}`}, "jobfile", "j.zip", content)
		if a.status != 400 || !strings.Contains(a.body, "refused") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	b.want(400, b.form("POST", "/tasks", map[string]string{"task_id": "5"}, "surprise", "x.zip", []byte("x")))
	if a := b.send("GET", "/tasks", nil); a.body != "{}\n" {
		t.Errorf("something was scheduled: %s", a.body)
	}
}

// TestPullWorkerRendersAJobOfAnotherDoor gives a worker of 2016 a job that was
// submitted natively.
func TestPullWorkerRendersAJobOfAnotherDoor(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.door.reach[farm.FirstJob] = nil // as if its scene had been looked at
	info, err := b.blobs.Put(t.Context(), strings.NewReader("BLENDER"), nil)
	b.check(err)
	_, err = b.f.Submit(t.Context(), farm.Submission{By: admin, Priority: 50, Spec: farm.Spec{
		Template: blender.Template, Renderer: "blender", Check: &farm.Check{Format: "PNG", AllowBlack: true},
		Parameters: map[string]string{"Scene": "/home/ann/shot.blend", "Frames": "4-6", "OutputDir": "/home/ann/out", "OutputName": "shot_##", "Format": "PNG", "Width": "64", "SceneName": "-x", "Camera": `a"b`},
		Roots:      []farm.Root{{Path: "/home/ann", Format: "POSIX"}, {Path: "/home/ann/out", Format: "POSIX", Output: true}},
		Files:      []farm.File{{Name: "shot.blend", SHA256: info.SHA256.String(), Size: info.Size}},
	}})
	b.check(err)
	p := b.mustAsk("node")
	if p.Options.Task < firstForeign || p.Options.Job != firstForeign+farm.FirstJob {
		t.Errorf("ids %d and %d", p.Options.Task, p.Options.Job)
	}
	var argv []string
	b.check(json.Unmarshal([]byte(p.Options.Command), &argv))
	script := overrides{format: "PNG", width: 64, camera: `a"b`}.script()
	want := []string{"==command==", "-noaudio", "--disable-autoexec", "--background", "==jobpath==/shot.blend", "--scene", "-x", "--render-output",
		"==outputpath==/shot_##", "--python-exit-code", "1", "--python-expr", script, "-f", "4"}
	if diff := cmp.Diff(want, argv); diff != "" {
		t.Error(diff)
	}
	b.want(200, b.send("GET", fmt.Sprintf("/tasks/zip/%d", p.Options.Job), nil))
	b.want(204, b.form("PATCH", fmt.Sprintf("/tasks/%d", p.Options.Task), map[string]string{"status": "completed"}, "taskfile", "t.zip", zipOf(t, "shot_04.png", picture(t))))
	j, err := b.f.Job(t.Context(), farm.FirstJob)
	b.check(err)
	if c := j.Counts(); c.Done != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestThumbnails(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	good := b.form("POST", "/tasks/thumbnails", map[string]string{"task_id": "5"}, "file", "thumbnail_5.png", []byte(picture(t)))
	if good.status != 200 || good.body != "null\n" {
		t.Errorf("got %d %s", good.status, good.body)
	}
	b.want(400, b.form("POST", "/tasks/thumbnails", map[string]string{"task_id": "5"}, "file", "t.png", []byte("no picture")))
	b.want(400, b.form("POST", "/tasks/thumbnails", map[string]string{"task_id": "5"}, "file", "t.exe", []byte(picture(t))))
}

func unzip(t *testing.T, body string) []*zip.File {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	return z.File
}

// TestAPullWorkerRendersThroughARestart: a start of the farm does not know any
// more that a worker is of 2016; what it sends back counts all the same.
func TestAPullWorkerRendersThroughARestart(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"completed", "active"} {
		b := setup(t, quick())
		b.postZip(501, "1-2")
		p := b.mustAsk("node")
		b.restart()
		if word == "active" {
			b.want(204, b.send("PATCH", "/tasks/501", url.Values{"status": {"active"}}))
		}
		b.finish(p, 1, 2)
		b.status(501, "finished")
		tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
		b.check(err)
		for _, k := range tasks {
			if len(k.Attempts) != 1 || len(k.Outputs) != 1 {
				t.Errorf("frame %d has %d attempts and %v", k.Index+1, len(k.Attempts), k.Outputs)
			}
		}
	}
}
