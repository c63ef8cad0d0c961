package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// errStalled ends a transfer that stood still.
var errStalled = errors.New("nothing was transferred for too long")

// guard ends a request whose bytes have stopped moving, in either direction: a
// machine that vanished sends no word of it.
type guard struct {
	cancel context.CancelCauseFunc
	every  time.Duration

	mu    sync.Mutex
	timer *time.Timer
}

// guard watches over one request made with the context that it returns.
func (c *Client) guard(ctx context.Context) (*guard, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guard{cancel: cancel, every: c.stall}
	g.timer = time.AfterFunc(c.stall, func() { cancel(errStalled) })
	return g, ctx
}

func (g *guard) moved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer.Reset(g.every)
}

// rest stops the clock: all was sent, and how long the farm may take to answer
// is the transport's affair.
func (g *guard) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer.Stop()
}

// end ends the watch. It returns err, or that the transfer stood still when that
// is why it failed.
func (g *guard) end(ctx context.Context, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer.Stop()
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = errStalled
	}
	g.cancel(nil)
	return err
}

// reader counts what is read as movement.
func (g *guard) reader(r io.Reader) io.Reader { return &guarded{g, r} }

type guarded struct {
	g *guard
	r io.Reader
}

func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	switch {
	case err != nil:
		g.g.rest()
	case n > 0:
		g.g.moved()
	}
	return n, err
}
