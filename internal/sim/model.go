package sim

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"drover.farm/internal/farm"
)

// model is what the farm must be like, made from the batches that it committed
// and from nothing else. It knows the rules of docs/design/states.md and holds
// each batch against them as it is written; the first breach is kept in err.
//
// It is written by the farm's dispatcher and read by the simulation when all
// else rests.
type model struct {
	log      *journal
	set      farm.Settings
	shapes   map[string]*shape // by the name of the job
	jobs     map[int64]*mJob
	order    []int64 // ids of jobs, oldest first
	dropped  map[int64]bool
	workers  map[int64]*mWorker
	removed  map[int64]bool
	leases   map[int64]*mLease
	limits   map[string]int64 // thousandths
	used     map[string]int64 // of each licence, by open leases
	ready    []*mStep         // steps with tasks that may be handed out, highest priority first
	off      bool             // maintenance
	maxLease int64
	entries  map[int64]map[string]farm.Entry

	allowed allowed
	// What has changed so that somebody who waits might be served now.
	better  map[*mStep]bool
	roused  map[int64]bool // workers
	unended int            // jobs that have not ended
	batches int64
	count   Report // the numbers that it knows

	mu  sync.Mutex
	err error
}

// allowed are the changes that somebody has asked for just now; without it they
// must not happen.
type allowed struct{ retry, cancel, pause, remove map[int64]bool }

func (a *allowed) clear() {
	clear(a.retry)
	clear(a.cancel)
	clear(a.pause)
	clear(a.remove)
}

type mJob struct {
	id       int64
	row      farm.Job // without spec and steps
	shape    *shape
	steps    []*mStep
	priority int
}

type mStep struct {
	job     *mJob
	index   int
	shape   *shapeStep
	row     farm.Step
	tasks   []mTask
	places  []int32 // of the indices in the preview order; nil for the linear one
	touched int64
	n       [5]int64 // touched tasks by state
	retry   map[int64]*mTask
	fails   map[int64]int // failures in a row by worker, since the step began
	listed  bool          // in model.ready
}

// waiting is how many tasks could be handed out.
func (s *mStep) waiting() int64 { return int64(len(s.tasks)) - s.touched + int64(len(s.retry)) }

// place is the position of a task in the order of hand-out.
func (s *mStep) place(index int64) int64 {
	if s.places == nil {
		return index
	}
	return int64(s.places[index])
}

func (s *mStep) String() string {
	return fmt.Sprintf("step %d of job %d (%s, priority %d)", s.index, s.job.id, s.row.State, s.job.priority)
}

type mState uint8

const (
	mUntouched mState = iota
	mWaiting
	mRunning
	mDone
	mFailed
	mCanceled
)

var mStates = map[farm.TaskState]mState{farm.TaskWaiting: mWaiting, farm.TaskRunning: mRunning, farm.TaskDone: mDone,
	farm.TaskFailed: mFailed, farm.TaskCanceled: mCanceled}

type mTask struct {
	state    mState
	twin     bool // had two attempts at once at some time
	since    int32
	done     int64 // lease of the attempt that counts
	attempts []mAttempt
}

type mAttempt struct {
	lease, worker int64
	outcome       farm.Outcome
	cause         farm.Cause
}

type mWorker struct {
	row    farm.Worker
	leases map[int64]*mLease
	done   int64
	failed int64
}

// mLease is an open attempt whose worker and limits are taken.
type mLease struct {
	id     int64
	key    farm.TaskKey
	worker int64
	step   *mStep
	until  time.Time // it must not be lost before
}

func newModel(log *journal, set farm.Settings) *model {
	return &model{log: log, set: set, shapes: make(map[string]*shape), jobs: make(map[int64]*mJob), dropped: make(map[int64]bool),
		workers: make(map[int64]*mWorker), removed: make(map[int64]bool), leases: make(map[int64]*mLease),
		limits: make(map[string]int64), used: make(map[string]int64), entries: make(map[int64]map[string]farm.Entry),
		allowed: allowed{make(map[int64]bool), make(map[int64]bool), make(map[int64]bool), make(map[int64]bool)},
		better:  make(map[*mStep]bool), roused: make(map[int64]bool)}
}

// breach notes that a rule was broken. The first one counts.
func (m *model) breach(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

func (m *model) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *model) task(k farm.TaskKey) *mTask {
	if j := m.jobs[k.Job]; j != nil && k.Step >= 0 && k.Step < len(j.steps) && k.Index >= 0 && k.Index < int64(len(j.steps[k.Step].tasks)) {
		return &j.steps[k.Step].tasks[k.Index]
	}
	return nil
}

// reloaded is called when a farm has loaded its state: every lease has a full
// period again, and those of tasks that are over are forgotten.
func (m *model) reloaded() {
	for id, l := range m.leases {
		t := &l.step.tasks[l.key.Index]
		if l.step.job.row.State.Ended() || t.state != mRunning && t.state != mWaiting {
			m.release(id)
			continue
		}
		l.until = time.Now().Add(m.set.Lease)
	}
}

// hold books an open attempt.
func (m *model) hold(l *mLease) {
	m.leases[l.id] = l
	if w := m.workers[l.worker]; w != nil {
		w.leases[l.id] = l
	}
	m.bookLimits(l.step, 1)
}

// release books it out.
func (m *model) release(id int64) {
	l := m.leases[id]
	if l == nil {
		return
	}
	delete(m.leases, id)
	if w := m.workers[l.worker]; w != nil {
		delete(w.leases, id)
		m.roused[l.worker] = true
	}
	m.bookLimits(l.step, -1)
}

func (m *model) bookLimits(s *mStep, d int64) {
	for _, a := range s.shape.need.amounts {
		if _, licence := licences[a.name]; !licence {
			continue
		}
		m.used[a.name] += d * a.milli
		if d < 0 {
			m.rouseLimit(a.name)
		}
	}
}

// rouseLimit notes that steps which draw on a limit may start now.
func (m *model) rouseLimit(name string) {
	for _, s := range m.ready {
		if slices.ContainsFunc(s.shape.need.amounts, func(a amount) bool { return a.name == name }) {
			m.better[s] = true
		}
	}
}

// list keeps the step's place among those that are ready.
func (m *model) list(s *mStep) {
	want := s.row.State == farm.StepReady && !s.job.row.Paused && !s.job.row.Canceled && s.waiting() > 0 && !m.dropped[s.job.id]
	if want == s.listed {
		return
	}
	s.listed = want
	if !want {
		m.ready = slices.DeleteFunc(m.ready, func(o *mStep) bool { return o == s })
		return
	}
	at, _ := slices.BinarySearchFunc(m.ready, s.job.priority, func(o *mStep, p int) int { return p - o.job.priority })
	m.ready = slices.Insert(m.ready, at, s)
	m.better[s] = true
}

// relist puts the steps of a job whose priority has changed in their places.
func (m *model) relist(j *mJob, priority int) {
	for _, s := range j.steps {
		if s.listed {
			m.ready = slices.DeleteFunc(m.ready, func(o *mStep) bool { return o == s })
			s.listed = false
		}
	}
	j.priority = priority
	for _, s := range j.steps {
		m.list(s)
	}
}

// open reports whether the worker may be given work at all.
func (w *mWorker) open() bool { return w.row.Online && !w.row.Disabled && !w.row.Aside }

// fits reports whether the worker could run the step's tasks with nothing else
// to do.
func (m *model) fits(w *mWorker, s *mStep) bool {
	n, r := &s.shape.need, &w.row
	switch {
	case len(n.doors) > 0 && !slices.Contains(n.doors, r.Door),
		len(r.Rules.Owners) > 0 && !slices.Contains(r.Rules.Owners, s.job.shape.owner.Login),
		len(r.Rules.Jobs) > 0 && !slices.Contains(r.Rules.Jobs, s.job.id),
		n.os != "" && n.os != r.Machine.OS:
		return false
	}
	for _, t := range n.tags {
		if !slices.Contains(r.Tags, t) {
			return false
		}
	}
	if n.renderer != "" && !hasRenderer(&r.Machine, n.renderer, s.job.row.Build) {
		return false
	}
	for _, a := range n.amounts {
		have, limit := m.limits[a.name]
		if !limit {
			have = w.has(a.name)
		}
		if have < a.milli {
			return false
		}
	}
	return true
}

func hasRenderer(m *farm.Machine, product, version string) bool {
	return slices.ContainsFunc(m.Renderers, func(r farm.Renderer) bool {
		return r.Product == product && (version == "" || r.Version == version)
	})
}

// has is how much of an amount the worker has, in thousandths.
func (w *mWorker) has(name string) int64 {
	switch name {
	case "amount.worker.vcpu":
		return int64(max(w.row.Machine.Cores-w.row.Rules.LeaveFree, 0)) * 1000
	case "amount.worker.memory":
		return w.row.Machine.Memory >> 20 * 1000
	}
	return 0
}

// room reports whether the worker and the limits have room for one more task of
// the step, not counting the lease except.
func (m *model) room(w *mWorker, s *mStep, except int64) bool {
	n := len(w.leases)
	if w.leases[except] != nil {
		n--
	}
	if n >= w.row.Slots {
		return false
	}
	for _, a := range s.shape.need.amounts {
		if total, limit := m.limits[a.name]; limit {
			if total-m.used[a.name] < a.milli {
				return false
			}
			continue
		}
		if w.has(a.name)-m.taken(w, a.name, except) < a.milli {
			return false
		}
	}
	return true
}

// taken is how much of an amount the worker's leases take, but for one.
func (m *model) taken(w *mWorker, name string, except int64) (sum int64) {
	for id, l := range w.leases {
		if id == except {
			continue
		}
		for _, a := range l.step.shape.need.amounts {
			if a.name == name {
				sum += a.milli
			}
		}
	}
	return sum
}

// must reports whether the worker, if it asked now, would have to get a task of
// the step. It is on the safe side where the farm goes by what it remembers of
// failures, and by the hour.
func (m *model) must(w *mWorker, s *mStep, except int64) bool {
	if m.off || !w.open() || w.row.Rules.Hours != "" || !s.listed || s.waiting() < 1 || !m.fits(w, s) || !m.room(w, s, except) {
		return false
	}
	id := w.row.ID
	if s.fails[id] >= m.set.AvoidAfter {
		return false
	}
	if int64(len(s.tasks)) > s.touched {
		return true
	}
	for _, t := range s.retry {
		if !t.triedBy(id) {
			return true
		}
	}
	return false
}

// triedBy reports whether the task failed on the worker since it last started
// anew.
func (t *mTask) triedBy(worker int64) bool {
	for _, a := range t.attempts[min(int(t.since), len(t.attempts)):] {
		if a.worker == worker && (a.outcome == farm.OutcomeFailed || a.outcome == farm.OutcomeLost) {
			return true
		}
	}
	return false
}

// overlooked finds a step that the worker would have to be given a task of, nil
// when there is none.
func (m *model) overlooked(id int64) *mStep {
	w := m.workers[id]
	if w == nil || m.off || !w.open() || w.row.Slots <= len(w.leases) {
		return nil
	}
	for _, s := range m.ready {
		if m.must(w, s, 0) {
			return s
		}
	}
	return nil
}

// jobIDs are the jobs that there are, oldest first.
func (m *model) jobIDs() []int64 {
	m.order = slices.DeleteFunc(m.order, func(id int64) bool { return m.dropped[id] })
	return m.order
}
