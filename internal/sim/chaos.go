package sim

import (
	"context"
	"time"

	"drover.farm/internal/farm"
)

// wreckLater lets something happen to the farm itself now and then.
func (s *sim) wreckLater(d *dice) {
	s.after(d.about(s.faults.Chaos), func() {
		if s.ending {
			return
		}
		s.wreck(d)
		s.wreckLater(d)
	})
}

func (s *sim) wreck(d *dice) {
	if s.server == nil {
		return
	}
	switch kind := d.IntN(10); kind {
	case 0:
		s.kill()
		s.after(d.between(time.Second, 30*time.Second), s.reopen)
	case 1:
		s.log.note("stop")
		s.stop()
		s.after(d.between(time.Second, 30*time.Second), s.reopen)
	case 2:
		s.kill() // and at once another, as a supervisor does
		s.open()
	case 3:
		s.takeover()
	case 4, 5, 6, 7:
		s.log.note("fault", int64(kind))
		s.server.conn.next = commitFault(kind - 4 + int(faultUnwritten))
	case 8: // the database is away for a while
		s.log.note("away")
		s.server.conn.next = faultUnwritten
		s.server.conn.loadFail = 1 + d.IntN(3)
		s.outage()
	default:
		jump := d.between(-26*time.Hour, 26*time.Hour).Truncate(time.Second)
		s.log.note("clock", int64(jump))
		s.skew += jump
	}
}

func (s *sim) reopen() {
	if s.server == nil {
		s.open()
	}
}

// outage lets time pass after a commit that failed, until the farm has found its
// database again; nothing else happens meanwhile.
func (s *sim) outage() {
	f := s.server.farm
	_ = f.SetMaintenance(context.Background(), admin, s.model.off) // meets the fault
	s.pauseUntil(700_000)
	for f.Ready() != nil {
		select {
		case <-f.Done():
			return
		default:
		}
		s.sleep(100*time.Millisecond + 10)
	}
	s.quiet()
}

// calm ends all faults: workers are enabled, limits set, jobs resumed, and what
// was submitted is rendered to its end.
func (s *sim) calm() {
	s.log.note("calm")
	s.faults = Faults{}
	if s.server != nil {
		s.server.conn.next, s.server.conn.loadFail = faultNone, 0
	}
	s.after(time.Second, func() { s.soothe(newDice(s.cfg.Seed, 3)) })
}

func (s *sim) soothe(d *dice) {
	if s.server == nil {
		s.after(time.Second, func() { s.soothe(d) })
		return
	}
	s.maintain(d, false)
	for _, name := range []string{"amount.licence.nuke", "amount.licence.tenth"} {
		s.setLimit(d, name, licences[name])
	}
	for _, id := range s.model.jobIDs() {
		if j := s.model.jobs[id]; j.row.Paused {
			s.act(d, "resume", id, s.model.allowed.pause, func(ctx context.Context, f *farm.Farm) error {
				_, err := f.Resume(ctx, farm.JobChange{By: admin, Job: id})
				return err
			}, func(j *mJob) bool { return !j.row.Paused })
		}
	}
	on := true
	for _, w := range s.workers {
		if row := s.model.workers[w.id]; row != nil {
			tags := w.class.tags
			if row.row.Disabled || row.row.Aside || len(row.row.Tags) != len(tags) || len(row.row.Rules.Owners) > 0 || row.row.Rules.Hours != "" || row.row.Rules.LeaveFree > 0 {
				s.changeWorker(d, w.id, farm.WorkerChange{Enabled: &on, Tags: &tags, Rules: &farm.Rules{}})
			}
		}
	}
	s.after(30*time.Second, func() { s.soothe(d) })
}
