package farm

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"drover.farm/openjd"
)

// ClaimRequest asks for a task.
type ClaimRequest struct {
	By     Principal
	Worker int64
	// Key names this request. A claim with the key of a lease that the worker
	// still holds is answered with that lease, so that a request whose answer
	// was lost can be repeated. Empty: never.
	Key string
	// Wait is how long to wait for a task when there is none.
	Wait time.Duration
	// Warm is the job that the worker has a session of, 0 for none.
	Warm int64
	// Uploading are leases of the worker that are rendered and whose outputs are
	// on their way: they need no slot and nothing else of the worker any more,
	// so that it can render the next task meanwhile.
	Uploading []int64
	// Within is what the worker's owner allows of a task.
	Within Bounds
	// Also, when not nil, says how many further tasks of the job's step the
	// worker takes in the same breath, beyond its slots: for workers that render
	// a run of frames in one start of the renderer. Steps that need amounts give
	// one task all the same. The leases come as Lease.More. It is called as Only
	// is.
	Also func(*Job) int
	// Only, when not nil, says whether the worker can take a task of the job. It
	// is called by the dispatcher: it must be quick, wait for nothing and keep
	// nothing of the job.
	Only func(*Job) bool
}

// Bounds are conditions of a claim; zero fields do not restrict.
type Bounds struct {
	// Seconds and Memory (bytes) exclude steps whose frames have taken more so
	// far, on a machine of this power.
	Seconds float64
	Memory  int64
	// Bytes passes over jobs with more files, except the warm one, while there
	// is another for the worker.
	Bytes int64
}

// allow reports whether the worker may have a task of the step.
func (b Bounds) allow(s *step, w *worker) bool {
	if b.Seconds > 0 && w != nil && s.expected(w) > b.Seconds {
		return false
	}
	return b.Memory <= 0 || s.peak <= b.Memory
}

// Lease is the right to one attempt of one task until a deadline.
type Lease struct {
	ID       int64
	Task     TaskKey
	Worker   int64
	Attempt  int // counted from 1
	Deadline time.Time
	Period   time.Duration
	Job      *Job    // as it was when leased, without Steps; not to be changed
	Step     string  // name of the step
	Chunks   *Chunks // how the step is cut, when its chunks aim at a run time
	Started  time.Time
	Done     int64 // tasks of the step that were done by then
	// Parameters are the task's, by the step's parameter space.
	Parameters openjd.TaskParameters
	More       []*Lease // of the same step, when the claim asked for several
}

// claim is a claim on its way through the dispatcher. Its answer is given once.
type claim struct {
	req    ClaimRequest
	worker *worker
	lease  *Lease
	err    error
	done   chan struct{} // closed with the answer; nil when that comes with the batch
	closed bool
	built  *openjd.Job
	build  buildFunc // when built is nil
	stand
}

func (c *claim) answer(l *Lease, err error) {
	if c.closed {
		return
	}
	c.closed, c.lease = true, l
	if err != nil {
		c.err = err
	}
	if c.done != nil {
		close(c.done)
	}
}

// Claim gives the worker a task, or nil when there is none for it within
// req.Wait. When ctx ends while it waits, whatever it had been given goes back.
func (f *Farm) Claim(ctx context.Context, req ClaimRequest) (*Lease, error) {
	c := &claim{req: req}
	if req.Wait > 0 {
		c.done = make(chan struct{})
	}
	err := f.do(ctx, func(st *state) error {
		w, err := st.claimant(req.By, req.Worker)
		if err != nil {
			return err
		}
		c.worker = w
		st.fresh = append(st.fresh, c)
		return nil
	})
	if ctx.Err() != nil {
		f.withdraw(c)
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if req.Wait > 0 && !f.await(ctx, c) {
		return nil, ctx.Err()
	}
	if c.lease == nil {
		return nil, c.err
	}
	return f.finishLease(c)
}

// await waits for the answer to a claim, at most for its Wait; false when ctx
// ended first.
func (f *Farm) await(ctx context.Context, c *claim) bool {
	t := time.NewTimer(c.req.Wait)
	defer t.Stop()
	select {
	case <-c.done:
	case <-ctx.Done():
		f.withdraw(c)
		return false
	case <-t.C:
		// A lease that was written meanwhile is the answer all the same.
		err := f.do(context.WithoutCancel(ctx), func(st *state) error { st.forget(c); return nil })
		if err != nil {
			c.err = err
			return true
		}
	}
	return true
}

// withdraw takes back a claim whose caller has gone, with the lease it got.
func (f *Farm) withdraw(c *claim) {
	// When the queue is full the lease runs out by itself, for the worker never
	// names it in a heartbeat.
	_ = f.enqueue(&op{apply: func(st *state) error {
		st.forget(c)
		if c.lease == nil {
			return nil
		}
		for _, given := range append(c.lease.More, c.lease) {
			if l := st.leases[given.ID]; l != nil {
				st.end(l, ending{outcome: OutcomeReturned, text: "the worker's request was cut off"})
			}
		}
		return nil
	}})
}

// forget ends the wait of a claim.
func (st *state) forget(c *claim) {
	if c.place != nil {
		c.worker.seen = st.now // it held its request open until now
	}
	st.room.leave(c)
	st.fresh = slices.DeleteFunc(st.fresh, func(o *claim) bool { return o == c })
	c.answer(c.lease, nil)
}

// claimant checks who claims.
func (st *state) claimant(by Principal, id int64) (*worker, error) {
	w := st.workers[id]
	if w == nil {
		return nil, Errorf(Gone, "worker %d is not known here any more; register again", id)
	}
	if w.User != by.Login && !by.Is(RoleAdmin) {
		return nil, Errorf(Forbidden, "worker %d belongs to another account than %s", id, by.Login)
	}
	if !by.Is(RoleRenderer) {
		return nil, Errorf(Forbidden, "the account %s may not render: it lacks the role renderer", by.Login)
	}
	st.alive(w)
	return w, nil
}

// maxScenes is of how many jobs a worker is taken to have the files still.
const maxScenes = 8

// keep notes that the worker has the files of a job.
func (w *worker) keep(scene uint64) {
	if scene == 0 || len(w.scenes) > 0 && w.scenes[0] == scene {
		return
	}
	w.scenes = slices.DeleteFunc(w.scenes, func(o uint64) bool { return o == scene })
	w.scenes = slices.Insert(w.scenes, 0, scene)
	w.scenes = w.scenes[:min(len(w.scenes), maxScenes)]
}

// sceneOf names a set of files.
func sceneOf(files []File) uint64 {
	var sum uint64
	for i := range files {
		sum ^= maphash.String(classSeed, files[i].SHA256)
	}
	return sum
}

// maxAlso bounds what one claim can take.
const maxAlso = 1000

// also adds further tasks of the step to what the claim was given.
func (st *state) also(c *claim, s *step, w *worker) {
	if c.req.Also == nil || s.Needs != nil && len(s.Needs.Amounts) > 0 {
		return
	}
	for range min(c.req.Also(s.job.Job), maxAlso) {
		if !st.takes(s, w.ID) {
			return
		}
		l := st.take(s, w, c.req)
		if l == nil {
			return
		}
		c.lease.More = append(c.lease.More, st.lent(l))
	}
}

// maxSending is how many leases a slot may have whose outputs are on their way:
// a worker that cannot send as fast as it renders is not given ever more.
const maxSending = 2

// sending takes leases that are only being uploaded off their worker's slots.
func (st *state) sending(w *worker, ids []int64) {
	for _, id := range ids {
		if l := w.leases[id]; l != nil && !l.sent && w.sent < maxSending*w.Slots {
			l.sent = true
			w.sent++
			w.use(l.step.Needs, -1, st.queue.Limits())
			st.stirred(w)
		}
	}
}

// take leases the step's next task to the worker.
func (st *state) take(s *step, w *worker, req ClaimRequest) *lease {
	var t *Task
	if i, ok := st.pickRetry(s, w.ID); ok {
		var err error
		if t, err = st.task(TaskKey{s.Job, s.Index, i}); err != nil {
			st.f.log.Error("a waiting task cannot be read", "job", s.Job, "step", s.Name, "index", i, "err", err)
			return nil
		}
		s.retry.drop(i)
		s.Retrying--
	} else if s.Untouched() > 0 {
		t = &Task{TaskKey: TaskKey{s.Job, s.Index, s.Order.at(s.Next, s.Tasks)}}
		s.Next++
	} else {
		return nil
	}
	t.State = TaskRunning
	s.Running++
	l := st.start(s, t, w, req)
	if s.Untouched()+s.retry.len() == 0 {
		st.queue.Remove(s.Job, s.Index)
	}
	st.tail(s)
	return l
}

// start begins an attempt of the task on the worker.
func (st *state) start(s *step, t *Task, w *worker, req ClaimRequest) *lease {
	st.lastLease++
	l := &lease{id: st.lastLease, worker: w, step: s, task: t, key: req.Key, started: st.now, deadline: st.now.Add(st.period(w))}
	t.Attempts = append(t.Attempts, Attempt{Lease: l.id, Worker: w.ID, Name: w.Name, Door: w.Door, Started: st.now})
	st.hold(l)
	w.keep(s.job.scene)
	st.begin(s, w)
	if s.job.Build != "" {
		t.Attempts[len(t.Attempts)-1].Build = s.job.Spec.Renderer + " " + s.job.Build
	}
	st.changedTask(t)
	st.changedStep(s)
	st.emitTask(s, t.Index, "task.started")
	st.f.meter.claims.Add(1)
	return l
}

// begin notes a job's first lease and pins the job to the renderer's version
// that it starts with.
func (st *state) begin(s *step, w *worker) {
	j := s.job
	if j.Started.IsZero() {
		j.Started = st.now
		st.changed(j)
	}
	if j.State == JobWaiting {
		st.setState(j, JobRunning)
	}
	if j.Build == "" && j.Spec.Renderer != "" {
		if v := w.version(j.Spec.Renderer, s.asked); v != "" {
			st.pin(j, v)
		}
	}
}

// grant answers a claim with a lease.
func (st *state) grant(c *claim, l *lease) {
	st.room.leave(c)
	c.build, c.built = st.building(l.step.job), l.step.job.built
	c.lease = st.lent(l)
	st.granted = append(st.granted, c)
}

// lent is the lease as its worker is told of it, all but the parameters.
func (st *state) lent(l *lease) *Lease {
	return &Lease{
		ID: l.id, Task: l.task.TaskKey, Worker: l.worker.ID, Attempt: len(l.task.Attempts), Started: l.started, Done: l.step.Done,
		Deadline: l.deadline, Period: st.period(l.worker), Job: l.step.job.snapshot(), Step: l.step.Name, Chunks: l.step.Chunks,
	}
}

// buildFunc instantiates a job.
type buildFunc func() (*openjd.Job, error)

// building returns what instantiates the job, nil when it is. Hundreds of
// workers may get the first tasks of a job in one round; one of them does it.
func (st *state) building(j *job) buildFunc {
	if j.built == nil && j.build == nil {
		row := j.snapshot()
		j.build = sync.OnceValues(func() (*openjd.Job, error) { return st.f.Instantiate(row) })
	}
	return j.build
}

// finishLease works out the task's parameters, outside the dispatcher.
func (f *Farm) finishLease(c *claim) (*Lease, error) {
	l := c.lease
	built := c.built
	if built == nil {
		var err error
		if built, err = c.build(); err != nil {
			return nil, Errorf(Internal, "job %d cannot be instantiated: %v", l.Job.ID, err)
		}
		_ = f.enqueue(&op{apply: func(st *state) error {
			if j := st.jobs[l.Task.Job]; j != nil {
				j.built, j.build = built, nil
			}
			return nil
		}})
	}
	for _, one := range append([]*Lease{l}, l.More...) {
		space, err := (&Step{Index: one.Task.Step, Chunks: one.Chunks}).Space(built)
		var p openjd.TaskParameters
		if err == nil {
			p, err = space.At(one.Task.Index)
		}
		if err != nil {
			return nil, Errorf(Internal, "job %d step %s task %d: %v", one.Job.ID, one.Step, one.Task.Index, err)
		}
		one.Parameters = p
	}
	return l, nil
}

// snapshot is a copy of the job, without its steps, that others may read. As
// long as nothing changes it is one for all.
func (j *job) snapshot() *Job {
	if j.shown == nil {
		c := *j.Job
		c.Steps = nil
		j.shown = &c
	}
	return j.shown
}

// copy is a copy of the job that others may read.
func (j *job) copy() *Job {
	c := *j.Job
	c.Steps = slices.Clone(c.Steps)
	return &c
}
