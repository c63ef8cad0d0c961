package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

type jobTasksCmd struct {
	oneJob
	State []string `enum:"waiting,running,done,failed,canceled" placeholder:"STATE" help:"Only tasks in these states: waiting, running, done, failed, canceled."`
	Limit int      `default:"5000" placeholder:"N" help:"At most so many rows. Default and most: 5000; --all lifts it."`
	After string   `placeholder:"CURSOR" help:"Begin after this place, which a shortened list names."`
	All   bool     `help:"List all tasks, however many."`
}

func (c *jobTasksCmd) Examples() string {
	return `  drover job tasks 1003 --state failed
  drover job tasks 1003 --json | jq '.[] | select(.state=="done") | .output[].name'
`
}

// maxRows is the most rows of one list of tasks.
const maxRows = 5000

func (c *jobTasksCmd) Run(a *App) error {
	if c.Limit < 1 || c.Limit > maxRows {
		return usagef("--limit is %d; it is 1 to %d, and --all lists everything", c.Limit, maxRows)
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	q := client.TaskFilter{States: c.State, After: c.After, Limit: c.Limit}
	if c.All {
		return c.all(a, farm, q)
	}
	l, err := farm.Tasks(a.ctx, c.ID, q)
	if err != nil {
		return err
	}
	err = a.show(c.Shown, list(l.Tasks), func(w io.Writer) { table(w, taskHead, taskRows(l.Tasks)) })
	if err == nil && l.Next != "" {
		a.say("there are more: add --after %s for those that follow, or --all", l.Next)
	}
	return err
}

// all lists every task, a page at a time: there may be millions.
func (c *jobTasksCmd) all(a *App, farm *client.Client, q client.TaskFilter) error {
	stream := newJSONList(a.Out)
	for first := true; ; first = false {
		l, err := farm.Tasks(a.ctx, c.ID, q)
		if err != nil {
			return err
		}
		switch {
		case c.JSON:
			for i := range l.Tasks {
				if err := stream.add(&l.Tasks[i]); err != nil {
					return err
				}
			}
		case first:
			table(a.Out, taskHead, taskRows(l.Tasks))
		default:
			table(a.Out, "", taskRows(l.Tasks))
		}
		if l.Next == "" {
			break
		}
		q.After = l.Next
	}
	if c.JSON {
		return stream.end()
	}
	return nil
}

const taskHead = "TASK STATE TRIES WORKER TIME PARAMETERS NOTE"

func taskRows(tasks []api.Task) [][]string {
	rows := make([][]string, len(tasks))
	for i, t := range tasks {
		note := t.Error
		switch {
		case note == "" && t.State == "running":
			note = strings.TrimSpace(fmt.Sprintf("%.0f%% %s", t.Progress, t.Message))
		case note == "":
			var names []string
			for _, o := range t.Output {
				names = append(names, o.Name)
			}
			note = strings.Join(names, ", ")
		}
		rows[i] = []string{t.Step + "/" + itoa(t.Index), t.State, itoa(t.Attempts), t.Worker, seconds(t.Seconds), assignments(t.Parameters), note}
	}
	return rows
}

type jobLogCmd struct {
	Remote
	ID      int64  `arg:"" help:"The job's number."`
	Task    string `arg:"" optional:"" help:"INDEX or STEP/INDEX, counted from 0. Without it: each failed task, or the job's only one."`
	Attempt int    `placeholder:"N" help:"The N-th try, counted from 1; by default the last."`
	Follow  bool   `short:"f" help:"Go on printing what is added, until the task has ended."`
}

func (c *jobLogCmd) Examples() string {
	return `  drover job log 1003 17 --follow
  drover job log 1003 Render/17 --attempt 1
  drover job log 1003                  # of each failed task
`
}

func (c *jobLogCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if c.Task != "" {
		step, index, err := c.task(a, farm)
		if err != nil {
			return err
		}
		return c.print(a, farm, step, index, c.Follow)
	}
	tasks, err := c.candidates(a, farm)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if len(tasks) > 1 {
			fmt.Fprintf(a.Out, "==> %s/%d %s\n", clean(t.Step), t.Index, clean(assignments(t.Parameters)))
		}
		if err := c.print(a, farm, t.Step, t.Index, c.Follow && len(tasks) == 1); err != nil {
			return err
		}
	}
	return nil
}

// print copies the log of one task.
func (c *jobLogCmd) print(a *App, farm *client.Client, step string, index int64, follow bool) error {
	r, err := farm.TaskLog(a.ctx, c.ID, step, index, client.LogOptions{Attempt: c.Attempt, Follow: follow})
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err = io.Copy(logWriter(a), r); err != nil {
		return fmt.Errorf("read the log of task %s/%d: %w", step, index, err)
	}
	return nil
}

// candidates are the tasks whose logs are printed when none is named.
func (c *jobLogCmd) candidates(a *App, farm *client.Client) ([]api.Task, error) {
	const most = 20
	l, err := farm.Tasks(a.ctx, c.ID, client.TaskFilter{States: []string{"failed"}, Limit: most})
	if err != nil {
		return nil, err
	}
	if l.Next != "" {
		a.say("the first %d failed tasks; name the one you want: drover job log %d TASK", most, c.ID)
	}
	if len(l.Tasks) > 0 {
		return l.Tasks, nil
	}
	if l, err = farm.Tasks(a.ctx, c.ID, client.TaskFilter{Limit: 2}); err != nil {
		return nil, err
	}
	if len(l.Tasks) == 1 {
		return l.Tasks, nil
	}
	return nil, fmt.Errorf("no task of job %d has failed; name the one whose log you want: drover job log %d TASK, with TASK as INDEX from 0 or STEP/INDEX", c.ID, c.ID)
}

// task reads INDEX or STEP/INDEX. An index alone is of the job's only step.
func (c *jobLogCmd) task(a *App, farm *client.Client) (step string, index int64, err error) {
	text := c.Task
	if i := strings.LastIndexByte(text, '/'); i >= 0 {
		step, text = text[:i], text[i+1:]
	}
	index, err = strconv.ParseInt(text, 10, 64)
	if err != nil || index < 0 {
		return "", 0, usagef("the task %q is neither INDEX, counted from 0, nor STEP/INDEX", c.Task)
	}
	if step != "" {
		return step, index, nil
	}
	j, err := farm.Job(a.ctx, c.ID)
	if err != nil {
		return "", 0, err
	}
	if len(j.Steps) != 1 {
		names := make([]string, len(j.Steps))
		for i, s := range j.Steps {
			names[i] = s.Name
		}
		return "", 0, usagef("job %d has several steps (%s): name the task as STEP/%d", c.ID, strings.Join(names, ", "), index)
	}
	return j.Steps[0].Name, index, nil
}

// logWriter is where logs are printed: as they are into files and programs, and
// without anything that steers the terminal on one.
func logWriter(a *App) io.Writer {
	if a.Terminal(a.Out) {
		return &tameWriter{w: a.Out}
	}
	return a.Out
}

type jobWhyCmd struct{ oneJob }

func (c *jobWhyCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	y, err := farm.Why(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(c.Shown, y, func(w io.Writer) { printWhy(w, y) })
}

func printWhy(w io.Writer, y *api.Why) {
	fmt.Fprintf(w, "Job %d: %s\n", y.Job, clean(y.Summary))
	if y.ETA != nil {
		fmt.Fprintf(w, "Done in about %s (%s to %s)\n", forSeconds(y.ETA.Seconds), forSeconds(y.ETA.Earliest), forSeconds(y.ETA.Latest))
	}
	for _, s := range y.Steps {
		fmt.Fprintf(w, "\n%s: %s\n", clean(s.Step), clean(s.Text))
		for _, f := range s.Failed {
			fmt.Fprintf(w, "  failed: %s\n", clean(f))
		}
		for _, c := range s.Classes {
			fmt.Fprintf(w, "  %s (%s): ", count(c.Workers, "worker"), clean(strings.Join(c.Names, ", ")))
			switch {
			case c.Fits && len(c.Reasons) == 0:
				fmt.Fprintln(w, "fits")
			default:
				fmt.Fprintln(w, clean(strings.Join(c.Reasons, "; ")))
			}
			if c.Change != "" {
				fmt.Fprintf(w, "    what would help: %s\n", clean(c.Change))
			}
		}
	}
}

func forSeconds(s float64) string {
	return span(time.Duration(min(max(s, 0), 1e9) * float64(time.Second)))
}
