package flamenco

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestGolden holds every documented call, and those that the document leaves out,
// to the bytes of its answer.
func TestGolden(t *testing.T) {
	t.Parallel()
	b := setup(t, Settings{Tick: time.Hour, Probe: time.Second, Lease: time.Hour})
	scene := `{"filepath":"cube.blend","render_settings":"base_1080p.py","format":"PNG","file_path_linux":"/p/cube.blend","file_path_win":"P:/cube.blend","file_path_osx":"/p/cube.blend","output_path_linux":"/r/1/#####","output_path_win":"R:/1/#####","output_path_osx":"/r/1/#####","priority":50,"frame_start":1,"frame_end":3}`
	form := func(kv ...string) url.Values {
		v := url.Values{}
		for i := 0; i+1 < len(kv); i += 2 {
			v.Add(kv[i], kv[i+1])
		}
		return v
	}
	var out strings.Builder
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/", nil},
		{"GET", "/info", nil},
		{"GET", "/nothing", nil},
		{"PUT", "/tasks", nil},
		{"GET", "/tasks", nil},
		{"POST", "/tasks", form("task_id", "12", "priority", "10", "type", "simple_blender_render", "parser", "blender_render", "settings", scene)},
		{"POST", "/tasks", `{"task_id": 13, "priority": 60, "type": "print_string", "settings": {"text": "hello"}}`},
		{"POST", "/tasks?task_id=14&type=print_string&settings=%7B%22text%22%3A%22in+the+query%22%7D", nil},
		{"POST", "/tasks", form("task_id", "12", "type", "print_string", "settings", `{"text":"again"}`)},
		{"POST", "/tasks", form("type", "print_string", "settings", `{"text":"x"}`)},
		{"POST", "/tasks", form("task_id", "1.5", "type", "print_string", "settings", `{"text":"x"}`)},
		{"POST", "/tasks", form("task_id", "1000000000", "type", "print_string", "settings", `{"text":"x"}`)},
		{"POST", "/tasks", form("task_id", "15", "type", "../../os", "settings", `{"text":"x"}`)},
		{"POST", "/tasks", form("task_id", "15", "type", "print_string", "settings", `text`)},
		{"POST", "/tasks", form("task_id", "15", "type", "print_string")},
		{"POST", "/tasks", form("task_id", "15", "type", "simple_blender_render", "settings", `{"file_path_linux":"--python","output_path_linux":"/r","frame_start":1,"frame_end":1}`)},
		{"POST", "/tasks", form("task_id", "15", "type", "simple_blender_render", "settings", `{"filepath":"../x.blend","frames":"1"}`)},
		{"POST", "/tasks", form("task_id", "15", "type", "blender_simple_render", "job_id", "7", "settings", `{"filepath":"x.blend","frames":"1"}`)},
		{"POST", "/tasks", form("task_id", "15", "type", "simple_blender_render", "settings", strings.Replace(scene, "base_1080p.py", "../x.py", 1))},
		{"POST", "/tasks", form("task_id", "15", "type", "simple_blender_render", "settings", strings.Replace(scene, `"frame_end":3`, `"frame_end":0`, 1))},
		{"GET", "/tasks", nil},
		{"GET", "/tasks?limit=1&after=12", nil},
		{"GET", "/tasks/12", nil},
		{"GET", "/tasks/99", nil},
		{"GET", "/tasks/x", nil},
		{"PATCH", "/tasks/12", form("log", "x")},
		{"PATCH", "/tasks/12", form("status", "sleeping")},
		{"PATCH", "/tasks/12", form("status", "running")},
		{"PATCH", "/tasks/12", form("status", "ready", "priority", "70")},
		{"PATCH", "/tasks/99", form("status", "finished")},
		{"PATCH", "/tasks/99", form("status", "active")},
		{"PATCH", "/tasks/13", form("status", "aborted")},
		{"GET", "/tasks/13", nil},
		{"DELETE", "/tasks/12", nil},
		{"DELETE", "/tasks/99", nil},
		{"DELETE", "/tasks", form("tasks", "14", "tasks", "98")},
		{"DELETE", "/tasks", nil},
		{"POST", "/tasks/thumbnails", form("task_id", "12")},
		{"GET", "/workers", nil},
		{"POST", "/workers", form("port", "9", "hostname", "fsiddi-macpro.local", "system", "Darwin 14.1.0")},
		{"POST", "/workers", form("port", "no")},
		{"POST", "/workers", form("port", "10", "hostname", "a\nb")},
		{"GET", "/workers", nil},
		{"GET", "/workers/1", nil},
		{"GET", "/workers/2", nil},
		{"PATCH", "/workers/1", form("status", "rendering", "activity", "{}", "time_cost", "3")},
		{"PATCH", "/workers/1", form("status", "available")},
		{"PATCH", "/workers/1", form("status", "disabled")},
		{"PATCH", "/workers/1", form("status", "enabled")},
		{"PATCH", "/workers/1", form("status", "sick")},
		{"PATCH", "/workers/status/1", form("status", "enabled")},
		{"PATCH", "/workers/status/1", nil},
		{"PATCH", "/workers/status/7", form("status", "enabled")},
		{"GET", "/workers/loop", nil},
		{"GET", "/settings", nil},
		{"POST", "/settings", form("blender_path_linux", "/opt/blender", "blender_path_win", `C:\blender.exe`)},
		{"POST", "/settings", form("blender_path_linux", "--python")},
		{"POST", "/settings", nil},
		{"GET", "/settings", nil},
		{"GET", "/settings?group=render", nil},
		{"GET", "/settings/blender_path_linux", nil},
		{"GET", "/settings/blender_path_osx", nil},
		{"GET", "/settings/unknown", nil},
		{"PATCH", "/settings/blender_path_osx", form("value", "/Applications/blender")},
		{"PATCH", "/settings/note", form("value", "mine")},
		{"PATCH", "/settings/No.Such", form("value", "mine")},
		{"PATCH", "/settings/note", nil},
		{"GET", "/job-types", nil},
		{"GET", "/job-types/blender_simple_render", nil},
		{"GET", "/job-types/nosuch", nil},
		{"PATCH", "/job-types/print_string", form("properties", `{"commands":{"default":{"Linux":"/bin/true"}}}`)},
		{"PATCH", "/job-types/print_string", form("properties", `[]`)},
		{"GET", "/job-types/print_string", nil},
		{"GET", "/tasks/file/7", nil},
		{"GET", "/tasks/zip/7", nil},
		{"GET", "/tasks/zip/sup/7", nil},
		{"GET", "/static/storage/7/dependencies_1.zip", nil},
		{"GET", "/tasks/compiled/0?worker=nobody", nil},
	} {
		body := ""
		if c.body != nil {
			body = " " + fmt.Sprint(c.body)
		}
		a := b.send(c.method, c.path, c.body)
		fmt.Fprintf(&out, "%s %s%s\n%d %s %s\n%s\n\n", c.method, c.path, clip(body, 120), a.status, http.StatusText(a.status), a.header.Get("Content-Type"),
			strings.TrimSpace(fmt.Sprintf("%q", a.body)))
	}
	golden(t, "calls.golden", regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(out.String(), "ADDRESS"))
}

// TestStatusTable holds the one table from the farm's codes to statuses complete.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	want := map[string]int{"invalid": 400, "unauthorized": 403, "forbidden": 403, "not_found": 404, "conflict": 409, "gone": 404, "full": 507, "unavailable": 503, "internal": 500}
	if len(statusOf) != len(want) {
		t.Errorf("%d codes, want %d", len(statusOf), len(want))
	}
	for code, status := range statusOf {
		if want[string(code)] != status {
			t.Errorf("%s is %d, want %d", code, status, want[string(code)])
		}
	}
}
