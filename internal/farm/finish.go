package farm

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Result is what a worker says of an attempt that is over.
type Result struct {
	By     Principal
	Worker int64
	Lease  int64
	Task   TaskKey // of the lease; needed when the lease has ended meanwhile
	// Outputs are the files that the task made; their blobs are in the store.
	Outputs []File
	Log     string  // blob of the log, "" for none
	Seconds float64 // of rendering
	Memory  int64   // peak, bytes
	Exit    int
	Build   string // what rendered it, when the farm cannot know
	// Next, when not nil, asks for the worker's next task in the same breath.
	Next *ClaimRequest
}

// Failure is why an attempt failed.
type Failure struct {
	Cause Cause
	Text  string
}

// Verdict is the farm's answer to a result.
type Verdict struct {
	// Accepted is true when the attempt counts as the one that did the task, now
	// or when the same result came before.
	Accepted bool
	// Reason says why it does not count: the task was done by another, the job
	// was canceled, the picture was refused.
	Reason string
	// Fault is what the Prover said of a picture that was refused, else nil.
	Fault error
	Next  *Lease
}

// ending is how a lease ends.
type ending struct {
	outcome Outcome
	cause   Cause
	text    string
	result  *Result
}

// Complete ends an attempt whose render succeeded. The outputs are proved
// first; a picture that is not what the job asked for makes the attempt a
// failure, which Verdict.Reason tells. A result that comes after its lease has
// ended still counts when the task is not done otherwise. It fails with
// Invalid when an output's blob is not in the store, and the attempt goes on.
func (f *Farm) Complete(ctx context.Context, r Result) (*Verdict, error) {
	outputs, err := f.prove(ctx, &r)
	fail := (*Failure)(nil)
	if err != nil {
		if CodeOf(err) != Conflict {
			return nil, err
		}
		fail = &Failure{Cause: CauseJob, Text: MessageOf(err)}
	}
	r.Outputs = outputs
	v, ferr := f.finish(ctx, r, fail)
	if v != nil && fail != nil {
		v.Fault = err
	}
	return v, ferr
}

// Fail ends an attempt that failed.
func (f *Farm) Fail(ctx context.Context, r Result, why Failure) (*Verdict, error) {
	r.Outputs = nil
	return f.finish(ctx, r, &why)
}

// finish ends an attempt and serves the claim that came with it.
func (f *Farm) finish(ctx context.Context, r Result, fail *Failure) (*Verdict, error) {
	v := &Verdict{}
	var c *claim
	err := f.do(ctx, func(st *state) error {
		w, err := st.claimant(r.By, r.Worker)
		if err != nil {
			return err
		}
		if err := st.conclude(w, &r, fail, v); err != nil {
			return err
		}
		if r.Next != nil {
			c = &claim{req: *r.Next, worker: w}
			c.req.Wait = 0
			st.fresh = append(st.fresh, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c != nil {
		if c.err != nil {
			return v, c.err
		}
		if c.lease != nil {
			if v.Next, err = f.finishLease(c); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// conclude finds the lease and ends it.
func (st *state) conclude(w *worker, r *Result, fail *Failure, v *Verdict) error {
	e := ending{outcome: OutcomeDone, result: r}
	if fail != nil {
		e.outcome, e.cause, e.text = OutcomeFailed, fail.Cause, fail.Text
		v.Reason = fail.Text
	}
	l := st.leases[r.Lease]
	if l == nil || l.worker.ID != w.ID {
		return st.concludeLate(w, r, fail, v)
	}
	if r.Task != l.task.TaskKey {
		return Errorf(Invalid, "lease %d is of task %d/%d of job %d, the result says task %d/%d of job %d",
			l.id, l.task.Step, l.task.Index, l.task.Job, r.Task.Step, r.Task.Index, r.Task.Job)
	}
	switch {
	case l.stopping && fail != nil:
		e.outcome, e.cause = OutcomeCanceled, CauseNone
		v.Reason = l.why
	case l.task.State != TaskRunning:
		e.outcome = OutcomeLate
		v.Reason = l.why
	}
	v.Accepted = e.outcome == OutcomeDone
	st.end(l, e)
	return nil
}

// concludeLate takes the result of a lease that has ended: it counts if nobody
// has done the task since, and is acknowledged again if it counted before.
func (st *state) concludeLate(w *worker, r *Result, fail *Failure, v *Verdict) error {
	t, err := st.task(r.Task)
	if err != nil {
		if isNotFound(err) {
			return Errorf(Gone, "lease %d is not known: the job may have been removed", r.Lease)
		}
		return err
	}
	at := slices.IndexFunc(t.Attempts, func(a Attempt) bool { return a.Lease == r.Lease && a.Worker == w.ID })
	if at < 0 {
		return Errorf(Gone, "lease %d is not of task %d of job %d", r.Lease, r.Task.Index, r.Task.Job)
	}
	a := &t.Attempts[at]
	if a.Outcome == OutcomeDone {
		v.Accepted, v.Reason = true, ""
		return nil
	}
	if a.Outcome == "" { // canceled while the farm was down, or its lease dropped
		st.fill(a, ending{outcome: OutcomeCanceled, cause: CauseNone, result: r})
		st.changedTask(t)
	}
	if fail != nil || (a.Outcome != OutcomeLost && a.Outcome != OutcomeReturned) {
		v.Reason = "this attempt is over: " + string(a.Outcome)
		return nil
	}
	j, err := st.job(r.Task.Job)
	if err != nil {
		return err
	}
	s := j.steps[r.Task.Step]
	if s.State != StepReady || t.State != TaskWaiting && t.State != TaskRunning {
		v.Reason = fmt.Sprintf("the task is %s already", t.State)
		return nil
	}
	if t.State == TaskWaiting {
		s.retry.drop(t.Index)
		s.Retrying--
	} else {
		s.Running--
	}
	st.fill(a, ending{outcome: OutcomeDone, result: r})
	v.Accepted = true
	st.judge(w, s, ending{outcome: OutcomeDone})
	st.remember(w, t, a)
	st.succeed(s, t, a, r)
	st.stopOthers(s, t.Index, "another attempt was faster")
	st.place(s)
	st.advance(s.job)
	return nil
}

// end books a lease out and moves its task on.
func (st *state) end(l *lease, e ending) {
	s, t, w := l.step, l.task, l.worker
	st.release(l)
	at := slices.IndexFunc(t.Attempts, func(a Attempt) bool { return a.Lease == l.id })
	a := &t.Attempts[at]
	if e.result == nil {
		e.result = &Result{Seconds: st.now.Sub(l.started).Seconds(), Memory: l.memory}
	}
	st.fill(a, e)
	st.judge(w, s, e)
	st.remember(w, t, a)
	st.tryOut(w, s.job, e)
	st.changedTask(t)
	if s.job.State.Ended() {
		st.visited = append(st.visited, s.job)
	}
	twin := len(s.running[t.Index]) > 0
	if t.State != TaskRunning {
		return // canceled, or done by another
	}
	switch {
	case e.outcome == OutcomeDone:
		s.Running--
		st.succeed(s, t, a, e.result)
		st.stopOthers(s, t.Index, "another attempt was faster")
	case twin:
		// the other attempt carries the task on
	default:
		s.Running--
		st.again(s, t, e)
	}
	st.changedStep(s)
	st.place(s)
	st.advance(s.job)
}

// fill writes into the attempt how it ended.
func (st *state) fill(a *Attempt, e ending) {
	r := e.result
	a.Ended, a.Outcome, a.Cause, a.Error = st.now, e.outcome, e.cause, clip(e.text, 4000)
	if e.outcome == OutcomeFailed || e.outcome == OutcomeLate {
		a.Outputs = r.Outputs
	}
	a.Log, a.Memory, a.Seconds, a.Exit = r.Log, max(r.Memory, 0), r.Seconds, r.Exit
	if !(a.Seconds > 0 && a.Seconds <= math.MaxInt32) { // nonsense, NaN too
		a.Seconds = st.now.Sub(a.Started).Seconds()
	}
	if r.Build != "" {
		a.Build = r.Build
	}
}

// succeed marks the task done.
func (st *state) succeed(s *step, t *Task, a *Attempt, r *Result) {
	t.State, t.Outputs = TaskDone, r.Outputs
	s.Done++
	s.Seconds += a.Seconds
	s.Slowest = max(s.Slowest, a.Seconds)
	if s.Fastest == 0 || a.Seconds < s.Fastest {
		s.Fastest = a.Seconds
	}
	s.peak = max(s.peak, a.Memory)
	st.resize(s, t.Index, a.Seconds)
	st.pay(s, a)
	st.changedTask(t)
	st.changedStep(s)
	st.emitTask(s, t.Index, "task.done")
	st.f.meter.completions.Add(1)
	st.span.Done++
	st.span.Seconds += a.Seconds
}

// again decides whether a task that was not done waits for another try.
func (st *state) again(s *step, t *Task, e ending) {
	byJob, byWorker := t.failures()
	set := st.f.settings
	if e.outcome != OutcomeReturned && (byJob >= set.Tries || byWorker >= set.WorkerTries) {
		t.State = TaskFailed
		s.Failed++
		st.emitTask(s, t.Index, "task.failed")
		return
	}
	t.State = TaskWaiting
	s.retry.put(t)
	s.Retrying++
	// Even where others of the step wait already: they may all have failed on a
	// worker that waits, and this one not.
	st.queue.Touch()
	st.emitTask(s, t.Index, "task.waiting")
}

// judge counts an attempt for or against its worker.
func (st *state) judge(w *worker, s *step, e ending) {
	set := st.f.settings
	switch {
	case e.outcome == OutcomeDone:
		w.Done++
		st.forgive(s, w)
		if len(w.Streak) == 0 && w.Faults == 0 {
			if st.workers[w.ID] == w {
				st.changedTally(w)
			}
			return
		}
		w.Streak, w.Faults = nil, 0
	case e.outcome == OutcomeLost, e.outcome == OutcomeFailed && e.cause != CauseNone:
		w.Failed++
		st.span.Failed++
		s.fails[w.ID]++
		if s.fails[w.ID] == set.AvoidAfter {
			st.queue.Touch() // others may have what it is not to take
		}
		if !slices.Contains(w.Streak, s.Job) {
			w.Streak = append(slices.Clone(w.Streak), s.Job)
		}
		if e.cause == CauseWorker {
			w.Faults++
		}
		switch {
		case w.Aside:
		case len(w.Streak) >= set.AsideJobs:
			st.setAside(w, fmt.Sprintf("%d different jobs failed here in a row; the last error: %s", len(w.Streak), clip(e.text, 300)))
		case w.Faults >= set.AsideFaults:
			st.setAside(w, fmt.Sprintf("failed %d times in a row by its own fault; the last error: %s", w.Faults, clip(e.text, 300)))
		}
	default:
		return
	}
	if st.workers[w.ID] == w {
		st.changedWorker(w)
	}
}

// setAside takes a worker out of use until an operator enables it.
func (st *state) setAside(w *worker, reason string) {
	w.Aside, w.Reason = true, reason
	st.stirred(w)
	st.queue.Touch() // what waited for this worker may go to others
	st.emit(Event{Type: "worker.state", Worker: w.ID, State: string(WorkerAside), Text: reason})
	st.f.log.Warn("worker set aside", "worker", w.ID, "name", w.Name, "reason", reason)
}

// stopOthers tells the other attempts of a task to stop.
func (st *state) stopOthers(s *step, index int64, why string) {
	for _, l := range slices.Clone(s.running[index]) {
		st.stop(l, why)
	}
}

// stop tells a lease's worker to stop at once; the lease ends when it answers
// or runs out.
func (st *state) stop(l *lease, why string) {
	if l.stopping {
		return
	}
	l.stopping, l.why = true, why
	l.worker.stop = append(l.worker.stop, l.id)
	if b := l.worker.beat; b != nil {
		st.after = append(st.after, func() { st.reply(l.worker, b) })
	}
}

// prove checks a result's outputs before they count. An error of code Conflict
// is the fault of the picture, which is then the last of those returned.
func (f *Farm) prove(ctx context.Context, r *Result) ([]File, error) {
	var check *Check
	if f.prover != nil && r.Task.Job != 0 {
		j, err := f.check(ctx, r.Task.Job)
		if err != nil {
			return nil, err
		}
		check = j
	}
	outputs := slices.Clone(r.Outputs)
	for i := range outputs {
		if err := validName(outputs[i].Name); err != nil {
			return nil, err
		}
	}
	if f.blobs != nil {
		sizes, err := f.sizes(ctx, outputs)
		if err != nil {
			return nil, err
		}
		for i := range outputs {
			o := &outputs[i]
			var ok bool
			if o.Size, ok = sizes[o.SHA256]; !ok {
				return nil, Errorf(Invalid, "output %s: the content %s was not uploaded", quote(o.Name), o.SHA256)
			}
		}
	}
	for i, o := range outputs {
		if check == nil {
			continue
		}
		proved, err := f.prover.Prove(ctx, outputs[i], *check)
		if err != nil {
			if CodeOf(err) == Invalid {
				return outputs[:i+1], &Error{Code: Conflict, Message: quote(o.Name) + ": " + MessageOf(err), Err: err}
			}
			return nil, err
		}
		outputs[i] = proved
	}
	switch {
	case check == nil || len(outputs) >= max(check.Pictures, 1):
	case len(outputs) == 0:
		return nil, Errorf(Conflict, "the renderer ended without an error but wrote no picture")
	default:
		return outputs, Errorf(Conflict, "the renderer ended without an error but wrote %d of %d pictures", len(outputs), check.Pictures)
	}
	return outputs, nil
}

// clip shortens s to at most n bytes, at a rune's start.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// Return gives leases back untried: the worker is leaving, or lost them.
func (f *Farm) Return(ctx context.Context, by Principal, workerID int64, leases []int64, why string) error {
	return f.do(ctx, func(st *state) error {
		w, err := st.claimant(by, workerID)
		if err != nil {
			return err
		}
		for _, id := range leases {
			if l := w.leases[id]; l != nil {
				st.end(l, ending{outcome: OutcomeReturned, text: why})
			}
		}
		return nil
	})
}
