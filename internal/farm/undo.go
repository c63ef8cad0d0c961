package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Pending is something that destroys work and is not done yet, so that it can
// be taken back. Until then nothing new of the job is handed out.
type Pending struct {
	Job    int64     `json:"job"`
	What   string    `json:"what"` // "cancel" or "remove"
	At     time.Time `json:"at"`   // when it is done
	By     Principal `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Paused bool      `json:"paused,omitempty"` // the job was paused before
}

// The things that can be done later.
const (
	PendingCancel = "cancel"
	PendingRemove = "remove"
)

const pendingPrefix = "undo/"

func pendingKey(job int64) string { return fmt.Sprintf("%s%d", pendingPrefix, job) }

// loadPending reads what was to be done when the farm ended.
func (st *state) loadPending(ctx context.Context) error {
	st.pending = make(map[int64]*Pending)
	ns, err := st.f.store.Notes(ctx, NoteQuery{Prefix: pendingPrefix})
	if err != nil {
		return fmt.Errorf("read what was to be done: %w", err)
	}
	for _, n := range ns {
		p := &Pending{}
		if err := json.Unmarshal([]byte(n.Text), p); err != nil {
			return fmt.Errorf("read %s: %w", n.Key, err)
		}
		st.pending[p.Job] = p
	}
	return nil
}

// Later cancels or removes a job after a while, in which Undo takes it back.
// Meanwhile the job is paused: what runs goes on, nothing new is handed out. It
// fails at once as Cancel or Remove would, and with Conflict when something is
// pending already.
func (f *Farm) Later(ctx context.Context, c JobChange, what string, after time.Duration) (*Pending, error) {
	if what != PendingCancel && what != PendingRemove {
		return nil, Errorf(Invalid, "%s cannot be done later", quote(what))
	}
	var out Pending
	_, err := f.change(ctx, c, func(st *state, j *job) error {
		switch {
		case st.pending[j.ID] != nil:
			return Errorf(Conflict, "job %d is about to be ended already", j.ID)
		case what == PendingCancel && j.State.Ended():
			return Errorf(Conflict, "job %d is %s already", j.ID, j.State)
		case what == PendingRemove && !j.State.Ended():
			return Errorf(Conflict, "job %d is %s; cancel it first", j.ID, j.State)
		}
		p := &Pending{Job: j.ID, What: what, At: st.now.Add(after), By: c.By, Reason: c.Reason, Paused: j.Paused}
		if what == PendingCancel {
			st.pause(j, true)
		}
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("write down what is to be done: %w", err)
		}
		st.pending[j.ID] = p
		st.putNote(Note{Key: pendingKey(j.ID), Job: j.ID, Text: string(text)})
		st.emit(Event{Type: "job.pending", Job: j.ID, State: what})
		out = *p
		return nil
	})
	return &out, err
}

// Undo takes back what Later was to do. It fails with Conflict when nothing is
// pending, or no longer.
func (f *Farm) Undo(ctx context.Context, c JobChange) (*Job, error) {
	return f.change(ctx, c, func(st *state, j *job) error {
		p := st.pending[j.ID]
		if p == nil {
			return Errorf(Conflict, "there is nothing to undo on job %d: it was done already, or taken back", j.ID)
		}
		st.settled(p)
		if p.What == PendingCancel && !p.Paused && !j.State.Ended() {
			st.pause(j, false)
		}
		st.emit(Event{Type: "job.pending", Job: j.ID})
		return nil
	})
}

// Pending is what is about to be done to a job, nil for nothing.
func (f *Farm) Pending(ctx context.Context, job int64) (*Pending, error) {
	var out *Pending
	err := f.do(ctx, func(st *state) error {
		if p := st.pending[job]; p != nil {
			c := *p
			out = &c
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

func (st *state) settled(p *Pending) {
	delete(st.pending, p.Job)
	st.dropNote(pendingKey(p.Job))
}

// carryOut does what is due.
func (st *state) carryOut() {
	for _, id := range slices.Sorted(maps.Keys(st.pending)) {
		p := st.pending[id]
		if p.At.After(st.now) {
			continue
		}
		st.settled(p)
		j, err := st.job(p.Job)
		if err != nil {
			continue // it was removed by other means
		}
		if p.What == PendingRemove {
			err = st.drop(j)
		} else if p.Reason == "" {
			err = st.cancel(j, "canceled by "+p.By.Login)
		} else {
			err = st.cancel(j, p.Reason)
		}
		if err != nil {
			st.f.log.Info("what was to be done to a job is not needed any more", "job", p.Job, "what", p.What, "err", err)
		}
	}
}

// pause stops or resumes the hand-out of a job's tasks.
func (st *state) pause(j *job, on bool) {
	j.Paused = on
	st.changed(j)
	st.advance(j)
	for _, s := range j.steps {
		st.place(s)
	}
}
