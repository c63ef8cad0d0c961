package native

import (
	"context"
	"io"
	"net/http"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
	"drover.farm/internal/outzip"
)

func (d *door) outputs(ctx context.Context, c *call) (api.Outputs, error) {
	out := api.Outputs{Files: []api.File{}}
	id, err := c.number("job")
	if err != nil {
		return out, err
	}
	limit, err := c.integer("limit", outputPage, 1, farm.MaxTaskPage)
	if err != nil {
		return out, err
	}
	after, err := c.get("after")
	if err != nil {
		return out, err
	}
	j, steps, err := c.steps(ctx, id)
	if err != nil {
		return out, err
	}
	rows, next, err := d.doneTasks(ctx, j.ID, steps, after, int(limit))
	if err != nil {
		return out, err
	}
	out.Next = next
	for _, t := range rows {
		out.Files = append(out.Files, results(t.Outputs)...)
	}
	return out, nil
}

// steps finds the job and the steps that the query names: one, or all.
func (c *call) steps(ctx context.Context, id int64) (*farm.Job, []int, error) {
	j, err := c.d.Farm.Job(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	name, err := c.get("step")
	if err != nil {
		return nil, nil, err
	}
	if name != "" {
		i, err := stepIndex(j, name)
		return j, []int{i}, err
	}
	all := make([]int, len(j.Steps))
	for i := range all {
		all[i] = i
	}
	return j, all, nil
}

// zipOutputs streams what a job's tasks put out, under their names. Pictures are
// packed as they are: they hardly get smaller.
func (d *door) zipOutputs(c *call) error {
	id, err := c.number("job")
	if err != nil {
		return err
	}
	j, steps, err := c.steps(c.ctx(), id)
	if err != nil {
		return err
	}
	var done int64
	for _, i := range steps {
		done += j.Steps[i].Done
	}
	switch {
	case done == 0:
		return farm.Errorf(farm.NotFound, "job %d has no outputs yet", id)
	case done > d.MaxZip:
		return farm.Errorf(farm.Invalid, "%d tasks are done, more than the %d whose outputs one zip file may have; \"drover job fetch\" takes them one by one", done, d.MaxZip)
	}
	rows, next, err := d.doneTasks(c.ctx(), id, steps, "", outputPage)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", tus.Disposition(j.Spec.Name+".zip"))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if c.r.Method == http.MethodHead {
		return nil
	}
	z := outzip.New(&steady{w: c.w, ctl: http.NewResponseController(c.w), idle: d.Idle}, d.Blobs, 4*d.MaxZip)
	for {
		for i := 0; i < len(rows) && err == nil; i++ {
			err = z.Add(c.ctx(), rows[i])
		}
		if err != nil || next == "" {
			break
		}
		if rows, next, err = d.doneTasks(c.ctx(), id, steps, next, outputPage); err != nil {
			break
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		if c.ctx().Err() == nil {
			d.Log.Error("a zip of outputs was broken off", "job", id, "err", err)
		}
		// The answer has begun, so an error can no longer be told: the connection
		// is cut, lest half a file pass for a whole one. This is net/http's way
		// to say so; nothing else ends an answer of HTTP/2 with an error.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// steady writes to a client that may take long as a whole but not between two
// writes.
type steady struct {
	w    io.Writer
	ctl  *http.ResponseController
	idle time.Duration
}

func (s *steady) Write(p []byte) (int, error) {
	timed := s.ctl.SetWriteDeadline(time.Now().Add(s.idle)) == nil
	n, err := s.w.Write(p)
	if timed {
		// The next answer on the connection must not find this deadline.
		_ = s.ctl.SetWriteDeadline(time.Time{})
	}
	return n, err
}
