package flamenco

import (
	"context"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// conclude tells the farm how the work ended, frame by frame, and returns once
// that is durable. Only the first word on a work counts.
func (d *Door) conclude(w *work, n news) error {
	if !d.claimEnd(w) {
		return nil
	}
	defer d.release(w)
	d.mu.Lock()
	if n.log != "" {
		if int64(len(n.log)) >= w.logged && w.m.kind != pull {
			d.hearLog(w, n.log)
		} else {
			w.now.add(fresh(w.tail, n.log))
		}
	} else {
		n.log = w.tail
	}
	w.now.hear(n.activity)
	now := w.now
	if w.post != nil {
		d.last[w.job.ID] = news{log: tail(n.log, maxTold), activity: orText(n.activity, now.text()), cost: n.cost}
	}
	d.mu.Unlock()
	d.learn(w.m, now.Version)
	v := verdict{d: d, w: w, n: n, now: &now, seconds: seconds(n.cost, len(w.leases)), log: d.keepLog(n.log)}
	var err error
	if v.outputs, v.seen, err = d.outputs(w, n.file); err != nil {
		v.n.state, v.n.fault = stateFailed, farm.MessageOf(err)
	}
	v.stopping = d.stopping(d.ctx, w)
	return v.tell()
}

// maxTold is how much of a log's end the server is told.
const maxTold = 256 << 10

func seconds(cost *int64, n int) float64 {
	if cost == nil || *cost <= 0 {
		return 0 // the farm takes its own time
	}
	return float64(*cost) / float64(n)
}

// keepLog puts the log into the store; "" when there is none.
func (d *Door) keepLog(log string) string {
	if log == "" {
		return ""
	}
	info, err := d.cfg.Blobs.Put(d.ctx, blob.WithSize(strings.NewReader(log), int64(len(log))), nil)
	if err != nil {
		d.log.Warn("the log of a task cannot be kept", "err", err)
		return ""
	}
	return info.SHA256.String()
}

// verdict is the end of a work on its way to the farm.
type verdict struct {
	d        *Door
	w        *work
	n        news
	now      *activity
	seconds  float64
	log      string
	outputs  map[int64][]farm.File // by frame
	seen     bool                  // outputs are all that was written: what is not there was not
	stopping map[int64]bool
}

// tell decides for each frame. Of a run that failed, what was written counts, the
// frame after it is at fault, and the rest goes back untried; if nothing was
// written, all of them are.
func (v *verdict) tell() error {
	var first error
	blamed := false
	some := len(v.now.saved) > 0
	for i, l := range v.w.leases {
		frame := v.w.frames[i]
		done := v.n.state == stateFinished || v.now.saved[frame] && l.Step != "Print"
		if v.seen && len(v.outputs[frame]) == 0 {
			done = false
		}
		var err error
		switch {
		case done:
			err = v.complete(l, frame)
		case v.n.state == stateFailed && some && blamed && !v.stopping[l.ID]:
			v.d.returnLeases(v.w, []*farm.Lease{l}, "an earlier frame of the same run failed")
		default:
			blamed = true
			err = v.fail(l)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (v *verdict) result(l *farm.Lease) farm.Result {
	r := farm.Result{By: v.d.by, Worker: l.Worker, Lease: l.ID, Task: l.Task, Log: v.log, Seconds: v.seconds, Memory: v.now.Memory}
	if v.now.Version != "" {
		r.Build = "blender " + v.now.Version
	}
	return r
}

func (v *verdict) complete(l *farm.Lease, frame int64) error {
	r := v.result(l)
	r.Outputs = v.outputs[frame]
	err := v.d.insist("complete a task", func(ctx context.Context) error {
		_, err := v.d.farm.Complete(ctx, r)
		return err
	})
	switch farm.CodeOf(err) {
	case "":
		v.d.cfg.Logs.Remove(l.ID) // the whole log takes its place
		if v.w.post != nil && len(r.Outputs) > 0 {
			v.d.passThumbnail(v.w.post.ID, l.Task)
		}
		return nil
	case farm.Gone:
		return nil // the job was removed, or the worker
	case farm.Invalid:
		v.n.fault = farm.MessageOf(err)
		return v.fail(l)
	}
	return err
}

func (v *verdict) fail(l *farm.Lease) error {
	why := farm.Failure{Cause: farm.CauseJob, Text: v.n.fault}
	switch {
	case v.n.lost:
		why.Cause = farm.CauseWorker
	case v.n.state == stateAborted:
		why = farm.Failure{Cause: farm.CauseWorker, Text: "the render was killed on the worker"}
	case v.n.state == stateFinished:
		why.Text = "the renderer ended without an error but wrote no picture"
		if v.now.cause != "" {
			why.Text += "; it said: " + v.now.cause
		}
	case why.Text == "":
		why.Text = "the command failed on the worker"
		if v.now.cause != "" {
			why.Text += ": " + v.now.cause
		} else if last := lastLine(v.n.log); last != "" {
			why.Text += "; its last line: " + last
		}
	}
	err := v.d.insist("fail a task", func(ctx context.Context) error {
		_, err := v.d.farm.Fail(ctx, v.result(l), why)
		return err
	})
	if farm.CodeOf(err) == farm.Gone {
		return nil
	}
	return err
}

func lastLine(log string) string {
	log = strings.TrimRight(log, "\r\n \t")
	return clip(log[strings.LastIndexAny(log, "\r\n")+1:], 300)
}
