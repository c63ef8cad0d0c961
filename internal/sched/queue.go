package sched

import (
	"cmp"
	"slices"
)

// Limit is a farm-wide counter that steps draw on.
type Limit struct{ Total, Used float64 }

// Step is a step with tasks that wait, as a Queue keeps it.
type Step struct {
	Job      int64
	Index    int
	Owner    string
	Priority int
	Needs    *Needs
	Bytes    int64  // of the files that a worker must fetch
	Scene    uint64 // equal for steps with the same files; 0: it has none
	// Takes reports whether a waiting task of the step may go to this worker;
	// nil: any may. It answers for the tasks that already failed there.
	Takes func(worker int64) bool

	shape *shape
}

func age(a, b *Step) int {
	return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Index, b.Index))
}

// shape gathers the steps of one owner and priority that have equal needs, so
// that a worker that one of them does not fit passes over all at once.
type shape struct {
	needs *Needs
	steps []*Step // by age
}

// lane is one owner's steps of one priority.
type lane struct {
	owner  *owner
	shapes map[string]*shape
}

type owner struct {
	name    string
	weight  float64
	running int
	served  uint64 // Queue.served when it last got a task
}

func (o *owner) share() float64 { return float64(o.running) / o.weight }

// Queue holds the steps that have waiting tasks, the farm's limits and what
// each owner has running. The zero Queue is not usable; see New. It is not safe
// for concurrent use.
type Queue struct {
	levels [101]map[string]*lane // by priority, then owner
	owners map[string]*owner
	steps  map[[2]int64]*Step
	jobs   map[int64][]*Step  // by age
	scenes map[uint64][]*Step // by age
	limits map[string]*Limit
	// barren remembers classes of workers for which nothing was found since
	// the queue last changed in a way that could help them.
	barren  map[uint64]struct{}
	asks    asks
	served  uint64
	version uint64
}

// New returns an empty queue.
func New() *Queue {
	return &Queue{
		owners: make(map[string]*owner),
		steps:  make(map[[2]int64]*Step),
		jobs:   make(map[int64][]*Step),
		scenes: make(map[uint64][]*Step),
		limits: make(map[string]*Limit),
		barren: make(map[uint64]struct{}),
		asks:   newAsks(),
	}
}

// Len is the number of steps in the queue.
func (q *Queue) Len() int { return len(q.steps) }

// Touch forgets what is known of workers in vain; for changes that the queue
// cannot see, such as a task that waits again in a step that was there already.
func (q *Queue) Touch() {
	q.version++
	clear(q.barren)
}

// Version changes whenever a worker that asked in vain might now be served.
func (q *Queue) Version() uint64 { return q.version }

// Add puts a step in. A step that is there already is replaced.
func (q *Queue) Add(s *Step) {
	q.Remove(s.Job, s.Index)
	q.Touch()
	s.Priority = min(max(s.Priority, 0), 100)
	q.steps[[2]int64{s.Job, int64(s.Index)}] = s
	q.jobs[s.Job] = putIn(q.jobs[s.Job], s)
	if s.Scene != 0 {
		q.scenes[s.Scene] = putIn(q.scenes[s.Scene], s)
	}
	if q.levels[s.Priority] == nil {
		q.levels[s.Priority] = make(map[string]*lane)
	}
	l := q.levels[s.Priority][s.Owner]
	if l == nil {
		l = &lane{owner: q.owner(s.Owner), shapes: make(map[string]*shape)}
		q.levels[s.Priority][s.Owner] = l
	}
	key := s.Needs.Key()
	sh := l.shapes[key]
	if sh == nil {
		sh = &shape{needs: s.Needs}
		l.shapes[key] = sh
		q.asks.add(s.Needs)
	}
	s.shape = sh
	sh.steps = putIn(sh.steps, s)
}

// putIn puts a step into its place among others that are in order of age.
func putIn(steps []*Step, s *Step) []*Step {
	at, _ := slices.BinarySearchFunc(steps, s, age)
	return slices.Insert(steps, at, s)
}

// Remove takes a step out, if it is there.
func (q *Queue) Remove(job int64, index int) {
	k := [2]int64{job, int64(index)}
	s := q.steps[k]
	if s == nil {
		return
	}
	delete(q.steps, k)
	takeOut(q.jobs, job, s)
	takeOut(q.scenes, s.Scene, s)
	if at, ok := slices.BinarySearchFunc(s.shape.steps, s, age); ok {
		s.shape.steps = slices.Delete(s.shape.steps, at, at+1)
	}
	if len(s.shape.steps) > 0 {
		return
	}
	lanes := q.levels[s.Priority]
	l := lanes[s.Owner]
	delete(l.shapes, s.Needs.Key())
	q.asks.remove(s.Needs)
	if len(l.shapes) == 0 {
		delete(lanes, s.Owner)
	}
}

// takeOut takes a step out of an index.
func takeOut[K comparable](index map[K][]*Step, k K, s *Step) {
	if rest := slices.DeleteFunc(index[k], func(o *Step) bool { return o == s }); len(rest) > 0 {
		index[k] = rest
	} else {
		delete(index, k)
	}
}

// Wanted reports whether a step with these files waits.
func (q *Queue) Wanted(scene uint64) bool { return len(q.scenes[scene]) > 0 }

// Waits reports whether a step of the job waits.
func (q *Queue) Waits(job int64) bool { return len(q.jobs[job]) > 0 }

// Has reports whether the step is in the queue.
func (q *Queue) Has(job int64, index int) bool {
	return q.steps[[2]int64{job, int64(index)}] != nil
}

// Weight sets an owner's weight: with twice the weight, twice the share. A
// weight that is not positive counts as 1.
func (q *Queue) Weight(name string, w float64) {
	if w <= 0 {
		w = 1
	}
	q.owner(name).weight = w
}

// SetLimit sets or, with a negative total, removes a farm limit. What is in use
// stays in use.
func (q *Queue) SetLimit(name string, total float64) {
	q.Touch()
	if total < 0 {
		delete(q.limits, name)
		return
	}
	if l := q.limits[name]; l != nil {
		l.Total = total
		return
	}
	q.limits[name] = &Limit{Total: total}
}

// Limits are the farm's limits by name. The map must not be changed.
func (q *Queue) Limits() map[string]*Limit { return q.limits }

// Start books a task of the owner with these needs; Stop books it out again.
func (q *Queue) Start(owner string, n *Needs) {
	q.Book(owner, n, 1)
	q.served++
	q.owner(owner).served = q.served
}

// Stop ends what Start began. It may free what other workers wait for.
func (q *Queue) Stop(owner string, n *Needs) {
	q.Book(owner, n, -1)
	if n != nil {
		for _, a := range n.Amounts {
			if _, ok := q.limits[a.Name]; ok {
				q.Touch()
				return
			}
		}
	}
}

// Book books tasks in, or out with a negative number, that neither begin nor end:
// around a change of limits.
func (q *Queue) Book(name string, n *Needs, tasks int) {
	q.owner(name).running += tasks
	if n == nil {
		return
	}
	for _, a := range n.Amounts {
		if l := q.limits[a.Name]; l != nil {
			l.Used += float64(tasks) * a.Min
		}
	}
}

func (q *Queue) owner(name string) *owner {
	o := q.owners[name]
	if o == nil {
		o = &owner{name: name, weight: 1}
		q.owners[name] = o
	}
	return o
}

// Match finds the step that the worker should get a task of next, or nil.
// Preferred reports that others rank before it, and that it was chosen for what
// the worker holds already.
func (q *Queue) Match(w *Worker) (s *Step, preferred bool) {
	if w.Closed != "" || w.Slots < 1 {
		return nil, false
	}
	if len(q.barren) > 0 && q.Barren(q.Class(w)) {
		return nil, false
	}
	avoided := false
	for p := len(q.levels) - 1; p >= 0; p-- {
		if len(q.levels[p]) == 0 {
			continue
		}
		s, first, av := q.matchLevel(p, w)
		avoided = avoided || av
		if s != nil {
			if near := q.near(s, first, w); near != nil {
				return near, true
			}
			return s, false
		}
	}
	if !avoided {
		q.barren[q.Class(w)] = struct{}{}
	}
	return nil, false
}

// matchLevel finds the best step among those of one priority. avoided reports
// that a step was passed over for this very worker, so that nothing follows for
// others of its class.
func (q *Queue) matchLevel(p int, w *Worker) (best *Step, first *owner, avoided bool) {
	for _, l := range q.levels[p] {
		if len(w.Owners) > 0 && !slices.Contains(w.Owners, l.owner.name) {
			continue
		}
		if first != nil && !before(l.owner, first) {
			continue
		}
		s, av := q.matchLane(l, w)
		avoided = avoided || av
		if s != nil {
			best, first = s, l.owner
		}
	}
	return best, first, avoided
}

// near finds a step that the worker should go on with instead of the one that
// ranks first, because it has the job's session open or else holds the files;
// nil when the first is as near.
func (q *Queue) near(best *Step, first *owner, w *Worker) *Step {
	if w.Warm != 0 && best.Job == w.Warm {
		return nil
	}
	for _, s := range q.jobs[w.Warm] {
		if q.levelWith(s, best, first, w) {
			return s
		}
	}
	if slices.Contains(w.Scenes, best.Scene) {
		return nil
	}
	for _, scene := range w.Scenes {
		for _, s := range q.scenes[scene] {
			if q.levelWith(s, best, first, w) {
				return s
			}
		}
	}
	return nil
}

// levelWith reports whether the worker can start the step, and its owner is as
// near to its share as the first one. The worker's own task has just been booked
// out, so an owner that is level with the first would be one task ahead of it
// after a change: no gain that is worth another start of the renderer.
func (q *Queue) levelWith(s, best *Step, first *owner, w *Worker) bool {
	o := q.owner(s.Owner)
	return s.Priority == best.Priority && o.share() <= first.share()+1/o.weight && q.allowed(s, w) && q.startable(s.Needs, w)
}

// before ranks owners: the smaller share first, then who was served longest
// ago, then by name so that the order is always the same.
func before(a, b *owner) bool {
	if sa, sb := a.share(), b.share(); sa != sb {
		return sa < sb
	}
	if a.served != b.served {
		return a.served < b.served
	}
	return a.name < b.name
}

// matchLane finds an owner's oldest step that the worker can start now.
func (q *Queue) matchLane(l *lane, w *Worker) (best *Step, avoided bool) {
	for _, sh := range l.shapes {
		if !q.startable(sh.needs, w) {
			continue
		}
		for _, s := range sh.steps {
			if best != nil && age(best, s) < 0 {
				break
			}
			if len(w.Jobs) > 0 && !slices.Contains(w.Jobs, s.Job) {
				continue
			}
			if q.allowed(s, w) {
				best = s
				break
			}
			avoided = true
		}
	}
	return best, avoided
}

// allowed reports whether this very worker may have a task of the step.
func (q *Queue) allowed(s *Step, w *Worker) bool {
	return (len(w.Jobs) == 0 || slices.Contains(w.Jobs, s.Job)) &&
		(len(w.Owners) == 0 || slices.Contains(w.Owners, s.Owner)) &&
		(w.MaxBytes == 0 || s.Bytes <= w.MaxBytes || s.Job == w.Warm) &&
		(s.Takes == nil || s.Takes(w.ID))
}

// startable is Fits and now without the reasons, for the path that is walked
// at each claim.
func (q *Queue) startable(n *Needs, w *Worker) bool {
	if n == nil {
		return true
	}
	for _, a := range n.Amounts {
		if l, ok := q.limits[a.Name]; ok {
			if l.Total-l.Used < a.Min {
				return false
			}
		} else if w.free(a.Name) < a.Min {
			return false
		}
	}
	return n.Fit(w, q.limits)
}

// CanStart reports whether the worker could start a task with these needs now,
// were it one of its owner's and the first in line.
func (q *Queue) CanStart(s *Step, w *Worker) bool {
	return w.Closed == "" && w.Slots > 0 && q.allowed(s, w) && q.startable(s.Needs, w)
}

// Explain says why the worker does not get a task of the step now; nil when it
// would, were the step first in line and these the limits of its queue. Reasons
// that do not pass come first.
func Explain(s *Step, w *Worker, limits map[string]*Limit) []Reason {
	rs := s.Needs.Fits(w, limits)
	if len(w.Owners) > 0 && !slices.Contains(w.Owners, s.Owner) {
		rs = append(rs, Reason{Code: "owner", Have: joinStrings(w.Owners)})
	}
	if len(w.Jobs) > 0 && !slices.Contains(w.Jobs, s.Job) {
		rs = append(rs, Reason{Code: "job", Have: joinInts(w.Jobs)})
	}
	if len(rs) > 0 {
		return rs
	}
	rs = s.Needs.now(w, limits)
	if s.Takes != nil && !s.Takes(w.ID) {
		rs = append(rs, Reason{Code: "avoided", Passing: true})
	}
	return rs
}

// Ahead counts the steps that rank before the step for any worker that fits
// both: those of a higher priority, and the older ones of the same owner.
func (q *Queue) Ahead(s *Step) (higher, older int) {
	level := min(max(s.Priority, 0), 100)
	for _, lanes := range q.levels[level+1:] {
		for _, l := range lanes {
			for _, sh := range l.shapes {
				higher += len(sh.steps)
			}
		}
	}
	if l := q.levels[level][s.Owner]; l != nil {
		for _, sh := range l.shapes {
			at, _ := slices.BinarySearchFunc(sh.steps, s, age)
			older += at
		}
	}
	return higher, older
}

// Share is what the owner has running and its weight.
func (q *Queue) Share(name string) (running int, weight float64) {
	o := q.owner(name)
	return o.running, o.weight
}
