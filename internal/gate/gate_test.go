package gate

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestWhoMayCome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from  string
		allow []netip.Prefix
		want  bool
	}{
		{"127.0.0.1", nil, true},
		{"127.9.9.9", prefixes("10.0.0.0/8"), true},
		{"::1", nil, true},
		{"::ffff:127.0.0.1", nil, true},
		{"10.0.0.1", nil, false},
		{"10.0.0.1", prefixes("10.0.0.0/8"), true},
		{"10.0.0.1", prefixes("10.7.0.1/8"), true},
		{"::ffff:10.0.0.1", prefixes("10.0.0.0/8"), true},
		{"11.0.0.1", prefixes("10.0.0.0/8", "192.168.0.0/16"), false},
		{"fe80::1%eth0", prefixes("fe80::/10"), true},
		{"2001:db8::1", prefixes("0.0.0.0/0"), false},
		{"2001:db8::1", prefixes("0.0.0.0/0", "::/0"), true},
	} {
		if got := Allowed(netip.MustParseAddr(c.from), c.allow); got != c.want {
			t.Errorf("from %s with %v: %v, want %v", c.from, c.allow, got, c.want)
		}
	}
	if Allowed(netip.Addr{}, prefixes("0.0.0.0/0", "::/0")) {
		t.Error("an unknown address was let in")
	}
}

func TestAddressesToListenOn(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for _, addr := range []string{"0", ":0", "127.0.0.1:0", "localhost:0"} {
		l, err := Listen(t.Context(), addr, nil, log)
		if err != nil {
			t.Errorf("%q: %v", addr, err)
			continue
		}
		if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
			t.Errorf("%q listens on %v, not on loopback", addr, ip)
		}
		l.Close()
	}
	if _, err := Listen(t.Context(), "0.0.0.0:0", nil, log); !errors.Is(err, ErrOpen) {
		t.Errorf("open to everybody without a list: %v", err)
	}
	if l, err := Listen(t.Context(), "0.0.0.0:0", prefixes("10.0.0.0/8"), log); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
	for _, addr := range []string{"no port", "127.0.0.1:notaport", "a:b:c"} {
		if _, err := Listen(t.Context(), addr, nil, log); err == nil {
			t.Errorf("%q was taken", addr)
		}
	}
}

// foreign makes each connection look as if it came from one address.
type foreign struct {
	net.Listener
	from string
}

type foreignConn struct {
	net.Conn
	from net.Addr
}

func (c foreignConn) RemoteAddr() net.Addr { return c.from }

func (f *foreign) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from, err := net.ResolveTCPAddr("tcp", f.from)
	if f.from = "127.0.0.1:9"; err != nil { // the next one is from here
		return nil, err
	}
	return foreignConn{c, from}, nil
}

func TestOthersAreClosedAndNamed(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	inner, err := Listen(t.Context(), "0", nil, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := inner.(*listener)
	l.Listener = &foreign{Listener: l.Listener, from: "203.0.113.7:4711"}

	refused, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	welcome, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer welcome.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, want := c.RemoteAddr().String(), "127.0.0.1:9"; got != want {
		t.Errorf("accepted a connection from %s, want %s", got, want)
	}
	if n, err := refused.Read(make([]byte, 1)); err == nil {
		t.Errorf("the refused connection was sent %d bytes", n)
	}
	if !strings.Contains(said.String(), "203.0.113.7") {
		t.Errorf("the log does not name who was refused: %s", said.String())
	}
}
