package simulation

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Run follows the simulations until ctx ends. Those that run go on then.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Poll)
	defer tick.Stop()
	for {
		m.mu.Lock()
		m.look()
		m.startNext()
		m.mu.Unlock()
		select {
		case <-tick.C:
		case <-m.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// look reads what the controlling processes have written, and finds those that
// are gone.
func (m *Manager) look() {
	for id, j := range m.jobs {
		if !j.State.Live() || j.State == Scheduled && j.PID == 0 || m.killing[id] {
			continue
		}
		if alive(j) {
			m.reread(j)
			continue
		}
		m.reread(j) // its last words, or those of another process that controls it
		if j.State.Live() && !alive(j) {
			m.lost(j)
		}
	}
}

// reread takes over the record that a controlling process keeps.
func (m *Manager) reread(j *Job) {
	now, err := load(j.dir, j.ID)
	if err != nil || now.Updated.Equal(j.Updated) || j.State == Suspended && now.State.Live() {
		return
	}
	if now.PID == 0 {
		now.PID, now.Born = j.PID, j.Born
	}
	*j = *now
	m.changed()
}

// lost deals with a simulation whose controlling process has gone without a
// word: what is left of it is ended, and it is taken up again.
func (m *Manager) lost(j *Job) {
	if j.PID > 0 && born(j.PID) == 0 {
		killGroup(j.PID)
	}
	j.PID, j.Born, j.SubPID = 0, 0, 0
	if j.Revivals++; j.Revivals > m.cfg.Revivals {
		m.set(j, Failed, fmt.Sprintf("its controlling process was ended from outside %d times", j.Revivals))
		return
	}
	m.set(j, Scheduled, "its controlling process was ended from outside; it is taken up again")
}

// set changes the state of a simulation that has no process.
func (m *Manager) set(j *Job, s State, message string) {
	j.State, j.Message, j.Updated = s, message, m.cfg.Now()
	if err := j.save(); err != nil {
		m.cfg.Note(err.Error())
	}
	m.changed()
}

// startNext starts what waits, the longest first, while there are CPUs: one
// precomputes an octree, others of its variation wait for it.
func (m *Manager) startNext() {
	free := m.room()
	computing := map[[2]string]bool{}
	var waiting []*Job
	for _, j := range m.jobs {
		switch {
		case j.State == Scheduled && j.PID == 0:
			waiting = append(waiting, j)
		case j.State.Live():
			free--
			if j.Stage != Render && m.cfg.Farm == nil { // the farm has octrees of its own
				computing[j.variation()] = true
			}
		}
	}
	slices.SortFunc(waiting, func(a, b *Job) int { return a.Submitted.Compare(b.Submitted) })
	for _, j := range waiting {
		why := ""
		switch {
		case free <= 0:
			if why = "waits for a CPU"; m.cfg.Farm != nil {
				why = "waits: the farm has as many as it is given at once"
			}
		case computing[j.variation()]:
			why = "waits for the octree of the variation"
		default:
			m.start(j)
			free--
			computing[j.variation()] = m.cfg.Farm == nil
			continue
		}
		if j.Message != why && m.projects[j.dir].Dir != "" {
			m.set(j, Scheduled, why)
		}
	}
}

// start starts the controlling process of a simulation.
func (m *Manager) start(j *Job) {
	j.State, j.Stage, j.Message, j.Started, j.Updated = Running, Octree, "", m.cfg.Now(), m.cfg.Now()
	if err := j.save(); err != nil {
		m.set(j, Failed, err.Error())
		return
	}
	p, err := m.cfg.Spawn(Spec{
		Dir: j.dir, ID: j.ID, Radiance: m.cfg.Radiance, Report: m.cfg.Report, Revivals: m.cfg.Revivals, Locations: m.projects[j.dir].Top, Farm: m.cfg.FarmAt,
	})
	if err != nil {
		m.set(j, Failed, fmt.Sprintf("its controlling process cannot be started: %v", err))
		return
	}
	j.PID, j.Born = p.Pid, born(p.Pid)
	m.changed()
	m.reaped.Go(func() { m.reap(p) })
}

// reap waits for a controlling process that this process has started. It ends
// with that process, or with the program.
func (m *Manager) reap(p *os.Process) {
	_, _ = p.Wait()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
