//go:build unix

package agent

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// gaps is a log handler that gathers the pauses between renders.
type gaps struct {
	slog.Handler
	mu   sync.Mutex
	list []time.Duration
}

func (g *gaps) Enabled(context.Context, slog.Level) bool { return true }

func (g *gaps) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "gap" {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.list = append(g.list, a.Value.Duration())
		}
		return true
	})
	return nil
}

func (g *gaps) WithAttrs([]slog.Attr) slog.Handler { return g }
func (g *gaps) WithGroup(string) slog.Handler      { return g }

// BenchmarkGap measures the time from the end of one task's process to the start
// of the next one's, with an output of 1 MiB each, against a farm that takes no
// time. An operation is a whole task.
func BenchmarkGap(b *testing.B) {
	for name, overlap := range map[string]bool{"next with the result": false, "next while uploading": true} {
		b.Run(name, func(b *testing.B) {
			f := newFakeFarm()
			f.overlap = overlap
			g := &gaps{}
			id := f.submit(b, outJob(shell{frames: "1-" + strconv.Itoa(b.N), script: "head -c 1048576 /dev/zero > '{{Param.Out}}/{{Task.Param.Frame}}'"}))
			w := startWorker(b, f, func(c *Config) { c.Log = slog.New(g); c.Settings = Settings{} })
			f.await(b, "all done", func() bool { return f.states(id, "done") == b.N })
			if err := w.end(b); err != nil {
				b.Fatal(err)
			}
			slices.Sort(g.list)
			if n := len(g.list); n > 0 {
				b.ReportMetric(float64(g.list[n/2].Microseconds())/1000, "gap-p50-ms")
				b.ReportMetric(float64(g.list[n*95/100].Microseconds())/1000, "gap-p95-ms")
			}
		})
	}
}

// TestGapIsTold looks that the pauses which the benchmark counts are all logged.
func TestGapIsTold(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	g := &gaps{}
	id := f.submit(t, plainJob(shell{frames: "1-4", script: "true"}))
	w := startWorker(t, f, func(c *Config) { c.Log = slog.New(g) })
	f.await(t, "all done", func() bool { return f.states(id, "done") == 4 })
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if len(g.list) != 3 {
		t.Errorf("%d gaps between 4 tasks", len(g.list))
	}
	for _, d := range g.list {
		if d < 0 {
			t.Errorf("a gap of %v", d)
		}
	}
}
