package native

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
)

const (
	maxOutputs = 10_000 // of one task
	maxLogPart = 1 << 20
)

// lease finds the lease of the path among those of the worker in the query, and
// makes sure that the caller is the worker.
func (c *call) lease(ctx context.Context) (farm.LeaseInfo, error) {
	id, err := c.number("lease")
	if err != nil {
		return farm.LeaseInfo{}, err
	}
	worker, err := c.required("worker")
	if err != nil {
		return farm.LeaseInfo{}, err
	}
	w, err := c.d.Farm.Farmhand(ctx, worker)
	if farm.CodeOf(err) == farm.NotFound {
		return farm.LeaseInfo{}, farm.Errorf(farm.Gone, "worker %d is not known here any more; register again", worker)
	} else if err != nil {
		return farm.LeaseInfo{}, err
	}
	if w.User != c.by.Login && !c.by.Is(farm.RoleAdmin) {
		return farm.LeaseInfo{}, farm.Errorf(farm.Forbidden, "worker %d belongs to another account than %s", worker, c.by.Login)
	}
	at := slices.IndexFunc(w.Leases, func(l farm.LeaseInfo) bool { return l.ID == id })
	if at < 0 {
		return farm.LeaseInfo{}, farm.Errorf(farm.Gone, "worker %d does not hold lease %d any more", worker, id)
	}
	return w.Leases[at], nil
}

func (d *door) work(ctx context.Context, c *call) (*api.Work, error) {
	l, err := c.lease(ctx)
	if err != nil {
		return nil, err
	}
	j, err := d.Farm.Job(ctx, l.Job)
	if err != nil {
		return nil, err
	}
	d.grants.add(c.by.Login, j.Spec.Files)
	v := &api.Work{
		Job: j.ID, Name: j.Spec.Name, Owner: j.Owner, Renderer: j.Spec.Renderer, Build: j.Build, Template: j.Spec.Template,
		Parameters: j.Spec.Parameters, Environments: j.Spec.Environments, Files: filesView(j.Spec.Files), Roots: rootsView(j.Spec.Roots),
	}
	switch b, err := d.Farm.BuildFor(ctx, l.Worker, l.Job); {
	case err == nil && b != nil:
		d.grants.add(c.by.Login, []farm.File{{SHA256: b.SHA256}})
		fetch := buildView(b)
		v.Fetch = &fetch
	case err != nil && farm.CodeOf(err) != farm.NotFound:
		return nil, err
	}
	if v.Parameters == nil {
		v.Parameters = map[string]string{}
	}
	if v.Files == nil {
		v.Files = []api.File{}
	}
	if j.Spec.Check != nil {
		check := api.Check(*j.Spec.Check)
		v.Check = &check
	}
	return v, nil
}

func (d *door) inputs(ctx context.Context, c *call) (api.Outputs, error) {
	out := api.Outputs{Files: []api.File{}}
	l, err := c.lease(ctx)
	if err != nil {
		return out, err
	}
	after, err := c.get("after")
	if err != nil {
		return out, err
	}
	j, err := d.Farm.Job(ctx, l.Job)
	if err != nil {
		return out, err
	}
	rows, next, err := d.doneTasks(ctx, j.ID, upstream(j, l.Step), after, outputPage)
	if err != nil {
		return out, err
	}
	out.Next = next
	for _, t := range rows {
		d.grants.add(c.by.Login, t.Outputs)
		out.Files = append(out.Files, filesView(t.Outputs)...)
	}
	return out, nil
}

// result reads what a worker says of an attempt.
func (c *call) result(ctx context.Context, in *api.Result) (farm.Result, error) {
	lease, err := c.number("lease")
	if err != nil {
		return farm.Result{}, err
	}
	r := farm.Result{
		By: c.by, Worker: in.Worker, Lease: lease, Task: farm.TaskKey{Job: in.Job, Step: in.Step, Index: in.Index},
		Log: in.Log, Seconds: finite(in.Seconds), Memory: max(in.Memory, 0), Exit: in.Exit, Build: clip(in.Build, 200),
	}
	switch {
	case in.Worker <= 0 || in.Job <= 0 || in.Step < 0 || in.Index < 0:
		return r, farm.Errorf(farm.Invalid, "a result names its worker, and its task by the fields job, step and index")
	case len(in.Outputs) > maxOutputs:
		return r, farm.Errorf(farm.Invalid, "a task cannot have %d outputs; at most %d", len(in.Outputs), maxOutputs)
	case in.Exit < math.MinInt32 || in.Exit > math.MaxUint32:
		return r, farm.Errorf(farm.Invalid, "%d is not the exit code of a program", in.Exit)
	}
	if err := c.haveLog(ctx, in.Log); err != nil {
		return r, err
	}
	for _, f := range in.Outputs {
		if _, err := parseHash(f.SHA256); err != nil {
			return r, err
		}
		r.Outputs = append(r.Outputs, farm.File{Name: f.Name, SHA256: f.SHA256, Size: f.Size, Root: f.Root, Mode: f.Mode})
	}
	if in.Next != nil {
		next, err := c.claimRequest(in.Worker, in.Next)
		if err != nil {
			return r, err
		}
		r.Next = &next
	}
	return r, nil
}

// haveLog makes sure that the log of a result was uploaded.
func (c *call) haveLog(ctx context.Context, log string) error {
	if log == "" {
		return nil
	}
	h, err := parseHash(log)
	if err != nil {
		return err
	}
	if _, err = c.d.Blobs.Stat(ctx, h); errors.Is(err, blob.ErrNotFound) {
		return farm.Errorf(farm.Invalid, "the log %s was not uploaded", log)
	}
	return err
}

func (d *door) complete(ctx context.Context, c *call, in api.Result) (*api.Verdict, error) {
	r, err := c.result(ctx, &in)
	if err != nil {
		return nil, err
	}
	if in.Cause != "" || in.Error != "" {
		return nil, farm.Errorf(farm.Invalid, "a result with a cause or an error is a failure: send it to /leases/%d/fail", r.Lease)
	}
	v, err := d.Farm.Complete(ctx, r)
	return d.verdict(v, err, &r)
}

func (d *door) failed(ctx context.Context, c *call, in api.Result) (*api.Verdict, error) {
	r, err := c.result(ctx, &in)
	if err != nil {
		return nil, err
	}
	why := farm.Failure{Cause: farm.Cause(in.Cause), Text: in.Error}
	switch why.Cause {
	case farm.CauseJob, farm.CauseWorker:
	case "":
		why.Cause = farm.CauseJob
	default:
		return nil, farm.Errorf(farm.Invalid, "the cause %q is not known; it is job or worker", clip(in.Cause, 50))
	}
	if why.Text == "" {
		why.Text = "the render failed"
	}
	v, err := d.Farm.Fail(ctx, r, why)
	return d.verdict(v, err, &r)
}

// verdict answers a result. A verdict whose next task could not be given is
// answered without it: the result counts, and the worker claims as usual.
func (d *door) verdict(v *farm.Verdict, err error, r *farm.Result) (*api.Verdict, error) {
	if v == nil {
		return nil, err
	}
	if err != nil {
		d.Log.Warn("a result was taken, but the worker's next task could not be given", "lease", r.Lease, "worker", r.Worker, "err", err)
	}
	if v.Accepted && r.Log != "" {
		d.Logs.Remove(r.Lease) // the whole log takes its place
	}
	return &api.Verdict{Accepted: v.Accepted, Reason: v.Reason, Next: leaseView(v.Next)}, nil
}

// putLog takes the next part of a running attempt's log.
func (d *door) putLog(c *call) error {
	offset, err := c.integer("offset", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	l, err := c.lease(c.ctx())
	if err != nil {
		return err
	}
	if c.r.ContentLength > maxLogPart {
		return tooLarge(maxLogPart)
	}
	var buf bytes.Buffer
	ctl := http.NewResponseController(c.w)
	timed := ctl.SetReadDeadline(time.Now().Add(d.BodyTime)) == nil
	_, err = buf.ReadFrom(http.MaxBytesReader(c.w, c.r.Body, maxLogPart))
	if timed {
		_ = ctl.SetReadDeadline(time.Time{}) // see gather
	}
	if err := bodyError(err, maxLogPart); err != nil {
		return err
	}
	if _, err := d.Logs.Append(l.ID, offset, buf.Bytes()); err != nil {
		if errors.Is(err, livelog.ErrInvalid) {
			return err
		}
		return blob.AsFull(err)
	}
	return c.reply(http.StatusNoContent, nothing{})
}
