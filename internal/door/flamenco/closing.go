package flamenco

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// closing follows the posted tasks to their ends: it tells the server of each
// change of state once, brings pictures that other workers made to where the task
// wanted them, and then forgets the task. What is left to do is in the farm's
// notes, so a restart goes on where it was.
func (d *Door) closing() {
	pending := make(map[int64]bool)
	d.mu.Lock()
	for job := range d.posts {
		pending[job] = true
	}
	d.mu.Unlock()
	for d.ctx.Err() == nil {
		sub := d.farm.Subscribe()
		d.drain(sub, pending)
		sub.Close()
		d.mu.Lock() // events may have been missed
		for job := range d.posts {
			pending[job] = true
		}
		d.mu.Unlock()
	}
}

// drain handles events until the door or the subscription ends.
func (d *Door) drain(sub *farm.Subscription, pending map[int64]bool) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case events, ok := <-sub.C:
			if !ok {
				return
			}
			for _, e := range events {
				switch e.Type {
				case "job.state", "job.submitted":
					pending[e.Job] = true
					d.up.rouse()
				case "job.removed":
					d.forget(e.Job)
				}
			}
		case <-retry.C:
		}
		for job := range pending {
			if err := d.settle(d.ctx, job); err != nil {
				d.log.Debug("a task is not settled yet", "job", job, "err", err)
				continue
			}
			delete(pending, job)
		}
		if len(pending) > 0 {
			retry.Reset(d.set.Retry)
		}
	}
}

func (d *Door) forget(job int64) {
	d.mu.Lock()
	delete(d.posts, job)
	delete(d.reach, job)
	delete(d.last, job)
	d.mu.Unlock()
	d.unstage(job)
}

// settle does what the state of a job asks for.
func (d *Door) settle(ctx context.Context, job int64) error {
	p, err := d.postOf(ctx, job)
	if err != nil {
		return err
	}
	j, err := d.farm.Job(ctx, job)
	if farm.CodeOf(err) == farm.NotFound {
		d.forget(job)
		return nil
	} else if err != nil {
		return err
	}
	if p == nil {
		if j.State.Ended() {
			d.forget(job)
		}
		return nil
	}
	if !j.State.Ended() {
		d.mu.Lock()
		d.posts[job] = p // it may have been brought back
		d.mu.Unlock()
		if j.Started.IsZero() {
			return nil
		}
		return d.up.tell(ctx, p, job, stateRunning)
	}
	if err := d.deliver(ctx, p, j); err != nil {
		return err
	}
	if err := d.up.tell(ctx, p, job, taskState(j)); err != nil {
		return err
	}
	if err := d.farm.PutNotes(ctx, nil, noteOpen(job)); err != nil {
		return err
	}
	d.forget(job)
	return nil
}

// deliver writes the pictures that workers of other doors made of a posted task to
// the task's own folder, where the farm's machine sees that.
func (d *Door) deliver(ctx context.Context, p *post, j *farm.Job) error {
	o, err := p.want()
	if err != nil {
		return err
	}
	local := d.shares.local(o.output)
	if local == "" || !isBlender(&j.Spec) {
		return nil
	}
	dir := filepath.Dir(local)
	for after := ""; ; {
		list, next, err := d.farm.TaskPage(ctx, farm.TaskPageQuery{Job: j.ID, Step: -1, After: after, States: []farm.TaskState{farm.TaskDone}})
		if err != nil {
			return err
		}
		for i := range list {
			if byFlamenco(&list[i].Task) {
				continue // it wrote there itself
			}
			for _, f := range list[i].Outputs {
				if err := d.bring(ctx, dir, f); err != nil {
					return fmt.Errorf("bring a picture to its folder: %w", err)
				}
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
}

func byFlamenco(t *farm.Task) bool {
	return slices.ContainsFunc(t.Attempts, func(a farm.Attempt) bool { return a.Outcome == farm.OutcomeDone && a.Door == Name })
}

func (d *Door) bring(ctx context.Context, dir string, f farm.File) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if info, err := root.Stat(filepath.FromSlash(f.Name)); err == nil && info.Mode()&fs.ModeType == 0 && info.Size() == f.Size {
		return nil
	}
	return d.lay(ctx, root, f.Name, f)
}

// lastWord is what a worker said last of a posted task.
func (d *Door) lastWord(job int64) news {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last[job]
}
