// Package cluster makes one farm of several servers that share a database: one
// of them is the writer and runs the dispatcher, the others pass on to it what
// they cannot answer themselves. Which one is decided by the store alone; when
// the writer dies, another takes its place at once, and requests that arrive in
// between are held until it has.
package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"drover.farm/internal/farm"
)

// Elector is what a Node needs of the store that the servers share.
type Elector interface {
	// Wait returns once this server may be the writer.
	Wait(ctx context.Context) error
	// Holds fails when this server is not the writer any more.
	Holds(ctx context.Context) error
	// Release gives the writer's place up.
	Release()
	// Writer is the latest writer's epoch and the address that it gave.
	Writer(ctx context.Context) (epoch int64, address string, err error)
}

// Config is what a Node is made of.
type Config struct {
	Elector Elector
	// Lead opens the farm as its writer. Serve makes the handler of a farm, the
	// writer's or a follower's.
	Lead   func(ctx context.Context) (*farm.Farm, error)
	Follow func(ctx context.Context) (*farm.Farm, error)
	Serve  func(*farm.Farm) http.Handler
	// Local reports whether a server that is not the writer answers this request
	// itself: files, and whatever else needs no dispatcher.
	Local   func(*http.Request) bool
	Address string        // where the other servers reach this one
	Secret  string        // shared by the farm's servers, so that they trust one another's word on who asks
	Check   time.Duration // how often the writer makes sure that it still is; default 300 ms
	Hold    time.Duration // how long a request waits for a writer; default 10 s
	Log     *slog.Logger
}

// Node is one server of a farm. It is an http.Handler from the start.
type Node struct {
	cfg Config

	mu      sync.Mutex
	leader  http.Handler  // this server's own, while it is the writer
	local   http.Handler  // of the follower
	changed chan struct{} // closed whenever leader changes
	fwd     *forwarder
}

// New makes a node; Run makes it live.
func New(cfg Config) *Node {
	if cfg.Check <= 0 {
		cfg.Check = 300 * time.Millisecond
	}
	if cfg.Hold <= 0 {
		cfg.Hold = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, changed: make(chan struct{})}
	n.fwd = newForwarder(n)
	return n
}

// Run takes part in the farm until ctx ends: it waits for the writer's place,
// leads while it has it, and waits again. Being the writer ends with Release,
// so that another server goes on in the same moment.
func (n *Node) Run(ctx context.Context) error {
	follower, err := n.cfg.Follow(ctx)
	if err != nil {
		return err
	}
	defer follower.Close()
	n.mu.Lock()
	n.local = n.cfg.Serve(follower)
	n.mu.Unlock()
	for ctx.Err() == nil {
		if err := n.term(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Log.Error("this server's term as the writer ended", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(n.cfg.Check):
			}
		}
	}
	return nil
}

// term waits for the writer's place and leads until it is lost or ctx ends.
func (n *Node) term(ctx context.Context) error {
	if err := n.cfg.Elector.Wait(ctx); err != nil {
		return err
	}
	defer n.cfg.Elector.Release()
	f, err := n.cfg.Lead(ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	n.lead(n.cfg.Serve(f))
	defer n.lead(nil)
	n.cfg.Log.Info("this server is the farm's writer")
	t := time.NewTicker(n.cfg.Check)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.Done():
			return errors.New("another server has taken over")
		case <-t.C:
			if err := n.cfg.Elector.Holds(ctx); err != nil {
				return err
			}
		}
	}
}

// lead makes h answer for the whole farm; nil when another server does.
func (n *Node) lead(h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leader = h
	close(n.changed)
	n.changed = make(chan struct{})
}

// Leading reports whether this server is the writer.
func (n *Node) Leading() bool {
	h, _, _ := n.handlers()
	return h != nil
}

func (n *Node) handlers() (leader, local http.Handler, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leader, n.local, n.changed
}

// ServeHTTP answers a request here, or passes it on to the writer.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leader, local, _ := n.handlers()
	switch {
	case leader != nil:
		n.fwd.accept(leader, w, r)
	case local != nil && n.cfg.Local != nil && n.cfg.Local(r):
		local.ServeHTTP(w, r)
	default:
		n.fwd.pass(w, r)
	}
}
