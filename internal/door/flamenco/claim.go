package flamenco

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"time"

	"drover.farm/internal/farm"
)

func newForm(v url.Values) io.Reader { return bytes.NewReader([]byte(v.Encode())) }

// claim asks the farm for work that the worker can do, and makes it the worker's.
func (d *Door) claim(ctx context.Context, m *member, wait time.Duration) *work {
	t := target{sys: m.sys, pull: d.kindOf(m) == pull, quick: true}
	l, err := d.farm.Claim(ctx, farm.ClaimRequest{By: d.by, Worker: m.id, Wait: wait, Also: d.also, Only: d.fits(t)})
	if farm.CodeOf(err) == farm.Gone {
		d.dismiss(m)
		return nil
	}
	if err != nil || l == nil {
		return nil
	}
	w := d.take(m, append([]*farm.Lease{l}, l.More...))
	if d.others(w) {
		d.giveBack(w, "another Flamenco worker was given this task in the same moment")
		return nil
	}
	d.log.Info("work given", "task", w.id, "job", w.job.ID, "worker", m.id, "frames", len(w.frames))
	return w
}

// also is how many frames more of a job a worker takes at once. The dispatcher
// calls it.
func (d *Door) also(j *farm.Job) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.posts[j.ID] != nil {
		return d.set.Chunk - 1
	}
	return d.set.Frames - 1
}

// fits says which jobs a worker can do. The dispatcher calls what it returns.
func (d *Door) fits(t target) func(*farm.Job) bool {
	return func(j *farm.Job) bool { return d.unfit(j, t) == nil && !d.busy(j.ID, nil) }
}

// busy reports whether a worker other than that of w is at the posted job: as in
// the original, one at a time is.
func (d *Door) busy(job int64, w *work) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.work {
		if o != w && !o.over && o.post != nil && o.job.ID == job {
			return true
		}
	}
	return false
}

func (d *Door) others(w *work) bool { return w.post != nil && d.busy(w.job.ID, w) }

func (d *Door) canStage(s system) bool {
	_, ok := d.shares.staging(s)
	return ok
}

// prepare makes the command of a worker's work, and lays its files out where the
// worker finds them.
func (d *Door) prepare(m *member, w *work) ([]string, error) {
	t := target{sys: m.sys, pull: d.kindOf(m) == pull}
	if w.post != nil {
		o, err := w.post.want()
		if err != nil {
			return nil, err
		}
		if zipped := zipped(w.job, w.post); t.pull || !zipped {
			d.makeOutput(o)
			return d.compilePost(w.post, t, w.frames, zipped)
		}
	}
	if t.pull {
		return d.compileJob(w.job, t, w.frames, hereJob, hereOutput), nil
	}
	in, out, err := d.stage(m, w)
	if err != nil {
		return nil, err
	}
	return d.compileJob(w.job, t, w.frames, in, out), nil
}

// returnLeases gives leases back untried. The work whose leases they are may be
// nil.
func (d *Door) returnLeases(w *work, leases []*farm.Lease, why string) {
	if len(leases) == 0 {
		return
	}
	err := d.insist("return leases", func(ctx context.Context) error {
		return d.farm.Return(ctx, d.by, leases[0].Worker, ids(leases), why)
	})
	if err != nil && d.ctx.Err() == nil && !gone(err) {
		d.log.Error("leases cannot be given back; they run out", "work", w, "err", err)
	}
}
