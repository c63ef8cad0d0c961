package rayserver

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/simulation"
)

func TestEndlessLine(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	c := r.raw()
	c.hear()
	part := []byte(strings.Repeat("x", 1<<16))
	for range 64 {
		if _, err := c.Write(part); err != nil {
			break // it has hung up
		}
	}
	// The answer may be lost as unread bytes reset the connection.
	if got := c.hear(); got != "" && !strings.Contains(got, "longer than 65536 bytes") {
		t.Errorf("it answered %s", got)
	}
	if _, err := r.dial().Do(Request{Verb: "list"}); err != nil {
		t.Errorf("others are hurt: %v", err)
	}
}

func TestLongestLineIsTaken(t *testing.T) {
	t.Parallel()
	c := serve(t, nil).dial()
	base := len(encode(Request{ID: 2, Verb: "info", Job: "x"})) - 1
	if _, err := c.Do(Request{Verb: "info", Job: strings.Repeat("x", 1000)}); err != nil {
		t.Error(err)
	}
	if _, err := c.Do(Request{Verb: "nothing", Job: strings.Repeat("x", maxLine-base-10)}); codeOf(err) != codeBadRequest {
		t.Errorf("a line of the largest size: %v", err)
	}
}

func TestSlowSender(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.LineTime = 50 * time.Millisecond })
	c := r.raw()
	c.hear()
	if _, err := c.Write([]byte(`{"id":1,`)); err != nil {
		t.Fatal(err)
	}
	if got := c.hear(); !strings.Contains(got, "too long") || c.hear() != "" {
		t.Errorf("it answered %s", got)
	}
}

func TestSilentClients(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.AuthTime, c.IdleTime = 50*time.Millisecond, 60*time.Millisecond })
	c := r.raw()
	c.hear()
	if got := c.hear(); !strings.Contains(got, "too long") || c.hear() != "" {
		t.Errorf("without a key: %s", got)
	}
	known := r.dial()
	if _, err := known.next(time.Minute); codeOf(err) != codeBusy {
		t.Errorf("with a key: %v", err)
	}
}

// TestAThousandIdleConnections: most are turned away at once, the others when
// their time for a key is over; then a client comes through.
func TestAThousandIdleConnections(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.AuthTime = 300 * time.Millisecond })
	conns := make([]*raw, 1000)
	for i := range conns {
		conns[i] = r.raw()
	}
	greeted, refused := 0, 0
	for _, c := range conns {
		switch got := c.hear(); {
		case strings.Contains(got, `"rayserver":1`):
			greeted++
		case strings.Contains(got, codeBusy) || got == "":
			refused++
		default:
			t.Errorf("it said %q", got)
		}
	}
	if greeted < 50 || greeted+refused != 1000 {
		t.Errorf("%d were greeted, %d refused", greeted, refused)
	}
	for _, c := range conns {
		for c.hear() != "" {
		}
	}
	if _, err := r.dial().Do(Request{Verb: "list"}); err != nil {
		t.Errorf("after them: %v", err)
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")} })
	if _, err := r.dial().Do(Request{Verb: "list"}); err != nil {
		t.Errorf("loopback is always let in: %v", err)
	}
	s := &server{cfg: Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, places: make(chan struct{}, 1)}
	a, b := net.Pipe() // an address that is none
	defer b.Close()
	s.admit(t.Context(), a)
	if _, err := b.Read(make([]byte, 1)); err == nil || len(s.places) != 0 {
		t.Error("a client from elsewhere is served")
	}
}

// TestPanicEndsTheServer: whoever runs it starts it anew, as the manual says.
func TestPanicEndsTheServer(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	r.jobs.panic = "a bug"
	if _, err := r.dial().Do(Request{Verb: "list"}); err == nil {
		t.Error("a bug is answered")
	}
	if err := <-r.err; err == nil || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("the server ended with %v", err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	c := r.dial()
	go func() {
		for _, s := range []simulation.State{simulation.Scheduled, simulation.Running, simulation.Finished} {
			j := job("room_v1")
			j.State = s
			r.jobs.tell <- j
		}
	}()
	var seen []string
	err := c.Watch("room_v1", func(j Job) bool { seen = append(seen, j.State); return j.Live() })
	if err != nil || strings.Join(seen, " ") != "scheduled running finished" {
		t.Errorf("saw %q, %v", seen, err)
	}
	c.Close() // the server must let go of it; goleak would see
	r.jobs.fault = &simulation.Fault{Kind: simulation.NotFound, Message: "no such job"}
	if err := r.dial().Watch("other", nil); codeOf(err) != "not-found" {
		t.Errorf("a job that is not there: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pool := selfSigned(t)
	r := serve(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	c, err := Dial(t.Context(), DialOptions{Address: r.addr, Key: anna, Within: time.Minute, TLS: &tls.Config{RootCAs: pool, ServerName: "sirius"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do(Request{Verb: "list"}); err != nil {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), DialOptions{Address: r.addr, Key: anna, Within: time.Minute, TLS: &tls.Config{ServerName: "sirius"}}); err == nil {
		t.Error("a certificate that nobody vouches for is taken")
	}
}
