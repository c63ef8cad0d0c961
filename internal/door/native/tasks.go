package native

import (
	"context"
	"fmt"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

func (d *door) tasks(ctx context.Context, c *call) (api.TaskList, error) {
	out := api.TaskList{Tasks: []api.Task{}}
	id, err := c.number("job")
	if err != nil {
		return out, err
	}
	q := farm.TaskPageQuery{Job: id, Step: -1}
	if q.States, err = oneOf(c, "state", taskStates...); err != nil {
		return out, err
	}
	limit, err := c.integer("limit", farm.MaxTaskPage, 1, farm.MaxTaskPage)
	if err != nil {
		return out, err
	}
	q.Limit = int(limit)
	if q.After, err = c.get("after"); err != nil {
		return out, err
	}
	if q.Step, err = c.step(ctx, id); err != nil {
		return out, err
	}
	views, next, err := d.Farm.TaskPage(ctx, q)
	if err != nil {
		return out, err
	}
	out.Next = next
	for i := range views {
		out.Tasks = append(out.Tasks, taskView(&views[i], false))
	}
	return out, nil
}

// step reads the parameter step of the query: -1 for all.
func (c *call) step(ctx context.Context, job int64) (int, error) {
	name, err := c.get("step")
	if err != nil || name == "" {
		return -1, err
	}
	j, err := c.d.Farm.Job(ctx, job)
	if err != nil {
		return 0, err
	}
	return stepIndex(j, name)
}

// taskOf finds the task that the path names.
func (c *call) taskOf(ctx context.Context) (*farm.Job, farm.TaskKey, error) {
	id, err := c.number("job")
	if err != nil {
		return nil, farm.TaskKey{}, err
	}
	j, err := c.d.Farm.Job(ctx, id)
	if err != nil {
		return nil, farm.TaskKey{}, err
	}
	k, err := taskKey(j, c.r.PathValue("step"), c.r.PathValue("index"))
	return j, k, err
}

func (d *door) task(ctx context.Context, c *call) (api.Task, error) {
	_, k, err := c.taskOf(ctx)
	if err != nil {
		return api.Task{}, err
	}
	v, err := d.Farm.TaskView(ctx, k)
	if err != nil {
		return api.Task{}, err
	}
	return taskView(v, true), nil
}

// outputPage is how many tasks are read at once for their outputs.
const outputPage = 500

// doneTasks lists the next page of done tasks of some steps, with their
// outputs, from a cursor on. next is "" at the end.
func (d *door) doneTasks(ctx context.Context, job int64, steps []int, after string, limit int) (rows []*farm.Task, next string, err error) {
	step, from, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	for _, i := range steps {
		if i < step {
			continue
		}
		q := farm.TaskQuery{Job: job, Step: i, FromStep: i, States: []farm.TaskState{farm.TaskDone}, Limit: limit + 1 - len(rows)}
		if i == step {
			q.From = from
		}
		more, err := d.Farm.Tasks(ctx, q)
		if err != nil {
			return nil, "", fmt.Errorf("read the outputs of job %d: %w", job, err)
		}
		if rows = append(rows, more...); len(rows) > limit {
			last := rows[limit-1]
			return rows[:limit], fmt.Sprintf("%d/%d", last.Step, last.Index), nil
		}
	}
	return rows, "", nil
}

// parseCursor reads "STEP/INDEX", the last task of the page before.
func parseCursor(s string) (step int, from int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	n, err := fmt.Sscanf(s, "%d/%d", &step, &from)
	if err != nil || n != 2 || step < 0 || from < 0 || fmt.Sprintf("%d/%d", step, from) != s {
		return 0, 0, farm.Errorf(farm.Invalid, "%q is not the cursor of a page of outputs", clip(s, 50))
	}
	return step, from + 1, nil
}

// upstream are the steps that a step depends on, directly or not, in order.
func upstream(j *farm.Job, step int) []int {
	need := make([]bool, len(j.Steps))
	todo := []int{step}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, dep := range j.Steps[s].DependsOn {
			if !need[dep] {
				need[dep] = true
				todo = append(todo, dep)
			}
		}
	}
	var out []int
	for i, n := range need {
		if n {
			out = append(out, i)
		}
	}
	return out
}
