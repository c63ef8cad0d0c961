package sim

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"drover.farm/internal/farm"
)

// full compares the farm, its store and the model as a whole.
func (s *sim) full() error {
	s.report.FullChecks++
	if s.server == nil {
		return nil
	}
	ctx := context.Background()
	for _, check := range []func(context.Context) error{s.fullJobs, s.fullWorkers, s.fullLeases, s.fullStatus, s.fullTasks} {
		if err := check(ctx); err != nil {
			return fmt.Errorf("compared as a whole: %w", err)
		}
	}
	m := s.model
	for _, st := range m.ready {
		m.better[st] = true
	}
	for id := range m.entries {
		m.ledgerAddsUp(id)
	}
	s.quiet()
	return m.failed()
}

func (s *sim) fullJobs(ctx context.Context) error {
	m := s.model
	rows, err := s.store.Jobs(ctx, farm.JobQuery{})
	if err != nil {
		return err
	}
	if len(rows) != len(m.jobs) {
		return fmt.Errorf("the store has %d jobs, the model %d", len(rows), len(m.jobs))
	}
	for _, row := range rows {
		j := m.jobs[row.ID]
		if j == nil {
			return fmt.Errorf("the store has job %d, the model has not", row.ID)
		}
		if j.row.State != row.State || j.row.Priority != row.Priority || j.row.Paused != row.Paused {
			return fmt.Errorf("job %d is %s in the store, %s in the model", row.ID, row.State, j.row.State)
		}
		m.jobAddsUp(j)
		for i, st := range j.steps {
			m.stepAddsUp(st)
			if st.row.Counts() != row.Steps[i].Counts() || st.row.State != row.Steps[i].State {
				return fmt.Errorf("%v counts %+v in the store, %+v in the model", st, row.Steps[i].Counts(), st.row.Counts())
			}
		}
	}
	return nil
}

func (s *sim) fullWorkers(ctx context.Context) error {
	live, err := s.server.farm.Farmhands(ctx)
	if err != nil {
		return err
	}
	kept, err := s.store.Workers(ctx)
	if err != nil {
		return err
	}
	if len(live) != len(s.model.workers) || len(kept) != len(live) {
		return fmt.Errorf("the farm has %d workers, the store %d, the model %d", len(live), len(kept), len(s.model.workers))
	}
	for i, row := range live {
		w := s.model.workers[row.ID]
		if w == nil || kept[i].ID != row.ID {
			return fmt.Errorf("worker %d is not in the store and the model", row.ID)
		}
		if len(row.Leases) != len(w.leases) || row.Online != w.row.Online || row.Done != w.done || row.Failed != w.failed ||
			kept[i].Done != w.done || kept[i].Failed != w.failed || kept[i].Online != w.row.Online {
			return fmt.Errorf("worker %d: leases %d and %d, online %v and %v, done %d and %d, failed %d and %d in the farm and the model", row.ID,
				len(row.Leases), len(w.leases), row.Online, w.row.Online, row.Done, w.done, row.Failed, w.failed)
		}
	}
	return nil
}

func (s *sim) fullLeases(ctx context.Context) error {
	live, err := s.server.farm.Leases(ctx, 0)
	if err != nil {
		return err
	}
	if len(live) != len(s.model.leases) {
		return fmt.Errorf("the farm has %d leases out, the model %d", len(live), len(s.model.leases))
	}
	for i := range live {
		l := s.model.leases[live[i].ID]
		if l == nil || l.key != live[i].TaskKey || l.worker != live[i].Worker {
			return fmt.Errorf("lease %d of worker %d is not in the model", live[i].ID, live[i].Worker)
		}
		if !sane(live[i].Progress) {
			return fmt.Errorf("lease %d has the progress %v", live[i].ID, live[i].Progress)
		}
	}
	return nil
}

func (s *sim) fullStatus(ctx context.Context) error {
	got, err := s.server.farm.Status(ctx)
	if err != nil {
		return err
	}
	m := s.model
	var waiting, running int64
	for j := range maps.Values(m.jobs) {
		if j.row.State.Ended() {
			continue
		}
		for _, st := range j.steps {
			c := st.row.Counts()
			waiting += c.Waiting
			running += c.Running
		}
	}
	if got.Jobs != m.unended || got.Waiting != waiting || got.Running != running || got.Maintenance != m.off {
		return fmt.Errorf("the farm has %d jobs, %d tasks waiting and %d running, the model %d, %d and %d", got.Jobs, got.Waiting, got.Running, m.unended, waiting, running)
	}
	if len(got.Limits) != len(m.limits) {
		return fmt.Errorf("the farm has %d limits, the model %d", len(got.Limits), len(m.limits))
	}
	for _, l := range got.Limits {
		if int64(math.Round(l.Total*1000)) != m.limits[l.Name] || int64(math.Round(l.InUse*1000)) != m.used[l.Name] {
			return fmt.Errorf("of the limit %s %v of %v are used, in the model %d of %d thousandths", l.Name, l.InUse, l.Total, m.used[l.Name], m.limits[l.Name])
		}
	}
	return nil
}

// fullTasks compares task rows, as many as shall be read at once; the next check
// goes on with the next job.
func (s *sim) fullTasks(ctx context.Context) error {
	ids := slices.Sorted(maps.Keys(s.model.jobs))
	if len(ids) == 0 {
		return nil
	}
	from, _ := slices.BinarySearch(ids, s.fullAt)
	rows := 0
	for i := range ids {
		j := s.model.jobs[ids[(from+i)%len(ids)]]
		if s.cfg.FullRows > 0 && rows > s.cfg.FullRows {
			s.fullAt = j.id
			return nil
		}
		got, err := s.store.Tasks(ctx, farm.TaskQuery{Job: j.id, Step: -1})
		if err != nil {
			return err
		}
		rows += len(got)
		if err := j.same(got); err != nil {
			return err
		}
	}
	return nil
}

func (j *mJob) same(rows []*farm.Task) error {
	var touched int64
	for _, st := range j.steps {
		touched += st.touched
		for i := range st.tasks {
			if t := &st.tasks[i]; t.state == mWaiting && st.retry[int64(i)] != t {
				return fmt.Errorf("task %d of %v waits and is not kept as such", i, st)
			}
		}
	}
	if touched != int64(len(rows)) {
		return fmt.Errorf("job %d has %d task rows in the store and %d in the model", j.id, len(rows), touched)
	}
	for _, row := range rows {
		t := &j.steps[row.Step].tasks[row.Index]
		same := mStates[row.State] == t.state && len(row.Attempts) == len(t.attempts)
		for i := 0; same && i < len(t.attempts); i++ {
			a, b := &row.Attempts[i], &t.attempts[i]
			same = a.Lease == b.lease && a.Worker == b.worker && a.Outcome == b.outcome
		}
		if !same {
			return fmt.Errorf("task %v is %s with %d attempts in the store and differs in the model", row.TaskKey, row.State, len(row.Attempts))
		}
	}
	return nil
}
