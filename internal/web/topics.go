package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

// kindOf finds what a topic's name stands for, and whether the viewer may see
// it.
func (v *visit) kindOf(name string) (kind, error) {
	what, rest, _ := strings.Cut(name, "/")
	var ids []int64
	for _, f := range strings.Split(rest, "/") {
		if n, err := parseNumber(f); err == nil {
			ids = append(ids, n)
		}
	}
	var k kind
	switch {
	case what == "farm" && rest == "":
		k = farmKind{of: v.lender()}
	case what == "jobs" && rest == "":
		k = jobsKind{}
	case what == "builds" && rest == "":
		k = buildsKind{}
	case what == "workers" && rest == "":
		k = workersKind{of: v.lender()}
	case what == "job" && len(ids) == 1:
		k = jobKind{ids[0]}
	case what == "worker" && len(ids) == 1:
		k = workerKind{ids[0], v.lender() == ""}
	case what == "task" && len(ids) == 3:
		k = taskKind{farm.TaskKey{Job: ids[0], Step: int(ids[1]), Index: ids[2]}}
	default:
		return nil, farm.Errorf(farm.NotFound, "there is nothing to follow called %q", clip(name, 50))
	}
	return k, v.mayFollow(k)
}

// mayFollow refuses topics whose page the viewer may not see.
func (v *visit) mayFollow(k kind) error {
	if v.lender() == "" {
		return nil // the route let nobody in who may not look
	}
	switch k := k.(type) {
	case farmKind, workersKind:
		return nil // theirs shows a lender what a lender may see
	case workerKind:
		w, err := v.Farm.Farmhand(v.ctx(), k.id)
		if err != nil {
			return err
		}
		if v.sees(w) {
			return nil
		}
	}
	return farm.Errorf(farm.Forbidden, "following this takes the role submitter")
}

// drawParts draws several parts from one value.
func (s *site) drawParts(data any, names ...string) ([]part, error) {
	out := make([]part, 0, len(names))
	for _, n := range names {
		text, err := s.draw(n, data)
		if err != nil {
			return nil, err
		}
		out = append(out, part{name: n, text: string(text)})
	}
	return out, nil
}

// farmKind is the first screen; of the account of, for who only lends machines.
type farmKind struct{ of string }

func (k farmKind) touched(t *topic, e *farm.Event) bool {
	if k.of == "" {
		jobsKind{}.touched(t, e)
	}
	return true
}
func (farmKind) every() time.Duration { return 10 * time.Second }

func (k farmKind) parts(ctx context.Context, s *site, t *topic) ([]part, error) {
	g, err := t.seen.glance(ctx, k.of)
	if err != nil {
		return nil, err
	}
	out, err := s.drawParts(g, "farm-sentence", "farm-numbers", "farm-needs", "farm-heat", "farm-day")
	if err != nil || k.of != "" {
		return out, err
	}
	recent, err := s.drawParts(g, "farm-recent")
	if err != nil {
		return nil, err
	}
	out = append(out, recent...)
	rows, err := jobsKind{}.parts(ctx, s, t)
	return append(out, rows...), err
}

// jobsKind is any list of jobs: rows of those that changed.
type jobsKind struct{}

// maxTouched is how many jobs' rows one message brings.
const maxTouched = 200

func (jobsKind) touched(t *topic, e *farm.Event) bool {
	if e.Job == 0 {
		return false
	}
	if e.Type == "job.submitted" {
		t.news = true
	}
	if t.jobs == nil {
		t.jobs = map[int64]struct{}{}
	}
	if len(t.jobs) < maxTouched {
		t.jobs[e.Job] = struct{}{}
	}
	return true
}

func (jobsKind) every() time.Duration { return 0 }

func (jobsKind) parts(ctx context.Context, s *site, t *topic) ([]part, error) {
	var out []part
	for id := range t.jobs {
		j, err := s.Farm.Job(ctx, id)
		if err != nil {
			continue // removed meanwhile
		}
		r, err := s.row(ctx, j)
		if err != nil {
			return nil, err
		}
		text, err := s.draw("jobrow", r)
		if err != nil {
			return nil, err
		}
		out = append(out, part{fmt.Sprintf("job-%d", id), string(text), true})
	}
	if t.news {
		out = append(out, part{"jobs-news", `There are new jobs. <a href="/ui/jobs">Show them</a>`, true})
	}
	return out, nil
}

// jobKind is the page of one job.
type jobKind struct{ id int64 }

func (k jobKind) touched(t *topic, e *farm.Event) bool {
	if e.Job != k.id {
		return false
	}
	state := farm.TaskState(strings.TrimPrefix(e.Type, "task."))
	if state == "started" {
		state = farm.TaskRunning
	}
	if slices.Contains(legend, string(state)) && strings.HasPrefix(e.Type, "task.") {
		if t.cells == nil {
			t.cells = map[string]farm.TaskState{}
		}
		for _, i := range e.Tasks {
			t.cells[e.Step+"\x00"+itoa(i)] = state
		}
	}
	return true
}

func (jobKind) every() time.Duration { return 2 * time.Second }

func (k jobKind) parts(ctx context.Context, s *site, t *topic) ([]part, error) {
	j, err := s.Farm.Job(ctx, k.id)
	if err != nil {
		return nil, err
	}
	// The buttons are drawn for those who have them on their page; others have no
	// place for them.
	h, err := s.headOf(ctx, j, "", farm.Principal{Roles: []farm.Role{farm.RoleOperator}})
	if err != nil {
		return nil, err
	}
	out, err := s.drawParts(h, "job-state", "job-bar", "job-acts")
	if err != nil {
		return nil, err
	}
	running, err := s.running(ctx, j, false)
	if err != nil {
		return nil, err
	}
	pending, err := s.drawParts(h.Pending, "job-pending")
	if err != nil {
		return nil, err
	}
	out = append(out, pending...)
	more, err := s.drawParts(running, "job-running")
	if err != nil {
		return nil, err
	}
	out = append(out, more...)
	if j.State.Ended() && len(t.cells) == 0 {
		// What waited has changed without an event for each task.
		out = append(out, part{name: "reload", text: string(j.State)})
	}
	if len(t.cells) > 0 {
		out = append(out, part{"cells", cellChanges(j, t.cells), true})
	}
	return out, nil
}

// cellChanges tells drover.js which cells have changed: {"STEP-INDEX": "done"}.
func cellChanges(j *farm.Job, cells map[string]farm.TaskState) string {
	steps := map[string]int{}
	for i := range j.Steps {
		steps[j.Steps[i].Name] = i
	}
	out := make(map[string]farm.TaskState, len(cells))
	for key, state := range cells {
		step, index, _ := strings.Cut(key, "\x00")
		out[fmt.Sprintf("%d-%s", steps[step], index)] = state
	}
	text, _ := json.Marshal(out) // strings: cannot fail
	return string(text)
}

// workersKind is the list of workers: all, or those of one account.
type workersKind struct{ of string }

func (workersKind) touched(t *topic, e *farm.Event) bool {
	if e.Type == "worker.joined" {
		t.joins = append(t.joins, e.Worker)
	}
	return e.Worker != 0 || strings.HasPrefix(e.Type, "task.")
}
func (workersKind) every() time.Duration { return 5 * time.Second }

func (k workersKind) parts(ctx context.Context, s *site, t *topic) ([]part, error) {
	ws, err := t.seen.workersOf(ctx, k.of)
	if err != nil {
		return nil, err
	}
	out := make([]part, 0, len(ws)+len(workerStates)+2)
	counts, news := map[farm.WorkerState]int{}, false
	for _, w := range ws {
		text, err := s.draw("workerrow", workerRow{w, k.of == ""})
		if err != nil {
			return nil, err
		}
		out = append(out, part{name: fmt.Sprintf("worker-%d", w.ID), text: string(text)})
		counts[w.State]++
		news = news || slices.Contains(t.joins, w.ID)
	}
	out = append(out, part{name: "workers-all", text: thousands(len(ws))})
	for _, state := range workerStates {
		out = append(out, part{name: "workers-" + string(state), text: thousands(counts[state])})
	}
	if news {
		out = append(out, part{"workers-news", `There are new workers. <a href="/ui/workers">Show them</a>`, true})
	}
	return out, nil
}

// buildsKind is the library of renderers.
type buildsKind struct{}

func (buildsKind) touched(_ *topic, e *farm.Event) bool {
	return strings.HasPrefix(e.Type, "build.") || strings.HasPrefix(e.Type, "worker.")
}
func (buildsKind) every() time.Duration { return 5 * time.Second }

func (buildsKind) parts(ctx context.Context, s *site, _ *topic) ([]part, error) {
	rows, err := s.buildRows(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]part, 0, len(rows))
	for i := range rows {
		text, err := s.draw("build-now", &rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, part{name: fmt.Sprintf("build-%d", rows[i].ID), text: string(text)})
	}
	return out, nil
}

// workerKind is the page of one worker, with links to jobs for who may see them.
type workerKind struct {
	id   int64
	jobs bool
}

func (k workerKind) touched(_ *topic, e *farm.Event) bool {
	return e.Worker == k.id || strings.HasPrefix(e.Type, "task.")
}
func (workerKind) every() time.Duration { return 2 * time.Second }

func (k workerKind) parts(ctx context.Context, s *site, _ *topic) ([]part, error) {
	w, err := s.Farm.Farmhand(ctx, k.id)
	if err != nil {
		return nil, err
	}
	h, err := s.Farm.History(ctx, k.id)
	if err != nil {
		return nil, err
	}
	out, err := s.drawParts(workerRow{w, k.jobs}, "worker-now", "worker-vitals")
	if err != nil {
		return nil, err
	}
	more, err := s.drawParts(s.historyOf(w, h, k.jobs), "worker-history")
	return append(out, more...), err
}

// taskKind is the page of one task.
type taskKind struct{ k farm.TaskKey }

func (k taskKind) touched(_ *topic, e *farm.Event) bool { return e.Job == k.k.Job }
func (taskKind) every() time.Duration                   { return 2 * time.Second }

func (k taskKind) parts(ctx context.Context, s *site, _ *topic) ([]part, error) {
	t, err := s.Farm.TaskView(ctx, k.k)
	if err != nil {
		return nil, err
	}
	out, err := s.drawParts(taskNow(t), "task-now")
	if err != nil {
		return nil, err
	}
	// A page that shows an earlier attempt or an earlier state is loaded anew.
	return append(out, part{name: "reload", text: fmt.Sprintf("%s %d", t.State, len(t.Attempts))}), nil
}
