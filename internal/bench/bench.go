// Package bench measures what the README quotes: the farm's numbers on this
// machine, each beside the physical limit or the peer that it is compared with,
// measured in the same run. Servers run as processes of their own; the load
// comes from this one, on the same machine.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Options say what to measure.
type Options struct {
	Drover  string        // the program to measure
	Out     string        // folder for results
	For     time.Duration // how long each load lasts
	Only    []string      // names of measurements; empty: all
	Store   string        // "" for SQLite, or the address of an empty PostgreSQL database
	Sweep   bool          // also all numbers of waiting tasks and workers
	Blender bool          // also renders of the sample animation
	Log     io.Writer     // what is going on
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
}

// Report is all that was measured.
type Report struct {
	Time    time.Time `json:"time"`
	Machine string    `json:"machine"`
	Cores   int       `json:"cores"`
	Go      string    `json:"go"`
	Store   string    `json:"store"`
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
		{"latency", measureLatency},
		{"restart", measureRestart},
		{"sheepit", measureSheepIt},
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
}

func (r *runner) say(format string, args ...any) { fmt.Fprintf(r.Log, format+"\n", args...) }

// Run measures and writes results.json, results.txt and, after a sweep,
// sweep.svg to the folder.
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
	r := &runner{Options: o, report: &Report{Time: time.Now().UTC().Truncate(time.Second), Machine: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(), Store: "SQLite"}}
	if o.Store != "" {
		r.report.Store = "PostgreSQL"
	}
	for _, m := range measurements() {
		wanted := len(o.Only) == 0 && (m.name != "sweep" || o.Sweep) && (m.name != "render" || o.Blender) || slices.Contains(o.Only, m.name)
		if !wanted {
			continue
		}
		r.say("measuring %s …", m.name)
		if err := m.run(ctx, r); err != nil {
			return r.report, fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	return r.report, r.report.write(o.Out)
}

// write saves the report.
func (r *Report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "results.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	r.Table(f)
	if len(r.Sweep) > 0 {
		return os.WriteFile(filepath.Join(dir, "sweep.svg"), plot(r.Sweep), 0o644)
	}
	return f.Close()
}

// Table writes the report for people.
func (r *Report) Table(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %s, %s, %s\n\n", r.Machine, r.Cores, r.Go, r.Store, r.Time.Format("2006-01-02"))
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tMEASURED\tHOLD\t\tNOTE")
	for _, row := range r.Rows {
		held := ""
		if row.Held != nil {
			held = map[bool]string{true: "held", false: "NOT HELD"}[*row.Held]
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", row.Name, number(row.Value), row.Unit, row.Hold, held, row.Note)
	}
	for _, p := range r.Sweep {
		fmt.Fprintf(t, "%d waiting, %d workers, %s\t%s cycles/s\n", p.Waiting, p.Workers, p.Store, number(p.Rate))
	}
	t.Flush()
}

// number is a figure with as many digits as mean something.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// processor names the machine's processor, where the system tells.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.SplitSeq(string(b), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				return strings.TrimSpace(v)
			}
		}
	}
	return runtime.GOARCH
}
