package native

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
	rendering "drover.farm/internal/renderer"
)

// TestHandedOn: what a task hands on reaches the tasks that come after it, and
// none of those who ask for the job's outputs.
func TestHandedOn(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	job := b.submit("1-1", "Render", "Comp")
	w := b.worker("rick", "a")
	part := rendering.PartsDir + "/tile_0.txt"
	b.complete("rick", w, b.claim("rick", w), api.File{Name: part, SHA256: b.put("part")})
	l := b.claim("rick", w)
	in := call1[api.Outputs](b, 200, "rick", get, fmt.Sprintf("/leases/%d/inputs?worker=%d", l.ID, w.ID), nil)
	if len(in.Files) != 1 || in.Files[0].Name != part {
		t.Errorf("the next step gets %+v", in.Files)
	}
	b.complete("rick", w, l, api.File{Name: "whole.txt", SHA256: b.put("whole")})
	out := call1[api.Outputs](b, 200, "sam", get, fmt.Sprintf("/jobs/%d/outputs", job.ID), nil)
	if len(out.Files) != 1 || out.Files[0].Name != "whole.txt" {
		t.Errorf("the job's outputs are %+v", out.Files)
	}
	record := call1[api.Task](b, 200, "sam", get, fmt.Sprintf("/jobs/%d/tasks/0/0", job.ID), nil)
	list := call1[api.TaskList](b, 200, "sam", get, fmt.Sprintf("/jobs/%d/tasks", job.ID), nil)
	for _, task := range []api.Task{record, list.Tasks[0]} {
		if task.State != "done" || task.Output == nil || len(task.Output) != 0 {
			t.Errorf("the first task is %s with the outputs %+v", task.State, task.Output)
		}
	}
	if d := cmp.Diff(map[string]string{"whole.txt": "whole"}, b.unzip(b.send("sue", get, fmt.Sprintf("/jobs/%d/outputs.zip", job.ID), nil))); d != "" {
		t.Error(d)
	}
}
