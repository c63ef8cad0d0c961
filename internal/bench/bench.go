// Package bench measures what the README quotes: the farm's numbers on this
// machine, each beside the physical limit or the peer that it is compared with,
// measured in the same run. Servers run as processes of their own; the load
// comes from this one, on the same machine.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/pgserver"
)

// Options say what to measure.
type Options struct {
	Drover   string        // the program to measure
	Out      string        // folder for results
	For      time.Duration // how long each load lasts
	Only     []string      // names of measurements; empty: all
	Postgres bool          // also PostgreSQL, of a private server that it starts
	Sweep    bool          // also all numbers of waiting tasks and workers
	Blender  bool          // also renders of the sample animation
	Log      io.Writer     // what is going on
}

// Row is one measured number.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Hold  string  `json:"hold,omitempty"` // what the design asks for
	Held  *bool   `json:"held,omitempty"` // whether it was
	Note  string  `json:"note,omitempty"`
}

// Point is one measurement of the sweep.
type Point struct {
	Store   string  `json:"store"`
	Waiting int64   `json:"waiting"`
	Workers int     `json:"workers"`
	Rate    float64 `json:"cycles_per_second"`
	CPU     float64 `json:"cpu_us_per_cycle"` // of the farm's process
	Allocs  float64 `json:"allocations_per_cycle"`
}

// Report is all that was measured.
type Report struct {
	Time    time.Time `json:"time"`
	Machine string    `json:"machine"`
	Cores   int       `json:"cores"`
	Go      string    `json:"go"`
	Load    string    `json:"load,omitempty"` // of the machine before the run: its load average over a minute, where the system tells
	Rows    []Row     `json:"rows"`
	Sweep   []Point   `json:"sweep,omitempty"`
}

func (r *Report) add(row Row) { r.Rows = append(r.Rows, row) }

// hold adds a number with what the design asks of it.
func (r *Report) hold(name string, value float64, unit, hold string, held bool, note string) {
	r.add(Row{Name: name, Value: value, Unit: unit, Hold: hold, Held: &held, Note: note})
}

// measurement is one part of a run.
type measurement struct {
	name string
	run  func(context.Context, *runner) error
}

func measurements() []measurement {
	return []measurement{
		{"start", measureStart},
		{"cycles", measureCycles},
		{"postgres", measurePostgres},
		{"latency", measureLatency},
		{"restart", measureRestart},
		{"sheepit", measureSheepIt},
		{"pages", measurePages},
		{"sweep", measureSweep},
		{"render", measureRender},
	}
}

// Names are the names that Options.Only may have.
func Names() []string {
	var out []string
	for _, m := range measurements() {
		out = append(out, m.name)
	}
	return out
}

// runner is a run under way.
type runner struct {
	Options
	report *Report
	pg     *pgserver.Server // started when it is first needed
}

func (r *runner) say(format string, args ...any) { fmt.Fprintf(r.Log, format+"\n", args...) }

// Run measures and writes bench.md, bench.json and, after a sweep, bench.svg to
// the folder.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.For <= 0 {
		o.For = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	for _, n := range o.Only {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("there is no measurement %q; there are %s", n, strings.Join(Names(), ", "))
		}
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	r := &runner{Options: o, report: &Report{Time: time.Now().UTC().Truncate(time.Second), Machine: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(), Load: loadAverage()}}
	defer func() {
		if r.pg != nil {
			r.pg.Stop()
		}
	}()
	for _, m := range measurements() {
		if !r.wants(m.name) {
			continue
		}
		r.say("measuring %s …", m.name)
		if err := m.run(ctx, r); err != nil {
			err = fmt.Errorf("measure %s: %w", m.name, err)
			return r.report, errors.Join(err, r.report.write(o.Out)) // what was measured is kept
		}
	}
	return r.report, r.report.write(o.Out)
}

// wants reports whether a measurement is part of the run.
func (r *runner) wants(name string) bool {
	if len(r.Only) > 0 {
		return slices.Contains(r.Only, name)
	}
	switch name {
	case "postgres":
		return r.Postgres
	case "sweep":
		return r.Sweep
	case "render":
		return r.Blender
	}
	return true
}
