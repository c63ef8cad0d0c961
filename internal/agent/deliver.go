package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"drover.farm/internal/api"
)

// delivery is a task that is over, on its way to the farm.
type delivery struct {
	a       *agent
	lease   *lease
	dir     string // with the outputs and the log
	log     *taskLog
	outputs []output
	result  api.Result
	// next gets the request for more work that goes with the result, or nil;
	// answer the task that came back, or nil.
	next   chan *api.Claim
	answer chan *api.Lease
}

// fail makes it a failed task.
func (d *delivery) fail(f *fault) {
	d.outputs = nil
	d.result.Cause, d.result.Error = f.cause, clip(f.text, 4000)
	if d.result.Exit == 0 {
		d.result.Exit = f.exit
	}
}

// discard forgets the task.
func (d *delivery) discard() {
	d.log.finish()
	if err := removeAll(d.dir); err != nil {
		d.a.log.Warn("a task's outputs cannot be removed", "dir", d.dir, "error", err)
	}
	d.a.drop(d.lease)
}

// run sends the outputs, the log and the result, for as long as it takes, and
// answers with the next task. The lease is renewed meanwhile.
func (d *delivery) run(ctx context.Context) {
	var next *api.Lease
	defer func() { d.answer <- next }()
	err := d.upload(ctx)
	if err != nil && ctx.Err() == nil && d.result.Cause == "" && !isAway(err) {
		d.fail(uploadFault(err))
		err = nil
	}
	select {
	case d.result.Next = <-d.next:
	case <-ctx.Done():
	}
	if err == nil {
		next, err = d.conclude(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return // leave gives the lease back
	case isAway(err):
		d.a.fail(err)
		return
	case err != nil:
		d.a.log.Warn("the farm did not take a result", "lease", d.lease.ID, "job", d.lease.Job, "error", err)
	}
	d.discard()
}

func isAway(err error) bool {
	var away *awayError
	return errors.As(err, &away)
}

// uploadFault sorts what keeps an output from being sent: the farm refuses it, or
// this machine cannot read it.
func uploadFault(err error) *fault {
	err = fmt.Errorf("send the outputs: %w", err)
	if final(err) {
		return jobFault(err)
	}
	return workerFault(err)
}

// upload sends the outputs and the log. A log that cannot be sent is no reason to
// lose a result.
func (d *delivery) upload(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if d.log.finish() {
		var log output
		log.path = d.log.path
		if err := d.send(ctx, &log); err == nil {
			d.result.Log = log.file.SHA256
		} else if ctx.Err() != nil || isAway(err) {
			return err
		} else {
			d.a.log.Warn("a task's log cannot be sent", "lease", d.lease.ID, "error", err)
		}
	}
	queue := make(chan *output)
	var wg sync.WaitGroup
	for range min(d.a.set.Transfers, len(d.outputs)) {
		wg.Go(func() {
			for o := range queue {
				if err := d.send(ctx, o); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for i := range d.outputs {
		select {
		case queue <- &d.outputs[i]:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

// send uploads one file.
func (d *delivery) send(ctx context.Context, o *output) error {
	return d.a.persist(ctx, "upload a file", func(ctx context.Context) error {
		f, err := d.a.cfg.Files.Upload(ctx, o.path)
		if err == nil {
			o.file.SHA256, o.file.Size = f.SHA256, f.Size
		}
		return err
	})
}

// conclude tells the farm the result.
func (d *delivery) conclude(ctx context.Context) (*api.Lease, error) {
	next, err := d.tell(ctx)
	switch {
	case err == nil:
		return next, nil
	case codeOf(err) == codeGone:
		// It may be the worker that the farm does not know: it registers with this
		// lease among those it holds, and tries once more.
		d.a.lost(ctx, d.result.Worker, err)
		if d.result.Worker != d.a.worker() {
			return d.tell(ctx)
		}
	case codeOf(err) == codeInvalid && d.result.Cause == "":
		// An output may have been cleaned up before the result named it; of
		// anything else the job's owner is told.
		if err := d.upload(ctx); err != nil {
			return nil, err
		}
		if next, err = d.tell(ctx); codeOf(err) == codeInvalid {
			d.fail(jobFault(fmt.Errorf("the farm refuses the result: %w", err)))
			return d.tell(ctx)
		}
		return next, err
	case codeOf(err) == codeUnauthorized, codeOf(err) == codeForbidden:
		d.a.lost(ctx, d.result.Worker, err)
	}
	return nil, err
}

// tell sends the result once it gets through.
func (d *delivery) tell(ctx context.Context) (*api.Lease, error) {
	d.result.Outputs = nil
	for _, o := range d.outputs {
		d.result.Outputs = append(d.result.Outputs, o.file)
	}
	var v *api.Verdict
	err := d.a.persist(ctx, "send a result", func(ctx context.Context) (err error) {
		d.result.Worker = d.a.worker()
		if d.result.Cause != "" {
			v, err = d.a.cfg.Farm.Fail(ctx, d.lease.ID, d.result)
		} else {
			v, err = d.a.cfg.Farm.Complete(ctx, d.lease.ID, d.result)
		}
		if err == nil && v == nil {
			err = errors.New("the farm's answer is empty")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("send the result of lease %d: %w", d.lease.ID, err)
	}
	if !v.Accepted && d.result.Cause == "" {
		d.a.log.Warn("the farm does not count a result", "lease", d.lease.ID, "job", d.lease.Job, "reason", v.Reason)
	}
	return v.Next, nil
}
