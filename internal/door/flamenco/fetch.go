package flamenco

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// A server of 2016 gives work to managers that ask for it (GET /tasks/generate),
// and counts a task as theirs from then on. The original asked whenever a worker
// asked it; here workers of every door can render what comes, so the farm asks as
// long as fewer of the server's tasks wait than workers have nothing to do.

// offered is a task as the server gives it.
type offered struct {
	ID       int64           `json:"id"`
	JobID    int64           `json:"job_id"`
	Type     string          `json:"type"`
	Parser   string          `json:"parser"`
	Priority int             `json:"priority"`
	Settings json.RawMessage `json:"settings"`
	Child    int64           `json:"child_id"` // the task that waits for this one's files
}

// fetching asks the server for tasks until the door closes.
func (u *upstream) fetching() {
	if u.identity().Token == "" {
		return // of 2015: it sends them
	}
	recover := true // what the term before was given and could not keep
	for pause := time.Duration(0); u.d.sleep(pause, u.wake); pause = u.d.set.Tick {
		var err error
		if recover {
			err = u.handBack(u.d.ctx)
		}
		if err == nil {
			err = u.fetch(u.d.ctx)
		}
		if recover = err != nil; recover && u.d.ctx.Err() == nil {
			u.d.log.Warn("no tasks can be had from the Flamenco server", "err", err)
			u.d.sleep(u.d.set.Retry, nil)
		}
	}
}

// rouse lets the farm look whether it needs tasks.
func (u *upstream) rouse() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// fetch asks for tasks while there are workers for them.
func (u *upstream) fetch(ctx context.Context) error {
	for {
		wanted, err := u.wanted(ctx)
		if err != nil || !wanted {
			return err
		}
		t, err := u.generate(ctx)
		if err != nil || t == nil {
			return err
		}
		if err := u.accept(ctx, t); err != nil {
			return fmt.Errorf("take task %d: %w", t.ID, err)
		}
	}
}

// wanted reports whether more workers have nothing to do than tasks of the server
// wait.
func (u *upstream) wanted(ctx context.Context) (bool, error) {
	all, err := u.d.farm.Farmhands(ctx)
	if err != nil {
		return false, err
	}
	idle := 0
	for _, w := range all {
		if w.State == farm.WorkerIdle {
			idle++
		}
	}
	for _, o := range u.d.openPosts() {
		if j, err := u.d.farm.Job(ctx, o.job); err == nil && j.Counts().Running == 0 && !j.State.Ended() {
			idle--
		}
	}
	return idle > 0, nil
}

// generate gets the next task, nil for none.
func (u *upstream) generate(ctx context.Context) (*offered, error) {
	id := u.identity()
	q := url.Values{"token": {id.Token}, "worker": {id.Label}, "job_types": {strings.Join(types, ",")}}
	body, err := u.do(ctx, http.MethodGet, "/tasks/generate?"+q.Encode(), "", nil)
	if errors.Is(err, statusError(http.StatusNotFound)) || errors.Is(err, statusError(http.StatusBadRequest)) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	t := new(offered)
	if err := json.Unmarshal(body, t); err != nil {
		return nil, fmt.Errorf("the server's task cannot be read: %w", err)
	}
	return t, nil
}

// accept makes a task of the server the farm's own. One that nobody could do is
// told as failed.
func (u *upstream) accept(ctx context.Context, t *offered) error {
	settings := t.Settings
	var text string
	if json.Unmarshal(settings, &text) == nil {
		settings = json.RawMessage(text)
	}
	a := &args{values: map[string][]string{"task_id": {num(t.ID)}, "job_id": {num(t.JobID)}, "type": {t.Type}, "parser": {t.Parser},
		"priority": {fmt.Sprint(t.Priority)}, "settings": {string(bytes.TrimSpace(settings))}}}
	if t.Child > 0 {
		a.values["child_id"] = []string{num(t.Child)}
	}
	p, err := a.post()
	if err == nil {
		_, _, err = u.d.admit(ctx, p, func(ctx context.Context) (*upload, error) { return u.files(ctx, p) })
	}
	if err != nil && p != nil && isRefusal(err) {
		u.d.log.Warn("a task of the Flamenco server cannot be done", "task", t.ID, "err", farm.MessageOf(err), "why", err)
		return u.refuse(ctx, p, err)
	}
	return err
}

// files fetches the archive of a task's job, nil when its files are here or it
// needs none.
func (u *upstream) files(ctx context.Context, p *post) (*upload, error) {
	o, err := p.want()
	if err != nil || o.filepath == "" || len(o.file) > 0 || p.JobID == 0 {
		return nil, err
	}
	if j, err := u.d.filesJob(ctx, p.JobID); err != nil || j != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+"/jobs/file/"+num(p.JobID), nil)
	if err != nil {
		return nil, err
	}
	res, err := u.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the files of job %d: %w", p.JobID, err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return nil, wrong("jobfile", fmt.Sprintf("the server has no files of job %d", p.JobID))
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetch the files of job %d: %w", p.JobID, statusError(res.StatusCode))
	}
	idle := time.AfterFunc(uploadIdle, cancel)
	defer idle.Stop()
	body := &bounded{r: &moving{res.Body, idle, uploadIdle}, left: int64(u.d.set.Upload) << 20}
	if n := res.ContentLength; n > body.left {
		return nil, tooLarge(body.left)
	}
	info, err := u.d.cfg.Blobs.Put(ctx, body, nil)
	if errors.Is(err, blob.ErrTooLarge) {
		return nil, tooLarge(int64(u.d.set.Upload) << 20)
	} else if err != nil {
		return nil, fmt.Errorf("fetch the files of job %d: %w", p.JobID, err)
	}
	if n := res.ContentLength; n >= 0 && n != info.Size {
		return nil, fmt.Errorf("fetch the files of job %d: %w", p.JobID, blob.ErrIncomplete)
	}
	return &upload{"jobfile.zip", info}, nil
}

// handBack returns tasks that the server gave to this farm and that the farm does
// not have: it ended, or the answer was lost, before they were durable here.
func (u *upstream) handBack(ctx context.Context) error {
	body, err := u.do(ctx, http.MethodGet, "/tasks", "", nil)
	var list struct {
		Tasks []struct {
			ID     int64  `json:"id"`
			Status string `json:"status"`
		} `json:"tasks"`
	}
	if err != nil || json.Unmarshal(body, &list) != nil {
		return err
	}
	for _, t := range list.Tasks {
		if t.Status != given {
			continue
		}
		job, err := u.d.jobOf(ctx, t.ID)
		if err != nil {
			return err
		}
		if job != 0 {
			j, err := u.d.farm.Job(ctx, job)
			if err == nil && j.State.Ended() {
				_, err = u.d.farm.Note(ctx, noteOpen(job))
			}
			if err == nil {
				continue // it is here, or its end is on the way
			} else if farm.CodeOf(err) != farm.NotFound {
				return err
			}
		}
		if err := u.handBack1(ctx, t.ID); err != nil {
			return err
		}
	}
	return nil
}

const given = "processing" // a task of the server that some manager was given

func (u *upstream) handBack1(ctx context.Context, task int64) error {
	var t struct {
		Worker string `json:"worker"`
		Status string `json:"status"`
	}
	path := "/tasks/" + num(task)
	body, err := u.do(ctx, http.MethodGet, path, "", nil)
	if err != nil || json.Unmarshal(body, &t) != nil || t.Status != given || t.Worker != u.identity().Label {
		return err
	}
	u.d.log.Info("a task that did not arrive goes back to the Flamenco server", "task", task)
	_, err = u.send(ctx, http.MethodPut, path, url.Values{"id": {num(task)}, "status": {words2016[stateReady]}})
	var status statusError
	if errors.As(err, &status) && status < 500 {
		return nil
	}
	return err
}
