package flamenco

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// States of a task in the words of 2015. Those of 2016 are understood, too.
const (
	stateReady    = "ready"
	stateRunning  = "running"
	stateFinished = "finished"
	stateFailed   = "failed"
	stateAborted  = "aborted"
)

var stateWords = map[string]string{
	"ready": stateReady, "waiting": stateReady,
	"running": stateRunning, "active": stateRunning, "processing": stateRunning, "rendering": stateRunning,
	"finished": stateFinished, "completed": stateFinished,
	"failed":  stateFailed,
	"aborted": stateAborted, "canceled": stateAborted, "cancelled": stateAborted,
}

// is2016 reports whether a word for a state is of 2016 alone.
func is2016(word string) bool {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "active", "completed", "canceled":
		return true
	}
	return false
}

// taskState is how a posted task stands.
func taskState(j *farm.Job) string {
	switch j.State {
	case farm.JobDone:
		return stateFinished
	case farm.JobFailed:
		return stateFailed
	case farm.JobCanceled:
		return stateAborted
	}
	if j.Counts().Running > 0 {
		return stateRunning
	}
	return stateReady
}

// taskView is a task as this API shows it: the eight documented members, and what
// else a reader may want. worker_id is 0 while no worker of Flamenco has it.
type taskView struct {
	ID       int64  `json:"id"`
	TaskID   int64  `json:"task_id"`
	Worker   int64  `json:"worker_id"`
	Priority int    `json:"priority"`
	Start    int64  `json:"frame_start"`
	End      int64  `json:"frame_end"`
	Current  int64  `json:"frame_current"`
	Status   string `json:"status"`
	Format   string `json:"format"`

	Type     string           `json:"type,omitempty"`
	Parser   string           `json:"parser,omitempty"`
	JobID    int64            `json:"job_id,omitempty"`
	Job      int64            `json:"job,omitempty"` // of the farm
	Frames   string           `json:"frames,omitempty"`
	Counts   map[string]int64 `json:"tasks,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Activity *string          `json:"activity,omitempty"`
	Log      *string          `json:"log,omitempty"`
	TimeCost *int64           `json:"time_cost,omitempty"`
}

func (d *Door) view(p *post, j *farm.Job) (*taskView, error) {
	o, err := p.want()
	if err != nil {
		return nil, err
	}
	c := j.Counts()
	v := &taskView{ID: p.ID, TaskID: p.ID, Priority: j.Priority, Status: taskState(j), Format: o.format, Type: p.Type, Parser: p.Parser,
		JobID: p.JobID, Job: j.ID, Frames: o.frames.String(), Reason: j.Reason,
		Counts: map[string]int64{"total": c.Total, "waiting": c.Waiting, "running": c.Running, "done": c.Done, "failed": c.Failed}}
	v.Start, v.End = o.ends()
	v.Current = v.Start
	if v.Status == stateFinished {
		v.Current = v.End
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.work {
		if w.job.ID == j.ID && !w.over {
			d.addLive(v, w)
		}
	}
	return v, nil
}

// addLive adds what a worker told of a task. The caller holds d.mu.
func (d *Door) addLive(v *taskView, w *work) {
	v.Worker = w.m.id
	if w.now.Frame != nil {
		v.Current = *w.now.Frame
	}
	activity, log := w.now.text(), tail(w.tail, 256)
	v.Activity, v.Log, v.TimeCost = &activity, &log, w.m.timeCost
}

// getTask shows one task: a posted one, or what a worker is at.
func (d *Door) getTask(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	if id >= firstForeign {
		d.mu.Lock()
		defer d.mu.Unlock()
		x := d.work[id]
		if x == nil {
			return noTask()
		}
		v := &taskView{ID: id, TaskID: id, Priority: x.job.Priority, Status: stateRunning, Job: x.job.ID, Start: x.frames[0], End: x.frames[len(x.frames)-1]}
		v.Current = v.Start
		d.addLive(v, x)
		send(w, http.StatusOK, v)
		return nil
	}
	job, err := d.jobOf(r.Context(), id)
	if err != nil {
		return err
	}
	if job == 0 {
		return noTask()
	}
	v, err := d.show(r.Context(), job)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, v)
	return nil
}

func (d *Door) show(ctx context.Context, job int64) (*taskView, error) {
	p, err := d.postOf(ctx, job)
	if err != nil {
		return nil, err
	}
	j, err := d.farm.Job(ctx, job)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, noTask()
	}
	return d.view(p, j)
}

func noTask() error { return &fault{http.StatusNotFound, "there is no task with this id"} }

const maxList = 1000

// listTasks shows posted tasks by their ids, as the server of 2015 did.
func (d *Door) listTasks(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	limit, err := a.integer("limit", 1, maxList)
	if err != nil {
		return err
	}
	after, err := a.integer("after", 0, firstForeign)
	if err != nil {
		return err
	}
	q := farm.NoteQuery{Prefix: prefixTask, Limit: 100}
	if limit != nil {
		q.Limit = int(*limit)
	}
	if after != nil {
		q.After = noteTask(*after)
	}
	ns, err := d.farm.Notes(r.Context(), q)
	if err != nil {
		return err
	}
	out := make(map[string]*taskView, len(ns))
	for _, n := range ns {
		v, err := d.show(r.Context(), n.Job)
		if gone(err) {
			continue // removed meanwhile
		} else if err != nil {
			return err
		}
		out[strconv.FormatInt(v.ID, 10)] = v
	}
	send(w, http.StatusOK, out)
	return nil
}

// postTask takes a task in. An unfinished one that is posted again changes
// nothing, one that has ended runs anew.
func (d *Door) postTask(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody, "jobfile")
	if err != nil {
		return err
	}
	p, err := a.post()
	if err != nil {
		d.up.refused(p, err)
		return err
	}
	p, j, err := d.admit(r.Context(), p, func(context.Context) (*upload, error) { return a.files["jobfile"], nil })
	if err != nil {
		d.up.refused(p, err)
		return err
	}
	v, err := d.view(p, j)
	if err != nil {
		return err
	}
	send(w, http.StatusAccepted, v)
	return nil
}

// admit makes a job of a task, unless it is one that has not ended: then it
// returns the task as that was posted. archive gets the files that come with it,
// nil for none.
func (d *Door) admit(ctx context.Context, p *post, archive func(context.Context) (*upload, error)) (*post, *farm.Job, error) {
	lock := &d.posting[p.ID%int64(len(d.posting))]
	lock.Lock()
	defer lock.Unlock()
	job, err := d.jobOf(ctx, p.ID)
	if err != nil {
		return p, nil, err
	}
	if job != 0 {
		j, err := d.farm.Job(ctx, job)
		if err == nil && !j.State.Ended() {
			old, err := d.postOf(ctx, job)
			return old, j, err
		} else if err != nil && farm.CodeOf(err) != farm.NotFound {
			return p, nil, err
		}
	}
	zip, err := archive(ctx)
	if err != nil {
		return p, nil, err
	}
	j, err := d.submit(ctx, p, zip)
	return p, j, err
}

// post reads a task from its arguments. The post has its id if that is known,
// even when the rest is at fault.
func (a *args) post() (*post, error) {
	id, err := a.integer("task_id", 1, firstForeign-1)
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, wrong("task_id", missing)
	}
	p := &post{ID: *id, Priority: farm.DefaultPriority}
	priority, err := a.integer("priority", -1<<31, 1<<31-1)
	if err != nil {
		return p, err
	}
	if priority != nil {
		p.Priority = int(min(max(*priority, 0), 100)) // servers have no bounds
	}
	job, err := a.integer("job_id", 0, firstForeign-1)
	if err != nil {
		return p, err
	}
	if job != nil {
		p.JobID = *job
	}
	child, err := a.integer("child_id", 0, firstForeign-1)
	if err != nil {
		return p, err
	}
	if child != nil {
		p.Child = *child
	}
	if p.Type, err = a.name("type", 64); err != nil {
		return p, err
	}
	known := false
	for _, t := range types {
		known = known || t == p.Type
	}
	if !known {
		return p, wrong("type", "there is no compiler of this name; there are "+strings.Join(types, ", "))
	}
	if p.Parser, err = a.name("parser", 64); err != nil {
		return p, err
	}
	settings, ok := a.text("settings")
	if !ok {
		return p, wrong("settings", missing)
	}
	if p.order, err = parseOrder(p.Type, []byte(settings)); err != nil {
		return p, err
	}
	p.Settings = json.RawMessage(settings)
	return p, nil
}

// patchTask is the news that a worker has of its task, or a change by a script.
func (d *Door) patchTask(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	defer d.listen(id)()
	a, err := d.read(w, r, int64(d.set.LogLimit)<<20, "taskfile")
	defer a.close()
	if f, ok := err.(*fault); ok && f.status == http.StatusRequestEntityTooLarge { //nolint:errorlint // made by read
		d.overflow(id)
	}
	if err != nil {
		return err
	}
	status, ok := a.text("status")
	if !ok {
		return wrong("status", missing)
	}
	word, ok := stateWords[strings.ToLower(strings.TrimSpace(status))]
	if !ok {
		return wrong("status", "there is no state of this name; there are ready, running, finished, failed and aborted")
	}
	cost, err := a.integer("time_cost", -1<<31, 1<<31-1)
	if err != nil {
		return err
	}
	n := news{state: word, cost: cost, file: a.files["taskfile"]}
	n.log, _ = a.text("log")
	n.activity, _ = a.text("activity")
	if x := d.at(id); x != nil {
		if n.file != nil || is2016(status) {
			d.setKind(x.m, pull) // a start of the farm forgets it
		}
		err = d.hear(x, n)
	} else {
		err = d.change(r.Context(), id, word, a)
	}
	if err != nil {
		return err
	}
	send(w, http.StatusNoContent, nil)
	return nil
}

// change is what a script or a server does to a posted task that no worker of
// Flamenco has. What it cannot say, and ids that are not known, change nothing:
// the original answered 204 to all.
func (d *Door) change(ctx context.Context, id int64, word string, a *args) error {
	if id >= firstForeign {
		if word == stateRunning {
			return &fault{http.StatusForbidden, "Task cancelled"}
		}
		return nil
	}
	job, err := d.jobOf(ctx, id)
	if err != nil || job == 0 {
		if job == 0 && err == nil && word == stateRunning {
			return &fault{http.StatusForbidden, "Task cancelled"}
		}
		return err
	}
	j, err := d.farm.Job(ctx, job)
	if err != nil {
		return err
	}
	priority, err := a.integer("priority", 0, 100)
	if err != nil {
		return err
	}
	c := farm.JobChange{By: d.by, Job: job, Reason: "by the Manager API"}
	if priority != nil {
		if _, err := d.farm.SetPriority(ctx, c, int(*priority)); err != nil {
			return err
		}
	}
	switch {
	case word == stateAborted && !j.State.Ended():
		_, err = d.farm.Cancel(ctx, c)
	case word == stateReady && (j.State == farm.JobFailed || j.State == farm.JobCanceled):
		_, _, err = d.farm.Retry(ctx, c, nil)
	case word == stateRunning && j.State.Ended():
		return &fault{http.StatusForbidden, "Task cancelled"}
	}
	if farm.CodeOf(err) == farm.Conflict {
		return nil // it has just ended
	}
	return err
}

// deleteTask cancels a task: 202, also for one that is not known.
func (d *Door) deleteTask(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	v, err := d.drop(r.Context(), id)
	if err != nil {
		return err
	}
	send(w, http.StatusAccepted, v)
	return nil
}

// dropTasks cancels several.
func (d *Door) dropTasks(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	ids := a.values["tasks"]
	if len(ids) == 0 {
		return wrong("tasks", missing)
	}
	if len(ids) > maxList {
		return wrong("tasks", "there are more than 1000")
	}
	for _, text := range ids {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return wrong("tasks", "they are no whole numbers")
		}
		if _, err := d.drop(r.Context(), id); err != nil {
			return err
		}
	}
	send(w, http.StatusAccepted, ids[len(ids)-1])
	return nil
}

func (d *Door) drop(ctx context.Context, id int64) (*taskView, error) {
	v := &taskView{ID: id, TaskID: id, Status: stateAborted}
	if x := d.at(id); x != nil && x.post == nil {
		d.giveBack(x, "the Manager API took it back")
		if d.kindOf(x.m) == push { // one of 2016 is stopped by the answer to its news
			d.spawn(func() { d.kill(x.m) })
		}
		return v, nil
	}
	job, err := d.jobOf(ctx, id)
	if err != nil || job == 0 || id >= firstForeign {
		return v, err
	}
	_, err = d.farm.Cancel(ctx, farm.JobChange{By: d.by, Job: job, Reason: "by the Manager API"})
	if err != nil && farm.CodeOf(err) != farm.Conflict {
		return nil, err
	}
	return d.show(ctx, job)
}
