package farm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drover.farm/openjd"
)

// TaskPageQuery selects tasks of a job, by step and index.
type TaskPageQuery struct {
	Job    int64
	Step   int         // -1: all steps
	After  string      // cursor of the page before
	States []TaskState // empty: all
	Limit  int         // at most MaxTaskPage, which 0 stands for
}

// MaxTaskPage is how many tasks one page has at most.
const MaxTaskPage = 5000

// TaskView is a task as people see it, leased or not.
type TaskView struct {
	Task
	StepName   string
	Parameters openjd.TaskParameters
	Live       *LeaseInfo // of a running task
}

// TaskPage lists tasks. Those that were never leased are worked out, not read:
// a page of a step of a million tasks costs as much as one of a hundred.
func (f *Farm) TaskPage(ctx context.Context, q TaskPageQuery) (views []TaskView, next string, err error) {
	if q.Limit <= 0 || q.Limit > MaxTaskPage {
		q.Limit = MaxTaskPage
	}
	j, err := f.Job(ctx, q.Job)
	if err != nil {
		return nil, "", err
	}
	step, from, err := parseCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	if q.Step >= len(j.Steps) {
		return nil, "", Errorf(NotFound, "job %d has no step %d; it has %d", q.Job, q.Step, len(j.Steps))
	}
	for i := range j.Steps {
		s := &j.Steps[i]
		if i < step || (q.Step >= 0 && i != q.Step) {
			continue
		}
		if i > step {
			from = 0
		}
		rows, err := f.stepPage(ctx, s, from, q.States, q.Limit+1-len(views))
		if err != nil {
			return nil, "", err
		}
		for _, t := range rows {
			views = append(views, TaskView{Task: *t, StepName: s.Name})
		}
		if len(views) > q.Limit {
			last := views[q.Limit-1]
			views, next = views[:q.Limit], fmt.Sprintf("%d/%d", last.Step, last.Index)
			break
		}
	}
	return views, next, f.decorate(ctx, j, views)
}

// TaskView returns one task.
func (f *Farm) TaskView(ctx context.Context, k TaskKey) (*TaskView, error) {
	j, err := f.Job(ctx, k.Job)
	if err != nil {
		return nil, err
	}
	if k.Step < 0 || k.Step >= len(j.Steps) || k.Index < 0 || k.Index >= j.Steps[k.Step].Tasks {
		return nil, Errorf(NotFound, "job %d has no task %d/%d", k.Job, k.Step, k.Index)
	}
	s := &j.Steps[k.Step]
	v := TaskView{StepName: s.Name}
	switch t, err := f.Task(ctx, k); {
	case err == nil:
		v.Task = *t
		v.State = s.effective(t.State)
	case isNotFound(err):
		v.Task = Task{TaskKey: k, State: s.effective(TaskWaiting)}
	default:
		return nil, err
	}
	one := []TaskView{v}
	if err := f.decorate(ctx, j, one); err != nil {
		return nil, err
	}
	return &one[0], nil
}

// effective is a task's state in the light of its step: what waits in a step
// that has ended is canceled.
func (s *Step) effective(t TaskState) TaskState {
	if t == TaskWaiting && s.State.Ended() {
		return TaskCanceled
	}
	return t
}

// stepPage lists up to limit tasks of a step with an index of at least from.
func (f *Farm) stepPage(ctx context.Context, s *Step, from int64, states []TaskState, limit int) ([]*Task, error) {
	want := func(t TaskState) bool { return len(states) == 0 || slices.Contains(states, t) }
	q := TaskQuery{Job: s.Job, Step: s.Index, FromStep: s.Index, From: from, Limit: limit}
	untouched := s.effective(TaskWaiting)
	if len(states) > 0 {
		for _, t := range []TaskState{TaskWaiting, TaskRunning, TaskDone, TaskFailed, TaskCanceled} {
			if want(s.effective(t)) {
				q.States = append(q.States, t)
			}
		}
		if len(q.States) == 0 {
			return nil, nil
		}
	}
	rows, err := f.Tasks(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, t := range rows {
		t.State = s.effective(t.State)
	}
	if !want(untouched) {
		return rows, nil
	}
	return s.merge(rows, from, untouched, limit), nil
}

// merge puts the tasks without a row between those with one.
func (s *Step) merge(rows []*Task, from int64, state TaskState, limit int) []*Task {
	out := make([]*Task, 0, min(limit, len(rows)+int(min(s.Untouched(), int64(limit)))))
	i := s.nextUntouched(from)
	for len(out) < limit && (len(rows) > 0 || i < s.Tasks) {
		switch {
		case len(rows) > 0 && rows[0].Index <= i:
			if rows[0].Index == i { // leased since the step was read
				i = s.nextUntouched(i + 1)
			}
			out = append(out, rows[0])
			rows = rows[1:]
		default:
			out = append(out, &Task{TaskKey: TaskKey{s.Job, s.Index, i}, State: state})
			i = s.nextUntouched(i + 1)
		}
	}
	return out
}

// nextUntouched is the first index from i on that was never leased, or Tasks.
func (s *Step) nextUntouched(i int64) int64 {
	if i >= s.Tasks {
		return s.Tasks
	}
	return s.Order.next(i, s.Next, s.Tasks)
}

// decorate adds parameters and what is live.
func (f *Farm) decorate(ctx context.Context, j *Job, views []TaskView) error {
	if len(views) == 0 {
		return nil
	}
	built, err := f.Instantiate(j)
	if err != nil {
		return Errorf(Internal, "job %d cannot be instantiated: %v", j.ID, err)
	}
	var live map[TaskKey]*LeaseInfo
	if !j.State.Ended() {
		if live, err = f.live(ctx, views); err != nil {
			return err
		}
	}
	for i := range views {
		v := &views[i]
		space, err := j.Steps[v.Step].Space(built)
		if err == nil {
			v.Parameters, err = space.At(v.Index)
		}
		if err != nil {
			return Errorf(Internal, "job %d step %s task %d: %v", j.ID, v.StepName, v.Index, err)
		}
		if v.State == TaskRunning {
			v.Live = live[v.TaskKey]
		}
	}
	return nil
}

// live finds the last leases of those tasks that run, without a look at others of
// their job.
func (f *Farm) live(ctx context.Context, views []TaskView) (map[TaskKey]*LeaseInfo, error) {
	out := make(map[TaskKey]*LeaseInfo)
	var running []TaskKey
	for i := range views {
		if views[i].State == TaskRunning {
			running = append(running, views[i].TaskKey)
		}
	}
	if len(running) == 0 {
		return nil, nil
	}
	err := f.do(ctx, func(st *state) error {
		for _, k := range running {
			j := st.jobs[k.Job]
			if j == nil || k.Step >= len(j.steps) {
				continue
			}
			for _, l := range j.steps[k.Step].running[k.Index] {
				if old := out[k]; old == nil || old.ID < l.id {
					info := l.info()
					out[k] = &info
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// parseCursor reads "STEP/INDEX", the last task of the page before.
func parseCursor(s string) (step int, from int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(s, "/")
	step, e1 := strconv.Atoi(a)
	from, e2 := strconv.ParseInt(b, 10, 64)
	if !ok || e1 != nil || e2 != nil || step < 0 || from < 0 {
		return 0, 0, Errorf(Invalid, "%s is not the cursor of a page of tasks (STEP/INDEX)", quote(s))
	}
	return step, from + 1, nil
}
