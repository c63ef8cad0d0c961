package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"drover.farm/internal/cluster"
	"drover.farm/internal/door/flamenco"
	"drover.farm/internal/door/native"
	"drover.farm/internal/door/sheepit"
	"drover.farm/internal/farm"
	"drover.farm/internal/gate"
	"drover.farm/internal/web"
)

// doors are the doors of one farm that a writer serves, beside the native one.
type doors struct {
	api  http.Handler            // of the main listener, under native.Prefix
	main *http.ServeMux          // of the main listener, the rest
	raw  []rawDoor               // of the main listener, asked before main
	own  map[string]http.Handler // of doors with a listener of their own, by name
	stop []func()                // end what doors do by themselves, and wait for it
}

// rawDoor serves requests whose paths the main listener's routes would tidy up
// first, with a redirect that its clients do not survive.
type rawDoor struct {
	owns func(*http.Request) bool
	http.Handler
}

// ServeHTTP implements http.Handler.
func (d *doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, native.Prefix+"/") { // first: it is what workers ask for
		d.api.ServeHTTP(w, r)
		return
	}
	for _, raw := range d.raw {
		if raw.owns(r) {
			raw.ServeHTTP(w, r)
			return
		}
	}
	d.main.ServeHTTP(w, r)
}

// wire opens the doors of a farm, a line or two for each. It is called for every
// term as the writer; docs/design/cluster.md says what that means for a door.
func (s *Server) wire(f *farm.Farm, d *doors) error {
	s.wireSheepIt(f, d)
	if err := s.wireFlamenco(f, d); err != nil {
		return err
	}
	return s.swarm(f, d)
}

// ownListener is the listener of a door that has its own.
type ownListener struct {
	door   string
	listen string // "" while the door is closed
	allow  []netip.Prefix
}

// ownListeners are those of all doors, a line for each. Every server of a farm
// opens them; a server that does not write passes on what comes.
func (s *Server) ownListeners() []ownListener {
	set := s.cfg.Settings
	return []ownListener{
		{"swarm", set.Swarm.Address(), set.Swarm.Allow},
		{flamenco.Name, set.Flamenco.Listen, set.Flamenco.Allow},
	}
}

// shownDoors are the open doors as the pages for people name them.
func (s *Server) shownDoors() []web.Door {
	out := []web.Door{{Name: "native"}, {Name: sheepit.Name}}
	for _, o := range s.ownListeners() {
		if o.listen == "" {
			continue
		}
		d := web.Door{Name: o.door, Address: o.listen}
		for _, p := range o.allow {
			d.Allow = append(d.Allow, p.String())
		}
		out = append(out, d)
	}
	return out
}

// doorNames are the open doors as programs name them.
func (s *Server) doorNames() []string {
	var out []string
	for _, d := range s.shownDoors() {
		out = append(out, d.Name)
	}
	return out
}

// openDoors makes what a writer serves.
func (s *Server) openDoors(f *farm.Farm) (*cluster.Term, error) {
	d := s.core(f)
	stop := func() {
		for _, fn := range d.stop {
			fn()
		}
	}
	if err := s.wire(f, d); err != nil {
		stop()
		return nil, err
	}
	return &cluster.Term{Farm: f, Main: s.origin.wrap(d), Doors: d.own, Stop: stop}, nil
}

// serveOwn opens the listeners of doors that have their own.
func (s *Server) serveOwn(ctx context.Context) error {
	for _, o := range s.ownListeners() {
		if o.listen == "" {
			continue
		}
		l, err := gate.Listen(ctx, o.listen, o.allow, s.log)
		if err != nil {
			return fmt.Errorf("open the door %s: %w", o.door, err)
		}
		s.serveDoor(o.door, l)
	}
	return nil
}

func (s *Server) serveDoor(name string, l net.Listener) {
	var h http.Handler
	if s.node != nil {
		h = s.node.Door(name)
	} else {
		h = s.term.Doors[name]
	}
	srv := s.httpServer(h)
	s.own = append(s.own, srv)
	s.log.Info("door open", "door", name, "listen", l.Addr().String())
	s.background.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the listener of the door %s failed: %w", name, err))
		}
	})
}
