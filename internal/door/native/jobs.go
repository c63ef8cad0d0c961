package native

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

var (
	jobStates  = []farm.JobState{farm.JobWaiting, farm.JobRunning, farm.JobPaused, farm.JobDone, farm.JobFailed, farm.JobCanceled}
	taskStates = []farm.TaskState{farm.TaskWaiting, farm.TaskRunning, farm.TaskDone, farm.TaskFailed, farm.TaskCanceled}
)

const (
	defaultJobs = 100
	maxJobs     = 1000
	maxRetries  = 10_000
)

func (d *door) submit(ctx context.Context, c *call, in api.Submission) (api.Job, error) {
	s := farm.Submission{By: c.by, Owner: in.Owner, Priority: farm.DefaultPriority, Paused: in.Paused, Build: in.Build, Spec: farm.Spec{
		Name: in.Name, Template: in.Template, Parameters: in.Parameters, Environments: in.Environments, Renderer: in.Renderer,
		Doors: in.Doors, Tags: in.Tags, Order: farm.Order(in.Order),
	}}
	if in.Priority != nil {
		s.Priority = *in.Priority
	}
	for _, f := range in.Files {
		s.Spec.Files = append(s.Spec.Files, farm.File(f))
	}
	for _, r := range in.Roots {
		s.Spec.Roots = append(s.Spec.Roots, farm.Root(r))
	}
	if in.Check != nil {
		check := farm.Check(*in.Check)
		s.Spec.Check = &check
	}
	if in.Encrypt {
		s.Spec.Password = rand.Text()
	}
	j, err := d.Farm.Submit(ctx, s)
	if err != nil {
		return api.Job{}, err
	}
	c.w.Header().Set("Location", d.PublicPath+"/jobs/"+strconv.FormatInt(j.ID, 10))
	return jobView(j, true), nil
}

func (d *door) jobs(ctx context.Context, c *call) (api.JobList, error) {
	out := api.JobList{Jobs: []api.Job{}}
	states, err := oneOf(c, "state", jobStates...)
	if err != nil {
		return out, err
	}
	limit, err := c.integer("limit", defaultJobs, 1, maxJobs)
	if err != nil {
		return out, err
	}
	q := farm.JobQuery{States: states, Limit: int(limit) + 1}
	if q.Owner, err = c.get("owner"); err != nil {
		return out, err
	}
	if q.Name, err = c.get("name"); err != nil {
		return out, err
	}
	if s, err := c.get("after"); err != nil {
		return out, err
	} else if s != "" {
		if q.Before, err = parseID("job", s); err != nil {
			return out, err
		}
	}
	js, err := d.Farm.Jobs(ctx, q)
	if err != nil {
		return out, err
	}
	if len(js) > int(limit) {
		js = js[:limit]
		out.Next = strconv.FormatInt(js[limit-1].ID, 10)
	}
	for _, j := range js {
		out.Jobs = append(out.Jobs, jobView(j, false))
	}
	return out, nil
}

func (d *door) job(ctx context.Context, c *call) (api.Job, error) {
	id, err := c.number("job")
	if err != nil {
		return api.Job{}, err
	}
	j, err := d.Farm.Job(ctx, id)
	if err != nil {
		return api.Job{}, err
	}
	v := jobView(j, true)
	if j.State == farm.JobRunning {
		eta, err := d.Farm.Estimate(ctx, id)
		if err != nil {
			return api.Job{}, err
		}
		v.ETA = etaView(eta)
	}
	return v, nil
}

func (d *door) patchJob(ctx context.Context, c *call, in api.JobPatch) (api.Job, error) {
	id, err := c.number("job")
	if err != nil {
		return api.Job{}, err
	}
	change := farm.JobChange{By: c.by, Job: id}
	switch {
	case in.Priority == nil && in.Build == nil:
		return api.Job{}, farm.Errorf(farm.Invalid, "there is nothing to change: the fields priority and build are missing")
	case in.Build == nil:
		return jobAnswer(d.Farm.SetPriority(ctx, change, *in.Priority))
	case in.Priority != nil:
		if _, err := d.Farm.SetPriority(ctx, change, *in.Priority); err != nil {
			return api.Job{}, err
		}
	}
	return jobAnswer(d.Farm.Pin(ctx, change, *in.Build))
}

func jobAnswer(j *farm.Job, err error) (api.Job, error) {
	if err != nil {
		return api.Job{}, err
	}
	return jobView(j, true), nil
}

func (d *door) removeJob(ctx context.Context, c *call) (nothing, error) {
	id, err := c.number("job")
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, d.Farm.Remove(ctx, farm.JobChange{By: c.by, Job: id})
}

// change is a verb on a job with a reason: cancel, pause, resume.
func change(verb func(context.Context, farm.JobChange) (*farm.Job, error)) handler {
	return take(200, func(ctx context.Context, c *call, in api.Reason) (api.Job, error) {
		id, err := c.number("job")
		if err != nil {
			return api.Job{}, err
		}
		return jobAnswer(verb(ctx, farm.JobChange{By: c.by, Job: id, Reason: clip(in.Reason, 1000)}))
	})
}

func (d *door) retry(ctx context.Context, c *call, in api.Retry) (api.Retried, error) {
	id, err := c.number("job")
	if err != nil {
		return api.Retried{}, err
	}
	if len(in.Tasks) > maxRetries {
		return api.Retried{}, farm.Errorf(farm.Invalid, "%d tasks are more than the %d that one call takes", len(in.Tasks), maxRetries)
	}
	var keys []farm.TaskKey
	if len(in.Tasks) > 0 {
		j, err := d.Farm.Job(ctx, id)
		if err != nil {
			return api.Retried{}, err
		}
		for _, t := range in.Tasks {
			k, err := parseTask(j, t)
			if err != nil {
				return api.Retried{}, err
			}
			keys = append(keys, k)
		}
	}
	j, n, err := d.Farm.Retry(ctx, farm.JobChange{By: c.by, Job: id}, keys)
	if err != nil {
		return api.Retried{}, err
	}
	return api.Retried{Tasks: n, Job: jobView(j, true)}, nil
}

func (d *door) why(ctx context.Context, c *call) (*api.Why, error) {
	id, err := c.number("job")
	if err != nil {
		return nil, err
	}
	e, err := d.Farm.Why(ctx, id)
	if err != nil {
		return nil, err
	}
	return whyView(e), nil
}

// parseTask reads "STEP/INDEX", or "INDEX" for a task of a job's only step.
func parseTask(j *farm.Job, s string) (farm.TaskKey, error) {
	if cut := strings.LastIndexByte(s, '/'); cut >= 0 {
		return taskKey(j, s[:cut], s[cut+1:])
	}
	if len(j.Steps) != 1 {
		return farm.TaskKey{}, farm.Errorf(farm.Invalid, "job %d has %d steps: name the task %q as STEP/INDEX", j.ID, len(j.Steps), clip(s, 50))
	}
	return taskKey(j, "0", s)
}

// taskKey finds a task by its step, named or counted from 0, and its index.
func taskKey(j *farm.Job, step, index string) (farm.TaskKey, error) {
	k := farm.TaskKey{Job: j.ID}
	var err error
	if k.Step, err = stepIndex(j, step); err != nil {
		return k, err
	}
	k.Index, err = strconv.ParseInt(index, 10, 64)
	if err != nil || k.Index < 0 {
		return k, farm.Errorf(farm.Invalid, "%q is not the index of a task; they count from 0", clip(index, 50))
	}
	if n := j.Steps[k.Step].Tasks; k.Index >= n {
		return k, farm.Errorf(farm.NotFound, "step %q of job %d has no task %d; it has %d, from 0 on", j.Steps[k.Step].Name, j.ID, k.Index, n)
	}
	return k, nil
}

// stepIndex finds a step. A name counts before a number, so that a step that is
// called "1" can be named.
func stepIndex(j *farm.Job, s string) (int, error) {
	for i := range j.Steps {
		if j.Steps[i].Name == s {
			return i, nil
		}
	}
	if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(j.Steps) {
		return i, nil
	}
	return 0, farm.Errorf(farm.NotFound, "job %d has no step %q", j.ID, clip(s, 100))
}
