package flamenco

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

// whyNot is what the farm says of a job's workers.
func (b *bundle) whyNot(job int64) string {
	b.t.Helper()
	e, err := b.f.Why(b.t.Context(), job)
	b.check(err)
	var out []string
	for _, s := range e.Steps {
		for _, c := range s.Classes {
			for _, r := range c.Reasons {
				out = append(out, r.String()+" -> "+c.Change)
			}
		}
	}
	return strings.Join(out, "\n")
}

// foreign submits a Blender job that came another way.
func (b *bundle) foreign(file string) int64 {
	b.t.Helper()
	info, err := b.blobs.Put(b.t.Context(), strings.NewReader("BLENDER"), nil)
	b.check(err)
	j, err := b.f.Submit(b.t.Context(), farm.Submission{By: admin, Priority: 50, Spec: farm.Spec{
		Template: blender.Template, Renderer: "blender",
		Parameters: map[string]string{"Scene": "/home/ann/shot.blend", "Frames": "1", "OutputDir": "/home/ann/out", "OutputName": "####"},
		Roots:      []farm.Root{{Path: "/home/ann", Format: "POSIX"}, {Path: "/home/ann/out", Format: "POSIX", Output: true}},
		Files:      []farm.File{{Name: file, SHA256: info.SHA256.String(), Size: info.Size}},
	}})
	b.check(err)
	return j.ID
}

func TestWhyNamesWhatNoWorkerReaches(t *testing.T) {
	t.Parallel()
	archive := func(b *bundle) int64 { b.want(202, b.postZip(5, "1")); return farm.FirstJob }
	simple := func(settings string) func(*bundle) int64 {
		return func(b *bundle) int64 { b.want(202, b.post(5, typeSimple, settings)); return farm.FirstJob }
	}
	for _, c := range []struct {
		name   string
		pull   bool
		post   func(*bundle) int64
		why    string
		change string
	}{
		{"a path for another system", false, simple(`{"file_path_win":"P:/a.blend","output_path_win":"R:/1/#####","frame_start":1,"frame_end":1}`), "names no scene and output for linux", "flamenco.shares"},
		{"an archive for a worker of 2015", false, archive, "a worker of 2015 finds files on a share alone", "farm="},
		{"a job of another door for a worker of 2015", false, func(b *bundle) int64 { return b.foreign("shot.blend") }, "a worker of 2015 finds files on a share alone", "farm="},
		{"a scene that is not among the files", true, func(b *bundle) int64 { return b.foreign("other.blend") }, "its scene is not among its files", "relative paths"},
		{"render settings that are nowhere", false, simple(strings.Replace(sceneSettings, `"render_settings":""`, `"render_settings":"mine.py"`, 1)), "the render settings mine.py are nowhere", "render_settings_path_linux"},
		{"a program that no job type names", true, func(b *bundle) int64 {
			b.want(202, b.form("POST", "/tasks", map[string]string{"task_id": "5", "job_id": "7", "type": typeFrames, "settings": `{"filepath":"cube.blend","frames":"1","command_name":"nightly"}`},
				"jobfile", "j.zip", zipOf(b.t, "cube.blend", "x")))
			return farm.FirstJob
		}, "has no program nightly for Linux", "PATCH /job-types/blender_simple_render"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick())
			if c.pull {
				b.ask("node")
			} else {
				b.pusher("node")
			}
			job := c.post(b)
			b.until("the reason is "+c.why, func() bool {
				text := b.whyNot(job)
				return strings.Contains(text, c.why) && strings.Contains(text, c.change)
			})
		})
	}
}

// TestTheReasonGoesWhenItsChangeIsMade does what the reason says.
func TestTheReasonGoesWhenItsChangeIsMade(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	b.want(202, b.form("POST", "/tasks", map[string]string{"task_id": "5", "job_id": "7", "type": typeFrames, "settings": `{"filepath":"cube.blend","frames":"1","command_name":"nightly"}`},
		"jobfile", "j.zip", zipOf(t, "cube.blend", "x")))
	if _, a := b.ask("node"); a.status != 400 {
		t.Errorf("it got work: %s", a.body)
	}
	b.want(200, b.send("PATCH", "/job-types/blender_simple_render", url.Values{"properties": {`{"commands":{"nightly":{"Linux":"/opt/nightly/blender"}}}`}}))
	if p := b.mustAsk("node"); p.Options.Task != 5 {
		t.Errorf("got %+v", p)
	}
}

// TestAnArchiveIsLaidOutForAWorkerOf2015 gives a task with an archive to a worker
// that fetches none.
func TestAnArchiveIsLaidOutForAWorkerOf2015(t *testing.T) {
	t.Parallel()
	set, share := quick(), t.TempDir()
	set.Shares = []string{"linux=/render;farm=" + share}
	b := setup(t, set)
	p := b.pusher("node")
	b.want(202, b.postZip(5, "1-2"))
	v := p.task()
	argv := strings.Join(command(t, v), " ")
	if !strings.Contains(argv, "/render/.drover/1000/in/cube.blend") || !strings.Contains(argv, "--render-output /render/.drover/1000/out/") {
		t.Fatalf("the command is %s", argv)
	}
	out, _, _ := strings.Cut(argv[strings.Index(argv, "--render-output /render/")+len("--render-output /render/"):], "/#####")
	for _, name := range []string{"00001.png", "00002.png"} {
		b.check(os.WriteFile(filepath.Join(share, out, name), []byte(picture(t)), 0o644))
	}
	p.end(v, "finished", "")
	b.status(5, "finished")
	tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
	b.check(err)
	if len(tasks) != 2 || len(tasks[1].Outputs) != 1 {
		t.Errorf("tasks %+v", tasks)
	}
}

// TestStripsGoFromWorkerToWorker posts a tiled render of 2016: the task that puts
// the strips together waits for them and gets them as its dependencies.
func TestStripsGoFromWorkerToWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	post := func(id, kind, settings string) {
		fields := map[string]string{"task_id": id, "job_id": "77", "type": kind, "parser": "blender_render", "child_id": "10",
			"settings": `{"filepath":"sub/cube.blend","render_settings":"","format":"PNG","frame_start":"3","frame_end":"3","tiles":2` + settings + `}`}
		if kind == typeMix {
			delete(fields, "child_id")
		}
		b.want(202, b.form("POST", "/tasks", fields, "jobfile", "jobfile.zip", zipOf(t, "sub/cube.blend", "BLENDER")))
	}
	post("11", typeTile, `,"tile":0`)
	post("10", typeMix, "")
	post("12", typeTile, `,"tile":1`)
	for i, id := range []int64{11, 12} {
		p := b.mustAsk("node")
		var argv []string
		b.check(json.Unmarshal([]byte(p.Options.Command), &argv))
		if p.Options.Task != id || argv[0] != hereProgram || argv[2] != hereJob+"/sub/cube.blend" || argv[4] != hereOutput+"/"+"tiled_"+string(rune('0'+i))+"_" {
			t.Fatalf("got %+v", p)
		}
		if i == 0 {
			b.until("the reason why the last task waits", func() bool { return strings.Contains(b.whyNot(farm.FirstJob+1), "whose files it needs, has not ended") })
		}
		b.want(204, b.form("PATCH", "/tasks/"+num(id), map[string]string{"status": "completed", "job_id": "77"}, "taskfile", "t.zip", zipOf(t, "tiled_"+string(rune('0'+i))+"_0003.exr", "strip "+num(id))))
		b.status(int(id), "finished")
	}
	b.want(404, b.send("GET", "/static/storage/77/dependencies_11.zip", nil))
	b.want(404, b.send("GET", "/static/storage/77/dependencies_..zip", nil))
	p := b.mustAsk("node")
	if p.Options.Task != 10 || !strings.Contains(p.Options.Command, "WORKER_JOBPATH") {
		t.Fatalf("got %+v", p)
	}
	a := b.want(200, b.send("GET", "/static/storage/77/dependencies_10.zip", nil))
	var names []string
	for _, f := range unzip(t, a.body) {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "tiled_0_0003.exr tiled_1_0003.exr" {
		t.Errorf("the dependencies are %s", got)
	}
	b.want(204, b.form("PATCH", "/tasks/10", map[string]string{"status": "completed", "job_id": "77"}, "taskfile", "t.zip", zipOf(t, "0003.png", picture(t))))
	b.status(10, "finished")
}
