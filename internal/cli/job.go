package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

type jobCmd struct {
	Ls       jobLsCmd       `cmd:"" help:"List jobs, newest first."`
	Show     jobShowCmd     `cmd:"" help:"Show a job."`
	Tasks    jobTasksCmd    `cmd:"" help:"List a job's tasks with their state, worker and outputs."`
	Log      jobLogCmd      `cmd:"" help:"Print the log of a task, or of each failed one."`
	Why      jobWhyCmd      `cmd:"" help:"Say why a job waits, or why it failed."`
	Ledger   jobLedgerCmd   `cmd:"" help:"Say who earned and who spent points by a job."`
	Wait     jobWaitCmd     `cmd:"" help:"Wait until a job has ended."`
	Cancel   jobCancelCmd   `cmd:"" help:"Stop a job and render nothing more of it."`
	Pause    jobPauseCmd    `cmd:"" help:"Hand out no more tasks of a job; those that run finish."`
	Resume   jobResumeCmd   `cmd:"" help:"Go on with a paused job."`
	Retry    jobRetryCmd    `cmd:"" help:"Try failed and canceled tasks again."`
	Priority jobPriorityCmd `cmd:"" help:"Change a job's priority."`
	Build    jobBuildCmd    `cmd:"" help:"Let a job go on with another version of its renderer."`
	Fetch    jobFetchCmd    `cmd:"" help:"Write the files that a job put out to a folder."`
	Rm       jobRmCmd       `cmd:"" help:"Remove a job and what it put out."`
}

// oneJob is the flags of commands on one job.
type oneJob struct {
	Shown
	Remote
	ID int64 `arg:"" help:"The job's number."`
}

type jobLsCmd struct {
	Shown
	Remote
	State []string `enum:"waiting,running,paused,done,failed,canceled" placeholder:"STATE" help:"Only jobs in these states: waiting, running, paused, done, failed, canceled."`
	Owner string   `placeholder:"LOGIN" help:"Only jobs of this account."`
	Limit int      `default:"100" placeholder:"N" help:"At most so many; 0 for all. Default: 100."`
}

func (c *jobLsCmd) Examples() string {
	return `  drover job ls --state running,waiting
  drover job ls --owner anna --json | jq '.[].id'
`
}

func (c *jobLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	jobs, err := allJobs(a, farm, client.JobFilter{States: c.State, Owner: c.Owner}, c.Limit)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(jobs), func(w io.Writer) {
		if len(jobs) == 0 {
			a.say("no jobs")
			return
		}
		rows := make([][]string, len(jobs))
		for i, j := range jobs {
			rows[i] = []string{
				itoa(j.ID), j.State, fmt.Sprintf("%d/%d", j.Tasks.Done, j.Tasks.Total), itoa(j.Tasks.Running), itoa(j.Tasks.Failed),
				itoa(j.Priority), j.Owner, when(j.Created, time.Now()), j.Name,
			}
		}
		table(w, "ID STATE DONE RUNNING FAILED PRIORITY OWNER CREATED NAME", rows)
	})
}

// allJobs reads pages until there are limit jobs, 0 for all.
func allJobs(a *App, farm *client.Client, f client.JobFilter, limit int) ([]api.Job, error) {
	const page = 500
	var out []api.Job
	for {
		f.Limit = page
		if limit > 0 {
			f.Limit = min(page, limit-len(out))
		}
		l, err := farm.Jobs(a.ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, l.Jobs...)
		if l.Next == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		f.After = l.Next
	}
}

type jobShowCmd struct{ oneJob }

func (c *jobShowCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	j, err := farm.Job(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.showJob(c.Shown, j)
}

// showJob prints a job as every command that shows one does.
func (a *App) showJob(s Shown, j *api.Job) error {
	return a.show(s, j, func(w io.Writer) { printJob(w, j, time.Now()) })
}

func printJob(w io.Writer, j *api.Job, now time.Time) {
	t := j.Tasks
	tasks := fmt.Sprintf("%d of %d done", t.Done, t.Total)
	for _, part := range []struct {
		n    int64
		name string
	}{{t.Running, "running"}, {t.Waiting, "waiting"}, {t.Failed, "failed"}, {t.Canceled, "canceled"}} {
		if part.n > 0 {
			tasks += fmt.Sprintf(", %d %s", part.n, part.name)
		}
	}
	eta := ""
	if j.ETA != nil && !ended(j) {
		eta = fmt.Sprintf("in about %s", span(time.Duration(j.ETA.Seconds*float64(time.Second))))
	}
	pairs(w, "id", itoa(j.ID), "name", j.Name, "state", j.State, "reason", j.Reason, "owner", j.Owner, "priority", itoa(j.Priority),
		"tasks", tasks, "ready", eta, "renderer", strings.TrimSpace(j.Renderer+" "+strings.TrimPrefix(j.Build, j.Renderer+" ")),
		"doors", strings.Join(j.Doors, ", "), "tags", strings.Join(j.Tags, ", "),
		"created", when(j.Created, now), "started", when(j.Started, now), "finished", when(j.Finished, now))
	if len(j.Steps) < 2 {
		return
	}
	fmt.Fprintln(w)
	rows := make([][]string, len(j.Steps))
	for i, s := range j.Steps {
		rows[i] = []string{
			s.Name, s.State, fmt.Sprintf("%d/%d", s.Tasks.Done, s.Tasks.Total), itoa(s.Tasks.Running), itoa(s.Tasks.Failed),
			seconds(s.SecondsMean), strings.Join(s.DependsOn, ","),
		}
	}
	table(w, "STEP STATE DONE RUNNING FAILED MEAN AFTER", rows)
}

// ended reports whether nothing more of a job will be rendered.
func ended(j *api.Job) bool {
	return j.State == "done" || j.State == "failed" || j.State == "canceled"
}
