package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// mishap is what happens to the next commit.
type mishap int

const (
	none        mishap = iota
	unwritten          // it fails
	written            // it fails, but was written
	killed             // the process dies before it is written
	killedAfter        // the process dies after it was written
)

var errDisk = errors.New("the disk is on fire")

// link is one farm's connection to the store. It hands each batch that is
// written on to the checker, gives rows back as a database does, without Go's
// monotonic clock and in order, and can be cut, as when the process was killed.
type link struct {
	*mem.Store
	sim  *sim
	next mishap
	dead bool
	gate chan struct{} // when set, the next commit waits until it is closed
	// While step is set, a commit rests until all others have come to rest: those
	// whom the batch before has answered ask what they ask next, and read what they
	// read, before the store changes again. Else the machine would decide.
	step, rests atomic.Bool
}

var _ farm.Store = (*link)(nil)

// Commit writes a batch, or fails as was asked for.
func (l *link) Commit(ctx context.Context, b *farm.Batch) error {
	if g := l.gate; g != nil {
		<-g
	}
	if l.step.Load() {
		l.rests.Store(true)
		time.Sleep(time.Nanosecond)
		l.rests.Store(false)
	}
	m := l.next
	l.next = none
	switch {
	case l.dead:
		return farm.Errorf(farm.Gone, "killed")
	case m == unwritten:
		l.sim.report.FailedCommits++
		return errDisk
	case m == killed:
		l.dead = true
		return farm.Errorf(farm.Gone, "killed")
	}
	if err := l.Store.Commit(ctx, b); err != nil {
		return err
	}
	l.sim.check.apply(b)
	switch m {
	case written:
		l.sim.report.FailedCommits++
		return errDisk
	case killedAfter:
		l.dead = true
		return farm.Errorf(farm.Gone, "killed")
	}
	return nil
}

// Load returns what the store holds.
func (l *link) Load(ctx context.Context) (*farm.Snapshot, error) {
	s, err := l.Store.Load(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range s.Jobs {
		bareJob(j)
	}
	for _, t := range s.Tasks {
		bareTask(t)
	}
	slices.SortFunc(s.Jobs, func(a, b *farm.Job) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Tasks, func(a, b *farm.Task) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Index, b.Index))
	})
	l.sim.check.reloaded()
	return s, nil
}

// Job returns a job.
func (l *link) Job(ctx context.Context, id int64) (*farm.Job, error) {
	j, err := l.Store.Job(ctx, id)
	if err == nil {
		bareJob(j)
	}
	return j, err
}

// Task returns a task.
func (l *link) Task(ctx context.Context, k farm.TaskKey) (*farm.Task, error) {
	t, err := l.Store.Task(ctx, k)
	if err == nil {
		bareTask(t)
	}
	return t, err
}

// Tasks lists tasks.
func (l *link) Tasks(ctx context.Context, q farm.TaskQuery) ([]*farm.Task, error) {
	ts, err := l.Store.Tasks(ctx, q)
	for _, t := range ts {
		bareTask(t)
	}
	return ts, err
}

func bareJob(j *farm.Job) {
	for _, t := range []*time.Time{&j.Created, &j.Started, &j.Finished} {
		*t = t.Round(0)
	}
}

func bareTask(t *farm.Task) {
	for i := range t.Attempts {
		a := &t.Attempts[i]
		a.Started, a.Ended = a.Started.Round(0), a.Ended.Round(0)
	}
}
