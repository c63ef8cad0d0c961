package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"

	"drover.farm/internal/api"
	"drover.farm/internal/archive"
	"drover.farm/openjd"
	"drover.farm/openjd/session"
)

// work is a job that the worker has tasks of.
type work struct {
	api.Work
	built *openjd.Job
}

// maxWorks bounds how many jobs are remembered.
const maxWorks = 16

// work gets what it takes to open a session of the lease's job: from the farm
// once, while the job is among those used last.
func (a *agent) work(ctx context.Context, l *lease) (*work, error) {
	a.mu.Lock()
	for i, w := range a.works {
		if w.Job == l.Job && w.Build == l.Build {
			a.works = append(slices.Delete(a.works, i, i+1), w)
			a.mu.Unlock()
			return w, nil
		}
	}
	a.mu.Unlock()
	w := &work{}
	if err := a.persist(ctx, "get a job", func(ctx context.Context) error {
		got, err := a.cfg.Farm.Work(ctx, a.worker(), l.ID)
		if err == nil && got == nil {
			return errors.New("the farm's answer is empty")
		} else if err == nil {
			w.Work = *got
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("get job %d: %w", l.Job, err)
	}
	if w.Job != l.Job {
		return nil, workerFault(fmt.Errorf("the farm was asked for job %d and gave job %d", l.Job, w.Job))
	}
	var err error
	if w.built, err = build(&w.Work); err != nil {
		return nil, workerFault(fmt.Errorf("this worker does not understand the job's template, perhaps because it is older than the farm:\n%w", err))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.works = append(a.works, w); len(a.works) > maxWorks {
		a.works = slices.Delete(a.works, 0, 1)
	}
	return w, nil
}

// build makes the OpenJD job, as the farm does.
func build(w *api.Work) (*openjd.Job, error) {
	t, err := openjd.ParseJobTemplate([]byte(w.Template))
	if err != nil {
		return nil, err
	}
	var o openjd.Options
	for _, text := range w.Environments {
		e, err := openjd.ParseEnvironmentTemplate([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("environment template: %w", err)
		}
		o.Environments = append(o.Environments, e)
	}
	return t.Instantiate(w.Parameters, o)
}

// task finds the lease's step and the task's parameters, and holds the farm to
// them.
func (w *work) task(l *api.Lease) (*openjd.Step, openjd.TaskParameters, error) {
	if l.Step < 0 || l.Step >= len(w.built.Steps) {
		return nil, nil, workerFault(fmt.Errorf("the farm names step %d of a job that has %d", l.Step, len(w.built.Steps)))
	}
	step := w.built.Steps[l.Step]
	if step.Name != l.StepName {
		return nil, nil, workerFault(fmt.Errorf("the farm calls step %d %s, the template %s", l.Step, quote(l.StepName), quote(step.Name)))
	}
	space := step.Space
	if len(l.Chunks) > 0 {
		plan := make([]openjd.Resize, len(l.Chunks))
		for i, c := range l.Chunks {
			plan[i] = openjd.Resize(c)
		}
		var err error
		if space, err = space.WithPlan(plan); err != nil {
			return nil, nil, workerFault(fmt.Errorf("step %s: %w", quote(step.Name), err))
		}
	}
	params, err := space.At(l.Index)
	if err != nil {
		return nil, nil, workerFault(fmt.Errorf("step %s: %w", quote(step.Name), err))
	}
	var got []api.TaskParameter
	for _, p := range params {
		got = append(got, api.TaskParameter{Name: p.Name, Type: string(p.Type), Value: p.Value})
	}
	if err := sameParameters(l, got); err != nil {
		return nil, nil, workerFault(err)
	}
	return step, params, nil
}

// sitting is a session of a job in a slot, with the job's files.
type sitting struct {
	a     *agent
	work  *work
	stage *stage
	s     *session.Session
	// step whose environments are entered, nil before the first.
	step *openjd.Step
	base *baseline
	// build is the hash of the renderer that the session uses, "" for none of
	// the library's.
	build string
	// log of the task at work; what is printed without one is nobody's.
	log atomic.Pointer[taskLog]
}

// sit opens a session: files in their places, environments of the job entered.
func (a *agent) sit(ctx context.Context, w *work, l *lease, log *taskLog) (*sitting, error) {
	stage, err := newStage(a.dir.stage(), w.Roots, a.cache, a.cfg.Files)
	if err != nil {
		return nil, localFault(err)
	}
	if n := len(w.Files); n > 0 {
		l.set(func() { l.message = fmt.Sprintf("fetching %d input files", n) })
		a.news()
	}
	if err := stage.addFiles(ctx, w.Files, a.set.Transfers); err != nil {
		stage.close()
		return nil, err
	}
	t := &sitting{a: a, work: w, stage: stage}
	t.log.Store(log)
	root, err := t.bringBuild(ctx, l)
	if err != nil {
		stage.close()
		return nil, err
	}
	t.s, err = session.New(session.Config{
		Dir: a.dir.sessions(), Job: w.built, Rules: stage.rules(), Env: a.sessionEnv(&w.Work, root), Log: t.line,
		MaxNotify: a.set.Stop, Logger: a.log,
	})
	if err != nil {
		t.letGo()
		return nil, localFault(err)
	}
	for _, env := range w.built.Environments {
		if err := t.enter(ctx, env); err != nil {
			t.close(ctx)
			return nil, err
		}
	}
	return t, nil
}

func (t *sitting) line(n session.Line) {
	if log := t.log.Load(); log != nil {
		log.line(n)
	}
}

func (t *sitting) enter(ctx context.Context, env *openjd.Environment) error {
	var err error
	t.a.gently(func() { err = t.s.Enter(ctx, env) })
	return t.sortAction(err)
}

// sortAction sorts the failure of an environment's action.
func (t *sitting) sortAction(err error) error {
	var failed *session.ActionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		tail, last := "", ""
		if log := t.log.Load(); log != nil {
			tail, last = log.end()
		}
		f := sortFailure(failed.Result, tail, last, t.a.dir.dir)
		f.text = fmt.Sprintf("%s of environment %s: %s", failed.Action, quote(failed.Environment), f.text)
		return f
	}
	return workerFault(err)
}

// prepare makes the session ready for tasks of a step: the environments of the
// step before are exited, what the step depends on is brought, and its own
// environments are entered.
func (t *sitting) prepare(ctx context.Context, l *lease, step *openjd.Step) error {
	if t.step == step {
		return nil
	}
	if t.step != nil {
		for _, env := range slices.Backward(t.step.Environments) {
			var err error
			t.a.gently(func() { err = t.s.Exit(ctx, env) })
			if err != nil {
				return t.sortAction(err)
			}
		}
	}
	t.step = nil
	if len(step.DependsOn) > 0 {
		if err := t.bringInputs(ctx, l); err != nil {
			return err
		}
	}
	for _, env := range step.Environments {
		if err := t.enter(ctx, env); err != nil {
			return err
		}
	}
	var err error
	if t.base, err = newBaseline(ctx, t.stage); err != nil {
		return localFault(err)
	}
	t.step = step
	return nil
}

// bringInputs brings the outputs of the steps that the lease's step depends on.
func (t *sitting) bringInputs(ctx context.Context, l *lease) error {
	var files []api.File
	for after := ""; ; {
		var page *api.Outputs
		if err := t.a.persist(ctx, "list outputs of earlier steps", func(ctx context.Context) (err error) {
			page, err = t.a.cfg.Farm.Inputs(ctx, t.a.worker(), l.ID, after)
			return err
		}); err != nil {
			return err
		}
		if files = append(files, page.Files...); len(files) > maxFiles {
			return jobFault(fmt.Errorf("the steps before have put out more than %d files", maxFiles))
		}
		if page.Next == "" || page.Next == after {
			break
		}
		after = page.Next
	}
	if len(files) == 0 {
		return nil
	}
	l.set(func() { l.message = fmt.Sprintf("fetching %d outputs of earlier steps", len(files)) })
	t.a.news()
	return t.stage.addOutputs(ctx, files, t.a.set.Transfers, t.a.download)
}

// close ends the session and removes its files. When ctx is done environments are
// not exited: what runs is killed.
func (t *sitting) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.a.set.Close)
	defer cancel()
	t.a.gently(func() {
		if err := t.s.Close(ctx); err != nil {
			t.a.log.Warn("a session did not end well", "job", t.work.Job, "error", err)
		}
	})
	t.log.Store(nil)
	t.letGo()
}

// bringBuild fetches the renderer that the job needs if the machine has none, and
// returns the folder that it is in, "" for none.
func (t *sitting) bringBuild(ctx context.Context, l *lease) (string, error) {
	b := t.work.Fetch
	if b == nil {
		return "", nil
	}
	l.set(func() { l.message = fmt.Sprintf("fetching %s %s", b.Product, b.Version) })
	t.a.news()
	dir, err := t.a.builds.acquire(ctx, b)
	if err == nil {
		t.build = b.SHA256
		return filepath.Join(dir, filepath.FromSlash(b.Root)), nil
	}
	err = fmt.Errorf("get %s %s: %w", b.Product, b.Version, err)
	var refused *archive.Refusal
	if errors.As(err, &refused) {
		return "", jobFault(err)
	}
	return "", workerFault(err)
}

// letGo gives back what the session held.
func (t *sitting) letGo() {
	if t.build != "" {
		t.a.builds.release(t.build)
	}
	t.stage.close()
}
