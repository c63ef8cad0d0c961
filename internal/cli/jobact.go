package cli

import (
	"io"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

// changed says what became of a job, or shows it.
func (a *App) changed(s Shown, j *api.Job, what string) error {
	return a.show(s, j, func(io.Writer) { a.say("job %d %s", j.ID, what) })
}

// change connects, does f, and says what became of the job.
func (c *oneJob) change(a *App, what string, f func(*client.Client) (*api.Job, error)) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	j, err := f(farm)
	if err != nil {
		return err
	}
	return a.changed(c.Shown, j, what)
}

type jobCancelCmd struct {
	oneJob
	Reason string `placeholder:"TEXT" help:"Why, for those who look at the job."`
}

func (c *jobCancelCmd) Run(a *App) error {
	return c.change(a, "canceled", func(farm *client.Client) (*api.Job, error) { return farm.CancelJob(a.ctx, c.ID, c.Reason) })
}

type jobPauseCmd struct {
	oneJob
	Reason string `placeholder:"TEXT" help:"Why, for those who look at the job."`
}

func (c *jobPauseCmd) Run(a *App) error {
	return c.change(a, "paused", func(farm *client.Client) (*api.Job, error) { return farm.PauseJob(a.ctx, c.ID, c.Reason) })
}

type jobResumeCmd struct{ oneJob }

func (c *jobResumeCmd) Run(a *App) error {
	return c.change(a, "resumed", func(farm *client.Client) (*api.Job, error) { return farm.ResumeJob(a.ctx, c.ID) })
}

type jobPriorityCmd struct {
	oneJob
	Priority int `arg:"" help:"0 to 100; higher goes first."`
}

func (c *jobPriorityCmd) Run(a *App) error {
	if err := checkPriority(c.Priority); err != nil {
		return err
	}
	return c.change(a, "has priority "+itoa(c.Priority), func(farm *client.Client) (*api.Job, error) {
		return farm.ChangeJob(a.ctx, c.ID, api.JobPatch{Priority: &c.Priority})
	})
}

func checkPriority(p int) error {
	if p < 0 || p > 100 {
		return usagef("the priority %d is not between 0 and 100", p)
	}
	return nil
}

type jobBuildCmd struct {
	oneJob
	Version string `arg:"" optional:"" help:"The version, such as 4.2.1. By default the newest that a worker or the library has."`
}

func (c *jobBuildCmd) Examples() string {
	return `  drover job build 1003          # the version it began with was set aside: take the newest
  drover job build 1003 4.2.0
`
}

func (c *jobBuildCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	j, err := farm.ChangeJob(a.ctx, c.ID, api.JobPatch{Build: &c.Version})
	if err != nil {
		return err
	}
	return a.changed(c.Shown, j, "goes on with "+j.Renderer+" "+j.Build)
}

type jobRetryCmd struct {
	oneJob
	Tasks []string `arg:"" optional:"" name:"task" help:"Only these tasks: INDEX or STEP/INDEX, counted from 0."`
}

func (c *jobRetryCmd) Examples() string {
	return `  drover job retry 1003              # all failed and canceled tasks
  drover job retry 1003 17 Comp/0    # these two
`
}

func (c *jobRetryCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	r, err := farm.RetryJob(a.ctx, c.ID, c.Tasks...)
	if err != nil {
		return err
	}
	return a.show(c.Shown, r, func(io.Writer) { a.say("job %d: %s waiting again", c.ID, count(r.Tasks, "task")) })
}

type jobRmCmd struct {
	Remote
	IDs []int64 `arg:"" name:"id" help:"The jobs' numbers."`
}

func (c *jobRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if err := farm.RemoveJob(a.ctx, id); err != nil {
			return err
		}
		a.say("job %d removed", id)
	}
	return nil
}
