package native

import (
	"archive/zip"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
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
		out.Files = append(out.Files, filesView(t.Outputs)...)
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
	z := &zipper{d: d, c: c, seen: make(map[uint64]struct{}), seed: maphash.MakeSeed(), left: 4 * d.MaxZip}
	z.w = zip.NewWriter(&steady{w: c.w, ctl: http.NewResponseController(c.w), idle: d.Idle})
	for {
		if err = z.addAll(c.ctx(), rows); err != nil || next == "" {
			break
		}
		if rows, next, err = d.doneTasks(c.ctx(), id, steps, next, outputPage); err != nil {
			break
		}
	}
	if err == nil {
		err = z.w.Close()
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

// zipper packs outputs. It knows names by their hash only, so that its memory
// stays within bounds.
type zipper struct {
	d    *door
	c    *call
	w    *zip.Writer
	seen map[uint64]struct{}
	seed maphash.Seed
	left int64
}

func (z *zipper) addAll(ctx context.Context, rows []*farm.Task) error {
	for _, t := range rows {
		for _, f := range t.Outputs {
			if z.left--; z.left < 0 {
				return fmt.Errorf("more than %d outputs", 4*z.d.MaxZip)
			}
			if err := z.add(ctx, t, f); err != nil {
				return fmt.Errorf("pack %s of task %d/%d: %w", f.Name, t.Step, t.Index, err)
			}
		}
	}
	return nil
}

func (z *zipper) add(ctx context.Context, t *farm.Task, f farm.File) error {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return err
	}
	file, err := z.d.Blobs.Open(ctx, h)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hd := &zip.FileHeader{Name: z.unique(t, f.Name), Method: zip.Store}
	if n := len(t.Attempts); n > 0 {
		hd.Modified = counted(t.Attempts).Ended
	}
	if f.Mode&0o111 != 0 {
		hd.SetMode(0o755)
	} else {
		hd.SetMode(0o644)
	}
	w, err := z.w.CreateHeader(hd)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}

// unique is a name that no other file of the zip has: where two tasks put out
// the same name, the later one's tells its task.
func (z *zipper) unique(t *farm.Task, name string) string {
	ext := path.Ext(name)
	for i, candidate := 0, name; ; i++ {
		key := maphash.String(z.seed, strings.ToLower(candidate))
		if _, taken := z.seen[key]; !taken {
			z.seen[key] = struct{}{}
			return candidate
		}
		candidate = fmt.Sprintf("%s~%d-%d", strings.TrimSuffix(name, ext), t.Step, t.Index)
		if i > 0 {
			candidate += fmt.Sprintf("-%d", i)
		}
		candidate += ext
	}
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
