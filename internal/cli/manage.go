package cli

import (
	"io"
	"math"
	"strconv"
)

type limitCmd struct {
	Ls  limitLsCmd  `cmd:"" help:"List limits and how much of each is in use."`
	Set limitSetCmd `cmd:"" help:"Make or change a limit."`
	Rm  limitRmCmd  `cmd:"" help:"Remove a limit; tasks that ask for it then take workers that have the amount themselves."`
}

type limitLsCmd struct {
	Shown
	Remote
}

func (c *limitLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	f, err := farm.Farm(a.ctx)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(f.Limits), func(w io.Writer) {
		rows := make([][]string, len(f.Limits))
		for i, l := range f.Limits {
			rows[i] = []string{l.Name, number(l.Total), number(l.InUse)}
		}
		table(w, "NAME TOTAL IN-USE", rows)
	})
}

type limitSetCmd struct {
	Remote
	Name  string  `arg:"" help:"The amount's name in templates, such as amount.licence.nuke."`
	Total float64 `arg:"" help:"How much there is of it in the whole farm."`
}

func (c *limitSetCmd) Examples() string {
	return "  drover limit set amount.licence.nuke 5\n"
}

func (c *limitSetCmd) Run(a *App) error {
	if !(c.Total >= 0) || math.IsInf(c.Total, 0) {
		return usagef("the total is %v; it is a number of 0 or more", c.Total)
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.SetLimit(a.ctx, c.Name, c.Total); err != nil {
		return err
	}
	a.say("limit %s is %s", c.Name, number(c.Total))
	return nil
}

type limitRmCmd struct {
	Remote
	Name string `arg:"" help:"The limit's name."`
}

func (c *limitRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.RemoveLimit(a.ctx, c.Name); err != nil {
		return err
	}
	a.say("limit %s removed", c.Name)
	return nil
}

type retentionCmd struct {
	Remote
	Days string `arg:"" help:"Days that jobs are kept after their end, with their frames and logs; \"forever\" keeps them until somebody removes them."`
}

func (c *retentionCmd) Run(a *App) error {
	days, err := strconv.Atoi(c.Days)
	if c.Days == "forever" {
		days, err = 0, nil
	} else if err == nil && days < 1 {
		err = strconv.ErrRange
	}
	if err != nil {
		return usagef("%q is no number of days from 1 on, and not \"forever\"", c.Days)
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.SetRetention(a.ctx, days); err != nil {
		return err
	}
	if days == 0 {
		a.say("ended jobs are kept until somebody removes them")
	} else {
		a.say("jobs are kept for %s after their end; older ones are removed now", count(days, "day"))
	}
	return nil
}

type maintenanceCmd struct {
	Remote
	Switch string `arg:"" enum:"on,off" help:"on: no new work is handed out, sessions are kept and running tasks finish. off: go on."`
}

func (c *maintenanceCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.SetMaintenance(a.ctx, c.Switch == "on"); err != nil {
		return err
	}
	if c.Switch == "on" {
		a.say("maintenance: no new work is handed out")
	} else {
		a.say("maintenance is over: work is handed out")
	}
	return nil
}
