package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"drover.farm/openjd"
)

// begin reserves the session for an action.
func (s *Session) begin(onEnded bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.busy:
		return ErrBusy
	case s.ended && !onEnded:
		return ErrEnded
	}
	s.busy = true
	return nil
}

func (s *Session) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.idle.Broadcast()
}

// Enter enters an environment: sets its variables, writes its files and runs its
// onEnter action. The error is an *ActionError when the action did not succeed,
// and then the session has ended. Whatever the result, unless the session refused
// to try, the environment counts as entered: it is to be exited.
func (s *Session) Enter(ctx context.Context, env *openjd.Environment) error {
	if err := s.begin(false); err != nil {
		return fmt.Errorf("enter environment %q: %w", env.Name, err)
	}
	defer s.finish()
	s.say(slog.LevelInfo, "---- Entering environment: %s", env.Name)
	e := &enteredEnv{env: env, layer: &layer{}}
	s.mu.Lock()
	s.entered = append(s.entered, e)
	s.mu.Unlock()
	if err := s.prepareEnv(e); err != nil {
		return s.envError("onEnter", env, s.refuse(err))
	}
	if env.Script == nil || env.Script.OnEnter == nil {
		return nil
	}
	r := s.runEnv(ctx, e, env.Script.OnEnter, e.layer)
	return s.envError("onEnter", env, r)
}

// prepareEnv places files and resolves variables.
func (s *Session) prepareEnv(e *enteredEnv) error {
	var files []openjd.EmbeddedFile
	if e.env.Script != nil {
		files = e.env.Script.EmbeddedFiles
	}
	set, err := placeFiles(s.work, files)
	if err != nil {
		return err
	}
	symbols, err := s.envSymbols(e.env, set)
	if err != nil {
		return err
	}
	l, err := newLayer(e.env.Variables, symbols)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.files, e.layer = set, l
	return nil
}

func (s *Session) envSymbols(env *openjd.Environment, files *fileSet) (openjd.Symbols, error) {
	symbols := cloneSymbols(s.symbols, len(files.files))
	files.addTo(symbols, openjd.PrefixEnvFile)
	return symbols, env.Bind(symbols)
}

func cloneSymbols(from openjd.Symbols, more int) openjd.Symbols {
	to := make(openjd.Symbols, len(from)+more)
	for k, v := range from {
		to[k] = v
	}
	return to
}

// runEnv runs an action of an environment. Directives change grow, if given.
func (s *Session) runEnv(ctx context.Context, e *enteredEnv, a *openjd.Action, grow *layer) Result {
	symbols, err := s.envSymbols(e.env, e.files)
	if err != nil {
		return s.refuse(err)
	}
	if err := e.files.write(symbols); err != nil {
		return s.refuse(err)
	}
	return s.run(ctx, a, symbols, grow, Callbacks{})
}

func (s *Session) envError(action string, env *openjd.Environment, r Result) error {
	if r.State == Succeeded {
		return nil
	}
	return &ActionError{Action: action, Environment: env.Name, Result: r}
}

// refuse ends the session for a reason that kept an action from starting.
func (s *Session) refuse(err error) Result {
	r := refused(errors.New(s.redactor.apply(err.Error())))
	s.say(slog.LevelError, "The action could not be started: %v", err)
	s.end()
	return r
}

func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// Run runs a task of a step: writes the step's files and runs its onRun action.
// When ctx is done, the action is canceled by the method of the template. Anything
// but Succeeded ends the session.
func (s *Session) Run(ctx context.Context, step *openjd.Step, p openjd.TaskParameters, cb Callbacks) Result {
	if err := s.begin(false); err != nil {
		return refused(fmt.Errorf("run a task of step %q: %w", step.Name, err))
	}
	defer s.finish()
	s.say(slog.LevelInfo, "---- Running task of step %s%s", step.Name, taskText(p))
	if step.Script == nil || step.Script.OnRun == nil {
		return s.refuse(fmt.Errorf("step %q has no action to run", step.Name))
	}
	files, err := s.stepFiles(step.Script)
	if err != nil {
		return s.refuse(err)
	}
	symbols := cloneSymbols(s.symbols, 2*len(p)+len(files.files))
	p.AddTo(symbols, s.cfg.Rules)
	files.addTo(symbols, openjd.PrefixTaskFile)
	if err := step.Bind(symbols); err != nil {
		return s.refuse(err)
	}
	if err := files.write(symbols); err != nil {
		return s.refuse(err)
	}
	return s.run(ctx, step.Script.OnRun, symbols, nil, cb)
}

// stepFiles places a script's files once.
func (s *Session) stepFiles(script *openjd.Script) (*fileSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.scripts[script]; ok {
		return set, nil
	}
	set, err := placeFiles(s.work, script.EmbeddedFiles)
	if err == nil {
		s.scripts[script] = set
	}
	return set, err
}

func taskText(p openjd.TaskParameters) string {
	text := ""
	for i, v := range p {
		if i == 0 {
			text = ":"
		} else {
			text += ","
		}
		text += " " + v.Name + "=" + v.Value
	}
	return text
}

// Exit leaves the environment that was entered last, which env must be: it runs
// the onExit action and takes back the environment's variables. That is so also
// for an environment whose onEnter failed, and in a session that has ended. The
// environment counts as exited whatever the error.
func (s *Session) Exit(ctx context.Context, env *openjd.Environment) error {
	if err := s.begin(true); err != nil {
		return fmt.Errorf("exit environment %q: %w", env.Name, err)
	}
	defer s.finish()
	return s.exit(ctx, env)
}

func (s *Session) exit(ctx context.Context, env *openjd.Environment) error {
	s.mu.Lock()
	n := len(s.entered)
	if n == 0 || s.entered[n-1].env != env {
		s.mu.Unlock()
		return fmt.Errorf("exit environment %q: it is not the one that was entered last", env.Name)
	}
	e := s.entered[n-1]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.entered = s.entered[:n-1]
	}()
	s.say(slog.LevelInfo, "---- Exiting environment: %s", env.Name)
	// Without files the environment could not even be prepared.
	if e.files == nil || env.Script == nil || env.Script.OnExit == nil {
		return nil
	}
	return s.envError("onExit", env, s.runEnv(ctx, e, env.Script.OnExit, nil))
}
