// Package cluster makes one farm of several servers that share a database: one
// of them is the writer and runs the dispatcher, the others pass on to it what
// they cannot answer themselves. Which one is decided by the store alone; when
// the writer dies, another takes its place at once, and requests that arrive in
// between are held until it has.
package cluster

import (
	"context"
	"crypto/tls"
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

// Term is what a server serves while it is the writer.
type Term struct {
	Farm *farm.Farm
	// Main answers the main listener, Doors those of the doors that have a
	// listener of their own, by the door's name. A Term lasts for one farm: what
	// doors keep in memory begins anew with the next writer.
	Main  http.Handler
	Doors map[string]http.Handler
	// Stop ends what doors do by themselves (dial out, watch folders) and waits
	// for it; it may be nil.
	Stop func()

	ended sync.Once
}

// End stops the doors, then the farm. It may be called twice.
func (t *Term) End() {
	t.ended.Do(func() {
		if t.Stop != nil {
			t.Stop()
		}
		t.Farm.Close()
	})
}

// Config is what a Node is made of.
type Config struct {
	Elector Elector
	// Lead opens the farm as its writer.
	Lead func(ctx context.Context) (*Term, error)
	// Local answers what a server that is not the writer answers by itself, and
	// IsLocal says what that is: files, and whatever else needs no dispatcher.
	Local   http.Handler
	IsLocal func(*http.Request) bool
	Address string        // where the other servers reach this one
	Secret  string        // shared by the farm's servers, so that they trust one another's word on who asks
	TLS     *tls.Config   // by which the writer is reached when its address is https; nil: as usual
	Check   time.Duration // how often the writer makes sure that it still is; default 300 ms
	Hold    time.Duration // how long a request waits for a writer; default 10 s
	Log     *slog.Logger
}

// Node is one server of a farm. It is an http.Handler from the start.
type Node struct {
	cfg Config

	fwd *forwarder

	mu      sync.Mutex
	term    *Term         // this server's own, while it is the writer
	changed chan struct{} // closed whenever term changes
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
func (n *Node) Run(ctx context.Context) {
	defer n.fwd.close()
	for ctx.Err() == nil {
		if err := n.lead(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Log.Error("this server's term as the writer ended", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(n.cfg.Check):
			}
		}
	}
}

// lead waits for the writer's place and leads until it is lost or ctx ends.
func (n *Node) lead(ctx context.Context) error {
	if err := n.cfg.Elector.Wait(ctx); err != nil {
		return err
	}
	defer n.cfg.Elector.Release()
	term, err := n.cfg.Lead(ctx)
	if err != nil {
		return err
	}
	defer term.End()
	n.set(term)
	defer n.set(nil)
	n.cfg.Log.Info("this server is the farm's writer")
	t := time.NewTicker(n.cfg.Check)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-term.Farm.Done():
			return errors.New("another server has taken over")
		case <-t.C:
			if err := n.cfg.Elector.Holds(ctx); err != nil {
				return err
			}
		}
	}
}

// set makes t answer for the whole farm; nil when another server does.
func (n *Node) set(t *Term) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.term = t
	close(n.changed)
	n.changed = make(chan struct{})
}

// Leading reports whether this server is the writer.
func (n *Node) Leading() bool {
	t, _ := n.current()
	return t != nil
}

func (n *Node) current() (*Term, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.term, n.changed
}

// ServeHTTP answers a request of the main listener here, or passes it on to the
// writer.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	door := n.fwd.unwrap(r)
	term, _ := n.current()
	switch {
	case term != nil:
		serveDoor(term, door, w, r)
	case door == "" && n.cfg.IsLocal != nil && n.cfg.IsLocal(r):
		n.cfg.Local.ServeHTTP(w, r)
	default: // also what was passed on to this server just when its term ended
		n.fwd.pass(door, w, r)
	}
}

// Door returns the handler for the listener of a door that has its own. A
// server that is not the writer passes what comes there to the writer's main
// listener, which knows by a header for which door it is; so a farm's servers
// need to reach one another at one address only.
func (n *Node) Door(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strip(r.Header)
		if term, _ := n.current(); term != nil {
			serveDoor(term, name, w, r)
			return
		}
		n.fwd.pass(name, w, r)
	})
}

// serveDoor lets a door of the writer answer; "" is the main listener.
func serveDoor(t *Term, name string, w http.ResponseWriter, r *http.Request) {
	h := t.Main
	if name != "" {
		h = t.Doors[name]
	}
	if h == nil {
		unavailable(w, "the farm's writer has the door "+name+" closed; give all servers of a farm the same settings")
		return
	}
	h.ServeHTTP(w, r)
}
