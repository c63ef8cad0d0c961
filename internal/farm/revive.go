package farm

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// revivePage is how many failed or canceled tasks one batch brings back: a job
// whose million tasks failed is retried without holding the others up.
const revivePage = 1000

// Retry brings failed and canceled tasks back: those named, or all of the job
// when tasks is empty. It returns how many wait again. In a step that was
// canceled, tasks that were never leased have no state of their own; they come
// back with the first that is named.
func (f *Farm) Retry(ctx context.Context, c JobChange, tasks []TaskKey) (*Job, int64, error) {
	if len(tasks) > 0 {
		var n int64
		j, err := f.change(ctx, c, func(st *state, j *job) (err error) {
			if n, err = st.reviveNamed(j, tasks); err == nil && n == 0 {
				err = Errorf(Conflict, "none of the tasks named has failed or was canceled")
			}
			return err
		})
		return j, n, err
	}
	var total int64
	for at := (TaskKey{Job: c.Job}); ; {
		var more bool
		j, err := f.change(ctx, c, func(st *state, j *job) error {
			n, next, err := st.revive(j, at)
			more = next != TaskKey{}
			if total, at = total+n, next; err == nil && total == 0 && !more {
				err = Errorf(Conflict, "job %d has no failed or canceled tasks to try again", j.ID)
			}
			return err
		})
		if err != nil || !more {
			return j, total, err
		}
	}
}

// bad are the states of tasks that a retry brings back.
var bad = []TaskState{TaskFailed, TaskCanceled}

// revive brings back a page of tasks that were not done, from a key on, and says
// where the next page begins. The first page also brings back the steps.
func (st *state) revive(j *job, at TaskKey) (n int64, next TaskKey, err error) {
	rows, err := st.f.store.Tasks(context.Background(), TaskQuery{Job: j.ID, Step: -1, FromStep: at.Step, From: at.Index, States: bad, Limit: revivePage})
	if err != nil {
		return 0, next, fmt.Errorf("read the tasks of job %d: %w", j.ID, err)
	}
	if len(rows) == revivePage {
		next = rows[len(rows)-1].TaskKey
		next.Index++
	}
	// What this very batch has changed is not in the store yet.
	rows = slices.DeleteFunc(rows, func(t *Task) bool { return st.dirty.tasks[t.TaskKey] != nil })
	if at == (TaskKey{Job: j.ID}) {
		waiting, err := st.dormant(j)
		if err != nil {
			return 0, next, err
		}
		rows = append(rows, waiting...)
		for _, t := range st.dirty.tasks {
			if t.Job == j.ID && slices.Contains(bad, t.State) {
				rows = append(rows, t)
			}
		}
	}
	n, err = st.reviveRows(j, rows)
	return n, next, err
}

// reviveNamed brings back those of the tasks that were not done.
func (st *state) reviveNamed(j *job, keys []TaskKey) (int64, error) {
	rows := make(map[TaskKey]*Task, len(keys))
	for _, k := range keys {
		k.Job = j.ID
		if k.Step < 0 || k.Step >= len(j.steps) || k.Index < 0 || k.Index >= j.steps[k.Step].Tasks {
			return 0, Errorf(NotFound, "job %d has no task %d/%d", j.ID, k.Step, k.Index)
		}
		s := j.steps[k.Step]
		t, err := st.task(k)
		switch {
		case isNotFound(err): // never leased
			t = &Task{TaskKey: k, State: TaskWaiting}
		case err != nil:
			return 0, err
		}
		if slices.Contains(bad, s.effective(t.State)) {
			rows[k] = t
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	waiting, err := st.dormant(j)
	if err != nil {
		return 0, err
	}
	for _, t := range waiting {
		rows[t.TaskKey] = t
	}
	return st.reviveRows(j, slices.Collect(maps.Values(rows)))
}

// dormant are the tasks that waited for another try when their step ended. They
// wait again as soon as it does not count as ended any more.
func (st *state) dormant(j *job) ([]*Task, error) {
	var out []*Task
	for _, s := range j.steps {
		if !s.State.Ended() || s.Retrying == s.retry.len() {
			continue
		}
		rows, err := st.f.store.Tasks(context.Background(), TaskQuery{Job: j.ID, Step: s.Index, FromStep: s.Index, States: []TaskState{TaskWaiting}})
		if err != nil {
			return nil, fmt.Errorf("read the tasks of job %d: %w", j.ID, err)
		}
		for _, t := range rows {
			if d := st.dirty.tasks[t.TaskKey]; d != nil {
				t = d
			}
			if t.State == TaskWaiting && !s.retry.has(t.Index) {
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// reviveRows brings the tasks back that have ended without being done, and their
// steps and the job with them. It returns how many wait that did not before.
func (st *state) reviveRows(j *job, rows []*Task) (int64, error) {
	var n int64
	for _, t := range rows {
		s := j.steps[t.Step]
		// An attempt that has not stopped yet holds the task; it can be brought
		// back once it has.
		if len(s.running[t.Index]) > 0 {
			continue
		}
		switch t.State {
		case TaskWaiting:
			if len(t.Attempts) > 0 && !s.retry.has(t.Index) {
				s.retry.put(t)
			}
			continue
		case TaskFailed:
			s.Failed--
		case TaskCanceled:
			s.Canceled--
		default:
			continue
		}
		// An attempt that was to stop when the farm went down is still open in
		// the row; it must not be taken for one that runs.
		for i := range t.Attempts {
			if a := &t.Attempts[i]; a.Outcome == "" {
				st.fill(a, ending{outcome: OutcomeCanceled, cause: CauseNone, result: &Result{}})
			}
		}
		t.State, t.Since = TaskWaiting, len(t.Attempts)
		s.retry.put(t)
		s.Retrying++
		st.changedTask(t)
		st.changedStep(s)
		if !s.State.Ended() {
			n++
		}
	}
	for _, s := range j.steps {
		if s.State.Ended() && (s.Retrying > 0 || s.Untouched() > 0) {
			n += s.Retrying + s.Untouched()
			s.State = StepBlocked
			clear(s.fails)
			s.better = nil
			st.changedStep(s)
		}
	}
	if n == 0 {
		return 0, nil
	}
	if j.Canceled {
		j.Canceled = false
		st.changed(j)
	}
	st.advance(j)
	for _, s := range j.steps {
		st.place(s)
	}
	st.queue.Touch()
	return n, nil
}
