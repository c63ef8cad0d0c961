package farm

import (
	"fmt"
	"slices"
	"time"
)

// advance works out, after a change, which steps are over, which may start, and
// where the job stands. docs/design/states.md has the tables.
func (st *state) advance(j *job) {
	for again := true; again; {
		again = false
		for _, s := range j.steps {
			if next := st.stepState(j, s); next != s.State {
				s.State = next
				st.changedStep(s)
				st.place(s)
				again = true
			}
		}
	}
	st.setState(j, jobState(j))
}

// stepState is the state that follows from a step's counts and from the steps
// it depends on.
func (st *state) stepState(j *job, s *step) StepState {
	if s.State.Ended() {
		return s.State
	}
	if j.Canceled {
		return StepCanceled
	}
	if s.State == StepBlocked {
		ready := true
		for _, d := range s.DependsOn {
			switch j.steps[d].State {
			case StepDone:
			case StepFailed, StepCanceled:
				return StepCanceled
			default:
				ready = false
			}
		}
		if !ready {
			return StepBlocked
		}
		return StepReady
	}
	switch {
	case s.Untouched() > 0 || s.Retrying > 0 || s.Running > 0:
		return StepReady
	case s.Failed > 0:
		return StepFailed
	case s.Canceled > 0:
		return StepCanceled
	}
	return StepDone
}

// jobState is the state that follows from a job's steps and switches.
func jobState(j *job) JobState {
	if j.Canceled {
		return JobCanceled
	}
	ended, good := true, true
	for _, s := range j.steps {
		ended = ended && s.State.Ended()
		good = good && s.State == StepDone
	}
	switch {
	case ended && good:
		return JobDone
	case ended:
		return JobFailed
	case j.Paused:
		return JobPaused
	case !j.Started.IsZero():
		return JobRunning
	}
	return JobWaiting
}

// setState moves a job to a state, with what belongs to the move.
func (st *state) setState(j *job, next JobState) {
	if j.State == next {
		return
	}
	j.State = next
	if next.Ended() {
		j.built, j.build, j.Finished = nil, nil, st.now
	} else {
		j.Finished = time.Time{}
	}
	switch next {
	case JobFailed:
		j.Reason = failReason(j)
	case JobDone, JobRunning, JobWaiting:
		j.Reason = ""
	}
	st.changed(j)
	st.emit(Event{Type: "job.state", Job: j.ID, State: string(next), Text: j.Reason})
	st.f.log.Info("job "+string(next), "job", j.ID, "name", j.Spec.Name, "reason", j.Reason)
}

func failReason(j *job) string {
	for _, s := range j.steps {
		if s.State == StepFailed {
			return fmt.Sprintf("%d of %d tasks of step %s failed; \"drover job tasks %d --state failed\" lists them", s.Failed, s.Tasks, s.Name, j.ID)
		}
	}
	return "some of its tasks were canceled"
}

// cancel ends a job: what waits is canceled at once, what runs is told to stop.
// Rows of tasks that wait again keep their state: the step's says that they are
// canceled, as it does for tasks that were never touched.
func (st *state) cancel(j *job, reason string) error {
	if j.State.Ended() {
		return Errorf(Conflict, "job %d is %s already", j.ID, j.State)
	}
	j.Canceled, j.Paused, j.Reason = true, false, reason
	for _, s := range j.steps {
		for _, ls := range s.running {
			// A task that is done may still have an attempt that was told to stop.
			if t := ls[0].task; t.State == TaskRunning {
				t.State = TaskCanceled
				s.Running--
				s.Canceled++
				st.changedTask(t)
			}
			for _, l := range ls {
				st.stop(l, reason)
			}
		}
		st.changedStep(s)
	}
	st.changed(j)
	st.advance(j)
	return nil
}

// drop forgets a job and all of its tasks.
func (st *state) drop(j *job) error {
	if !j.State.Ended() {
		return Errorf(Conflict, "job %d is %s; cancel it first", j.ID, j.State)
	}
	for _, s := range j.steps {
		st.queue.Remove(s.Job, s.Index)
		for _, ls := range s.running {
			for _, l := range slices.Clone(ls) {
				st.stop(l, "the job was removed")
				st.release(l)
			}
		}
		delete(st.dirty.steps, s)
	}
	for k := range st.dirty.tasks {
		if k.Job == j.ID {
			delete(st.dirty.tasks, k)
		}
	}
	delete(st.dirty.jobs, j.ID)
	delete(st.dirty.newJobs, j.ID)
	delete(st.jobs, j.ID)
	st.dropPacks(func(p *Pack) bool { return p.Job == j.ID })
	st.dirty.rest.Notes = slices.DeleteFunc(st.dirty.rest.Notes, func(n *Note) bool { return n.Job == j.ID })
	st.dirty.rest.DropJobs = append(st.dirty.rest.DropJobs, j.ID)
	st.emit(Event{Type: "job.removed", Job: j.ID})
	return nil
}
