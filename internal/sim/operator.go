package sim

import (
	"context"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// submitLater submits job after job, as many as shall be open at once.
func (s *sim) submitLater(d time.Duration) {
	s.at(d, nil, func() {
		for s.asked < s.cfg.Tasks && s.model.unended+s.sending < s.cfg.OpenJobs && !s.net.grouping {
			s.nextJob++
			who := newDice(s.cfg.Seed, 1<<40+uint64(s.nextJob))
			sh := newShape(who, s.nextJob, s.cfg.JobTasks)
			s.asked += sh.total()
			s.model.shapes[sh.name] = sh
			s.sending++
			s.submit(who, sh)
		}
		if s.asked < s.cfg.Tasks {
			s.submitLater(time.Second)
		}
	})
}

// submit sends a job until an answer comes back; so it may be there twice.
func (s *sim) submit(d *dice, sh *shape) {
	sub := sh.submission()
	s.send(d, &call{name: "submit", key: s.nextJob,
		do: func(ctx context.Context, f *farm.Farm) (any, error) { return f.Submit(ctx, sub) },
		check: func(c *call) {
			if c.err != nil {
				s.model.breach("the job %s is refused: %v", sh.name, c.err)
			} else if id := c.res.(*farm.Job).ID; s.model.jobs[id] == nil && !s.model.dropped[id] {
				s.model.breach("job %d was accepted and is not in the store", id)
			}
		},
		done: func(_ any, err error) {
			if err != nil {
				s.at(d.between(time.Second, 5*time.Second), nil, func() { s.submit(d, sh) })
				return
			}
			s.sending--
		}})
}

// operateLater lets an operator do something now and then.
func (s *sim) operateLater(d *dice) {
	s.at(d.about(s.faults.Operator), nil, func() {
		if s.ending {
			return
		}
		s.operate(d)
		s.operateLater(d)
	})
}

// operate does one thing of those that operators do.
func (s *sim) operate(d *dice) {
	ids := s.model.jobIDs()
	if n := d.IntN(20); n < 13 {
		if len(ids) == 0 {
			return
		}
		s.onJob(d, n, ids[d.IntN(len(ids))])
		return
	} else if n < 16 {
		s.onWorker(d)
		return
	}
	switch d.IntN(6) {
	case 0:
		s.maintain(d, true)
		s.at(d.between(0, 5*time.Second), nil, func() { s.maintain(d, false) })
	case 1:
		s.look(d)
	default:
		s.limit(d)
	}
}

// onJob does something to a job.
func (s *sim) onJob(d *dice, n int, id int64) {
	c := farm.JobChange{By: admin, Job: id, Reason: "because"}
	m := s.model
	switch {
	case n < 2:
		s.act(d, "pause", id, m.allowed.pause, func(ctx context.Context, f *farm.Farm) error {
			_, err := f.Pause(ctx, c)
			return err
		}, func(j *mJob) bool { return j.row.Paused })
	case n < 5:
		s.act(d, "resume", id, m.allowed.pause, func(ctx context.Context, f *farm.Farm) error {
			_, err := f.Resume(ctx, c)
			return err
		}, func(j *mJob) bool { return !j.row.Paused })
	case n < 6:
		s.act(d, "cancel", id, m.allowed.cancel, func(ctx context.Context, f *farm.Farm) error {
			_, err := f.Cancel(ctx, c)
			return err
		}, func(j *mJob) bool { return j.row.State == farm.JobCanceled && j.runs() == 0 })
	case n < 9:
		s.retry(d, c)
	case n < 11:
		p := d.IntN(101)
		s.act(d, "priority", id, nil, func(ctx context.Context, f *farm.Farm) error {
			_, err := f.SetPriority(ctx, c, p)
			return err
		}, func(j *mJob) bool { return j.row.Priority == p })
	default:
		s.remove(d, id)
	}
}

func (j *mJob) runs() (n int64) {
	for _, s := range j.steps {
		n += s.n[mRunning-1]
	}
	return n
}

// act sends a change of a job; when it was made, good must hold.
func (s *sim) act(d *dice, name string, id int64, allow map[int64]bool, do func(context.Context, *farm.Farm) error, good func(*mJob) bool) {
	s.send(d, &call{name: name, key: id,
		before: func(*call) {
			if allow != nil {
				allow[id] = true
			}
		},
		do: func(ctx context.Context, f *farm.Farm) (any, error) { return nil, do(ctx, f) },
		check: func(c *call) {
			j := s.model.jobs[id]
			switch code := farm.CodeOf(c.err); {
			case code == farm.NotFound && j != nil, code != "" && code != farm.NotFound && code != farm.Conflict:
				s.model.breach("%s of job %d: %v", name, id, c.err)
			case c.err == nil && s.fresh(c) && j != nil && !good(j):
				s.model.breach("%s of job %d was answered with success: it is %s", name, id, j.row.State)
			case c.err == nil && s.fresh(c) && j == nil && name != "remove":
				s.model.breach("%s of job %d was answered with success: there is no such job", name, id)
			}
		},
		done: func(any, error) {}})
}

// retry brings a job's tasks back, all or some of them.
func (s *sim) retry(d *dice, c farm.JobChange) {
	j := s.model.jobs[c.Job]
	var keys []farm.TaskKey
	if j != nil && d.hit(4000) {
		for range 1 + d.IntN(3) {
			st := j.steps[d.IntN(len(j.steps))]
			at := d.IntN(len(st.tasks))
			for i := range st.tasks { // from there on the first that is over, not done
				k := (at + i) % len(st.tasks)
				if t := st.tasks[k].state; t == mFailed || t == mCanceled {
					at = k
					break
				}
			}
			keys = append(keys, farm.TaskKey{Job: c.Job, Step: st.index, Index: int64(at)})
		}
	}
	s.act(d, "retry", c.Job, s.model.allowed.retry, func(ctx context.Context, f *farm.Farm) error {
		_, _, err := f.Retry(ctx, c, keys)
		return err
	}, func(j *mJob) bool { return !j.row.Canceled })
}

// remove forgets a job; one that has not ended is canceled first.
func (s *sim) remove(d *dice, id int64) {
	if j := s.model.jobs[id]; j != nil && !j.row.State.Ended() {
		return
	}
	c := farm.JobChange{By: admin, Job: id}
	s.act(d, "remove", id, s.model.allowed.remove, func(ctx context.Context, f *farm.Farm) error { return f.Remove(ctx, c) },
		func(*mJob) bool { return false })
}

// onWorker does something to a worker.
func (s *sim) onWorker(d *dice) {
	w := s.workers[d.IntN(len(s.workers))]
	if w.id == 0 {
		return
	}
	id := w.id
	var c farm.WorkerChange
	switch d.IntN(6) {
	case 0:
		s.tell(d, "remove worker", id, func(ctx context.Context, f *farm.Farm) error { return f.RemoveWorker(ctx, admin, id) },
			func() bool { return s.model.workers[id] == nil })
		return
	case 1:
		off := false
		c.Enabled = &off
	case 2:
		tags := slices.Clone(w.class.tags)
		if d.hit(5000) {
			tags = append(tags, []string{"fast", "gpu"}[d.IntN(2)])
		}
		c.Tags = &tags
	case 3:
		c.Rules = &farm.Rules{LeaveFree: d.IntN(3)}
	default:
		on := true
		c.Enabled = &on
	}
	s.changeWorker(d, id, c)
}

func (s *sim) changeWorker(d *dice, id int64, c farm.WorkerChange) {
	s.tell(d, "change worker", id, func(ctx context.Context, f *farm.Farm) error {
		_, err := f.ChangeWorker(ctx, admin, id, c)
		return err
	}, func() bool {
		w := s.model.workers[id]
		return w != nil && (c.Enabled == nil || w.row.Disabled != *c.Enabled) && (c.Tags == nil || slices.Equal(w.row.Tags, *c.Tags)) &&
			(c.Rules == nil || w.row.Rules.LeaveFree == c.Rules.LeaveFree)
	})
}

// tell sends a change; when it was made, good must hold.
func (s *sim) tell(d *dice, name string, key int64, do func(context.Context, *farm.Farm) error, good func() bool) {
	s.send(d, &call{name: name, key: key,
		do: func(ctx context.Context, f *farm.Farm) (any, error) { return nil, do(ctx, f) },
		check: func(c *call) {
			if code := farm.CodeOf(c.err); code != "" && code != farm.NotFound {
				s.model.breach("%s of %d: %v", name, key, c.err)
			} else if code == "" && s.fresh(c) && !good() {
				s.model.breach("%s of %d was answered with success and is not in the store", name, key)
			}
		},
		done: func(any, error) {}})
}

func (s *sim) maintain(d *dice, on bool) {
	s.tell(d, "maintenance", 0, func(ctx context.Context, f *farm.Farm) error { return f.SetMaintenance(ctx, admin, on) },
		func() bool { return s.model.off == on })
}

// limit changes one of the limits, or removes it; then nobody can draw on it.
func (s *sim) limit(d *dice) {
	name := []string{"amount.licence.nuke", "amount.licence.tenth"}[d.IntN(2)]
	milli := licences[name] * int64(d.IntN(5)) / 4
	if d.hit(1000) {
		milli = -1000
	}
	s.setLimit(d, name, milli)
}

func (s *sim) setLimit(d *dice, name string, milli int64) {
	s.tell(d, "limit", milli, func(ctx context.Context, f *farm.Farm) error {
		return f.SetLimit(ctx, admin, name, float64(milli)/1000)
	}, func() bool {
		have, ok := s.model.limits[name]
		return ok == (milli >= 0) && (!ok || have == milli)
	})
}

// look asks what people ask; it must neither fail nor change anything.
func (s *sim) look(d *dice) {
	ids := s.model.jobIDs()
	if len(ids) == 0 {
		return
	}
	id := ids[d.IntN(len(ids))]
	s.send(d, &call{name: "look", key: id,
		do: func(ctx context.Context, f *farm.Farm) (any, error) {
			if _, err := f.Why(ctx, id); err != nil {
				return nil, err
			}
			views, _, err := f.TaskPage(ctx, farm.TaskPageQuery{Job: id, Step: -1, Limit: 50})
			return views, err
		},
		check: func(c *call) {
			if code := farm.CodeOf(c.err); code != "" && (code != farm.NotFound || s.model.jobs[id] != nil) {
				s.model.breach("job %d cannot be looked at: %v", id, c.err)
			}
			views, _ := c.res.([]farm.TaskView)
			for i := range views {
				if l := views[i].Live; l != nil && !sane(l.Progress) {
					s.model.breach("task %v has the progress %v", views[i].TaskKey, l.Progress)
				}
			}
		},
		done: func(any, error) {}})
}
