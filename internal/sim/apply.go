package sim

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// apply holds a batch that was written against the rules and takes it over.
// In a batch all requests come first and leases are made at its end, so its
// rows show the state in which the leases were made, but for these.
func (m *model) apply(b *farm.Batch) {
	m.batches++
	m.log.note("commit", int64(len(b.NewJobs)), int64(len(b.Jobs)), int64(len(b.Steps)), int64(len(b.Tasks)), int64(len(b.Workers)), int64(len(b.Events)))
	m.contradictions(b)
	for _, j := range sorted(b.NewJobs, func(a, b *farm.Job) int { return cmp.Compare(a.ID, b.ID) }) {
		m.newJob(j)
	}
	for _, j := range sorted(b.Jobs, func(a, b *farm.Job) int { return cmp.Compare(a.ID, b.ID) }) {
		m.jobRow(j)
	}
	m.switches(b)
	for _, w := range sorted(b.Workers, func(a, b *farm.Worker) int { return cmp.Compare(a.ID, b.ID) }) {
		m.workerRow(w)
	}
	fresh := m.taskRows(b.Tasks)
	for _, s := range sorted(b.Steps, func(a, b *farm.Step) int { return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Index, b.Index)) }) {
		m.stepRow(s)
	}
	for _, e := range b.Entries {
		m.entry(e)
	}
	m.drops(b)
	m.settled(b, fresh)
	for _, l := range fresh {
		m.granted(l)
	}
}

func sorted[T any](v []T, by func(a, b T) int) []T {
	if len(v) > 1 {
		slices.SortFunc(v, by)
	}
	return v
}

// contradictions finds batches that stores of another kind would understand in
// another way, or could not write at all.
func (m *model) contradictions(b *farm.Batch) {
	for _, l := range b.Limits {
		if slices.Contains(b.DropLimits, l.Name) {
			m.breach("one batch both sets and drops the limit %s", l.Name)
		}
	}
	for _, u := range b.Users {
		if slices.Contains(b.DropUsers, u.Login) {
			m.breach("one batch both writes and drops the account %s", u.Login)
		}
	}
	for _, w := range b.Workers {
		if slices.Contains(b.DropWorkers, w.ID) {
			m.breach("one batch both writes and drops the worker %d", w.ID)
		}
		for name, v := range w.Machine.Amounts {
			m.finite("amount "+name+" of a worker", v)
		}
		m.finite("power of a worker", w.Power)
	}
	for _, id := range b.DropJobs {
		if slices.ContainsFunc(b.Jobs, func(j *farm.Job) bool { return j.ID == id }) || slices.ContainsFunc(b.Steps, func(s *farm.Step) bool { return s.Job == id }) ||
			slices.ContainsFunc(b.Tasks, func(t *farm.Task) bool { return t.Job == id }) {
			m.breach("one batch both writes and drops the job %d", id)
		}
	}
	for _, s := range b.Steps {
		m.finite("seconds of a step", s.Seconds)
		m.finite("slowest of a step", s.Slowest)
		m.finite("fastest of a step", s.Fastest)
	}
	for _, t := range b.Tasks {
		for i := range t.Attempts {
			m.finite("seconds of an attempt", t.Attempts[i].Seconds)
		}
	}
}

// finite: no store can write anything else, and no sum survives it.
func (m *model) finite(what string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		m.breach("the %s are %v", what, v)
	}
}

func (m *model) newJob(j *farm.Job) {
	m.log.note("job", j.ID, int64(j.Priority), int64(len(j.Steps)))
	sh := m.shapes[j.Spec.Name]
	if sh == nil || m.jobs[j.ID] != nil || m.dropped[j.ID] || len(j.Steps) != len(sh.steps) {
		m.breach("job %d %q is new, but nobody submitted it, or its number was given before, or its steps differ", j.ID, j.Spec.Name)
		return
	}
	live := &mJob{id: j.ID, row: *j, shape: sh, priority: j.Priority}
	for i := range j.Steps {
		s := &mStep{job: live, index: i, shape: &sh.steps[i], row: j.Steps[i], tasks: make([]mTask, sh.steps[i].tasks),
			retry: make(map[int64]*mTask), fails: make(map[int64]int)}
		if j.Steps[i].Tasks != int64(len(s.tasks)) || !slices.Equal(j.Steps[i].DependsOn, s.shape.deps) {
			m.breach("job %d: step %d is not as submitted", j.ID, i)
		}
		if sh.order == farm.OrderPreview {
			s.places = previewPlaces(len(s.tasks))
		}
		live.steps = append(live.steps, s)
	}
	m.jobs[j.ID] = live
	m.order = append(m.order, j.ID)
	m.count.Jobs++
	if !j.State.Ended() {
		m.unended++
	}
	m.count.Tasks += sh.total()
	for _, s := range live.steps {
		m.list(s)
	}
}

// previewPlaces is the preview order by its definition: first, last, then the
// middle of each gap, coarse to fine, as long as a level falls on tasks of its
// own; then what is left, ascending.
func previewPlaces(n int) []int32 {
	places := make([]int32, n)
	for i := range places {
		places[i] = -1
	}
	next := int32(0)
	visit := func(i int) {
		if places[i] < 0 {
			places[i] = next
			next++
		}
	}
	if n > 2 {
		visit(0)
		visit(n - 1)
		for parts := 2; parts <= n-1; parts *= 2 {
			for j := 1; j < parts; j += 2 {
				visit(j * (n - 1) / parts)
			}
		}
	}
	for i := range n {
		visit(i)
	}
	return places
}

func (m *model) jobRow(row *farm.Job) {
	j := m.jobs[row.ID]
	if j == nil {
		m.breach("a row of job %d, which does not exist", row.ID)
		return
	}
	m.log.note("job", j.id, int64(row.Priority), int64(len(row.State)))
	switch {
	case row.Canceled && !j.row.Canceled && !m.allowed.cancel[j.id]:
		m.breach("job %d is canceled, which nobody asked for", j.id)
	case !row.Canceled && j.row.Canceled && !m.allowed.retry[j.id]:
		m.breach("job %d is not canceled any more, which nobody asked for", j.id)
	case row.Paused != j.row.Paused && !m.allowed.pause[j.id] && !m.allowed.cancel[j.id]:
		m.breach("job %d is paused: %v, which nobody asked for", j.id, row.Paused)
	case j.row.Build != "" && row.Build != j.row.Build:
		m.breach("job %d was pinned to %s and now to %s", j.id, j.row.Build, row.Build)
	}
	if row.Priority != j.priority {
		m.relist(j, row.Priority)
		for _, s := range j.steps {
			m.better[s] = true
		}
	}
	if was, is := j.row.State.Ended(), row.State.Ended(); was && !is {
		m.unended++
	} else if !was && is {
		m.unended--
	}
	spec, steps := j.row.Spec, j.row.Steps
	j.row = *row
	j.row.Spec, j.row.Steps = spec, steps
	for _, s := range j.steps {
		m.list(s)
	}
}

// switches takes limits and the farm's values over.
func (m *model) switches(b *farm.Batch) {
	for _, l := range b.Limits {
		m.limits[l.Name] = int64(math.Round(l.Total * 1000))
		m.rouseLimit(l.Name)
	}
	for _, name := range b.DropLimits {
		delete(m.limits, name)
		m.rouseLimit(name)
	}
	if v, ok := b.Values[farm.ValueMaintenance]; ok {
		if m.off = v == "on"; !m.off {
			for _, s := range m.ready {
				m.better[s] = true
			}
		}
	}
}

func (m *model) workerRow(row *farm.Worker) {
	w := m.workers[row.ID]
	if w == nil {
		if m.removed[row.ID] {
			m.breach("worker %d was removed and is written again", row.ID)
		}
		w = &mWorker{leases: make(map[int64]*mLease)}
		m.workers[row.ID] = w
	}
	m.log.note("worker", row.ID, row.Done, row.Failed, int64(len(row.Streak)), int64(row.Faults))
	if !w.open() && row.Online && !row.Disabled && !row.Aside || row.Slots > w.row.Slots || !slices.Equal(row.Tags, w.row.Tags) ||
		row.Rules.Hours != w.row.Rules.Hours || len(row.Rules.Owners)+len(row.Rules.Jobs) != len(w.row.Rules.Owners)+len(w.row.Rules.Jobs) {
		m.roused[row.ID] = true
	}
	w.row = *row
}

// taskRows takes task rows over: first what has ended, then what has begun. It
// returns the leases that have begun.
func (m *model) taskRows(rows []*farm.Task) []*mLease {
	sorted(rows, func(a, b *farm.Task) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Index, b.Index))
	})
	var fresh []*mLease
	last := m.maxLease
	for _, t := range rows {
		if l := m.taskRow(t); l != nil {
			if l.id <= last {
				m.breach("lease %d is not new: numbers up to %d were given before", l.id, last)
			}
			m.maxLease = max(m.maxLease, l.id)
			fresh = append(fresh, l)
		}
	}
	for i, l := range fresh {
		if i > 0 && slices.ContainsFunc(fresh[:i], func(o *mLease) bool { return o.id == l.id }) {
			m.breach("lease %d was given twice", l.id)
		}
		m.count.Leases++
		m.hold(l)
	}
	return fresh
}

func (m *model) taskRow(row *farm.Task) *mLease {
	t := m.task(row.TaskKey)
	next, known := mStates[row.State]
	if t == nil || !known {
		m.breach("a row of task %v in state %q, which does not exist", row.TaskKey, row.State)
		return nil
	}
	s := m.jobs[row.Job].steps[row.Step]
	m.log.note("task", row.Job, int64(row.Step), row.Index, int64(next), int64(len(row.Attempts)), int64(row.Since))
	prev := t.state
	m.moved(s, t, row, next)
	fresh := m.attempts(s, t, row)
	if prev == mUntouched {
		s.touched++
		if s.touched > int64(len(s.tasks)) {
			m.breach("more tasks of %v were touched than there are", s)
		}
	} else {
		s.n[prev-1]--
	}
	s.n[next-1]++
	t.state, t.since = next, int32(row.Since)
	if next == mWaiting {
		s.retry[row.Index] = t
		m.better[s] = true
	} else {
		delete(s.retry, row.Index)
	}
	m.consistent(s, t, row, fresh)
	return fresh
}

// moved checks a task's move from one state to another.
func (m *model) moved(s *mStep, t *mTask, row *farm.Task, next mState) {
	job := row.Job
	switch {
	case t.state == mDone && next != mDone:
		m.breach("task %v was done and is now %s", row.TaskKey, row.State)
	case t.state == mUntouched && next != mRunning:
		m.breach("task %v was never leased and is now %s", row.TaskKey, row.State)
	case (t.state == mFailed || t.state == mCanceled) && next != t.state && !m.allowed.retry[job]:
		m.breach("task %v was over and is now %s, which nobody asked for", row.TaskKey, row.State)
	case next == mCanceled && t.state != mCanceled && !m.allowed.cancel[job]:
		m.breach("task %v is canceled, which nobody asked for", row.TaskKey)
	case int(t.since) > row.Since, int(t.since) != row.Since && !m.allowed.retry[job]:
		m.breach("task %v counts attempts from %d on, before from %d", row.TaskKey, row.Since, t.since)
	}
}

// attempts takes a task's attempts over and returns the lease that has begun.
func (m *model) attempts(s *mStep, t *mTask, row *farm.Task) *mLease {
	if len(row.Attempts) < len(t.attempts) {
		m.breach("task %v has lost attempts", row.TaskKey)
		return nil
	}
	for i := range t.attempts {
		m.attempt(s, t, &t.attempts[i], &row.Attempts[i], row.TaskKey)
	}
	if len(row.Attempts) == len(t.attempts) {
		return nil
	}
	if len(row.Attempts) > len(t.attempts)+1 {
		m.breach("task %v has %d new attempts in one batch", row.TaskKey, len(row.Attempts)-len(t.attempts))
	}
	a := &row.Attempts[len(row.Attempts)-1]
	if a.Outcome != "" {
		m.breach("task %v has a new attempt that is over: %s", row.TaskKey, a.Outcome)
	}
	m.log.note("lease", a.Lease, a.Worker)
	t.attempts = append(t.attempts, mAttempt{lease: a.Lease, worker: a.Worker})
	return &mLease{id: a.Lease, key: row.TaskKey, worker: a.Worker, step: s, until: time.Now().Add(m.set.Lease)}
}

// attempt checks how one attempt went on.
func (m *model) attempt(s *mStep, t *mTask, old *mAttempt, row *farm.Attempt, key farm.TaskKey) {
	if old.lease != row.Lease || old.worker != row.Worker {
		m.breach("task %v: an attempt of worker %d under lease %d is now of worker %d under %d", key, old.worker, old.lease, row.Worker, row.Lease)
	}
	if old.outcome == row.Outcome {
		return
	}
	late := old.outcome == farm.OutcomeLost || old.outcome == farm.OutcomeReturned
	if old.outcome != "" && !(late && row.Outcome == farm.OutcomeDone) {
		m.breach("task %v: attempt %d was %s and is now %q", key, row.Lease, old.outcome, row.Outcome)
	}
	m.log.note("ended", row.Lease, int64(len(row.Outcome)), int64(len(row.Cause)))
	w := m.workers[old.worker]
	if w == nil {
		w = &mWorker{} // removed in this very batch or before: nobody counts
	}
	switch row.Outcome {
	case farm.OutcomeDone:
		w.done++
		m.count.Done++
		if late {
			m.count.LateDone++
		} else {
			delete(s.fails, old.worker)
		}
		if t.done != 0 {
			m.breach("task %v was done under lease %d and is done again under %d", key, t.done, row.Lease)
		}
		t.done = row.Lease
	case farm.OutcomeLost:
		w.failed++
		s.fails[old.worker]++
		m.count.Lost++
		if l := m.leases[row.Lease]; l != nil && time.Now().Before(l.until) {
			m.breach("task %v: lease %d was lost %s before its time", key, row.Lease, l.until.Sub(time.Now()))
		}
	case farm.OutcomeFailed:
		if row.Cause != farm.CauseNone {
			w.failed++
			s.fails[old.worker]++
		}
	}
	old.outcome, old.cause = row.Outcome, row.Cause
	m.release(row.Lease)
}

// consistent checks that a task's state and attempts belong together.
func (m *model) consistent(s *mStep, t *mTask, row *farm.Task, fresh *mLease) {
	open, byJob, byWorker := 0, 0, 0
	for i, a := range t.attempts {
		counts := i >= int(t.since)
		switch {
		case a.outcome == "":
			open++
		case counts && (a.outcome == farm.OutcomeLost || a.outcome == farm.OutcomeFailed && a.cause == farm.CauseWorker):
			byWorker++
		case counts && a.outcome == farm.OutcomeFailed && a.cause == farm.CauseJob:
			byJob++
		}
	}
	if open > 1 && fresh != nil {
		t.twin = true
		m.count.Doubled++
	}
	tooMany := byJob >= m.set.Tries || byWorker >= m.set.WorkerTries
	switch {
	case (t.state == mDone) != (t.done != 0):
		m.breach("task %v is %s, and the lease that did it is %d", row.TaskKey, row.State, t.done)
	case t.state == mRunning && (open < 1 || open > 2):
		m.breach("task %v runs with %d leases", row.TaskKey, open)
	case (t.state == mWaiting || t.state == mFailed) && open > 0:
		m.breach("task %v is %s and has %d leases", row.TaskKey, row.State, open)
	case t.state == mFailed && !tooMany:
		m.breach("task %v has failed after %d failures of the job and %d of workers", row.TaskKey, byJob, byWorker)
	case t.state == mWaiting && tooMany && !t.twin:
		m.breach("task %v waits after %d failures of the job and %d of workers", row.TaskKey, byJob, byWorker)
	}
}

func (m *model) stepRow(row *farm.Step) {
	j := m.jobs[row.Job]
	if j == nil || row.Index >= len(j.steps) {
		m.breach("a row of step %d of job %d, which does not exist", row.Index, row.Job)
		return
	}
	s := j.steps[row.Index]
	m.log.note("step", row.Job, int64(row.Index), row.Next, row.Retrying, row.Running, row.Done, row.Failed, row.Canceled, int64(len(row.State)))
	if s.row.State == farm.StepDone && row.State != farm.StepDone {
		m.breach("%v is %s now", s, row.State)
	}
	if s.row.State.Ended() && !row.State.Ended() && !m.allowed.retry[row.Job] {
		m.breach("%v is %s now, which nobody asked for", s, row.State)
	}
	s.row = *row
	m.list(s)
}

// entry takes a line of the ledger over.
func (m *model) entry(e *farm.Entry) {
	if m.entries[e.Job] == nil {
		m.entries[e.Job] = make(map[string]farm.Entry)
	}
	old := m.entries[e.Job][e.Account]
	if e.Earned < old.Earned || e.Spent < old.Spent || e.Frames < old.Frames {
		m.breach("the ledger of %s and job %d goes backwards", e.Account, e.Job)
	}
	m.entries[e.Job][e.Account] = *e
}

func (m *model) drops(b *farm.Batch) {
	for _, id := range b.DropWorkers {
		w := m.workers[id]
		if w == nil {
			continue
		}
		for _, lease := range slices.Sorted(maps.Keys(w.leases)) {
			m.breach("worker %d was removed with lease %d", id, lease)
		}
		delete(m.workers, id)
		m.removed[id] = true
	}
	for _, id := range b.DropJobs {
		j := m.jobs[id]
		if j == nil {
			continue
		}
		if !m.allowed.remove[id] || !j.row.State.Ended() {
			m.breach("job %d, %s, was removed", id, j.row.State)
		}
		m.dropped[id] = true
		if !j.row.State.Ended() {
			m.unended--
		}
		for lease, l := range m.leases {
			if l.key.Job == id {
				m.release(lease)
			}
		}
		for _, s := range j.steps {
			m.list(s)
			delete(m.better, s)
		}
		delete(m.jobs, id)
	}
}

// settled checks that everything that a batch touched adds up afterwards.
func (m *model) settled(b *farm.Batch, fresh []*mLease) {
	steps := make(map[*mStep]bool, 2)
	jobs := make(map[*mJob]bool, 2)
	note := func(job int64, step int) {
		if j := m.jobs[job]; j != nil {
			jobs[j] = true
			if step >= 0 && step < len(j.steps) {
				steps[j.steps[step]] = true
			}
		}
	}
	for _, t := range b.Tasks {
		note(t.Job, t.Step)
	}
	for _, s := range b.Steps {
		note(s.Job, s.Index)
	}
	for _, j := range b.Jobs {
		note(j.ID, -1)
	}
	for _, j := range b.NewJobs {
		note(j.ID, -1)
	}
	for s := range steps {
		m.stepAddsUp(s)
		m.list(s)
	}
	for j := range jobs {
		m.jobAddsUp(j)
	}
	for _, row := range b.Workers {
		if w := m.workers[row.ID]; w != nil && (w.done != row.Done || w.failed != row.Failed) {
			m.breach("worker %d has done %d and failed %d, but is credited %d and %d", row.ID, w.done, w.failed, row.Done, row.Failed)
		}
	}
	done := make(map[int64]bool, len(b.Entries))
	for _, e := range b.Entries {
		if e.Job != 0 && !done[e.Job] {
			done[e.Job] = true
			m.ledgerAddsUp(e.Job)
		}
	}
}

func (m *model) stepAddsUp(s *mStep) {
	r := &s.row
	if r.Next != s.touched || r.Retrying != s.n[mWaiting-1] || r.Running != s.n[mRunning-1] || r.Done != s.n[mDone-1] ||
		r.Failed != s.n[mFailed-1] || r.Canceled != s.n[mCanceled-1] {
		m.breach("%v says next %d, retrying %d, running %d, done %d, failed %d, canceled %d; its tasks say next %d and %v", s,
			r.Next, r.Retrying, r.Running, r.Done, r.Failed, r.Canceled, s.touched, s.n)
	}
	c := r.Counts()
	if c.Waiting+c.Running+c.Done+c.Failed+c.Canceled != c.Total || c.Waiting < 0 || c.Running < 0 || c.Done < 0 || c.Failed < 0 || c.Canceled < 0 {
		m.breach("the counts of %v do not add up: %+v", s, c)
	}
	if want := m.stepState(s); want != r.State {
		m.breach("%v should be %s: %+v", s, want, c)
	}
}

// stepState is the state that a step should have by the table of states.md.
func (m *model) stepState(s *mStep) farm.StepState {
	if s.job.row.Canceled && s.row.State != farm.StepDone && s.row.State != farm.StepFailed {
		return farm.StepCanceled
	}
	blocked, never := false, false
	for _, d := range s.shape.deps {
		switch s.job.steps[d].row.State {
		case farm.StepDone:
		case farm.StepFailed, farm.StepCanceled:
			never = true
		default:
			blocked = true
		}
	}
	switch {
	case never && s.touched == 0:
		return farm.StepCanceled
	case blocked && !s.row.State.Ended():
		return farm.StepBlocked
	case s.waiting() > 0 || s.n[mRunning-1] > 0:
		return farm.StepReady
	case s.n[mFailed-1] > 0:
		return farm.StepFailed
	case s.n[mCanceled-1] > 0:
		return farm.StepCanceled
	}
	return farm.StepDone
}

func (m *model) jobAddsUp(j *mJob) {
	want := farm.JobWaiting
	ended, good := true, true
	for _, s := range j.steps {
		ended = ended && s.row.State.Ended()
		good = good && s.row.State == farm.StepDone
		if s.row.State.Ended() && s.n[mRunning-1] > 0 {
			m.breach("%v has ended and runs %d tasks", s, s.n[mRunning-1])
		}
	}
	switch r := &j.row; {
	case r.Canceled:
		want = farm.JobCanceled
	case ended && good:
		want = farm.JobDone
	case ended:
		want = farm.JobFailed
	case r.Paused:
		want = farm.JobPaused
	case !r.Started.IsZero():
		want = farm.JobRunning
	}
	if want != j.row.State {
		m.breach("job %d is %s and should be %s", j.id, j.row.State, want)
	}
	if j.row.State.Ended() == j.row.Finished.IsZero() {
		m.breach("job %d is %s and finished at %v", j.id, j.row.State, j.row.Finished)
	}
}

// ledgerAddsUp: what a job's owner spent is what others earned by it.
func (m *model) ledgerAddsUp(job int64) {
	var earned, spent farm.Points
	var frames int64
	for _, e := range m.entries[job] {
		earned += e.Earned
		spent += e.Spent
		frames += e.Frames
	}
	if earned != spent {
		m.breach("by job %d %d points were earned and %d spent", job, earned, spent)
	}
	j := m.jobs[job]
	if j == nil {
		return
	}
	var done int64
	for _, s := range j.steps {
		done += s.n[mDone-1]
	}
	if frames > done {
		m.breach("%d frames of job %d were credited, but %d are done", frames, job, done)
	}
}

// granted checks a lease that was made in the batch just taken over.
func (m *model) granted(l *mLease) {
	w, s := m.workers[l.worker], l.step
	j := s.job
	switch {
	case w == nil:
		m.breach("lease %d was given to worker %d, which does not exist", l.id, l.worker)
		return
	case !w.open():
		m.breach("lease %d was given to worker %d, which is online: %v, disabled: %v, aside: %v", l.id, l.worker, w.row.Online, w.row.Disabled, w.row.Aside)
	case m.off:
		m.breach("lease %d was given in maintenance", l.id)
	case j.row.Paused || j.row.Canceled || s.row.State != farm.StepReady:
		m.breach("lease %d was given of %v, paused: %v, canceled: %v", l.id, s, j.row.Paused, j.row.Canceled)
	case !m.fits(w, s):
		m.breach("lease %d of %v was given to worker %d, which does not fit: %+v, %+v", l.id, s, l.worker, s.shape.need, w.row)
	case len(w.leases) > w.row.Slots:
		m.breach("worker %d has %d leases and %d slots", l.worker, len(w.leases), w.row.Slots)
	}
	if place := s.place(l.key.Index); place >= s.touched {
		m.breach("lease %d is of task %v, whose place is %d, although only %d were handed out", l.id, l.key, place, s.touched)
	}
	for _, d := range s.shape.deps {
		if j.steps[d].row.State != farm.StepDone {
			m.breach("lease %d was given of %v, but %v is not done", l.id, s, j.steps[d])
		}
	}
	for _, a := range s.shape.need.amounts {
		if total, limit := m.limits[a.name]; limit {
			if m.used[a.name] > total {
				m.breach("lease %d of %v: %d thousandths of %s are used, of %d", l.id, s, m.used[a.name], a.name, total)
			}
		} else if m.taken(w, a.name, 0) > w.has(a.name) {
			m.breach("lease %d of %v: worker %d has given out %d thousandths of %s, of %d", l.id, s, l.worker, m.taken(w, a.name, 0), a.name, w.has(a.name))
		}
	}
	m.priorities(l, w, s)
}

// priorities: no task of a lower priority while one of a higher, which fits,
// waits; and no second attempt while any fitting task waits.
func (m *model) priorities(l *mLease, w *mWorker, s *mStep) {
	t := &s.tasks[l.key.Index]
	second := false
	for _, a := range t.attempts {
		if a.outcome == "" && a.lease != l.id {
			second = true
			if a.worker == l.worker {
				m.breach("worker %d has two leases of task %v", a.worker, l.key)
			}
		}
	}
	for _, o := range m.ready {
		if o.job.priority <= s.job.priority && !second {
			return
		}
		if o != s && m.must(w, o, l.id) {
			m.breach("worker %d was given lease %d of %v (a second attempt: %v) while a task of %v waited for it", l.worker, l.id, s, second, o)
		}
	}
}
