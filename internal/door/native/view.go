package native

import (
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	rendering "drover.farm/internal/renderer"
	"drover.farm/openjd"
)

// The functions of this file show what the farm has as documents of the API.

// moment shows a time, null for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.Round(0).UTC()
	return &u
}

func countsView(c farm.Counts) api.Counts {
	return api.Counts{Total: c.Total, Waiting: c.Waiting, Running: c.Running, Done: c.Done, Failed: c.Failed, Canceled: c.Canceled}
}

// jobView shows a job; whole adds what only the answer for one job has.
func jobView(j *farm.Job, whole bool) api.Job {
	c := j.Counts()
	v := api.Job{
		ID: j.ID, Name: j.Spec.Name, State: string(j.State), Owner: j.Owner, Priority: j.Priority, Reason: j.Reason,
		Renderer: j.Spec.Renderer, Build: j.Build, Doors: j.Spec.Doors, Tags: j.Spec.Tags, Order: string(j.Spec.Order),
		Tasks: countsView(c), Created: moment(j.Created), Started: moment(j.Started), Finished: moment(j.Finished),
	}
	if c.Total > 0 {
		v.Progress = 100 * float64(c.Done) / float64(c.Total)
	}
	for i := range j.Steps {
		v.Steps = append(v.Steps, stepView(j, &j.Steps[i]))
	}
	if whole {
		v.Parameters, v.Files, v.Roots = j.Spec.Parameters, filesView(j.Spec.Files), rootsView(j.Spec.Roots)
	}
	return v
}

func stepView(j *farm.Job, s *farm.Step) api.Step {
	v := api.Step{Name: s.Name, State: string(s.State), Tasks: countsView(s.Counts()), SecondsMin: s.Fastest, SecondsMax: s.Slowest}
	for _, d := range s.DependsOn {
		v.DependsOn = append(v.DependsOn, j.Steps[d].Name)
	}
	if s.Done > 0 {
		v.SecondsMean = s.Seconds / float64(s.Done)
	}
	return v
}

func filesView(fs []farm.File) []api.File {
	if fs == nil {
		return nil
	}
	out := make([]api.File, len(fs))
	for i, f := range fs {
		out[i] = api.File(f)
	}
	return out
}

func rootsView(rs []farm.Root) []api.Root {
	out := make([]api.Root, len(rs))
	for i, r := range rs {
		out[i] = api.Root(r)
	}
	return out
}

func etaView(e *farm.ETA) *api.ETA {
	if e == nil {
		return nil
	}
	return &api.ETA{Seconds: e.Likely.Seconds(), Earliest: e.Earliest.Seconds(), Latest: e.Latest.Seconds()}
}

// taskView shows a task; history adds its attempts.
func taskView(t *farm.TaskView, history bool) api.Task {
	v := api.Task{
		Step: t.StepName, Index: t.Index, Parameters: make(map[string]string, len(t.Parameters)), State: string(t.State),
		Attempts: len(t.Attempts), Output: results(t.Outputs),
	}
	for _, p := range t.Parameters {
		v.Parameters[p.Name] = p.Value
	}
	if n := len(t.Attempts); n > 0 {
		a := &t.Attempts[n-1]
		if t.State == farm.TaskDone {
			a = counted(t.Attempts)
		}
		v.Worker, v.Error, v.Seconds, v.Memory = a.Name, a.Error, a.Seconds, a.Memory
		v.Started, v.Finished = moment(a.Started), moment(a.Ended)
	}
	if l := t.Live; l != nil {
		v.Progress, v.Message, v.Memory = l.Progress, l.Message, max(v.Memory, l.Memory)
	}
	if history {
		for i := range t.Attempts {
			v.History = append(v.History, attemptView(&t.Attempts[i]))
		}
	}
	return v
}

// results are a task's outputs but for what it hands on to other tasks.
func results(fs []farm.File) []api.File {
	out := make([]api.File, 0, len(fs))
	for _, f := range fs {
		if !rendering.HandedOn(f.Name) {
			out = append(out, api.File(f))
		}
	}
	return out
}

// counted is the attempt that did the task.
func counted(as []farm.Attempt) *farm.Attempt {
	for i := range as {
		if as[i].Outcome == farm.OutcomeDone {
			return &as[i]
		}
	}
	return &as[len(as)-1]
}

func attemptView(a *farm.Attempt) api.Attempt {
	return api.Attempt{
		Lease: a.Lease, Worker: a.Name, WorkerID: a.Worker, Started: moment(a.Started), Ended: moment(a.Ended),
		Outcome: string(a.Outcome), Cause: string(a.Cause), Error: a.Error, Exit: a.Exit, Log: a.Log,
		Seconds: a.Seconds, Memory: a.Memory, Build: a.Build,
	}
}

func workerView(w *farm.Worker) *api.Worker {
	rules := api.Rules(w.Rules)
	v := &api.Worker{
		ID: w.ID, Name: w.Name, Door: w.Door, State: string(w.State), Hostname: w.Machine.Hostname, Slots: w.Slots, User: w.User,
		Reason: w.Reason, Disabled: w.Disabled, Tags: w.Tags, Rules: &rules, Done: w.Done, Failed: w.Failed,
		Seen: moment(w.Seen), Created: moment(w.Created), Machine: machineView(&w.Machine),
	}
	if w.Vitals != nil {
		x := api.Vitals(*w.Vitals)
		v.Vitals = &x
	}
	for i := range w.Leases {
		l := &w.Leases[i]
		v.Leases = append(v.Leases, api.Held{Lease: l.ID, Job: l.Job, Step: l.Step, Index: l.Index, Started: moment(l.Started),
			Progress: l.Progress, Message: l.Message, Memory: l.Memory, Stopping: l.Stopping})
	}
	return v
}

func machineView(m *farm.Machine) *api.Machine {
	v := &api.Machine{
		Hostname: m.Hostname, OS: m.OS, Arch: m.Arch, CPU: m.CPU, Cores: m.Cores, Memory: m.Memory, Disk: m.Disk,
		Version: m.Version, Amounts: m.Amounts, Attributes: m.Attributes, Fetches: m.Fetches, Held: m.Held,
	}
	for _, g := range m.GPUs {
		v.GPUs = append(v.GPUs, api.GPU(g))
	}
	for _, r := range m.Renderers {
		v.Renderers = append(v.Renderers, api.Renderer(r))
	}
	return v
}

func leaseView(l *farm.Lease) *api.Lease {
	if l == nil {
		return nil
	}
	var sizes []api.ChunkSize
	if l.Chunks != nil {
		for _, r := range l.Chunks.Plan {
			sizes = append(sizes, api.ChunkSize(r))
		}
	}
	return &api.Lease{
		Chunks: sizes,
		ID:     l.ID, Job: l.Task.Job, Step: l.Task.Step, StepName: l.Step, Index: l.Task.Index, Attempt: l.Attempt,
		Parameters: parametersView(l.Parameters), Deadline: l.Deadline.Round(0).UTC(), Period: l.Period.Seconds(), Build: l.Job.Build,
	}
}

func parametersView(ps openjd.TaskParameters) []api.TaskParameter {
	out := make([]api.TaskParameter, len(ps))
	for i, p := range ps {
		out[i] = api.TaskParameter{Name: p.Name, Type: string(p.Type), Value: p.Value}
	}
	return out
}

func eventView(e *farm.Event) api.Event {
	return api.Event{ID: e.ID, Time: e.Time.UTC(), Type: e.Type, Job: e.Job, Step: e.Step, Worker: e.Worker, Tasks: e.Tasks, State: e.State, Text: e.Text}
}

func userView(u farm.User) *api.User {
	v := &api.User{Login: u.Login, Roles: make([]string, len(u.Roles)), Weight: u.Weight, Created: moment(u.Created)}
	for i, r := range u.Roles {
		v.Roles[i] = string(r)
	}
	return v
}

func whyView(e *farm.Explanation) *api.Why {
	v := &api.Why{Job: e.Job, State: string(e.State), Summary: e.Summary, Steps: make([]api.WhyStep, len(e.Steps)), ETA: etaView(e.ETA)}
	for i, s := range e.Steps {
		v.Steps[i] = api.WhyStep{Step: s.Step, State: string(s.State), Waiting: s.Waiting, Text: s.Text, Failed: s.Failed}
		for _, c := range s.Classes {
			k := api.WhyClass{Workers: c.Workers, Names: c.Names, Fits: c.Fits, Change: c.Change}
			for _, r := range c.Reasons {
				k.Reasons = append(k.Reasons, r.String())
			}
			v.Steps[i].Classes = append(v.Steps[i].Classes, k)
		}
	}
	return v
}
