package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/simulation"
	"drover.farm/internal/submit"
)

// rayFarm renders the simulations of a Rayserver on a farm, as drover submit
// would.
type rayFarm struct {
	app *App
	at  simulation.FarmAt
}

// farmPatience is how long a farm that is out of reach is waited for. Nobody
// sits before a simulation, so it is long.
const farmPatience = 24 * time.Hour

func (a *App) rayFarm(at simulation.FarmAt) simulation.Farm {
	if at.URL == "" {
		return nil
	}
	return &rayFarm{app: a, at: at}
}

// open makes the farm's client, and an App whose messages go nowhere: what counts
// is in the simulation's record.
func (f *rayFarm) open(ctx context.Context) (*App, *client.Client, error) {
	a := &App{In: f.app.In, Out: io.Discard, Err: io.Discard, Env: f.app.Env, Terminal: func(any) bool { return false }, ctx: ctx}
	farm, err := (&Remote{Server: f.at.URL, TokenFile: f.at.TokenFile, CAFile: f.at.CAFile}).connect(a)
	return a, farm, err
}

// Hand submits the job, with all files that the variable file names.
func (f *rayFarm) Hand(ctx context.Context, h simulation.Handover, again bool) (int64, error) {
	a, farm, err := f.open(ctx)
	if err != nil {
		return 0, err
	}
	if again {
		if job, err := findJob(ctx, farm, h.Name); job != 0 || err != nil {
			return job, err
		}
	}
	o := radiance.PlanOptions{JobName: h.Name, Tiles: f.at.Tiles, Points: h.Points, Trace: h.Trace, HasTrace: h.HasTrace, Pieces: f.at.Pieces,
		OutputDir: filepath.Join(filepath.Dir(h.Rif), "farm")}
	p, err := radiance.NewPlan(ctx, h.Rif, o)
	if err != nil {
		return 0, err
	}
	job, in, err := submit.Radiance(p, "", h.Name)
	if err != nil {
		return 0, err
	}
	j, err := a.send(farm, &ready{files: in, Submission: job}, farmPatience)
	if err != nil {
		return 0, err
	}
	return j.ID, nil
}

// findJob finds the job of a name which was submitted by a process that was
// killed before it could note the number.
func findJob(ctx context.Context, farm *client.Client, name string) (int64, error) {
	me, err := farm.Account(ctx)
	if err != nil {
		return 0, err
	}
	list, err := farm.Jobs(ctx, client.JobFilter{Owner: me.Login, Limit: 1000})
	if err != nil {
		return 0, err
	}
	for _, j := range list.Jobs {
		if j.Name == name && j.State != "canceled" {
			return j.ID, nil
		}
	}
	return 0, nil
}

// Follow asks after the job until it has ended.
func (f *rayFarm) Follow(ctx context.Context, job int64, tell func(float64, string)) error {
	_, farm, err := f.open(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	told := &api.Job{}
	away := func(s string) { tell(told.Progress, s) }
	for {
		j, err := persist(ctx, farmPatience, away, func() (*api.Job, error) { return farm.Job(ctx, job) })
		if err != nil {
			return fmt.Errorf("job %d of the farm: %w", job, err)
		}
		switch {
		case j.State == "done":
			return nil
		case ended(j):
			return fmt.Errorf("job %d of the farm %s%s", job, j.State, because(j.Reason))
		case told.Progress != j.Progress || told.State != j.State:
			told = j
			tell(j.Progress, j.State)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Fetch writes the job's outputs to dir.
func (f *rayFarm) Fetch(ctx context.Context, job int64, dir string) error {
	a, farm, err := f.open(ctx)
	if err != nil {
		return err
	}
	j, err := persist(ctx, farmPatience, func(string) {}, func() (*api.Job, error) { return farm.Job(ctx, job) })
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_, err = a.fetch(farm, j, dir, farmPatience)
	return err
}

// Pause keeps the job's tasks that have not begun from beginning.
func (f *rayFarm) Pause(ctx context.Context, job int64) error {
	return f.act(ctx, func(c *client.Client) error {
		_, err := c.PauseJob(ctx, job, "suspended at the Rayserver")
		return err
	})
}

// Resume lets them begin.
func (f *rayFarm) Resume(ctx context.Context, job int64) error {
	return f.act(ctx, func(c *client.Client) error {
		_, err := c.ResumeJob(ctx, job)
		return err
	})
}

// Cancel ends the job.
func (f *rayFarm) Cancel(ctx context.Context, job int64, reason string) error {
	return f.act(ctx, func(c *client.Client) error {
		_, err := c.CancelJob(ctx, job, reason)
		return err
	})
}

func (f *rayFarm) act(ctx context.Context, do func(*client.Client) error) error {
	_, farm, err := f.open(ctx)
	if err != nil {
		return err
	}
	return do(farm)
}
