package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"drover.farm/openjd"
)

// Config is what a session is made of.
type Config struct {
	// Dir is the directory beneath which the session makes a private one of its
	// own (mode 0700). It is made if it does not exist.
	Dir string
	// Job whose tasks the session runs.
	Job *openjd.Job
	// Rules map PATH parameters to this host.
	Rules []openjd.PathRule
	// Env is the base environment of all actions, as NAME=value; that of this
	// program when nil.
	Env []string
	// Log receives every line, in order, from one goroutine. It must not call
	// methods of the session. Nil discards them.
	Log func(Line)
	// WaitForLog makes a process wait when Log is slower than it prints. Without
	// it a process is never held up: what 8 MiB of queue cannot hold is dropped,
	// and the log says how much.
	WaitForLog bool
	// MaxNotify bounds the notify period of cancelations; 0 for no bound. An
	// action that needs a shorter one at once is what Session.Hurry is for.
	MaxNotify time.Duration
	// Logger is for the program's own log; nil discards.
	Logger *slog.Logger
}

// Callbacks follow a running action. They are called in order, from the goroutine
// that calls Config.Log, and must not call methods of the session.
type Callbacks struct {
	// Progress gets percentages from 0 to 100.
	Progress func(float64)
	// Status gets status messages, with secrets hidden.
	Status func(string)
}

// Session runs actions of one job in one working directory. Its methods are safe
// for concurrent use, but it runs one action at a time: Enter, Run and Exit fail
// with ErrBusy while another of them is at work.
type Session struct {
	cfg      Config
	id       string
	root     string
	work     string
	symbols  openjd.Symbols
	state    *stateFile
	events   *events
	redactor redactor
	all      *group
	stream   *streams

	mu      sync.Mutex
	idle    *sync.Cond
	running *action
	busy    bool
	// closing makes an action that is about to start end at once.
	closing bool
	ended   bool
	closed  bool
	level   slog.Level
	entered []*enteredEnv
	scripts map[*openjd.Script]*fileSet
	// left are the groups of actions that left processes running.
	left []*group
}

// enteredEnv is an environment that was entered, or tried to be.
type enteredEnv struct {
	env   *openjd.Environment
	files *fileSet
	layer *layer
}

// sessions counts the live sessions of this program.
var sessions atomic.Int32

// New makes a session with its directory. Close it.
func New(cfg Config) (*Session, error) {
	if cfg.Job == nil {
		return nil, errors.New("make a session: no job was given")
	}
	if cfg.Dir == "" {
		return nil, errors.New("make a session: no directory was given")
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := becomeReaper(); err != nil {
		cfg.Logger.Warn("detached processes may escape this session", "error", err)
	}
	s := &Session{cfg: cfg, id: newID(), stream: newStreams(), scripts: map[*openjd.Script]*fileSet{}}
	s.idle = sync.NewCond(&s.mu)
	if err := s.makeDir(); err != nil {
		if s.state != nil {
			s.state.close()
		}
		if s.root != "" {
			os.RemoveAll(s.root)
		}
		return nil, fmt.Errorf("make a session: %w", err)
	}
	sessions.Add(1)
	s.events = newEvents(cfg.Log, cfg.WaitForLog)
	return s, nil
}

func (s *Session) makeDir() error {
	parent, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	// Programs report the resolved path of their directory; so does the session.
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return err
	}
	if s.root, err = os.MkdirTemp(parent, dirPrefix); err != nil {
		return err
	}
	if s.state, err = createState(s.root, s.id); err != nil {
		return err
	}
	s.work = filepath.Join(s.root, workName)
	if err := os.Mkdir(s.work, 0o700); err != nil {
		return err
	}
	rules := filepath.Join(s.work, "path_mapping_rules.json")
	if err := writeRules(rules, s.cfg.Rules); err != nil {
		return err
	}
	s.symbols = s.cfg.Job.Symbols(s.cfg.Rules)
	s.symbols[openjd.SymbolWorkingDirectory] = s.work
	s.symbols[openjd.SymbolHasPathMappingRules] = fmt.Sprint(len(s.cfg.Rules) > 0)
	s.symbols[openjd.SymbolPathMappingRulesFile] = rules
	s.all, err = newGroup(sessionVar+"="+s.id, func() bool { return sessions.Load() == 1 })
	return err
}

// newID makes a name that nobody can guess.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// Dir is the session's working directory, the value of Session.WorkingDirectory.
func (s *Session) Dir() string { return s.work }

// ID is the value of DROVER_SESSION_ID in the session's processes.
func (s *Session) ID() string { return s.id }

// Ended reports whether an action did not succeed, so that the session only exits
// environments from now on.
func (s *Session) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Entered lists the environments that were entered and not yet exited.
func (s *Session) Entered() []*openjd.Environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	envs := make([]*openjd.Environment, len(s.entered))
	for i, e := range s.entered {
		envs[i] = e.env
	}
	return envs
}

// Hurry cancels the running action, if there is one, as the end of its context
// would, with a notify period of at most limit. It may be called again to shorten
// the period further; each call notifies the process anew (section 5.3.2).
func (s *Session) Hurry(limit time.Duration) {
	s.mu.Lock()
	a := s.running
	s.mu.Unlock()
	if a != nil {
		a.hurry(limit)
	}
}

// Close ends the session: it cancels an action that is running, exits the
// environments that were entered, in reverse, kills what processes are left and
// removes the directory. When ctx is done, exits that remain are canceled or left
// out; all else is done anyway. The session is closed whatever the error. A
// second Close waits for nothing and returns nil.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed, s.closing = true, true
	if s.running != nil {
		s.running.hurry(0)
	}
	for s.busy {
		s.idle.Wait()
	}
	s.closing = false
	s.mu.Unlock()
	var errs []error
	for envs := s.Entered(); len(envs) > 0 && ctx.Err() == nil; envs = envs[:len(envs)-1] {
		errs = append(errs, s.exit(ctx, envs[len(envs)-1]))
	}
	errs = append(errs, s.killAll())
	s.stream.close()
	s.events.close()
	sessions.Add(-1)
	s.state.close()
	errs = append(errs, removeTree(s.root))
	s.awaitLog(ctx)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the session: %w", err)
	}
	return nil
}

// logTime bounds how long an end waits for a Log that hangs.
const logTime = 5 * time.Second

// awaitLog waits until Log has everything.
func (s *Session) awaitLog(ctx context.Context) {
	if s.cfg.WaitForLog {
		<-s.events.done
		return
	}
	t := time.NewTimer(logTime)
	defer t.Stop()
	select {
	case <-s.events.done:
	case <-t.C:
		s.cfg.Logger.Warn("the log of a closed session is not being read", "session", s.id)
	}
}

// killAll kills every process of the session.
func (s *Session) killAll() error {
	s.mu.Lock()
	left := append(s.left, s.all)
	s.left = nil
	s.mu.Unlock()
	var errs []error
	for _, g := range left {
		errs = append(errs, g.kill())
		g.close()
	}
	return errors.Join(errs...)
}

// say logs a line of the session itself.
func (s *Session) say(level slog.Level, format string, args ...any) {
	s.mu.Lock()
	hidden := level < s.level
	s.mu.Unlock()
	if hidden {
		return
	}
	text := s.clean(fmt.Sprintf(format, args...))
	s.events.line(Line{Time: time.Now(), Stream: StreamSession, Level: level, Text: text})
}
