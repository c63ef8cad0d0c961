package farm

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"drover.farm/internal/sched"
	"drover.farm/openjd"
)

// state is what the dispatcher owns: the live part of the farm in memory, and
// the rows that the batch under way has changed. Nothing in it is touched by
// another goroutine.
type state struct {
	f     *Farm
	epoch int64
	now   time.Time // stamped once a batch

	jobs    map[int64]*job // those that have not ended, and others while needed
	workers map[int64]*worker
	roster  roster // of workers
	byKey   map[string]*worker
	lenders map[string]*lender // accounts that have workers
	leases  map[int64]*lease
	queue   *sched.Queue
	tails   map[*step]struct{} // ready steps with only running tasks left
	users   map[string]*User
	tokens  tokens
	limits  map[string]*Limit
	limited int // how often these were set
	values  map[string]string
	builds  map[int64]*Build
	packs   map[string]*Pack
	grants  map[string]*Entry // entries of no job, by account
	balance map[string]Points

	room    room
	watches watches
	houred  map[int64]*worker // that render at some hours only
	fresh   []*claim          // arrived in this batch
	moved   []*worker         // have claims that wait and may belong in other lines now
	granted []*claim          // have a lease that is not durable yet
	bounds  Bounds            // of the claim that is being matched
	only    func(*Job) bool
	overdue bool     // slow tasks are to be looked for
	slow    []*lease // those that the last scan found

	lastJob, lastWorker, lastLease, lastEvent, lastBuild int64

	pending map[int64]*Pending // what is to be done to jobs later
	span    Sample             // of the ten minutes under way
	sampled time.Time          // when span was last written
	deeds   int64              // lines of the audit list since the start

	dirty     dirty
	unwritten []*worker // their history has news, the oldest first
	visited   []*job    // may be forgotten after the batch, when they have ended
	after     []func()  // run once the batch is durable
}

// dirty are the rows changed by the batch under way.
type dirty struct {
	newJobs map[int64]*job
	jobs    map[int64]*job
	steps   map[*step]struct{}
	tasks   map[TaskKey]*Task
	workers map[int64]*worker
	tallies map[int64]*worker
	events  []Event
	entries map[entryKey]*Entry
	grouped map[eventKey]int // place in events of an event that more tasks can join
	rest    Batch            // kinds that are changed seldom
}

type eventKey struct {
	job  int64
	step int
	kind string
}

type job struct {
	*Job
	steps  []*step
	scene  uint64            // equal for jobs with the same files; 0: it has none
	built  *openjd.Job       // instantiated at the first lease
	build  buildFunc         // instantiates it, once for all who need it; nil when nobody does
	ledger map[string]*Entry // by account; nil until read
	shown  *Job              // what snapshot gave last; nil when something has changed since
}

type step struct {
	*Step
	job     *job
	retry   retries            // touched tasks that wait again
	running map[int64][]*lease // by index; two when a straggler was doubled
	begun   []*lease           // in order of their start; some have ended
	fails   map[int64]int      // failures in a row, by worker
	better  *others            // workers on which it does not fail
	fit     *others            // workers that could run it
	cost    float64            // of the frames finished since the farm started, in seconds of an average machine
	costN   int64              // how many these are
	peak    int64              // most memory that one of them took
	asked   *sched.Needs       // Needs before the job was pinned to a version
}

type worker struct {
	*Worker
	enlisted
	info    sched.Worker
	leases  map[int64]*lease
	seen    time.Time
	watched time.Time // when it is to be looked at; zero: it is not
	scenes  []uint64  // of the jobs it rendered, the last first: their files are in its cache
	passing time.Time // since when it has been given tasks before others' for what it holds
	stop    []int64   // leases to stop that it was not told of yet
	beat    *beat     // its heartbeat that waits for news
	claims  []*claim  // of it that wait
	hours   [2]int    // minutes of the day from and to which it renders; equal: always
	shut    string    // why it took nothing at the last scan, of those with hours
	offers  []offer   // of the library
	sent    int       // leases whose outputs are on their way
	vitals  *Vitals   // as it told last
	history *History  // nil until it is needed
	news    time.Time // since when history has what is not written; zero: it has nothing
}

type lease struct {
	id       int64
	worker   *worker
	step     *step
	task     *Task
	key      string // of the claim it answered
	started  time.Time
	deadline time.Time
	progress float64
	message  string
	memory   int64
	sent     bool // rendered, its outputs are on their way: it takes no room on the worker
	stopping bool
	why      string // it was told to stop
}

// load makes the state from what the store holds.
func (f *Farm) load(ctx context.Context, epoch int64) (*state, error) {
	snap, err := f.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the farm's state: %w", err)
	}
	st := &state{
		f: f, epoch: epoch, now: f.clock(),
		jobs: make(map[int64]*job, len(snap.Jobs)), workers: make(map[int64]*worker, len(snap.Workers)),
		byKey: make(map[string]*worker, len(snap.Workers)), lenders: make(map[string]*lender), leases: make(map[int64]*lease),
		queue: sched.New(), tails: make(map[*step]struct{}), users: make(map[string]*User), tokens: newTokens(),
		limits: make(map[string]*Limit), values: snap.Values,
		lastJob: max(snap.MaxJob, FirstJob-1), lastWorker: snap.MaxWorker, lastEvent: snap.MaxEvent,
		// Leases of an earlier writer that were handed out but never written can
		// have no number that this one gives.
		lastLease: epoch << 32,
		builds:    make(map[int64]*Build), packs: make(map[string]*Pack), grants: make(map[string]*Entry),
		balance: maps.Clone(snap.Balances), lastBuild: snap.MaxBuild, room: newRoom(), houred: make(map[int64]*worker),
	}
	if st.values == nil {
		st.values = make(map[string]string)
	}
	if st.balance == nil {
		st.balance = make(map[string]Points)
	}
	st.dirty.reset()
	for _, u := range snap.Users {
		st.users[u.Login] = u
		st.weigh(u.Login)
	}
	for _, b := range snap.Builds {
		st.builds[b.ID] = b
	}
	for _, p := range snap.Packs {
		st.packs[p.Key] = p
	}
	for _, t := range snap.Tokens {
		st.tokens.put(t)
	}
	for _, l := range snap.Limits {
		st.limits[l.Name] = l
		st.queue.SetLimit(l.Name, l.Total)
	}
	slices.SortFunc(snap.Workers, func(a, b *Worker) int { return cmp.Compare(a.ID, b.ID) })
	for _, w := range snap.Workers {
		st.adopt(w)
	}
	for _, j := range snap.Jobs {
		st.admit(j)
	}
	for _, j := range st.jobs {
		j.ledger = make(map[string]*Entry)
	}
	for _, e := range snap.Entries {
		if e.Job == 0 {
			st.grants[e.Account] = e
		} else if j := st.jobs[e.Job]; j != nil {
			j.ledger[e.Account] = e
		}
	}
	for _, t := range snap.Tasks {
		st.resume(t)
	}
	for _, row := range snap.Jobs { // in an order, for so they stand in the queue
		for _, s := range st.jobs[row.ID].steps {
			slices.SortFunc(s.begun, func(a, b *lease) int { return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id)) })
			st.place(s)
		}
	}
	if err := st.loadPending(ctx); err != nil {
		return nil, err
	}
	st.sample()
	f.auth.replace(snap.Users, snap.Tokens)
	f.latest.Store(st.lastEvent)
	st.publishValues()
	return st, nil
}

// adopt takes a worker into memory.
func (st *state) adopt(row *Worker) *worker {
	w := &worker{Worker: row, leases: make(map[int64]*lease), seen: st.now}
	st.workers[w.ID] = w
	st.enlist(w)
	st.byKey[w.Door+"\x00"+w.User+"\x00"+w.Key] = w
	st.equip(w)
	st.watchOn(w)
	return w
}

// admit takes a job into memory.
func (st *state) admit(row *Job) *job {
	j := &job{Job: row, scene: sceneOf(row.Spec.Files), steps: make([]*step, len(row.Steps))}
	for i := range row.Steps {
		j.steps[i] = &step{Step: &row.Steps[i], job: j, retry: newRetries(), running: make(map[int64][]*lease), fails: make(map[int64]int)}
	}
	st.jobs[j.ID] = j
	not := st.f.notDoors(&row.Spec)
	for _, s := range j.steps {
		s.Needs = without(s.Needs, not)
		s.asked = s.Needs
	}
	if j.Build != "" {
		for _, s := range j.steps {
			s.Needs = pinned(s.Needs, j.Spec.Renderer, j.Build)
		}
	}
	return j
}

// resume takes a touched task that is not over into memory: one that waits into
// its step's retries, one that runs into a lease with a full period.
func (st *state) resume(t *Task) {
	j := st.jobs[t.Job]
	if j == nil || t.Step >= len(j.steps) {
		return
	}
	s := j.steps[t.Step]
	if t.State == TaskWaiting {
		s.retry.put(t)
		return
	}
	for i := range t.Attempts {
		a := &t.Attempts[i]
		if a.Outcome != "" {
			continue
		}
		w := st.workers[a.Worker]
		if w == nil { // a removed worker's rows are gone, its attempts are not
			w = &worker{Worker: &Worker{ID: a.Worker, Name: a.Name, Door: a.Door}, leases: make(map[int64]*lease), seen: st.now}
			w.describe()
		}
		st.hold(&lease{id: a.Lease, worker: w, step: s, task: t, started: a.Started, deadline: st.now.Add(st.period(w))})
	}
}

// hold books a lease in: with its step, its worker and the queue.
func (st *state) hold(l *lease) {
	st.leases[l.id] = l
	l.worker.leases[l.id] = l
	l.worker.lender.hold(1)
	st.watch(l.worker, l.deadline)
	l.step.running[l.task.Index] = append(l.step.running[l.task.Index], l)
	l.step.begun = append(l.step.begun, l)
	l.step.trim()
	l.worker.use(l.step.Needs, 1, st.queue.Limits())
	st.stirred(l.worker)
	st.queue.Start(l.step.job.Owner, l.step.Needs)
}

// release books a lease out again.
func (st *state) release(l *lease) {
	delete(st.leases, l.id)
	delete(l.worker.leases, l.id)
	l.worker.lender.hold(-1)
	rest := slices.DeleteFunc(l.step.running[l.task.Index], func(o *lease) bool { return o == l })
	if len(rest) == 0 {
		delete(l.step.running, l.task.Index)
	} else {
		l.step.running[l.task.Index] = rest
	}
	if l.sent {
		l.worker.sent--
	} else {
		l.worker.use(l.step.Needs, -1, st.queue.Limits())
	}
	st.stirred(l.worker) // its own claims may be served now
	l.worker.stop = slices.DeleteFunc(l.worker.stop, func(id int64) bool { return id == l.id })
	st.queue.Stop(l.step.job.Owner, l.step.Needs)
}

// held are the worker's leases, oldest first: what is done to several of them is
// done in an order, so that a simulation repeats itself.
func (w *worker) held() []*lease {
	return slices.SortedFunc(maps.Values(w.leases), func(a, b *lease) int { return cmp.Compare(a.id, b.id) })
}

// period is how long a lease of the worker lasts unless renewed.
func (st *state) period(w *worker) time.Duration {
	if w.Lease > 0 {
		return w.Lease
	}
	return st.f.settings.Lease
}

var classSeed = maphash.MakeSeed()

// describe works out what the scheduler sees of the worker.
func (w *worker) describe() {
	m := &w.Machine
	w.hours[0], w.hours[1], _ = parseHours(w.Rules.Hours) // checked when they came
	cores := max(m.Cores-w.Rules.LeaveFree, 0)
	amounts := map[string]float64{
		"amount.worker.vcpu":         float64(cores),
		"amount.worker.memory":       float64(m.Memory >> 20),
		"amount.worker.disk.scratch": float64(m.Disk >> 30),
		"amount.worker.gpu":          float64(len(m.GPUs)),
	}
	for i, g := range m.GPUs {
		mib := float64(g.Memory >> 20)
		if i == 0 || mib < amounts["amount.worker.gpu.memory"] {
			amounts["amount.worker.gpu.memory"] = mib
		}
	}
	for k, v := range m.Amounts {
		amounts[k] = v
	}
	attrs := map[string][]string{
		"attr.worker.os.family": {m.OS},
		"attr.worker.cpu.arch":  {m.Arch},
		"attr.worker.tag":       w.Tags,
		"attr.worker.hostname":  {m.Hostname},
	}
	w.renderers(attrs)
	for k, v := range m.Attributes {
		attrs[k] = v
	}
	used := w.info.Used
	if used == nil {
		used = make(map[string]float64)
	}
	w.info = sched.Worker{
		ID: w.ID, Door: w.Door, Tags: w.Tags, Owners: w.Rules.Owners, Jobs: w.Rules.Jobs, AllSlots: w.Slots,
		Slots: w.Slots - (len(w.leases) - w.sent), Amounts: amounts, Used: used, Attributes: attrs, Warm: w.info.Warm,
	}
}

// use books one task with these needs on the worker, or books it out.
func (w *worker) use(n *sched.Needs, d int, limits map[string]*sched.Limit) {
	w.info.Slots -= d
	if n == nil {
		return
	}
	for _, a := range n.Amounts {
		if _, farm := limits[a.Name]; !farm {
			w.info.Used[a.Name] += float64(d) * a.Min
		}
	}
}

// RendererAttribute is the name of the attribute whose values are the versions
// of a renderer that a worker has.
func RendererAttribute(product string) string { return "attr.renderer." + product }

// place puts a step into the queue or takes it out, as its state asks.
func (st *state) place(s *step) {
	st.tail(s)
	want := s.State == StepReady && !s.job.Paused && !s.job.Canceled && s.Untouched()+s.retry.len() > 0
	if !want {
		st.queue.Remove(s.Job, s.Index)
		return
	}
	if st.queue.Has(s.Job, s.Index) {
		return
	}
	st.queue.Add(&sched.Step{Job: s.Job, Index: s.Index, Owner: s.job.Owner, Priority: s.job.Priority, Needs: s.Needs,
		Bytes: s.job.bytes(), Scene: s.job.scene,
		Takes: func(worker int64) bool { return st.takes(s, worker) }})
}

// replace puts a step whose rank or needs have changed into the queue anew.
func (st *state) replace(s *step) {
	st.queue.Remove(s.Job, s.Index)
	st.place(s)
}

// takes reports whether the worker may have one of the step's waiting tasks.
func (st *state) takes(s *step, worker int64) bool {
	if st.avoided(s, worker) {
		return false
	}
	if !st.bounds.allow(s, st.workers[worker]) {
		return false
	}
	if st.only != nil && !st.only(s.job.Job) {
		return false
	}
	if s.Untouched() > 0 {
		return true
	}
	_, ok := st.pickRetry(s, worker)
	return ok
}

// tried lists the workers that the task failed on since it last started anew.
func (t *Task) tried() []int64 {
	var ids []int64
	for _, a := range t.Attempts[min(t.Since, len(t.Attempts)):] {
		if (a.Outcome == OutcomeFailed || a.Outcome == OutcomeLost) && !slices.Contains(ids, a.Worker) {
			ids = append(ids, a.Worker)
		}
	}
	return ids
}

// failures counts the failed attempts since the task last started anew.
func (t *Task) failures() (byJob, byWorker int) {
	for _, a := range t.Attempts[min(t.Since, len(t.Attempts)):] {
		switch {
		case a.Outcome == OutcomeLost, a.Outcome == OutcomeFailed && a.Cause == CauseWorker:
			byWorker++
		case a.Outcome == OutcomeFailed && a.Cause == CauseJob:
			byJob++
		}
	}
	return byJob, byWorker
}

// job returns a job, from memory or from the store.
func (st *state) job(id int64) (*job, error) {
	if j := st.jobs[id]; j != nil {
		return j, nil
	}
	row, err := st.f.store.Job(context.Background(), id)
	if err != nil {
		if isNotFound(err) {
			return nil, noJob(id)
		}
		return nil, fmt.Errorf("read job %d: %w", id, err)
	}
	j := st.admit(row)
	st.visited = append(st.visited, j)
	return j, nil
}

func noJob(id int64) *Error {
	return Errorf(NotFound, "there is no job %d; \"drover job ls\" lists the jobs", id)
}

// task returns the row of a touched task: as the batch under way has it, from
// a lease, or from the store.
func (st *state) task(k TaskKey) (*Task, error) {
	if t := st.dirty.tasks[k]; t != nil {
		return t, nil
	}
	if j := st.jobs[k.Job]; j != nil && k.Step >= 0 && k.Step < len(j.steps) {
		s := j.steps[k.Step]
		if r := s.retry.all[k.Index]; r != nil && r.task != nil {
			return r.task, nil
		}
		if ls := s.running[k.Index]; len(ls) > 0 {
			return ls[0].task, nil
		}
	}
	return st.f.store.Task(context.Background(), k)
}
