package flamenco

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"drover.farm/internal/farm"
)

// telling marks a state in the note of an open task that is on its way to the
// server: whether that has heard it is not known.
const telling = "?"

// errNotRegistered says that the server was not reached yet: which words it knows
// is not known.
var errNotRegistered = errors.New("this farm is not registered with the Flamenco server yet")

// tell says to the server once what state a posted task is in. That it is about
// to is kept with the farm before, that it did after the server's answer. When the
// farm or the connection ends in between, the server is asked what it knows, and
// told again only if that is something else.
func (u *upstream) tell(ctx context.Context, p *post, job int64, state string) error {
	if u.base == "" {
		return nil
	}
	if u.identity() == (identity{}) {
		return errNotRegistered
	}
	n, err := u.d.farm.Note(ctx, noteOpen(job))
	if err != nil && farm.CodeOf(err) != farm.NotFound {
		return err
	}
	if n == nil && state != stateRunning {
		return nil // its end was told before
	}
	var told string
	if n != nil {
		told = n.Text
	}
	if asked, open := strings.CutPrefix(told, telling); open {
		if told, err = u.knows(ctx, p, asked); err != nil {
			return err
		}
	}
	if told != state {
		if err := u.note(ctx, job, telling+state); err != nil {
			return err
		}
		if err := u.say(ctx, p, job, state); err != nil {
			return err
		}
	}
	if state != stateRunning {
		return nil // settle removes the note
	}
	return u.note(ctx, job, state)
}

func (u *upstream) note(ctx context.Context, job int64, text string) error {
	return u.d.farm.PutNotes(ctx, []farm.Note{{Key: noteOpen(job), Job: job, Text: text}})
}

// word is a state in the words of the server's time.
func (u *upstream) word(state string) string {
	if u.identity().Token != "" {
		return words2016[state]
	}
	return state
}

var words2016 = map[string]string{stateReady: "waiting", stateRunning: "active", stateFinished: "completed", stateFailed: "failed", stateAborted: "canceled"}

// knows returns the state if the server has the task in it, else "". A server
// that does not say what it has is told again: one that has the state already
// takes nothing from that but the log.
func (u *upstream) knows(ctx context.Context, p *post, state string) (string, error) {
	has, err := u.asked(ctx, p.ID)
	var status statusError
	switch {
	case errors.As(err, &status) && status < 500:
		return "", nil
	case err != nil:
		return "", err
	case has == u.word(state):
		return state, nil
	}
	return "", nil
}

// asked is the status of a task in the server's own words, "" for none.
func (u *upstream) asked(ctx context.Context, task int64) (string, error) {
	type one struct {
		Status string `json:"status"`
	}
	if u.identity().Token != "" {
		var v one
		body, err := u.do(ctx, http.MethodGet, "/tasks/"+num(task), "", nil)
		if err == nil {
			_ = json.Unmarshal(body, &v) // what cannot be read says nothing
		}
		return v.Status, err
	}
	var all map[string]one
	body, err := u.do(ctx, http.MethodGet, "/tasks", "", nil)
	if err == nil {
		_ = json.Unmarshal(body, &all)
	}
	return all[num(task)].Status, err
}

// say sends a state, with a server of 2016 the pictures of a task that has ended.
// What the server refuses it would refuse again; that it does not want a task to
// run means that somebody there has canceled it.
func (u *upstream) say(ctx context.Context, p *post, job int64, state string) error {
	o, err := p.want()
	if err != nil {
		return err
	}
	var files []farm.File
	if state != stateRunning && u.identity().Token != "" && len(o.file) == 0 {
		if files, err = u.d.pictures(ctx, job); err != nil {
			return err
		}
	}
	err = u.post(ctx, p, state, u.d.lastWord(job), files)
	var status statusError
	if !errors.As(err, &status) || status < 400 || status >= 500 {
		return err
	}
	u.d.log.Warn("the Flamenco server does not want to know of a task", "task", p.ID, "state", state, "err", err)
	if status == http.StatusForbidden && state == stateRunning {
		return u.canceled(ctx, job)
	}
	return nil
}

// canceled ends a job that the server does not want any more.
func (u *upstream) canceled(ctx context.Context, job int64) error {
	_, err := u.d.farm.Cancel(ctx, farm.JobChange{By: u.d.by, Job: job, Reason: "the Flamenco server does not want it any more"})
	if farm.CodeOf(err) == farm.Conflict || gone(err) {
		return nil
	}
	return err
}

// post sends a state. Values that are not there are not sent.
func (u *upstream) post(ctx context.Context, p *post, state string, n news, files []farm.File) error {
	if u.identity() == (identity{}) {
		return errNotRegistered
	}
	form := url.Values{"id": {num(p.ID)}, "status": {u.word(state)}}
	if n.log != "" {
		form.Set("log", n.log)
	}
	if n.activity != "" {
		form.Set("activity", n.activity)
	}
	if n.cost != nil {
		form.Set("time_cost", num(*n.cost))
	}
	if u.identity().Token == "" {
		_, err := u.send(ctx, http.MethodPost, "/tasks", form)
		return err
	}
	path := "/tasks/" + num(p.ID)
	if len(files) > 0 {
		return u.sendFiles(ctx, path, form, files)
	}
	_, err := u.send(ctx, http.MethodPut, path, form)
	return err
}

// refused tells the server of a task that was not taken, since it does not read
// the answer to its own post.
func (u *upstream) refused(p *post, why error) {
	if u.base == "" || p == nil || !isRefusal(why) {
		return
	}
	u.d.spawn(func() {
		for u.refuse(u.d.ctx, p, why) != nil && u.d.sleep(u.d.set.Retry, nil) {
		}
	})
}

// isRefusal reports whether a task was not taken because of what it is.
func isRefusal(why error) bool {
	var f *fault
	return errors.As(why, &f) || farm.CodeOf(why) == farm.Invalid
}

func (u *upstream) refuse(ctx context.Context, p *post, why error) error {
	text := farm.MessageOf(why)
	var f *fault
	if errors.As(why, &f) {
		b, _ := json.Marshal(f.message) // texts
		text = string(b)
	}
	err := u.post(ctx, p, stateFailed, news{log: "the task was refused: " + text}, nil)
	var status statusError
	if errors.As(err, &status) && status < 500 {
		return nil
	}
	return err
}

// tellProgress sends how far running tasks are.
func (u *upstream) tellProgress(ctx context.Context) {
	type one struct {
		p *post
		n news
	}
	var list []one
	u.d.mu.Lock()
	for _, w := range u.d.work {
		if w.post != nil && !w.over {
			list = append(list, one{w.post, news{log: w.tail, activity: w.now.text(), cost: w.m.timeCost}})
		}
	}
	u.d.mu.Unlock()
	for _, o := range list {
		if err := u.post(ctx, o.p, stateRunning, o.n, nil); err != nil {
			return
		}
	}
}

// watch looks whether somebody at a server of 2016 has ended by hand what is here:
// the task, or the job that it is of. The original learned that from the answers to
// its news.
func (u *upstream) watch(ctx context.Context) {
	if u.identity().Token == "" {
		return
	}
	jobs := make(map[int64]bool) // of the server: whether it goes on
	for _, o := range u.d.openPosts() {
		j, err := u.d.farm.Job(ctx, o.job)
		if err != nil || j.State.Ended() {
			continue
		}
		has, err := u.asked(ctx, o.post.ID)
		on, known := jobs[o.post.JobID]
		if err == nil && !known {
			on, err = u.goesOn(ctx, o.post.JobID)
			jobs[o.post.JobID] = on
		}
		if err != nil {
			u.d.log.Debug("the Flamenco server does not say how a task stands", "task", o.post.ID, "err", err)
			continue
		}
		if on && has != words2016[stateAborted] && has != words2016[stateFinished] {
			continue
		}
		if err := u.canceled(ctx, o.job); err != nil {
			u.d.log.Warn("a task that the Flamenco server has ended goes on", "task", o.post.ID, "err", err)
		}
	}
}

// goesOn reports whether the server has a job whose tasks may run: of any other it
// would refuse to hear that they do.
func (u *upstream) goesOn(ctx context.Context, job int64) (bool, error) {
	if job == 0 {
		return true, nil
	}
	var v struct {
		Status string `json:"status"`
	}
	body, err := u.do(ctx, http.MethodGet, "/jobs/"+num(job), "", nil)
	var status statusError
	if errors.As(err, &status) && status < 500 {
		return true, nil // it does not say
	}
	if err != nil || json.Unmarshal(body, &v) != nil {
		return true, err
	}
	switch v.Status {
	case "", "waiting", "active", given:
		return true, nil
	}
	return false, nil
}
