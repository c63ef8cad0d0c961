package harness

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/secret"
)

// Farm is a `drover serve`.
type Farm struct {
	Data string // its data folder
	URL  string // the same after a restart

	tb     testing.TB
	args   []string
	env    []string
	token  string // file of the administrator's token, when it is not in Data
	ready  string
	log    *buffer
	proc   *process
	names  int
	logged int // how much was in log at the last start
}

// StartFarm starts a farm with an empty data folder and waits until it is
// ready. More are flags of serve. The farm ends with the test.
func StartFarm(tb testing.TB, more ...string) *Farm {
	tb.Helper()
	f := newFarm(tb, more...)
	f.Start()
	return f
}

// StartFarmIn starts a farm on a data folder that is there.
func StartFarmIn(tb testing.TB, data string, more ...string) *Farm {
	tb.Helper()
	f := newFarm(tb, more...)
	f.Data = data
	f.Start()
	return f
}

// Start starts the farm again, at the address it had.
func (f *Farm) Start() {
	f.tb.Helper()
	if f.URL == "" {
		f.URL = "http://" + FreeAddress(f.tb) // which it can have again after a kill
	}
	u, err := url.Parse(f.URL)
	if err != nil {
		f.tb.Fatal(err)
	}
	os.Remove(f.ready)
	args := append([]string{"serve", "--data", f.Data, "--listen", u.Host, "--ready-file", f.ready, "--log-format", "json", "--files-min-free", "0"}, f.args...)
	f.logged = len(f.Log())
	f.proc = start(f.tb, "farm", f.log, f.env, args...)
	Until(f.tb, "the farm is ready", Patience, func() bool {
		text, err := os.ReadFile(f.ready)
		if err != nil && !f.proc.running() {
			f.tb.Fatalf("the farm ended at its start:\n%s", f.log)
		}
		f.URL = strings.TrimSpace(string(text))
		return err == nil && f.URL != ""
	})
}

// Flags adds flags of serve for the next start.
func (f *Farm) Flags(more ...string) { f.args = append(f.args[:len(f.args):len(f.args)], more...) }

// Kill ends the farm as a power cut would.
func (f *Farm) Kill() { f.tb.Helper(); f.proc.kill() }

// Stop asks the farm to end and fails the test unless it exits with 0.
func (f *Farm) Stop() {
	f.tb.Helper()
	if code := f.proc.stop(); code != 0 {
		f.tb.Errorf("the farm exited with %d after SIGTERM", code)
	}
}

// Running reports whether the farm's process has not ended.
func (f *Farm) Running() bool { return f.proc.running() }

// PID is the number of the farm's process.
func (f *Farm) PID() int { return f.proc.cmd.Process.Pid }

// Log is what the farm has logged, since its first start.
func (f *Farm) Log() string { return f.log.String() }

// TokenFile is the file with the token of the account admin.
func (f *Farm) TokenFile() string {
	if f.token != "" {
		return f.token
	}
	return filepath.Join(f.Data, "admin.token")
}

// Env is the environment by which commands find the farm and may do everything.
func (f *Farm) Env() []string {
	env := []string{"DROVER_SERVER=" + f.URL, "DROVER_DATA=" + f.Data}
	if text, err := os.ReadFile(f.TokenFile()); err == nil {
		env = append(env, "DROVER_TOKEN="+strings.TrimSpace(string(text)))
	}
	return env
}

// Drover runs a command as the farm's administrator.
func (f *Farm) Drover(args ...string) Result { f.tb.Helper(); return Run(f.tb, f.Env(), args...) }

// Client is a client of the farm's API with the rights of its administrator.
func (f *Farm) Client() *client.Client {
	f.tb.Helper()
	text, err := os.ReadFile(f.TokenFile())
	if err != nil {
		f.tb.Fatal(err)
	}
	c, err := client.New(client.Config{Server: f.URL, Token: secret.Text(strings.TrimSpace(string(text)))})
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(c.Close)
	return c
}

// Submit submits by the command line and returns the job.
func (f *Farm) Submit(args ...string) api.Job {
	f.tb.Helper()
	var j api.Job
	f.Drover(append([]string{"submit", "--json"}, args...)...).OK(f.tb).JSON(f.tb, &j)
	return j
}

// Job returns a job as `drover job show` has it.
func (f *Farm) Job(id int64) api.Job {
	f.tb.Helper()
	var j api.Job
	f.Drover("job", "show", fmt.Sprint(id), "--json").OK(f.tb).JSON(f.tb, &j)
	return j
}

// Tasks returns all tasks of a job.
func (f *Farm) Tasks(id int64) []api.Task {
	f.tb.Helper()
	var t []api.Task
	f.Drover("job", "tasks", fmt.Sprint(id), "--all", "--json").OK(f.tb).JSON(f.tb, &t)
	return t
}

// WaitJob waits until a job has ended and returns it. The farm may be killed
// and started meanwhile.
func (f *Farm) WaitJob(id int64, within time.Duration) api.Job {
	f.tb.Helper()
	r := f.Drover("job", "wait", fmt.Sprint(id), "--json", "--patience", within.String())
	var j api.Job
	r.JSON(f.tb, &j)
	return j
}
