package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"drover.farm/openjd"
)

// observeTime is how often the processes of a running action are looked at.
const observeTime = time.Second

// action is one running action.
type action struct {
	s       *Session
	def     *openjd.Action
	grow    *layer
	cb      Callbacks
	group   *group
	root    procID
	out     *output
	exited  chan struct{}
	cmd     *exec.Cmd
	started time.Time
	oomKill uint64

	// hurries carries shorter notify periods, aborts reasons to fail.
	hurries chan time.Duration
	aborts  chan error

	mu      sync.Mutex
	ended   bool
	failMsg string
	// hideLine says that the line being read in pieces is secret.
	hideLine bool
}

// run runs an action and ends the session unless it succeeds.
func (s *Session) run(ctx context.Context, def *openjd.Action, symbols openjd.Symbols, grow *layer, cb Callbacks) Result {
	a := &action{s: s, def: def, grow: grow, cb: cb,
		hurries: make(chan time.Duration, 16), aborts: make(chan error, 1), exited: make(chan struct{})}
	if ctx.Err() != nil {
		s.end()
		r := Result{State: Canceled, ExitCode: -1, Started: time.Now()}
		r.explain(context.Cause(ctx), 0)
		return r
	}
	if err := a.start(symbols); err != nil {
		return s.refuse(err)
	}
	s.setRunning(a)
	state, why := a.wait(ctx)
	s.setRunning(nil)
	r := a.result(state, why)
	if r.State != Succeeded {
		s.end()
	}
	return r
}

func (s *Session) setRunning(a *action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = a
	if a != nil && s.closing {
		a.hurry(0)
	}
}

// start starts the process and the reading of its output.
func (a *action) start(symbols openjd.Symbols) error {
	id := newID()
	cmd, err := a.s.command(a.def, symbols, id)
	if err != nil {
		return err
	}
	if a.group, err = newGroup(actionVar+"="+id, nil); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		a.group.close()
		return fmt.Errorf("make a pipe for output: %w", err)
	}
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	a.cmd, a.started, a.oomKill = cmd, time.Now(), oomKills()
	if a.root, err = a.group.start(cmd); err != nil {
		r.Close()
		a.group.close()
		return fmt.Errorf("start command %q: %w", filepath.Base(cmd.Path), err)
	}
	a.s.all.began(a.root)
	a.s.say(slog.LevelInfo, "Command %s started as pid %d", filepath.Base(cmd.Path), a.root.Pid)
	if err := a.s.state.add(a.root); err != nil {
		// The mark in the environment finds the process as well.
		a.s.cfg.Logger.Warn("a session's state could not be written", "session", a.s.id, "error", err)
	}
	a.out = a.s.stream.start(r, a.piece)
	go func() {
		defer close(a.exited)
		// The state tells all; the error would only repeat it.
		_ = cmd.Wait()
		a.group.ended(a.root)
	}()
	return nil
}

// command resolves an action to a process.
func (s *Session) command(def *openjd.Action, symbols openjd.Symbols, id string) (*exec.Cmd, error) {
	name, err := def.Command.Resolve(symbols)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	args := make([]string, 0, len(def.Args))
	for i, f := range def.Args {
		texts, err := f.ResolveAll(symbols)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		for _, text := range texts {
			if strings.ContainsRune(text, 0) {
				return nil, fmt.Errorf("argument %d holds a NUL character, which no command line can", i+1)
			}
		}
		args = append(args, texts...)
	}
	vars := newVariables(s.cfg.Env)
	vars.put(workVar, s.work)
	s.mu.Lock()
	for _, e := range s.entered {
		vars.apply(e.layer)
	}
	s.mu.Unlock()
	path, err := vars.lookCommand(name, s.work)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path,
		Args: append([]string{name}, args...),
		Dir:  s.work,
		Env:  vars.list(sessionVar+"="+s.id, actionVar+"="+id),
	}, nil
}

// hurry asks for cancelation with a notify period of at most limit.
func (a *action) hurry(limit time.Duration) {
	select {
	case a.hurries <- max(limit, 0):
	default: // as many shortenings as that are waiting to be obeyed
	}
}

// abort makes the action fail for a reason found in its output.
func (a *action) abort(err error) {
	select {
	case a.aborts <- err:
	default: // the first reason counts
	}
}

// errHurried is the cause of a cancelation by Hurry or Close.
var errHurried = errors.New("the session was told to end")

// wait waits for the end of the process and, where it is canceled, of its tree.
func (a *action) wait(ctx context.Context) (State, error) {
	var timeout <-chan time.Time
	if a.def.Timeout > 0 {
		t := time.NewTimer(a.def.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	tick := time.NewTicker(observeTime)
	defer tick.Stop()
	for {
		select {
		case <-a.exited:
			return a.exitedState()
		case <-tick.C:
			a.group.observe()
		case <-ctx.Done():
			if a.hasExited() {
				return a.exitedState()
			}
			a.cancel("canceled", a.notifyPeriod())
			return Canceled, context.Cause(ctx)
		case limit := <-a.hurries:
			a.cancel("canceled", min(limit, a.notifyPeriod()))
			return Canceled, errHurried
		case <-timeout:
			if a.hasExited() {
				return a.exitedState()
			}
			a.cancel(fmt.Sprintf("ended, since its timeout of %v is over,", a.def.Timeout), a.notifyPeriod())
			return TimedOut, nil
		case err := <-a.aborts:
			a.cancel("ended, since its output holds an error,", a.notifyPeriod())
			return Failed, err
		}
	}
}

// hasExited tells an end that came together with a reason to cancel.
func (a *action) hasExited() bool {
	select {
	case <-a.exited:
		return true
	default:
		return false
	}
}

// exitedState decides by what a process that ended by itself has printed last.
func (a *action) exitedState() (State, error) {
	a.out.drain()
	select {
	case err := <-a.aborts:
		return Failed, err
	default:
	}
	if a.cmd.ProcessState.Success() {
		return Succeeded, nil
	}
	return Failed, nil
}

// result reads the end of the action and puts away what is left of it.
func (a *action) result(state State, why error) Result {
	a.mu.Lock()
	a.ended = true
	r := Result{State: state, ExitCode: -1, FailMessage: a.failMsg, Started: a.started, Elapsed: time.Since(a.started)}
	a.mu.Unlock()
	if a.hasExited() {
		ps := a.cmd.ProcessState
		r.ExitCode, r.Signal = exitOf(ps)
		r.UserTime, r.SystemTime = ps.UserTime(), ps.SystemTime()
		r.MaxRSS = max(a.group.peak(), maxRSS(ps))
		r.OutOfMemory = state == Failed && why == nil && killedExit(r.ExitCode) && oomKills() > a.oomKill
		a.s.say(slog.LevelInfo, "Process pid %d %s", a.root.Pid, r.exitText())
	}
	a.putAway(state)
	if why != nil {
		why = errors.New(a.s.clean(why.Error()))
	}
	r.explain(why, a.def.Timeout)
	a.s.flush()
	return r
}

// putAway keeps the processes that an action left running when it succeeded, and
// kills those of one that did not.
func (a *action) putAway(state State) {
	if a.group.empty() {
		a.group.close()
		return
	}
	if state != Succeeded {
		a.kill()
		a.group.close()
		return
	}
	a.s.say(slog.LevelDebug, "The action left processes running; they end with the session")
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.left = append(a.s.left, a.group)
}

// flush waits until the log has all that was said so far.
func (s *Session) flush() {
	if s.cfg.WaitForLog {
		s.events.flush(nil)
		return
	}
	t := time.NewTimer(logTime)
	defer t.Stop()
	s.events.flush(t.C)
}
