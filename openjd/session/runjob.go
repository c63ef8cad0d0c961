package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"drover.farm/openjd"
)

// RunOptions say how RunJob runs a job.
type RunOptions struct {
	// Dir is the directory beneath which the session makes its own; that for
	// temporary files when empty.
	Dir string
	// Rules map PATH parameters to this host.
	Rules []openjd.PathRule
	// Env is the base environment, as NAME=value; that of this program when nil.
	Env []string
	// Out receives the log: a line for each line that an action prints, and what
	// the session says. Nil discards it.
	Out io.Writer
	// Logger is for the program's own log; nil discards.
	Logger *slog.Logger
	// Step runs that step alone; all steps when empty.
	Step string
	// Dependencies runs, with Step, also the steps that it depends on, before it.
	Dependencies bool
	// ExitTime is what leaving the environments may take once the context is done,
	// counted from when it begins: stopping the task itself takes nothing of it.
	// 30 seconds when 0.
	ExitTime time.Duration
}

// RunSummary is what RunJob did.
type RunSummary struct {
	// Steps in the order in which they were run; the last one may be incomplete.
	Steps   []StepSummary
	Elapsed time.Duration
}

// StepSummary is what RunJob did of a step.
type StepSummary struct {
	Name string
	// Tasks is the number of tasks that succeeded: of chunks in a chunked step.
	Tasks   int64
	Elapsed time.Duration
}

// TaskError is the error of a task that did not succeed.
type TaskError struct {
	Step       string
	Parameters openjd.TaskParameters
	Result     Result
}

func (e *TaskError) Error() string {
	return fmt.Sprintf("task of step %q%s: %v", e.Step, taskText(e.Parameters), e.Result.Err)
}

// Unwrap gives the reason.
func (e *TaskError) Unwrap() error { return e.Result.Err }

const defaultExitTime = 30 * time.Second

// RunJob runs a job on this machine in one session: every step after those that
// it depends on, each with all its tasks, one after the other. A step's own
// environments are entered before its tasks and exited after them. It stops at the
// first action that does not succeed; the error then is, or wraps, a *TaskError or
// an *ActionError. Whatever happens, environments are exited and nothing is left
// behind. The summary is never nil.
func RunJob(ctx context.Context, job *openjd.Job, o RunOptions) (*RunSummary, error) {
	began := time.Now()
	r := &runner{job: job, o: o, began: began, sum: &RunSummary{}}
	defer func() { r.sum.Elapsed = time.Since(began) }()
	steps, err := chosenSteps(job, o.Step, o.Dependencies)
	if err != nil {
		return r.sum, err
	}
	dir := o.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	r.s, err = New(Config{Dir: dir, Job: job, Rules: o.Rules, Env: o.Env, Log: r.log, WaitForLog: true, Logger: o.Logger})
	if err != nil {
		return r.sum, fmt.Errorf("run job %q: %w", job.Name, err)
	}
	r.s.say(slog.LevelInfo, "Job: %s", job.Name)
	err = r.run(ctx, steps)
	exitCtx, cancel := exitContext(ctx, o.ExitTime)
	defer cancel()
	return r.sum, errors.Join(err, r.s.Close(exitCtx), r.outErr)
}

// exitContext is done some time after ctx, and not before that time has passed
// from now.
func exitContext(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if after <= 0 {
		after = defaultExitTime
	}
	exit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(after, cancel)
		context.AfterFunc(exit, func() { t.Stop() })
	})
	return exit, func() { stop(); cancel() }
}

// chosenSteps lists the steps to run, in order.
func chosenSteps(job *openjd.Job, only string, dependencies bool) ([]*openjd.Step, error) {
	wanted := map[string]bool{}
	if only != "" {
		if !want(job, only, dependencies, wanted) {
			return nil, fmt.Errorf("job %q has no step %q", job.Name, only)
		}
	}
	var steps []*openjd.Step
	for _, i := range job.StepOrder() {
		if step := job.Steps[i]; only == "" || wanted[step.Name] {
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// want marks a step and, if asked, those it depends on.
func want(job *openjd.Job, name string, dependencies bool, wanted map[string]bool) bool {
	for _, step := range job.Steps {
		if step.Name != name {
			continue
		}
		if !wanted[name] {
			wanted[name] = true
			for _, d := range step.DependsOn {
				if dependencies {
					want(job, d, true, wanted)
				}
			}
		}
		return true
	}
	return false
}

// runner is one RunJob.
type runner struct {
	job   *openjd.Job
	o     RunOptions
	s     *Session
	sum   *RunSummary
	began time.Time
	// outErr is the first error of Out; the session's log goroutine writes it, and
	// Close waits for that.
	outErr error
}

// log writes a line: what processes print is set in from what the session says.
func (r *runner) log(l Line) {
	if r.o.Out == nil || r.outErr != nil {
		return
	}
	t := l.Time.Sub(r.began)
	indent := ""
	if l.Stream == StreamOutput {
		indent = "  "
	}
	_, err := fmt.Fprintf(r.o.Out, "%d:%02d:%06.3f  %s%s\n",
		int(t.Hours()), int(t.Minutes())%60, (t % time.Minute).Seconds(), indent, l.Text)
	if err != nil {
		r.outErr = fmt.Errorf("write the log: %w", err)
	}
}

func (r *runner) run(ctx context.Context, steps []*openjd.Step) error {
	for _, env := range r.job.Environments {
		if err := r.s.Enter(ctx, env); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := r.step(ctx, step); err != nil {
			return err
		}
	}
	return r.exit(ctx, r.job.Environments)
}

// exit leaves environments, the last one first.
func (r *runner) exit(ctx context.Context, envs []*openjd.Environment) error {
	exitCtx, cancel := exitContext(ctx, r.o.ExitTime)
	defer cancel()
	for _, env := range slices.Backward(envs) {
		if err := r.s.Exit(exitCtx, env); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step. After an error the environments are left to Close.
func (r *runner) step(ctx context.Context, step *openjd.Step) error {
	r.sum.Steps = append(r.sum.Steps, StepSummary{Name: step.Name})
	sum := &r.sum.Steps[len(r.sum.Steps)-1]
	began := time.Now()
	defer func() { sum.Elapsed = time.Since(began) }()
	for _, env := range step.Environments {
		if err := r.s.Enter(ctx, env); err != nil {
			return err
		}
	}
	tasks := newTasks(step.Space)
	for {
		p, err := tasks.next()
		if err != nil {
			return fmt.Errorf("step %q: %w", step.Name, err)
		}
		if tasks.done {
			break
		}
		res := r.s.Run(ctx, step, p, Callbacks{})
		if res.State != Succeeded {
			return &TaskError{Step: step.Name, Parameters: p, Result: res}
		}
		sum.Tasks++
		tasks.took(res.Elapsed)
	}
	return r.exit(ctx, step.Environments)
}

// String tells the summary in lines for people.
func (s *RunSummary) String() string {
	var b strings.Builder
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "Step %s: %d succeeded in %v\n", step.Name, step.Tasks, step.Elapsed.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "Time: %v\n", s.Elapsed.Round(time.Millisecond))
	return b.String()
}
