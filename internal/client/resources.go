package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
)

// JobFilter selects jobs; zero fields do not restrict.
type JobFilter struct {
	States []string
	Owner  string
	Limit  int
	After  string // cursor: JobList.Next
}

// TaskFilter selects tasks of a job.
type TaskFilter struct {
	States []string
	Limit  int
	After  string // cursor: TaskList.Next
}

func page(states []string, owner string, limit int, after string) url.Values {
	q := url.Values{}
	if len(states) > 0 {
		q.Set("state", strings.Join(states, ","))
	}
	if owner != "" {
		q.Set("owner", owner)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	if after != "" {
		q.Set("after", after)
	}
	return q
}

// Submit submits a job whose files are in the store. It is not repeated when
// the answer was lost: there would be two jobs.
func (c *Client) Submit(ctx context.Context, s api.Submission) (*api.Job, error) {
	out := new(api.Job)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/jobs", in: s, out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Jobs lists a page of jobs, newest first.
func (c *Client) Jobs(ctx context.Context, f JobFilter) (*api.JobList, error) {
	return get[api.JobList](ctx, c, "/jobs", page(f.States, f.Owner, f.Limit, f.After))
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, job int64) (*api.Job, error) {
	return get[api.Job](ctx, c, "/jobs/"+id(job), nil)
}

// ChangeJob changes a job.
func (c *Client) ChangeJob(ctx context.Context, job int64, p api.JobPatch) (*api.Job, error) {
	return send[api.Job](ctx, c, http.MethodPatch, "/jobs/"+id(job), p)
}

// RemoveJob removes a job that has ended.
func (c *Client) RemoveJob(ctx context.Context, job int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/jobs/" + id(job), once: true})
	return err
}

// CancelJob cancels a job.
func (c *Client) CancelJob(ctx context.Context, job int64, reason string) (*api.Job, error) {
	return c.act(ctx, job, "cancel", api.Reason{Reason: reason})
}

// PauseJob pauses a job.
func (c *Client) PauseJob(ctx context.Context, job int64, reason string) (*api.Job, error) {
	return c.act(ctx, job, "pause", api.Reason{Reason: reason})
}

// ResumeJob ends a pause.
func (c *Client) ResumeJob(ctx context.Context, job int64) (*api.Job, error) {
	return c.act(ctx, job, "resume", api.Reason{})
}

func (c *Client) act(ctx context.Context, job int64, verb string, in any) (*api.Job, error) {
	out := new(api.Job)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/jobs/" + id(job) + "/" + verb, in: in, out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RetryJob brings failed and canceled tasks back: those named (INDEX or
// STEP/INDEX), or all.
func (c *Client) RetryJob(ctx context.Context, job int64, tasks ...string) (*api.Retried, error) {
	out := new(api.Retried)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/jobs/" + id(job) + "/retry", in: api.Retry{Tasks: tasks}, out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Tasks lists a page of a job's tasks, by step and index.
func (c *Client) Tasks(ctx context.Context, job int64, f TaskFilter) (*api.TaskList, error) {
	return get[api.TaskList](ctx, c, "/jobs/"+id(job)+"/tasks", page(f.States, "", f.Limit, f.After))
}

// Task returns one task with its history. Step is a name or a number.
func (c *Client) Task(ctx context.Context, job int64, step string, index int64) (*api.Task, error) {
	return get[api.Task](ctx, c, taskPath(job, step, index), nil)
}

func taskPath(job int64, step string, index int64) string {
	return "/jobs/" + id(job) + "/tasks/" + url.PathEscape(step) + "/" + id(index)
}

// LogOptions says which log, and whether to go on while it grows.
type LogOptions struct {
	Attempt int // counted from 1; 0: the latest
	Follow  bool
}

// TaskLog opens the log of a task's attempt. The caller closes it.
func (c *Client) TaskLog(ctx context.Context, job int64, step string, index int64, o LogOptions) (io.ReadCloser, error) {
	q := url.Values{}
	if o.Attempt > 0 {
		q.Set("attempt", strconv.Itoa(o.Attempt))
	}
	if o.Follow {
		q.Set("follow", "1")
	}
	return c.open(ctx, taskPath(job, step, index)+"/log", q)
}

// open begins the download of something that is not JSON.
func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	began := time.Now()
	for try := 0; ; try++ {
		req, err := c.request(ctx, http.MethodGet, path, query, nil)
		if err != nil {
			return nil, err
		}
		resp, err := c.http.Do(req)
		if err != nil {
			err = c.explain(err)
		} else if err = failed(resp); err != nil {
			drain(resp)
		} else {
			return resp.Body, nil
		}
		if !repeatable(err, false) || time.Since(began) >= c.patience || !sleep(ctx, pause(err, try)) {
			return nil, err
		}
	}
}

// Why explains a job.
func (c *Client) Why(ctx context.Context, job int64) (*api.Why, error) {
	return get[api.Why](ctx, c, "/jobs/"+id(job)+"/why", nil)
}

// JobLedger is what accounts earned and spent by a job.
func (c *Client) JobLedger(ctx context.Context, job int64) (*api.Ledger, error) {
	return get[api.Ledger](ctx, c, "/jobs/"+id(job)+"/ledger", nil)
}

// Ledger is a page of what an account earned, spent and was granted.
func (c *Client) Ledger(ctx context.Context, login, after string) (*api.Ledger, error) {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	return get[api.Ledger](ctx, c, "/users/"+url.PathEscape(login)+"/ledger", q)
}

// Grant gives points to an account, or takes them when negative.
func (c *Client) Grant(ctx context.Context, login string, points float64) (*api.Ledger, error) {
	out := new(api.Ledger)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/users/" + url.PathEscape(login) + "/grants", in: api.Grant{Points: points}, out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// History is what a worker did lately.
func (c *Client) History(ctx context.Context, worker int64) (*api.History, error) {
	return get[api.History](ctx, c, "/workers/"+id(worker)+"/history", nil)
}

// Outputs lists a page of a job's outputs.
func (c *Client) Outputs(ctx context.Context, job int64, after string) (*api.Outputs, error) {
	return get[api.Outputs](ctx, c, "/jobs/"+id(job)+"/outputs", page(nil, "", 0, after))
}

// OutputsZip opens all outputs as one zip stream. The caller closes it.
func (c *Client) OutputsZip(ctx context.Context, job int64) (io.ReadCloser, error) {
	return c.open(ctx, "/jobs/"+id(job)+"/outputs.zip", nil)
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) (*api.WorkerList, error) {
	return get[api.WorkerList](ctx, c, "/workers", nil)
}

// Worker returns a worker.
func (c *Client) Worker(ctx context.Context, worker int64) (*api.Worker, error) {
	return get[api.Worker](ctx, c, "/workers/"+id(worker), nil)
}

// ChangeWorker changes a worker.
func (c *Client) ChangeWorker(ctx context.Context, worker int64, p api.WorkerPatch) (*api.Worker, error) {
	return send[api.Worker](ctx, c, http.MethodPatch, "/workers/"+id(worker), p)
}

// RemoveWorker removes a worker and ends its session.
func (c *Client) RemoveWorker(ctx context.Context, worker int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/workers/" + id(worker), once: true})
	return err
}

// Users lists the accounts.
func (c *Client) Users(ctx context.Context) (*api.UserList, error) {
	return get[api.UserList](ctx, c, "/users", nil)
}

// AddUser creates an account.
func (c *Client) AddUser(ctx context.Context, u api.NewUser) (*api.User, error) {
	out := new(api.User)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/users", in: u, out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangeUser changes an account.
func (c *Client) ChangeUser(ctx context.Context, login string, p api.UserPatch) (*api.User, error) {
	return send[api.User](ctx, c, http.MethodPatch, "/users/"+url.PathEscape(login), p)
}

// RemoveUser removes an account.
func (c *Client) RemoveUser(ctx context.Context, login string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/users/" + url.PathEscape(login), once: true})
	return err
}

// AddToken makes a token of an account; it is shown this once.
func (c *Client) AddToken(ctx context.Context, login string) (*api.Token, error) {
	out := new(api.Token)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/users/" + url.PathEscape(login) + "/tokens", out: out, once: true})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Join turns a one-time token into the lasting one that this client has.
func (c *Client) Join(ctx context.Context, in api.Join) (*api.User, error) {
	out := new(api.User)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: "/join", in: in, out: out, once: true}); err != nil {
		return nil, err
	}
	return out, nil
}

// Account is who the client's token belongs to.
func (c *Client) Account(ctx context.Context) (*api.User, error) {
	return get[api.User](ctx, c, "/account", nil)
}

// RevokeTokens takes an account's tokens of a kind away, all for "".
func (c *Client) RevokeTokens(ctx context.Context, login, kind string) error {
	q := url.Values{}
	if kind != "" {
		q.Set("kind", kind)
	}
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/users/" + url.PathEscape(login) + "/tokens", query: q})
	return err
}

// Farm is the farm at a glance.
func (c *Client) Farm(ctx context.Context) (*api.Farm, error) {
	return get[api.Farm](ctx, c, "/farm", nil)
}

// SetRetention says for how many days jobs are kept after their end; 0 until
// somebody removes them.
func (c *Client) SetRetention(ctx context.Context, days int) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/retention", in: api.Retention{Days: days}})
	return err
}

// SetMaintenance turns maintenance on or off.
func (c *Client) SetMaintenance(ctx context.Context, on bool) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/maintenance", in: map[string]bool{"on": on}})
	return err
}

// Environments lists the environments that jobs of the farm run in.
func (c *Client) Environments(ctx context.Context) (*api.EnvironmentList, error) {
	return get[api.EnvironmentList](ctx, c, "/environments", nil)
}

// SetEnvironment sets an environment for the jobs to come.
func (c *Client) SetEnvironment(ctx context.Context, e api.NewEnvironment) (*api.Environment, error) {
	return send[api.Environment](ctx, c, http.MethodPost, "/environments", e)
}

// RemoveEnvironment removes an environment.
func (c *Client) RemoveEnvironment(ctx context.Context, name string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/environments/" + url.PathEscape(name)})
	return err
}

// SetLimit sets a farm-wide counter.
func (c *Client) SetLimit(ctx context.Context, name string, total float64) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/limits/" + url.PathEscape(name), in: map[string]float64{"total": total}})
	return err
}

// RemoveLimit removes a farm-wide counter.
func (c *Client) RemoveLimit(ctx context.Context, name string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/limits/" + url.PathEscape(name)})
	return err
}
