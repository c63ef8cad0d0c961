package blender

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"drover.farm/internal/renderer"
)

// A session's Blender has a supervisor: a process that owns it, gives its lines
// to the command that renders, knows how it ended, and starts it anew after a
// crash. Commands of the session reach it by a socket in the session's folder.

const (
	configName = "config.json" // what Blender is started with
	stateName  = "state.json"  // where the supervisor listens
	maxRequest = 1 << 20
	watchEvery = time.Second
	// DefaultIdle is how long a supervisor waits for a frame before it ends.
	DefaultIdle = 30 * time.Minute
)

// state tells commands where the supervisor listens.
type state struct {
	Network string `json:"network"`
	Address string `json:"address"`
	Token   string `json:"token"`
	PID     int    `json:"pid"`
}

// request is what a command asks of the supervisor.
type request struct {
	Token string        `json:"token"`
	Verb  string        `json:"verb"` // load, frame, close
	Frame *frameRequest `json:"frame,omitempty"`
}

// frameRequest is what the loop renders.
type frameRequest struct {
	Frame   int64  `json:"frame"`
	Folder  string `json:"folder"` // of its own; everything in it is the frame's
	Name    string `json:"name"`   // without extension
	Format  string `json:"format,omitempty"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	Engine  string `json:"engine,omitempty"`
	Samples int    `json:"samples,omitempty"`
	Scene   string `json:"scene,omitempty"`
	Camera  string `json:"camera,omitempty"`
	Device  string `json:"device,omitempty"`
}

// message is one line from the supervisor: a line of Blender's log, or the end.
type message struct {
	Line string  `json:"l,omitempty"`
	End  *ending `json:"end,omitempty"`
}

// ending is how a request ended.
type ending struct {
	OK      bool           `json:"ok"`
	Party   renderer.Party `json:"party,omitempty"`
	Error   string         `json:"error,omitempty"`
	Version string         `json:"version,omitempty"`
	Moved   int            `json:"moved,omitempty"`
	Missing []missingFile  `json:"missing,omitempty"`
	PID     int            `json:"pid,omitempty"` // of Blender
}

// supervisor serves one session.
type supervisor struct {
	cfg    config
	token  string
	log    *slog.Logger
	stop   context.CancelFunc
	turn   chan struct{} // holds one token: who has it may use blender
	proc   *process
	loaded answer
	conns  sync.WaitGroup
	wake   chan struct{} // a request came: the idle clock starts anew
}

// Serve supervises the Blender of the session whose folder is dir until it is
// closed, idle for too long, its folder is removed, the watched process ends or
// ctx is done. It calls ready once commands can reach it.
func Serve(ctx context.Context, dir string, log *slog.Logger, ready func()) error {
	var cfg config
	data, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		return fmt.Errorf("read the session's configuration: %w", err)
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		return fmt.Errorf("read the session's configuration: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &supervisor{cfg: cfg, token: rand.Text(), log: log, stop: stop, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	l, cleanup, err := listen(dir)
	if err != nil {
		return err
	}
	defer cleanup()
	st := state{Network: l.Addr().Network(), Address: l.Addr().String(), Token: s.token, PID: os.Getpid()}
	if err := writeJSON(filepath.Join(dir, stateName), st); err != nil {
		l.Close()
		return err
	}
	ready()
	s.serve(ctx, l)
	return nil
}

// listen opens a socket in dir, or elsewhere when the path is too long for
// one, or on the loopback where the system has none.
func listen(dir string) (net.Listener, func(), error) {
	none := func() {}
	if runtime.GOOS == "windows" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, none, fmt.Errorf("listen on the loopback: %w", err)
		}
		return l, none, nil
	}
	const longest = 100 // of 104 to 108 bytes, by system
	cleanup := none
	if len(dir)+len("/s") > longest {
		short, err := os.MkdirTemp("/tmp", "drover-")
		if err != nil {
			return nil, none, fmt.Errorf("make a folder for the socket: %w", err)
		}
		cleanup = func() { os.RemoveAll(short) }
		dir = short
	}
	path := filepath.Join(dir, "s")
	os.Remove(path) // of a supervisor that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		cleanup()
		return nil, none, fmt.Errorf("listen for commands: %w", err)
	}
	return l, cleanup, nil
}

func (s *supervisor) serve(ctx context.Context, l net.Listener) {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx)
		l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		s.conns.Add(1)
		go func() {
			defer s.conns.Done()
			defer c.Close()
			s.handle(ctx, c)
		}()
	}
	s.stop()
	<-watched
	s.conns.Wait()
	if s.proc != nil {
		s.proc.kill(func(string) {})
	}
}

// watch returns when the session is over.
func (s *supervisor) watch(ctx context.Context) {
	defer s.stop()
	idle := s.cfg.Idle
	if idle <= 0 {
		idle = DefaultIdle
	}
	idleTimer := time.NewTimer(idle)
	defer idleTimer.Stop()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			idleTimer.Reset(idle)
		case <-idleTimer.C:
			if len(s.turn) == 1 { // nobody renders
				s.log.Info("idle for too long", "idle", idle)
				return
			}
			idleTimer.Reset(idle)
		case <-tick.C:
			if _, err := os.Stat(filepath.Join(s.cfg.Dir, configName)); errors.Is(err, os.ErrNotExist) {
				s.log.Info("the session's folder is gone")
				return
			}
			if s.cfg.Watch > 0 && !processAlive(s.cfg.Watch) {
				s.log.Info("the session's process has ended", "pid", s.cfg.Watch)
				return
			}
		}
	}
}

// handle serves one command. When the command goes away, what it asked for is
// stopped.
func (s *supervisor) handle(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := bufio.NewReader(io.LimitReader(c, maxRequest))
	var req request
	line, err := r.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &req) != nil || subtle.ConstantTimeCompare([]byte(req.Token), []byte(s.token)) != 1 {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	s.conns.Go(func() {
		defer cancel()
		io.Copy(io.Discard, r) // ends when the command closes its side, or we do
	})
	enc := json.NewEncoder(c)
	log := func(line string) {
		if enc.Encode(message{Line: line}) != nil {
			cancel()
		}
	}
	end := s.do(ctx, req, log)
	enc.Encode(message{End: &end}) // a command that went away does not mind
	c.Close()
}

func (s *supervisor) do(ctx context.Context, req request, log func(string)) ending {
	if req.Verb == "close" {
		s.stop()
		return ending{OK: true}
	}
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return ending{Error: "canceled"}
	}
	if end := s.load(ctx, log); !end.OK || req.Verb != "frame" {
		return end
	}
	if req.Frame == nil {
		return ending{Error: "no frame was asked for", Party: renderer.JobFault}
	}
	tail := newTail()
	both := func(line string) { tail.add(line); log(line) }
	a, err := s.proc.call(ctx, req.Frame, both)
	end := s.ending(ctx, a, err, tail)
	if !end.OK {
		os.RemoveAll(req.Frame.Folder)
	}
	return end
}

// load makes sure that a Blender with the scene in it is there.
func (s *supervisor) load(ctx context.Context, log func(string)) ending {
	if s.proc != nil && s.proc.alive() {
		return s.loadedEnding()
	}
	if s.proc != nil {
		s.proc.kill(log)
		s.proc = nil
	}
	p, err := startProcess(&s.cfg)
	if err != nil {
		return ending{Party: renderer.WorkerFault, Error: err.Error()}
	}
	s.proc = p
	tail := newTail()
	a, err := p.call(ctx, nil, func(line string) { tail.add(line); log(line) })
	end := s.ending(ctx, a, err, tail)
	if !end.OK {
		p.kill(log)
		s.proc = nil
		return end
	}
	s.loaded = a
	return s.loadedEnding()
}

func (s *supervisor) loadedEnding() ending {
	return ending{OK: true, Version: s.loaded.Version, Moved: s.loaded.Moved, Missing: s.loaded.Missing, PID: s.proc.cmd.Process.Pid}
}

// ending turns what happened in Blender into an ending with a cause.
func (s *supervisor) ending(ctx context.Context, a answer, err error, tail *tail) ending {
	switch {
	case err != nil && ctx.Err() != nil:
		return ending{Error: "canceled: Blender was stopped"}
	case err != nil:
		text, killed := deathOf(s.proc.state)
		f := tail.crash(text, killed)
		return ending{Party: f.Party, Error: f.Message}
	}
	f := tail.failure(a)
	if f == nil {
		return ending{OK: true, PID: s.proc.cmd.Process.Pid}
	}
	return ending{Party: f.Party, Error: f.Message}
}

// writeJSON writes v to path in one step.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
