package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"drover.farm/internal/api"
)

type workerCmd struct {
	Ls      workerLsCmd      `cmd:"" help:"List workers."`
	Show    workerShowCmd    `cmd:"" help:"Show a worker: what it is, has and does."`
	History workerHistoryCmd `cmd:"" help:"Show what a worker did lately, and how much it worked in a day."`
	Disable workerDisableCmd `cmd:"" help:"Give a worker no more tasks; those that run finish."`
	Enable  workerEnableCmd  `cmd:"" help:"Give a worker tasks again, also one that was set aside."`
	Tag     workerTagCmd     `cmd:"" help:"Set the tags of a worker, which jobs can ask for."`
	Rm      workerRmCmd      `cmd:"" help:"Forget a worker and close its session; its tasks go to others."`
}

type oneWorker struct {
	Shown
	Remote
	ID int64 `arg:"" help:"The worker's number."`
}

type workerLsCmd struct {
	Shown
	Remote
}

func (c *workerLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	l, err := farm.Workers(a.ctx)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(l.Workers), func(w io.Writer) {
		if len(l.Workers) == 0 {
			a.say("no workers; \"drover work --server URL --token-file FILE\" on a machine makes it one")
			return
		}
		rows := make([][]string, len(l.Workers))
		for i, x := range l.Workers {
			rows[i] = []string{itoa(x.ID), x.Name, x.Door, x.State, x.Hostname, itoa(x.Slots), itoa(x.Done), itoa(x.Failed), strings.Join(x.Tags, ","), when(x.Seen, time.Now()), x.Reason}
		}
		table(w, "ID NAME DOOR STATE HOSTNAME SLOTS DONE FAILED TAGS SEEN NOTE", rows)
	})
}

type workerShowCmd struct{ oneWorker }

func (c *workerShowCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	x, err := farm.Worker(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(c.Shown, x, func(w io.Writer) { printWorker(w, x, time.Now()) })
}

func printWorker(w io.Writer, x *api.Worker, now time.Time) {
	kv := []string{
		"id", itoa(x.ID), "name", x.Name, "state", x.State, "note", x.Reason, "door", x.Door, "account", x.User,
		"slots", itoa(x.Slots), "tags", strings.Join(x.Tags, ", "), "done", itoa(x.Done), "failed", itoa(x.Failed),
		"seen", when(x.Seen, now), "since", when(x.Created, now), "hostname", x.Hostname,
	}
	if m := x.Machine; m != nil {
		kv = append(kv, "system", m.OS+" "+m.Arch, "processor", m.CPU, "cores", itoa(m.Cores), "memory", size(m.Memory))
		for _, g := range m.GPUs {
			kv = append(kv, "gpu", strings.TrimSpace(g.Name+" "+size(g.Memory)))
		}
		for _, r := range m.Renderers {
			kv = append(kv, "renderer", r.Product+" "+r.Version)
		}
	}
	if v := x.Vitals; v != nil {
		kv = append(kv, "load", fmt.Sprintf("%.0f%%", v.Load), "memory in use", size(v.Memory), "disk free", size(v.DiskFree), "temperature", degrees(v.Temperature), "gpu temperature", degrees(v.GPUTemperature))
	}
	if r := x.Rules; r != nil {
		kv = append(kv, "only owners", strings.Join(r.Owners, ", "), "only jobs", strings.Trim(fmt.Sprint(r.Jobs), "[]"), "hours", r.Hours)
		if r.LeaveFree > 0 {
			kv = append(kv, "cores left free", itoa(r.LeaveFree))
		}
	}
	pairs(w, kv...)
	if len(x.Leases) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := make([][]string, len(x.Leases))
	for i, l := range x.Leases {
		rows[i] = []string{itoa(l.Job), itoa(l.Step), itoa(l.Index), fmt.Sprintf("%.0f%%", l.Progress), when(l.Started, now), l.Message}
	}
	table(w, "JOB STEP INDEX PROGRESS STARTED NOTE", rows)
}

// degrees is a temperature, "" when it is not known.
func degrees(c float64) string {
	if c == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f °C", c)
}

// patch changes a worker and says what became of it.
func (c *oneWorker) patch(a *App, p api.WorkerPatch, what string) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	x, err := farm.ChangeWorker(a.ctx, c.ID, p)
	if err != nil {
		return err
	}
	return a.show(c.Shown, x, func(io.Writer) { a.say("worker %d %s", x.ID, what) })
}

type workerDisableCmd struct {
	oneWorker
	Reason string `placeholder:"TEXT" help:"Why, for those who look at the worker."`
}

func (c *workerDisableCmd) Run(a *App) error {
	off := false
	return c.patch(a, api.WorkerPatch{Enabled: &off, Reason: c.Reason}, "disabled")
}

type workerEnableCmd struct{ oneWorker }

func (c *workerEnableCmd) Run(a *App) error {
	on := true
	return c.patch(a, api.WorkerPatch{Enabled: &on}, "enabled")
}

type workerTagCmd struct {
	oneWorker
	Tags []string `arg:"" optional:"" name:"tag" help:"All tags the worker shall have; none takes them away."`
}

func (c *workerTagCmd) Run(a *App) error {
	tags := list(c.Tags)
	return c.patch(a, api.WorkerPatch{Tags: &tags}, "has the tags "+strings.Join(tags, ", "))
}

type workerRmCmd struct {
	Remote
	IDs []int64 `arg:"" name:"id" help:"The workers' numbers."`
}

func (c *workerRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if err := farm.RemoveWorker(a.ctx, id); err != nil {
			return err
		}
		a.say("worker %d removed", id)
	}
	return nil
}
