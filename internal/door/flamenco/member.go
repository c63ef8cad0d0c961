package flamenco

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// kind is how a worker gets its work.
type kind int

const (
	unknown kind = iota // registered, and not seen to be either
	push                // of 2015: it answers /info, the farm dials out
	pull                // of 2016: it asks
)

// member is a worker of Flamenco. Its fields below mu of the Door are guarded by
// it; the rest does not change.
type member struct {
	id      int64 // of the farm's worker
	address string
	port    int
	host    string
	sysText string // as it says itself: "Linux 3.13.0-44-generic"
	sys     system
	wake    chan struct{}
	left    chan struct{} // closed when it was removed

	// guarded by Door.mu
	kind     kind
	work     *work
	timeCost *int64
	version  string // of its Blender, once known
	cores    int
	arch     string
	anew     bool // it has registered since it was last looked at
	tended   bool // a goroutine looks after it
}

// key is what a worker is known by: address, port and name, so that several
// behind one address are several.
func key(address string, port int, host string) string {
	return net.JoinHostPort(address, strconv.Itoa(port)) + "/" + host
}

func parseKey(k string) (address string, port int, host string, ok bool) {
	where, host, ok := strings.Cut(k, "/")
	ap, err := netip.ParseAddrPort(where)
	return ap.Addr().String(), int(ap.Port()), host, ok && err == nil
}

// muster takes up the workers that the farm knows, and what they are at.
func (d *Door) muster(ctx context.Context) error {
	open, err := d.farm.Notes(ctx, farm.NoteQuery{Prefix: prefixOpen})
	if err != nil {
		return err
	}
	for _, n := range open {
		p, err := d.postOf(ctx, n.Job)
		if err != nil {
			return err
		}
		if p != nil {
			d.posts[n.Job] = p
		}
	}
	ws, err := d.farm.Farmhands(ctx)
	if err != nil {
		return err
	}
	for _, w := range ws {
		if w.Door != Name || w.User != d.by.Login {
			continue
		}
		m := d.enlist(w)
		if m == nil {
			continue
		}
		if len(w.Leases) > 0 {
			held, err := d.farm.Held(ctx, d.by, w.ID)
			if err != nil {
				return err
			}
			if len(held) > 0 {
				d.take(m, held)
			}
		}
		d.tend(m)
	}
	return nil
}

// enlist makes a member of a worker of the farm, nil when its key is not of this
// door.
func (d *Door) enlist(w *farm.Worker) *member {
	address, port, host, ok := parseKey(w.Key)
	if !ok {
		return nil
	}
	m := &member{id: w.ID, address: address, port: port, host: host, sysText: w.Machine.Version, sys: systemOf(w.Machine.Version),
		wake: make(chan struct{}, 1), left: make(chan struct{}), cores: w.Machine.Cores, arch: w.Machine.Arch}
	if i := slices.IndexFunc(w.Machine.Renderers, func(r farm.Renderer) bool { return r.Product == "blender" }); i >= 0 {
		m.version = w.Machine.Renderers[i].Version
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crew[m.id] = m
	return m
}

// registration is the worker as the farm is told of it.
func (d *Door) registration(address string, port int, host, sysText string, m *member) farm.Registration {
	r := farm.Registration{
		By: d.by, Key: key(address, port, host), Name: orText(host, address), Door: Name, Slots: 1, Lease: d.set.Lease, Silence: d.set.Lease,
		Machine: farm.Machine{Hostname: host, OS: systemOf(sysText).family(), Arch: "x86_64", Version: sysText,
			Renderers: []farm.Renderer{{Product: "blender", Version: d.set.Blender}}},
	}
	if m == nil {
		return r
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.kind == pull {
		r.Lease, r.Silence = d.set.PullLease, d.set.PullLease
	}
	r.Machine.Cores, r.Machine.Arch = m.cores, orText(m.arch, "x86_64")
	if m.version != "" {
		r.Machine.Renderers[0].Version = m.version
	}
	return r
}

// describe tells the farm anew what a worker is; it keeps its leases.
func (d *Door) describe(m *member) {
	r := d.registration(m.address, m.port, m.host, m.sysText, m)
	r.News = true
	err := d.insist("describe a worker", func(ctx context.Context) error { _, err := d.farm.Register(ctx, r); return err })
	if err != nil && d.ctx.Err() == nil {
		d.log.Warn("a worker cannot be described", "worker", m.id, "err", err)
	}
}

// find looks for the worker that a request comes from: by its address and, if it
// says it, its name.
func (d *Door) find(address, host string) *member {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best *member
	for _, m := range d.crew {
		if m.address != address || host != "" && m.host != host || m.kind == push && host == "" {
			continue
		}
		if best == nil || m.kind == pull && best.kind != pull || m.kind == best.kind && m.id > best.id {
			best = m
		}
	}
	return best
}

func (d *Door) member(id int64) *member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crew[id]
}

// dismiss forgets a worker that the farm does not know any more.
func (d *Door) dismiss(m *member) {
	d.mu.Lock()
	w := m.work
	if d.crew[m.id] == m {
		delete(d.crew, m.id)
		close(m.left)
	}
	d.mu.Unlock()
	if w != nil {
		d.release(w)
	}
}

// wakeAll lets every worker look for work anew.
func (d *Door) wakeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.crew {
		m.rouse()
	}
}

func (m *member) rouse() {
	select {
	case m.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// kindOf is how the worker gets its work, as far as is known.
func (d *Door) kindOf(m *member) kind {
	d.mu.Lock()
	defer d.mu.Unlock()
	return m.kind
}

// setKind notes how the worker gets its work; leases of the two kinds differ.
func (d *Door) setKind(m *member, k kind) {
	d.mu.Lock()
	old := m.kind
	m.kind = k
	d.mu.Unlock()
	if old != k && (old == pull || k == pull) {
		d.describe(m)
	}
}

// url is an address of the worker's own server.
func (m *member) url(path string) string {
	return fmt.Sprintf("http://%s%s", net.JoinHostPort(m.address, strconv.Itoa(m.port)), path)
}
