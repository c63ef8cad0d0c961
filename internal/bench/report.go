package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// write saves the report.
func (r *Report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{"bench.json": append(b, '\n'), "bench.md": r.page()}
	if len(r.Sweep) > 0 {
		files["bench.svg"] = plot(r.Sweep)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// held is whether the design's number was held, in words.
func (r *Row) held() string {
	if r.Held == nil {
		return ""
	}
	return map[bool]string{true: "held", false: "NOT HELD"}[*r.Held]
}

// machine is what it was measured on.
func (r *Report) machine() string {
	text := fmt.Sprintf("%s, %d cores, %s, %s", r.Machine, r.Cores, r.Go, r.Time.Format("2006-01-02"))
	if r.Load != "" {
		text += ", load average before the run " + r.Load
	}
	return text
}

// Table writes the report for people at a terminal.
func (r *Report) Table(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", r.machine())
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tMEASURED\tHOLD\t\tNOTE")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", row.Name, number(row.Value), row.Unit, row.Hold, row.held(), row.Note)
	}
	for _, p := range r.Sweep {
		fmt.Fprintf(t, "%s, %d waiting, %d workers\t%s cycles/s\t\t\t%s µs and %.0f allocations of the farm each\n", p.Store, p.Waiting, p.Workers, number(p.Rate), number(p.CPU), p.Allocs)
	}
	t.Flush()
}

// page is the report as a page of documentation.
func (r *Report) page() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Measured

Written by `+"`drover bench`"+`, which starts farms of its own in temporary folders and loads them from the same machine: %s. Load generator, farm and database share the cores. `+"`make bench`"+` measures again, into bench-results/; `+"`bin/drover bench --out docs`"+` rewrites this page. Nothing else should run meanwhile; it takes about ten minutes.

| what | measured | hold | | note |
|---|---|---|---|---|
`, r.machine())
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %s |\n", row.Name, number(row.Value), row.Unit, row.Hold, row.held(), row.Note)
	}
	b.WriteString(`
A cycle is one request of a worker: the result of a task and the claim of the next, both durable before the answer. The bare server answers a request as large when one row is durable, written in groups; it is what HTTP, the database and this machine allow. Processor time and allocations are those of the farm's process and change little with what else the machine does.
`)
	if len(r.Sweep) > 0 {
		b.WriteString("\n## Cycles a second, over waiting tasks and workers\n\n![Cycles a second](bench.svg)\n\nOf the numbers of waiting tasks up to twice as many wait, since jobs of that many tasks are submitted meanwhile. In brackets: processor time of the farm a cycle, without the database's on PostgreSQL.\n")
	}
	for _, store := range r.sweptStores() {
		r.sweepTable(&b, store)
	}
	return b.Bytes()
}

// sweptStores are the stores of the sweep.
func (r *Report) sweptStores() []string {
	var out []string
	for _, p := range r.Sweep {
		if !slices.Contains(out, p.Store) {
			out = append(out, p.Store)
		}
	}
	return out
}

// sweepTable writes a row for each number of waiting tasks and a column for each
// number of workers.
func (r *Report) sweepTable(b *bytes.Buffer, store string) {
	rows, columns := []int64{}, []int{}
	cells := make(map[[2]int64]string)
	for _, p := range r.Sweep {
		if p.Store != store {
			continue
		}
		if !slices.Contains(rows, p.Waiting) {
			rows = append(rows, p.Waiting)
		}
		if !slices.Contains(columns, p.Workers) {
			columns = append(columns, p.Workers)
		}
		cells[[2]int64{p.Waiting, int64(p.Workers)}] = fmt.Sprintf("%s (%s µs)", number(p.Rate), number(p.CPU))
	}
	fmt.Fprintf(b, "\n| %s: waiting |", store)
	for _, c := range columns {
		fmt.Fprintf(b, " %d workers |", c)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, w := range rows {
		fmt.Fprintf(b, "| %d |", w)
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", cells[[2]int64{w, int64(c)}])
		}
		b.WriteByte('\n')
	}
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

// loadAverage is how busy the machine is (proc_loadavg(5)), "" when unknown.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return one
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
