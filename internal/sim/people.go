package sim

import (
	"context"
	"fmt"
	"time"

	"drover.farm/internal/farm"
)

// submit keeps the farm supplied with jobs until all tasks were asked for.
func (s *sim) submit() {
	if s.asked < s.cfg.Frames {
		s.alone(2*time.Second, s.submit)
	}
	for len(s.check.open) < s.cfg.OpenJobs && s.asked < s.cfg.Frames {
		k := &kinds[s.dice.IntN(len(kinds))]
		steps := 1 + s.dice.IntN(3)
		n := 1 + s.dice.Int64N(max(s.cfg.JobFrames/int64(steps), 1))
		order := farm.OrderLinear
		if s.dice.hit(5000) {
			order = farm.OrderPreview
		}
		chunk := s.cfg.Chunk
		if s.dice.hit(s.cfg.Single) {
			chunk = 0
		}
		sub := farm.Submission{By: owners[s.dice.IntN(len(owners))], Priority: s.dice.IntN(4) * 33, Paused: s.dice.hit(300),
			Spec: farm.Spec{Name: k.name, Template: k.template(steps, n, chunk, s.cfg.Frame), Tags: k.tags, Doors: k.doors, Order: order,
				Files: []farm.File{{Name: "scene", SHA256: fmt.Sprintf("%064x", s.dice.IntN(9))}}, Roots: []farm.Root{{Path: "/film", Format: "POSIX"}}}}
		before := len(s.check.open)
		sendNow(s, 0, func(ctx context.Context, f *farm.Farm) (*farm.Job, error) { return f.Submit(ctx, sub) },
			func(j *farm.Job, err error) { s.check.submitted(j, err) },
			func(j *farm.Job, err error) {
				if err == nil {
					s.asked += n * int64(steps)
					s.report.Jobs++
				}
			})
		if s.settle() != nil || len(s.check.open) == before {
			return
		}
	}
}

// tidy removes the jobs that ended first, as people do, when there are many.
func (s *sim) tidy() {
	s.at(time.Minute, nil, s.tidy)
	ids := s.check.jobIDs()
	for _, id := range ids[:max(len(ids)-2*s.cfg.OpenJobs, 0)] {
		if s.check.jobs[id].row.State.Ended() {
			act(s, func(ctx context.Context, f *farm.Farm) error {
				return f.Remove(ctx, farm.JobChange{By: admin, Job: id})
			})
		}
	}
}

// operate is an act of somebody who steers the farm.
func (s *sim) operate() {
	if s.ending {
		return
	}
	s.at(s.dice.about(s.faults.Operator), nil, s.operate)
	jobs := s.check.jobIDs()
	var id int64
	if len(jobs) > 0 {
		id = jobs[s.dice.IntN(len(jobs))]
	}
	c := farm.JobChange{By: admin, Job: id}
	switch n := s.dice.IntN(100); {
	case n < 8:
		act(s, func(ctx context.Context, f *farm.Farm) error { return errOf(f.Pause(ctx, c)) })
		s.at(s.dice.about(time.Minute), nil, func() {
			act(s, func(ctx context.Context, f *farm.Farm) error { return errOf(f.Resume(ctx, c)) })
		})
	case n < 14:
		act(s, func(ctx context.Context, f *farm.Farm) error { return errOf(f.Cancel(ctx, c)) })
	case n < 34:
		var tasks []farm.TaskKey
		if s.dice.hit(3000) {
			for range 5 {
				tasks = append(tasks, farm.TaskKey{Index: s.dice.Int64N(5)})
			}
		}
		s.alone(time.Millisecond, func() {
			act(s, func(ctx context.Context, f *farm.Farm) error {
				_, _, err := f.Retry(ctx, c, tasks)
				return err
			})
		})
	case n < 44:
		act(s, func(ctx context.Context, f *farm.Farm) error { return f.Remove(ctx, c) })
	case n < 54:
		p := s.dice.IntN(101)
		act(s, func(ctx context.Context, f *farm.Farm) error { return errOf(f.SetPriority(ctx, c, p)) })
	case n < 62:
		total := float64(s.dice.IntN(int(2*licences(s.cfg.Workers)))) - 1
		act(s, func(ctx context.Context, f *farm.Farm) error { return f.SetLimit(ctx, admin, licence, total) })
	case n < 67:
		s.setMaintenance(true)
		s.at(s.dice.about(10*time.Second), nil, func() { s.setMaintenance(false) })
	case n < 72:
		w := float64(1 + s.dice.IntN(4))
		login := owners[s.dice.IntN(len(owners))].Login
		act(s, func(ctx context.Context, f *farm.Farm) error {
			return f.ChangeUser(ctx, admin, login, farm.UserChange{Weight: &w})
		})
	default:
		s.operateOn(s.rigs[s.dice.IntN(len(s.rigs))])
	}
}

// operateOn is an act on one worker.
func (s *sim) operateOn(r *rig) {
	id, off, on := r.id, false, true
	switch n := s.dice.IntN(10); {
	case id == 0:
	case n < 2:
		act(s, func(ctx context.Context, f *farm.Farm) error { return f.RemoveWorker(ctx, admin, id) })
	case n < 5:
		s.changeWorker(s.dice, id, farm.WorkerChange{Enabled: &off, Reason: "looked at"})
	default:
		s.changeWorker(s.dice, id, farm.WorkerChange{Enabled: &on})
	}
}

func (s *sim) changeWorker(d dice, id int64, c farm.WorkerChange) {
	send(s, d, 0, func(ctx context.Context, f *farm.Farm) (*farm.Worker, error) {
		return f.ChangeWorker(ctx, admin, id, c)
	},
		func(*farm.Worker, error) {}, func(*farm.Worker, error) {})
}

func (s *sim) setMaintenance(on bool) {
	act(s, func(ctx context.Context, f *farm.Farm) error { return f.SetMaintenance(ctx, admin, on) })
}

// act makes a request whose answer does not matter: the rows tell.
func act(s *sim, do func(context.Context, *farm.Farm) error) {
	send(s, s.dice, 0, func(ctx context.Context, f *farm.Farm) (bool, error) { return true, do(ctx, f) }, unjudged, forget)
}

func errOf[T any](_ T, err error) error { return err }

// wreck lets the next commit fail, the farm be killed or replaced, or the clock
// jump.
func (s *sim) wreck() {
	if s.ending {
		return
	}
	s.at(s.dice.about(s.faults.Chaos), nil, s.wreck)
	switch s.dice.IntN(7) {
	case 0:
		s.link.next = unwritten
	case 1:
		s.link.next = written
	case 2:
		s.link.next = killed
	case 3:
		s.link.next = killedAfter
	case 4: // another farm takes over while this one runs
		s.replace()
	case 5:
		s.jump(s.dice.about(30 * time.Second))
	case 6:
		s.jump(-s.dice.about(30 * time.Second))
	}
}

// jump lets the farm's clock jump.
func (s *sim) jump(d time.Duration) {
	s.skew += d
	s.jumped = time.Since(s.start)
}

// replace opens another farm on the store. The one before ends at its next commit.
func (s *sim) replace() {
	s.release()
	old := s.farm
	if err := s.openFarm(); err != nil {
		s.check.breach("%v", err)
		return
	}
	s.at(s.dice.about(5*time.Second), nil, func() { old.Close() })
}

// calm ends all faults and lets everything go on that somebody has stopped.
func (s *sim) calm() {
	s.faults = Faults{}
	s.link.next = none
	s.restore()
}

// restore lets everything go on, now and from time to time, until the last job
// has ended: a job may fail its workers, and be retried, to the very end.
func (s *sim) restore() {
	s.at(time.Minute, nil, s.restore)
	s.setMaintenance(false)
	act(s, func(ctx context.Context, f *farm.Farm) error {
		return f.SetLimit(ctx, admin, licence, licences(s.cfg.Workers))
	})
	for _, id := range s.check.jobIDs() {
		if j := s.check.jobs[id]; j.row.Paused && !j.row.State.Ended() {
			act(s, func(ctx context.Context, f *farm.Farm) error {
				return errOf(f.Resume(ctx, farm.JobChange{By: admin, Job: id}))
			})
		}
	}
	on := true
	for _, id := range sortedKeys(s.check.workers) {
		if w := s.check.workers[id].row; w.Disabled || w.Aside {
			s.changeWorker(s.dice, id, farm.WorkerChange{Enabled: &on})
		}
	}
}
