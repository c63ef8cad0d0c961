package simulation

import (
	"context"
	"time"
)

// Suspend stops the processes of a simulation; on a farm, no more of its tasks
// begin.
func (m *Manager) Suspend(ctx context.Context, id string) (Job, error) {
	if m.cfg.Farm != nil {
		return m.steer(ctx, id, Running, Suspended, m.cfg.Farm.Pause)
	}
	return m.pause(id, Running, Suspended, stopGroup)
}

// Resume lets a suspended simulation go on.
func (m *Manager) Resume(ctx context.Context, id string) (Job, error) {
	if m.cfg.Farm != nil {
		return m.steer(ctx, id, Suspended, Running, m.cfg.Farm.Resume)
	}
	return m.pause(id, Suspended, Running, wakeGroup)
}

func (m *Manager) pause(id string, from, to State, signal func(pid int) error) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	switch {
	case j == nil:
		return Job{}, faultf(NotFound, "there is no simulation %.100q", id)
	case m.killing[id]:
		return *j, faultf(Conflict, "%s is being ended", id)
	case j.State != from:
		return *j, faultf(Conflict, "%s is %s, not %s", id, j.State, from)
	case !alive(j):
		return *j, faultf(Conflict, "the process of %s is gone", id)
	}
	if err := signal(j.PID); err != nil {
		return *j, err
	}
	if to == Suspended {
		m.reread(j) // what it wrote before it stopped
	}
	if j.State.Live() {
		m.set(j, to, "")
	}
	return *j, nil
}

func alive(j *Job) bool {
	b := born(j.PID)
	return j.PID > 0 && b != 0 && (j.Born == 0 || b == j.Born)
}

// Kill ends a simulation with all its processes, and its job on the farm.
func (m *Manager) Kill(ctx context.Context, id string) (Job, error) {
	j, err := m.kill(id)
	if err == nil && j.Farm != 0 && m.cfg.Farm != nil && j.State != Finished {
		m.recall(ctx, id, j.Farm)
		return m.Job(ctx, id)
	}
	return j, err
}

func (m *Manager) kill(id string) (Job, error) {
	m.mu.Lock()
	j := m.jobs[id]
	switch {
	case j == nil:
		m.mu.Unlock()
		return Job{}, faultf(NotFound, "there is no simulation %.100q", id)
	case !j.State.Live() || m.killing[id]:
		defer m.mu.Unlock()
		return *j, faultf(Conflict, "%s has ended: it is %s", id, j.State)
	case j.State == Scheduled && j.PID == 0:
		defer m.mu.Unlock()
		m.set(j, Terminated, "")
		return *j, nil
	}
	found, pid := alive(j), j.PID
	m.killing[id] = true
	m.mu.Unlock()
	m.end(found, pid)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.killing, id)
	m.reread(j)
	j.PID, j.Born, j.SubPID = 0, 0, 0
	switch {
	case !j.State.Live(): // it was faster
	case found:
		m.set(j, Terminated, "")
	default:
		m.set(j, Unknown, "its process could not be found")
	}
	return *j, nil
}

// end ends a process group: politely, then by force. Of a leader that is gone
// the rest of the group is ended; a number that another process has is left
// alone.
func (m *Manager) end(found bool, pid int) {
	if !found {
		if pid > 0 && born(pid) == 0 {
			killGroup(pid)
		}
		return
	}
	endGroup(pid)
	deadline := time.Now().Add(m.cfg.KillTime)
	for groupExists(pid) && time.Now().Before(deadline) {
		<-time.After(20 * time.Millisecond)
	}
	if groupExists(pid) {
		killGroup(pid)
	}
}

// Restart runs a simulation that has ended again. An unfinished result is taken
// up if nothing it was made with has changed.
func (m *Manager) Restart(_ context.Context, id string) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	if j == nil {
		return Job{}, faultf(NotFound, "there is no simulation %.100q", id)
	}
	if j.State.Live() {
		return *j, faultf(Conflict, "%s has not ended: it is %s", id, j.State)
	}
	for _, o := range m.jobs {
		if o.State.Live() && o.key() == j.key() {
			return *j, faultf(Exists, "%s of %s is being simulated by %s", j.Name, j.Variation, o.ID)
		}
	}
	j.PID, j.Born, j.Revivals, j.Percent, j.Stage, j.Farm = 0, 0, 0, 0, "", 0
	m.set(j, Scheduled, "")
	return *j, nil
}
