package farm

import (
	"cmp"
	"maps"
	"slices"
)

// reset begins a batch. Maps are used again, for they have grown to the size that
// batches have, but for those of a batch that was out of the ordinary.
func (d *dirty) reset() {
	d.events, d.rest = nil, Batch{}
	empty(&d.newJobs)
	empty(&d.jobs)
	empty(&d.steps)
	empty(&d.tasks)
	empty(&d.workers)
	empty(&d.tallies)
	empty(&d.grouped)
	empty(&d.entries)
}

func empty[K comparable, V any](m *map[K]V) {
	if *m == nil || len(*m) > 4*maxBatch {
		*m = make(map[K]V)
	}
	clear(*m)
}

func (st *state) changed(j *job) {
	st.dirty.jobs[j.ID] = j
	j.shown = nil
	if j.State.Ended() {
		st.visited = append(st.visited, j)
	}
}
func (st *state) changedStep(s *step) { st.dirty.steps[s] = struct{}{} }
func (st *state) changedTask(t *Task) { st.dirty.tasks[t.TaskKey] = t }
func (st *state) changedWorker(w *worker) {
	st.dirty.workers[w.ID] = w
	st.count(w)
}

// changedTally notes what each success changes of a worker, which is all that is
// written of it then: whole rows would be a third of what a busy farm writes.
func (st *state) changedTally(w *worker) { st.dirty.tallies[w.ID] = w }

// emit records an event with the batch under way.
func (st *state) emit(e Event) {
	st.lastEvent++
	e.ID, e.Time = st.lastEvent, st.now
	st.dirty.events = append(st.dirty.events, e)
}

// maxEventTasks bounds one event about tasks, so that a reader never gets a
// message out of proportion.
const maxEventTasks = 1000

// emitTask records what happened to a task, together with others of its step in
// the same batch: a farm that completes thousands of tasks a second writes some
// dozens of events.
func (st *state) emitTask(s *step, index int64, kind string) {
	k := eventKey{s.Job, s.Index, kind}
	if at, ok := st.dirty.grouped[k]; ok && len(st.dirty.events[at].Tasks) < maxEventTasks {
		st.dirty.events[at].Tasks = append(st.dirty.events[at].Tasks, index)
		return
	}
	st.emit(Event{Type: kind, Job: s.Job, Step: s.Name, Tasks: []int64{index}})
	st.dirty.grouped[k] = len(st.dirty.events) - 1
}

// trimEvery is after how many new events the oldest are dropped.
const trimEvery = 1000

// takeBatch gathers the rows that have changed.
func (st *state) takeBatch() *Batch {
	d := &st.dirty
	b := d.rest
	b.Epoch = st.epoch
	for id, j := range d.newJobs {
		b.NewJobs = append(b.NewJobs, j.Job)
		delete(d.jobs, id)
		for _, s := range j.steps {
			delete(d.steps, s)
		}
	}
	for _, j := range d.jobs {
		b.Jobs = append(b.Jobs, j.Job)
	}
	for s := range d.steps {
		b.Steps = append(b.Steps, s.Step)
	}
	for _, t := range d.tasks {
		b.Tasks = append(b.Tasks, t)
	}
	for id, w := range d.workers {
		b.Workers = append(b.Workers, w.Worker)
		delete(d.tallies, id)
	}
	for _, w := range d.tallies {
		b.Tallies = append(b.Tallies, w.Worker)
	}
	for _, e := range d.entries {
		b.Entries = append(b.Entries, e)
	}
	b.sort()
	b.Events = d.events
	if keep := st.f.settings.EventsKept; len(b.Events) > 0 && st.lastEvent > keep {
		if first := b.Events[0].ID; first/trimEvery != (st.lastEvent+1)/trimEvery {
			b.TrimEvents = st.lastEvent - keep
		}
	}
	return &b
}

// sort puts the rows in an order: stores write neighbours faster, and a
// simulation must be able to repeat itself.
func (b *Batch) sort() {
	byJob := func(x, y *Job) int { return cmp.Compare(x.ID, y.ID) }
	slices.SortFunc(b.NewJobs, byJob)
	slices.SortFunc(b.Jobs, byJob)
	slices.SortFunc(b.Steps, func(x, y *Step) int {
		return cmp.Or(cmp.Compare(x.Job, y.Job), cmp.Compare(x.Index, y.Index))
	})
	slices.SortFunc(b.Tasks, func(x, y *Task) int {
		return cmp.Or(cmp.Compare(x.Job, y.Job), cmp.Compare(x.Step, y.Step), cmp.Compare(x.Index, y.Index))
	})
	byWorker := func(x, y *Worker) int { return cmp.Compare(x.ID, y.ID) }
	slices.SortFunc(b.Workers, byWorker)
	slices.SortFunc(b.Tallies, byWorker)
	slices.SortFunc(b.Entries, func(x, y *Entry) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Job, y.Job))
	})
}

// settle forgets what the batch has made durable and answers those who wait for
// more than their own operation.
func (st *state) settle(b *Batch) {
	for _, c := range st.granted {
		c.answer(c.lease, nil)
	}
	st.granted = st.granted[:0]
	for _, fn := range st.after {
		fn()
	}
	st.after = st.after[:0]
	st.f.auth.apply(b)
	if len(b.Values) > 0 {
		st.publishValues()
	}
	if len(b.Events) > 0 {
		st.f.latest.Store(b.Events[len(b.Events)-1].ID)
		st.f.bus.publish(b.Events)
	}
	for _, j := range st.visited {
		if j.State.Ended() && !j.busy() {
			delete(st.jobs, j.ID)
		}
	}
	st.visited = st.visited[:0]
	if !b.Empty() {
		st.dirty.reset()
	}
}

// busy reports whether leases of the job are out.
func (j *job) busy() bool {
	for _, s := range j.steps {
		if len(s.running) > 0 {
			return true
		}
	}
	return false
}

// abandon answers whoever waits for this state to change, when it is given up.
func (st *state) abandon(err *Error) {
	for c := range st.room.waiting {
		st.room.leave(c)
		c.answer(nil, err)
	}
	for _, c := range slices.Concat(st.fresh, st.granted) {
		c.answer(nil, err)
	}
	st.fresh, st.granted = nil, nil
	for w := range st.everybody {
		if w.beat != nil {
			w.beat.answer(nil, err)
			w.beat = nil
		}
	}
	st.after = nil
}

// publishValues hands the switches on to Value.
func (st *state) publishValues() {
	m := st.values // never changed in place, see setValue
	st.f.values.Store(&m)
}

func (st *state) setValue(name, value string) {
	if st.dirty.rest.Values == nil {
		st.dirty.rest.Values = make(map[string]string)
	}
	st.dirty.rest.Values[name] = value
	st.values = maps.Clone(st.values)
	st.values[name] = value
}
