package cli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/openjd"
)

type environmentCmd struct {
	Ls   environmentLsCmd   `cmd:"" help:"List the farm's environments, outermost first."`
	Show environmentShowCmd `cmd:"" help:"Print an environment's template."`
	Set  environmentSetCmd  `cmd:"" help:"Run the jobs to come in an environment; one of the same name is replaced."`
	Rm   environmentRmCmd   `cmd:"" help:"Take an environment away from the jobs to come."`
}

type environmentLsCmd struct {
	Shown
	Remote
}

func (c *environmentLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	got, err := farm.Environments(a.ctx)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(got.Environments), func(w io.Writer) {
		rows := make([][]string, len(got.Environments))
		for i, e := range got.Environments {
			tag := e.Tag
			if tag == "" {
				tag = "all jobs"
			}
			rows[i] = []string{e.Name, tag, e.By, when(&e.Changed, time.Now())}
		}
		table(w, "NAME TAG BY CHANGED", rows)
	})
}

type environmentShowCmd struct {
	Remote
	Name string `arg:"" help:"The environment's name."`
}

func (c *environmentShowCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	got, err := farm.Environments(a.ctx)
	if err != nil {
		return err
	}
	for _, e := range got.Environments {
		if e.Name == c.Name {
			fmt.Fprintln(a.Out, e.Template)
			return nil
		}
	}
	return fmt.Errorf("the farm has no environment %q; \"drover environment ls\" lists them", c.Name)
}

type environmentSetCmd struct {
	Remote
	File string `arg:"" help:"OpenJD environment template (YAML or JSON)."`
	Tag  string `placeholder:"TAG" help:"Only for jobs that ask for workers with this tag. By default for all jobs."`
}

func (c *environmentSetCmd) Examples() string {
	return "  drover environment set conda.yaml\n  drover environment set houdini-licence.yaml --tag houdini\n"
}

func (c *environmentSetCmd) Run(a *App) error {
	text, err := readDocument(c.File)
	if err != nil {
		return fmt.Errorf("read the environment template: %w", err)
	}
	if _, err := openjd.ParseEnvironmentTemplate(text); err != nil {
		return refused(c.File, err)
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	e, err := farm.SetEnvironment(a.ctx, api.NewEnvironment{Template: string(text), Tag: c.Tag})
	if err != nil {
		return err
	}
	if e.Tag == "" {
		a.say("all jobs to come run in the environment %s", e.Name)
	} else {
		a.say("jobs to come with the tag %s run in the environment %s", e.Tag, e.Name)
	}
	return nil
}

type environmentRmCmd struct {
	Remote
	Name string `arg:"" help:"The environment's name."`
}

func (c *environmentRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.RemoveEnvironment(a.ctx, c.Name); err != nil {
		return err
	}
	a.say("environment %s removed; jobs that were submitted with it keep it", c.Name)
	return nil
}

// farmEnvironments are those of the farm that a job with these tags will run in.
func (a *App) farmEnvironments(c *client.Client, tags []string) ([]*openjd.EnvironmentTemplate, error) {
	got, err := c.Environments(a.ctx)
	if err != nil {
		return nil, err
	}
	var envs []*openjd.EnvironmentTemplate
	for _, e := range got.Environments {
		if e.Tag != "" && !slices.Contains(tags, e.Tag) {
			continue
		}
		t, err := openjd.ParseEnvironmentTemplate([]byte(e.Template))
		if err != nil {
			return nil, fmt.Errorf("this program does not understand the farm's environment %s, perhaps because it is older than the farm:\n%w", e.Name, err)
		}
		envs = append(envs, t)
	}
	return envs, nil
}
