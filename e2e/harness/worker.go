package harness

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// Worker is a `drover work`.
type Worker struct {
	Name string
	Data string

	tb   testing.TB
	farm *Farm
	args []string
	log  *buffer
	proc *process
}

// StartWorker starts a worker of the farm. More are flags of work. It does not
// wait until the worker has registered; WaitWorkers does.
func (f *Farm) StartWorker(more ...string) *Worker {
	f.tb.Helper()
	f.names++
	w := &Worker{Name: fmt.Sprintf("worker-%d", f.names), Data: filepath.Join(f.tb.TempDir(), "worker"), tb: f.tb, farm: f, args: more, log: &buffer{}}
	f.tb.Cleanup(func() {
		if w.proc.running() {
			w.proc.stop()
		}
		if f.tb.Failed() {
			f.tb.Logf("log of %s:\n%s", w.Name, w.log)
		}
	})
	w.Start()
	return w
}

// Start starts the worker again, with the data folder it had.
func (w *Worker) Start() {
	w.tb.Helper()
	args := append([]string{
		"work", "--data", w.Data, "--server", w.farm.URL, "--token-file", w.farm.TokenFile(), "--name", w.Name, "--log-format", "json",
		"--worker-grace", "5s",
	}, w.args...)
	w.proc = start(w.tb, w.Name, w.log, nil, args...)
}

// Kill ends the worker as a power cut would; what it runs goes on.
func (w *Worker) Kill() { w.tb.Helper(); w.proc.kill() }

// Stop asks the worker to end and fails the test unless it exits with 0.
func (w *Worker) Stop() {
	w.tb.Helper()
	if code := w.proc.stop(); code != 0 {
		w.tb.Errorf("%s exited with %d after SIGTERM", w.Name, code)
	}
}

// Running reports whether the worker's process has not ended.
func (w *Worker) Running() bool { return w.proc.running() }

// PID is the number of the worker's process.
func (w *Worker) PID() int { return w.proc.cmd.Process.Pid }

// Log is what the worker has logged, since its first start.
func (w *Worker) Log() string { return w.log.String() }

// WaitWorkers waits until n workers can take tasks.
func (f *Farm) WaitWorkers(n int, within time.Duration) {
	f.tb.Helper()
	Until(f.tb, fmt.Sprintf("%d workers are there", n), within, func() bool {
		var ws []struct{ State string }
		f.Drover("worker", "ls", "--json").OK(f.tb).JSON(f.tb, &ws)
		ready := 0
		for _, w := range ws {
			if w.State == "idle" || w.State == "rendering" {
				ready++
			}
		}
		return ready >= n
	})
}
