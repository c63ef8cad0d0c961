package sheepit

import (
	"context"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
)

// attempt is a session's try of a frame, running or over.
type attempt struct {
	lease   int64
	task    farm.TaskKey
	running bool         // the session holds the lease
	stopped bool         // it holds it, and is to stop
	outcome farm.Outcome // when not running
	state   farm.TaskState
	spec    *farm.Spec
}

// wanted reports whether the frame is still to be delivered: late frames of a
// lease that ran out count as long as nobody else has done them.
func (t *attempt) wanted() bool {
	return t.running || (t.outcome == farm.OutcomeLost || t.outcome == farm.OutcomeReturned) &&
		(t.state == farm.TaskWaiting || t.state == farm.TaskRunning)
}

// find looks for the session's attempt of a job's frame, the last one. It fails
// with NotFound when the session never had it.
func (d *Door) find(ctx context.Context, s *session, job, frame int64) (*attempt, error) {
	held, err := d.Farm.Held(ctx, s.by, s.worker)
	if err != nil {
		return nil, err
	}
	for _, l := range held {
		if l.Task.Job != job {
			continue
		}
		if n, err := frameOf(l); err == nil && n == frame {
			return &attempt{lease: l.ID, task: l.Task, running: true, spec: &l.Job.Spec}, nil
		}
	}
	none := farm.Errorf(farm.NotFound, "this session was never given frame %d of job %d", frame, job)
	j, err := d.Farm.Job(ctx, job)
	if err != nil {
		return nil, err
	}
	if Obstacle(&j.Spec) != "" {
		return nil, none
	}
	frames, err := renderer.ParseFrames(j.Spec.Parameters["Frames"])
	if err != nil {
		return nil, none
	}
	index, ok := frames.Index(frame)
	if !ok {
		return nil, none
	}
	t, err := d.Farm.Task(ctx, farm.TaskKey{Job: job, Index: index})
	if err != nil {
		return nil, err
	}
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		if a := t.Attempts[i]; a.Worker == s.worker {
			return &attempt{lease: a.Lease, task: t.TaskKey, stopped: a.Outcome == "", outcome: a.Outcome, state: t.State, spec: &j.Spec}, nil
		}
	}
	return nil, none
}
