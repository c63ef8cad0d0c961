package rayserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"drover.farm/internal/gate"
	"drover.farm/internal/simulation"
)

// Simulations is what the server lets clients do. Its errors are
// *simulation.Faults, or faults of the server. All may be called concurrently.
type Simulations interface {
	Submit(ctx context.Context, r simulation.Request) (simulation.Job, error)
	List(ctx context.Context, location, project string) ([]simulation.Job, error)
	Job(ctx context.Context, id string) (simulation.Job, error)
	Log(ctx context.Context, id string, offset int64, most int) (text string, more bool, err error)
	Suspend(ctx context.Context, id string) (simulation.Job, error)
	Resume(ctx context.Context, id string) (simulation.Job, error)
	Kill(ctx context.Context, id string) (simulation.Job, error)
	Restart(ctx context.Context, id string) (simulation.Job, error)
	// Watch calls tell with each change of a job, or of all for "", until ctx
	// ends or tell fails. It begins with the jobs as they are.
	Watch(ctx context.Context, id string, tell func(simulation.Job) error) error
}

// Config is what a server needs.
type Config struct {
	Host     string
	Platform string // posix or nt
	CPUs     func() int
	Jobs     Simulations

	Keys     Keys
	Insecure bool           // serve whoever is let in, without keys
	Allow    []netip.Prefix // empty: whoever reaches the listener, unless Insecure
	TLS      *tls.Config    // nil for plain TCP

	Connections int
	AuthTime    time.Duration // to show a key
	IdleTime    time.Duration // without a request
	LineTime    time.Duration // for a line
	// Note is told what an operator should know: faults, refused keys. Safe for
	// concurrent use.
	Note func(text string)
}

// Serve answers clients until ctx ends: then it returns nil. A panic of a
// connection is returned as an error, once all connections have ended.
func Serve(ctx context.Context, l net.Listener, cfg Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &server{cfg: cfg, places: make(chan struct{}, max(1, cfg.Connections)), broken: cancel}
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer s.conns.Wait()
	for {
		c, err := l.Accept()
		if err != nil && ctx.Err() != nil {
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		} else if err != nil {
			return fmt.Errorf("wait for clients: %w", err)
		}
		s.admit(ctx, c)
	}
}

type server struct {
	cfg    Config
	places chan struct{}
	conns  sync.WaitGroup
	broken context.CancelCauseFunc
}

// admit gives a connection a place, if it may come and there is one.
func (s *server) admit(ctx context.Context, c net.Conn) {
	if len(s.cfg.Allow) > 0 && !gate.Allowed(addressOf(c), s.cfg.Allow) {
		c.Close()
		return
	}
	select {
	case s.places <- struct{}{}:
	default:
		s.conns.Go(func() {
			defer c.Close()
			c.SetWriteDeadline(time.Now().Add(time.Second))
			c.Write(append(encode(fail(0, &refusal{codeBusy, "too many clients are connected; try again later"})), '\n'))
		})
		return
	}
	s.conns.Go(func() {
		defer func() { <-s.places }()
		defer c.Close()
		defer func() {
			if p := recover(); p != nil {
				s.broken(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		s.converse(ctx, c)
	})
}

func addressOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}

// greeting is what the server says of itself.
func (s *server) greeting(nonce string) Greeting {
	g := Greeting{Rayserver: version, Host: s.cfg.Host, Platform: s.cfg.Platform, CPUs: s.cfg.CPUs(), Auth: []string{}, Nonce: nonce}
	switch {
	case s.cfg.Insecure:
		g.Auth = append(g.Auth, authNone)
	case len(s.cfg.Keys) > 0:
		g.Auth = append(g.Auth, authKey)
	}
	return g
}
