package rayd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// ServeFunc answers clients of the listener until ctx ends and then returns nil,
// with all that it started ended, the listener too. An error or a panic is an
// internal error: the server starts anew.
type ServeFunc func(ctx context.Context, l net.Listener) error

// Config is what a server needs to run.
type Config struct {
	Address string        // host:port
	Retry   time.Duration // pause between attempts to get the port
	Restart time.Duration // pause after an internal error
	PID     int
	Diary   *Diary
	Serve   ServeFunc
	// Ready is called each time the server listens, Ending when it is about to
	// end. Both may be nil.
	Ready  func(net.Addr)
	Ending func()
}

// server is a running rayserver.
type server struct {
	cfg   Config
	diary *Diary
}

// signalled is a signal as the reason to end.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "signal " + s.String() }

// Run serves until a signal comes from signals, and returns the exit code of the
// process. An internal error is said and the server goes on.
func Run(ctx context.Context, cfg Config, signals <-chan os.Signal) int {
	s := &server{cfg: cfg, diary: cfg.Diary}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case sig := <-signals:
			cancel(signalled{sig})
		case <-ctx.Done():
		}
	}()
	err := s.run(ctx)
	if cfg.Ending != nil {
		cfg.Ending()
	}
	return s.farewell(context.Cause(ctx), err)
}

// run listens and serves until ctx ends or the port cannot be had.
func (s *server) run(ctx context.Context) error {
	for {
		l, err := s.listen(ctx)
		if err != nil {
			return err
		}
		s.diary.Say(fmt.Sprintf("render_server: adding channel <render_server  at %s>", addressOf(l)))
		s.diary.Say(fmt.Sprintf("render_server: Async Rayfront Server started on port %d", portOf(l)))
		s.diary.Say(fmt.Sprintf("\nRayserver %d running.", s.cfg.PID))
		if s.cfg.Ready != nil {
			s.cfg.Ready(l.Addr())
		}
		err = s.serve(ctx, l)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.diary.Note(fmt.Sprintf("internal error: %v", err))
		s.diary.Say(fmt.Sprintf("Rayserver %d internal error. Restarting.", s.cfg.PID))
		pause := time.NewTimer(s.cfg.Restart)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// serve calls the owner's function and turns its panic into an error.
func (s *server) serve(ctx context.Context, l net.Listener) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Close()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err = s.cfg.Serve(ctx, l); err == nil && ctx.Err() == nil {
		err = errors.New("the server stopped by itself")
	}
	return err
}

// farewell says why the server ends and returns the exit code.
func (s *server) farewell(cause, err error) int {
	var by signalled
	if !errors.As(cause, &by) {
		s.diary.Note(fmt.Sprintf("ending: %v", err))
		s.diary.Say("*System Exit*")
		return 1
	}
	if by.Signal == os.Interrupt {
		s.diary.Say("*User Interrupt*")
		return 0
	}
	number := 0
	if n, ok := by.Signal.(syscall.Signal); ok {
		number = int(n)
	}
	s.diary.Say(fmt.Sprintf("*System Exit* (caught signal %d)", number))
	return 0
}

// Signals catches the signals that end a server. Call stop when it has ended.
func Signals() (signals <-chan os.Signal, stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, endSignals...)
	return ch, func() { signal.Stop(ch) }
}

func portOf(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// addressOf stands for the place of the channel in memory, which the original's
// line shows.
func addressOf(l net.Listener) string { return fmt.Sprintf("%p", l)[2:] }
