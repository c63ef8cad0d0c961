package farm

import (
	"context"
	"slices"
)

// JobChange is what somebody does to a job.
type JobChange struct {
	By     Principal
	Job    int64
	Reason string
}

// may finds a job on which by may act.
func (st *state) may(by Principal, id int64) (*job, error) {
	j, err := st.job(id)
	if err != nil {
		return nil, err
	}
	if !by.Is(RoleOperator) && (j.Owner != by.Login || !by.Is(RoleSubmitter)) {
		return nil, Errorf(Forbidden, "job %d belongs to %s; it takes the role operator to change it", id, j.Owner)
	}
	return j, nil
}

// change applies fn to a job on which c.By may act and returns how it stands then.
func (f *Farm) change(ctx context.Context, c JobChange, fn func(st *state, j *job) error) (*Job, error) {
	var out *Job
	err := f.do(ctx, func(st *state) error {
		j, err := st.may(c.By, c.Job)
		if err != nil {
			return err
		}
		if err := fn(st, j); err != nil {
			return err
		}
		out = j.copy()
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// Cancel ends a job: nothing of it is handed out any more, and running tasks
// are stopped.
func (f *Farm) Cancel(ctx context.Context, c JobChange) (*Job, error) {
	if c.Reason == "" {
		c.Reason = "canceled by " + c.By.Login
	}
	return f.change(ctx, c, func(st *state, j *job) error { return st.cancel(j, c.Reason) })
}

// Pause stops the hand-out of a job's tasks; running ones finish.
func (f *Farm) Pause(ctx context.Context, c JobChange) (*Job, error) {
	return f.change(ctx, c, func(st *state, j *job) error {
		if j.State.Ended() {
			return Errorf(Conflict, "job %d is %s already", j.ID, j.State)
		}
		j.Reason = c.Reason
		st.pause(j, true)
		return nil
	})
}

// Resume ends a pause.
func (f *Farm) Resume(ctx context.Context, c JobChange) (*Job, error) {
	return f.change(ctx, c, func(st *state, j *job) error {
		if !j.Paused {
			return Errorf(Conflict, "job %d is not paused, it is %s", j.ID, j.State)
		}
		if p := st.pending[j.ID]; p != nil {
			return Errorf(Conflict, "job %d is about to be canceled; undo that first", j.ID)
		}
		st.pause(j, false)
		return nil
	})
}

// SetPriority changes a job's priority.
func (f *Farm) SetPriority(ctx context.Context, c JobChange, priority int) (*Job, error) {
	if priority < 0 || priority > 100 {
		return nil, Errorf(Invalid, "the priority %d is not between 0 and 100", priority)
	}
	return f.change(ctx, c, func(st *state, j *job) error {
		j.Priority = priority
		st.changed(j)
		for _, s := range j.steps {
			st.replace(s)
		}
		return nil
	})
}

// Remove forgets a job that has ended, with its tasks. Its files go with the
// next garbage collection when nothing else refers to them.
func (f *Farm) Remove(ctx context.Context, c JobChange) error {
	_, err := f.change(ctx, c, func(st *state, j *job) error { return st.drop(j) })
	return err
}

// ValueMaintenance is "on" while no new work is handed out.
const ValueMaintenance = "maintenance"

// SetMaintenance turns hand-out off or on for the whole farm; sessions are
// kept and running tasks finish.
func (f *Farm) SetMaintenance(ctx context.Context, by Principal, on bool) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "maintenance takes the role operator")
	}
	return f.do(ctx, func(st *state) error {
		v := "off"
		if on {
			v = "on"
		}
		st.setValue(ValueMaintenance, v)
		st.queue.Touch()
		st.emit(Event{Type: "farm.maintenance", State: v})
		st.audit(by, "turned maintenance %s", v)
		return nil
	})
}

// ValuePublic is "on" while everybody may look at the farm's page, without an
// account.
const ValuePublic = "public"

// SetPublic lets everybody look at the farm's page, or only those with an
// account.
func (f *Farm) SetPublic(ctx context.Context, by Principal, on bool) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "opening the page to everybody takes the role operator")
	}
	return f.do(ctx, func(st *state) error {
		v := "off"
		if on {
			v = "on"
		}
		st.setValue(ValuePublic, v)
		st.emit(Event{Type: "farm.public", State: v})
		st.audit(by, "turned the public view %s", v)
		return nil
	})
}

// SetLimit sets a farm-wide counter, or removes it when total is negative.
// Amounts of that name are drawn from it and no longer from workers.
func (f *Farm) SetLimit(ctx context.Context, by Principal, name string, total float64) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "limits take the role operator")
	}
	if err := validLabel("limit", name); err != nil {
		return err
	}
	return f.do(ctx, func(st *state) error {
		// What runs is booked where it was taken from, so it is booked out and
		// in again around the change.
		for _, l := range st.leases {
			if !l.sent {
				l.worker.use(l.step.Needs, -1, st.queue.Limits())
			}
			st.queue.Book(l.step.job.Owner, l.step.Needs, -1)
		}
		st.queue.SetLimit(name, total)
		for _, l := range st.leases {
			if !l.sent {
				l.worker.use(l.step.Needs, 1, st.queue.Limits())
			}
			st.queue.Book(l.step.job.Owner, l.step.Needs, 1)
		}
		st.limited++
		if total < 0 {
			delete(st.limits, name)
			st.dirty.rest.Limits = slices.DeleteFunc(st.dirty.rest.Limits, func(l *Limit) bool { return l.Name == name })
			st.dirty.rest.DropLimits = append(st.dirty.rest.DropLimits, name)
		} else {
			// A batch never both sets and drops one.
			st.dirty.rest.DropLimits = slices.DeleteFunc(st.dirty.rest.DropLimits, func(n string) bool { return n == name })
			st.limits[name] = &Limit{Name: name, Total: total}
			st.dirty.rest.Limits = append(st.dirty.rest.Limits, st.limits[name])
		}
		st.emit(Event{Type: "farm.limit", Text: name})
		if total < 0 {
			st.audit(by, "removed the limit %s", name)
		} else {
			st.audit(by, "set the limit %s to %g", name, total)
		}
		return nil
	})
}

// FarmStatus is the farm at a glance.
type FarmStatus struct {
	Maintenance bool
	Workers     map[WorkerState]int
	Jobs        int // that have not ended
	Waiting     int64
	Running     int64
	Limits      []Limit
}

// Status sums the farm up.
func (f *Farm) Status(ctx context.Context) (*FarmStatus, error) {
	out := &FarmStatus{Workers: make(map[WorkerState]int)}
	err := f.do(ctx, func(st *state) error {
		out.Maintenance = st.values[ValueMaintenance] == "on"
		for s, n := range st.roster.states {
			if n > 0 {
				out.Workers[s] = n
			}
		}
		for _, j := range st.jobs {
			if j.State.Ended() {
				continue
			}
			out.Jobs++
			c := j.Counts()
			out.Waiting += c.Waiting
			out.Running += c.Running
		}
		for name, l := range st.queue.Limits() {
			out.Limits = append(out.Limits, Limit{Name: name, Total: l.Total, InUse: l.Used})
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	slices.SortFunc(out.Limits, func(a, b Limit) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}
