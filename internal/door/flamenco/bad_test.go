package flamenco

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// TestWrongMethods tries every method on every path: what a path does not take is
// refused with 405, a JSON error and what it takes.
func TestWrongMethods(t *testing.T) {
	t.Parallel()
	b := setup(t, Settings{Tick: time.Hour})
	tried := 0
	for path, v := range b.door.table() {
		path = strings.NewReplacer("{$}", "", "{id}", "7", "{name}", "x").Replace(path)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if v[method] != nil {
				continue
			}
			tried++
			a := b.send(method, path, nil)
			var doc map[string]any
			if a.status != 405 || a.header.Get("Allow") == "" || json.Unmarshal([]byte(a.body), &doc) != nil || doc["message"] == nil {
				t.Errorf("%s %s: %d, Allow %q, %s", method, path, a.status, a.header.Get("Allow"), a.body)
			}
		}
	}
	if tried < 50 {
		t.Errorf("%d methods were tried, want more", tried)
	}
}

// TestBadTasksScheduleNothing posts what nobody should: each is a JSON error that
// names what is wrong, no job comes of it, and the door still serves.
func TestBadTasksScheduleNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	scene := func(more string) string {
		return `{"file_path_linux":"/p/a.blend","output_path_linux":"/r/#####","frame_start":1,"frame_end":1` + more + `}`
	}
	for name, c := range map[string]struct {
		id, kind, settings, names string
	}{
		"no id":                             {"", typePrint, `{"text":"x"}`, "task_id"},
		"an id that is a text":              {"one", typePrint, `{"text":"x"}`, "task_id"},
		"an id with a fraction":             {"1.5", typePrint, `{"text":"x"}`, "task_id"},
		"an id below 1":                     {"0", typePrint, `{"text":"x"}`, "task_id"},
		"an id of the farm's own":           {"1000000000", typePrint, `{"text":"x"}`, "task_id"},
		"no type":                           {"5", "", `{"text":"x"}`, "type"},
		"an unknown type":                   {"5", "os.system", `{"text":"x"}`, "type"},
		"settings that are no JSON":         {"5", typePrint, `text`, "settings"},
		"settings that are a list":          {"5", typePrint, `["text"]`, "settings"},
		"settings with more behind":         {"5", typePrint, `{"text":"x"} {}`, "settings"},
		"settings that are not UTF-8":       {"5", typePrint, "{\"text\":\"\xff\"}", "settings"},
		"an option for a scene":             {"5", typeSimple, scene(`,"file_path_osx":"--python"`), "file_path_osx"},
		"a scene that steps upwards":        {"5", typeSimple, scene(`,"file_path_win":"P:\\..\\x.blend"`), "file_path_win"},
		"an output that steps upwards":      {"5", typeSimple, scene(`,"output_path_osx":"/r/../../etc/#"`), "output_path_osx"},
		"a file that leaves its archive":    {"5", typeFrames, `{"filepath":"../../x.blend","frames":"1"}`, "filepath"},
		"a script that leaves its folder":   {"5", typeSimple, scene(`,"render_settings":"../x.py"`), "render_settings"},
		"a script that is an option":        {"5", typeSimple, scene(`,"render_settings":"-x.py"`), "render_settings"},
		"a format that is a command":        {"5", typeSimple, scene(`,"format":"PNG; rm -rf /"`), "format"},
		"frames that run backwards":         {"5", typeSimple, strings.Replace(scene(""), `"frame_end":1`, `"frame_end":0`, 1), "frames"},
		"a tile beyond the last":            {"5", typeTile, scene(`,"tiles":4,"tile":4`), "tile"},
		"more tiles than anybody needs":     {"5", typeTile, scene(`,"tiles":1000000,"tile":0`), "tiles"},
		"strips of two frames put together": {"5", typeMix, strings.Replace(scene(`,"tiles":4`), `"frame_end":1`, `"frame_end":2`, 1), "frame_end"},
	} {
		v := url.Values{"type": {c.kind}, "settings": {c.settings}}
		if c.id != "" {
			v.Set("task_id", c.id)
		}
		a := b.send("POST", "/tasks", v)
		var doc map[string]any
		if a.status != 400 || json.Unmarshal([]byte(a.body), &doc) != nil || !strings.Contains(a.body, c.names) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	jobs, err := b.f.Jobs(t.Context(), farm.JobQuery{})
	b.check(err)
	if len(jobs) != 0 {
		t.Errorf("%d jobs were made", len(jobs))
	}
	b.want(202, b.post(5, typePrint, `{"text":"x"}`))
}
