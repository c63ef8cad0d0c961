package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// commitFault is what shall happen to the next commit.
type commitFault int

const (
	faultNone          commitFault = iota
	faultUnwritten                 // it fails, and nothing was written
	faultWritten                   // it fails, although all was written
	faultKilled                    // the process dies before it writes
	faultKilledWritten             // the process dies after it wrote
)

var errDisk = errors.New("the disk is on fire")

// conn is one farm's connection to the store. It hands each batch that is
// written on to the model, gives rows back as a database does, without Go's
// monotonic clock, and can be cut: then nothing of that farm is written any
// more, as when its process was killed.
type conn struct {
	*mem.Store
	model    *model
	next     commitFault
	dead     bool
	loadFail int // how many of the next loads fail
	faulted  *int64
	epoch    int64
}

var _ farm.Store = (*conn)(nil)

func gone() error { return farm.Errorf(farm.Gone, "the store has another writer") }

// Acquire makes this connection the writer.
func (c *conn) Acquire(ctx context.Context) (int64, error) {
	var err error
	c.epoch, err = c.Store.Acquire(ctx)
	return c.epoch, err
}

// Commit writes a batch, or fails as was asked for.
func (c *conn) Commit(ctx context.Context, b *farm.Batch) error {
	if c.dead {
		return gone()
	}
	fault := c.next
	c.next = faultNone
	switch fault {
	case faultUnwritten:
		*c.faulted++
		return errDisk
	case faultKilled:
		c.dead = true
		return gone()
	}
	if err := c.Store.Commit(ctx, b); err != nil {
		return err
	}
	c.model.apply(b)
	switch fault {
	case faultWritten:
		*c.faulted++
		return errDisk
	case faultKilledWritten:
		c.dead = true
		return gone()
	}
	return nil
}

// Load returns what the store holds, in an order that does not depend on chance.
func (c *conn) Load(ctx context.Context) (*farm.Snapshot, error) {
	if c.loadFail > 0 {
		c.loadFail--
		return nil, errDisk
	}
	s, err := c.Store.Load(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range s.Jobs {
		bareJob(j)
	}
	for _, t := range s.Tasks {
		bareTask(t)
	}
	for _, w := range s.Workers {
		w.Seen, w.Created = w.Seen.Round(0), w.Created.Round(0)
	}
	slices.SortFunc(s.Jobs, func(a, b *farm.Job) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Tasks, func(a, b *farm.Task) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Index, b.Index))
	})
	c.model.reloaded()
	return s, nil
}

// Job returns a job.
func (c *conn) Job(ctx context.Context, id int64) (*farm.Job, error) {
	j, err := c.Store.Job(ctx, id)
	if err == nil {
		bareJob(j)
	}
	return j, err
}

// Task returns a task.
func (c *conn) Task(ctx context.Context, k farm.TaskKey) (*farm.Task, error) {
	t, err := c.Store.Task(ctx, k)
	if err == nil {
		bareTask(t)
	}
	return t, err
}

// Tasks lists tasks.
func (c *conn) Tasks(ctx context.Context, q farm.TaskQuery) ([]*farm.Task, error) {
	ts, err := c.Store.Tasks(ctx, q)
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
