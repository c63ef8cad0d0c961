// Package gate listens for doors whose protocol knows no authentication: on
// loopback unless told otherwise, and for the networks that an operator lists.
// It looks only at addresses; what is spoken behind it is the door's.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// ErrOpen is the error of a listener that would be open to the network without
// a list of who may come.
var ErrOpen = errors.New("a door without authentication would be open to the whole network")

// Listen listens for TCP connections on addr: HOST:PORT, or :PORT or PORT for
// loopback alone. Connections from loopback and from the networks in allow are
// accepted, all others are closed at once, and log is told now and then.
// An address beyond loopback takes an allow-list, or Listen fails with ErrOpen;
// allow 0.0.0.0/0 and ::/0 to say that everybody may come.
func Listen(ctx context.Context, addr string, allow []netip.Prefix, log *slog.Logger) (net.Listener, error) {
	if !strings.Contains(addr, ":") {
		addr = ":" + addr
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to listen on: it is HOST:PORT, or a port alone for this machine only", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", net.JoinHostPort(host, port), err)
	}
	if !address(l.Addr()).IsLoopback() && len(allow) == 0 {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w; say which networks may come", net.JoinHostPort(host, port), ErrOpen)
	}
	return &listener{Listener: l, allow: allow, log: log, tell: rate.Sometimes{First: 3, Interval: time.Minute}}, nil
}

type listener struct {
	net.Listener
	allow []netip.Prefix
	log   *slog.Logger
	tell  rate.Sometimes
}

// Accept waits for the next connection from where connections may come.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := address(c.RemoteAddr())
		if Allowed(from, l.allow) {
			return c, nil
		}
		c.Close()
		l.tell.Do(func() {
			l.log.Warn("a connection from outside the allowed networks was closed", "from", from, "listener", l.Addr())
		})
	}
}

// Allowed reports whether a client at the address may come: loopback and the
// networks listed. IPv4 written as IPv6 counts as IPv4.
func Allowed(from netip.Addr, allow []netip.Prefix) bool {
	from = from.Unmap().WithZone("")
	if from.IsLoopback() {
		return true
	}
	for _, p := range allow {
		if p.Masked().Contains(from) {
			return true
		}
	}
	return false
}

// address is the IP address of a TCP address; the zero Addr, which nothing
// contains, for anything else.
func address(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
