package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/bench"
)

type benchCmd struct {
	Out      string        `default:"bench-results" placeholder:"DIR" help:"Folder for bench.md, bench.json and bench.svg."`
	For      time.Duration `default:"10s" help:"How long each load lasts."`
	Only     []string      `placeholder:"NAME" help:"Only these measurements: start, cycles, postgres, latency, restart, sheepit, pages, sweep, render."`
	Postgres bool          `default:"true" negatable:"" help:"Also measure on PostgreSQL, on a private server that it starts."`
	Sweep    bool          `default:"true" negatable:"" help:"Also sweep numbers of waiting tasks and of workers."`
	Blender  bool          `default:"true" negatable:"" help:"Also render the sample animation, beside Blender alone."`

	Baseline string `hidden:"" placeholder:"DIR"`
	Listen   string `hidden:""`
}

func (c *benchCmd) Help() string {
	return `Starts farms of its own in temporary folders, loads them from this process, and measures what the README quotes, each number beside the limit of the machine or the peer that it is compared with. Nothing else should run meanwhile.`
}

func (c *benchCmd) Run(a *App) error {
	if c.Baseline != "" {
		return bench.Baseline(a.ctx, c.Baseline, c.Listen)
	}
	for _, n := range c.Only {
		if !slices.Contains(bench.Names(), n) {
			return usagef("there is no measurement %q; there are %s", n, strings.Join(bench.Names(), ", "))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	r, err := bench.Run(a.ctx, bench.Options{Drover: self, Out: c.Out, For: c.For, Only: c.Only, Postgres: c.Postgres, Sweep: c.Sweep, Blender: c.Blender, Log: a.Err})
	if r != nil && len(r.Rows)+len(r.Sweep) > 0 {
		r.Table(io.Writer(a.Out))
	}
	return err
}
