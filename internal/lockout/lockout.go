// Package lockout slows down those who guess credentials: it counts failures by
// address, or by account. Every way to log in shares one Counter, so that guessing through two
// of them gains nothing. It knows no accounts and never holds up who succeeds.
package lockout

import (
	"net/http"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// maxSources is how many sources are remembered; those longest without a failure
// are forgotten first.
const maxSources = 16 << 10

// Source is what failures are counted by: an Address or an Account.
type Source string

// Counter counts failures by source. It may be used by many goroutines.
type Counter struct {
	burst int
	every rate.Limit
	by    *lru.Cache[Source, *rate.Limiter]
}

// New makes a Counter that lets a source fail burst times at once, and once
// more each every.
func New(burst int, every time.Duration) *Counter {
	by, _ := lru.New[Source, *rate.Limiter](maxSources) // fails on a size below 1 only
	return &Counter{burst: burst, every: rate.Every(every), by: by}
}

func (c *Counter) limiter(a Source) *rate.Limiter {
	l, ok := c.by.Get(a)
	if !ok {
		l = rate.NewLimiter(c.every, c.burst)
		if prev, had, _ := c.by.PeekOrAdd(a, l); had {
			l = prev
		}
	}
	return l
}

// Fail counts a failure and reports whether there were not too many; if there
// were, when the next is let through.
func (c *Counter) Fail(a Source) (time.Duration, bool) {
	r := c.limiter(a).Reserve()
	if d := r.Delay(); d > 0 {
		r.Cancel()
		return d, false
	}
	return 0, true
}

// Refund takes a failure back that was counted before it was known to be one:
// who tries a password pays first, so that many tries at once cannot slip
// through, and gets it back when the password was right.
func (c *Counter) Refund(a Source) {
	l := c.limiter(a)
	now := time.Now()
	if l.TokensAt(now) < float64(c.burst) {
		l.ReserveN(now, -1)
	}
}

// Account is an account as a source, whether there is one of that name or not.
func Account(login string) Source { return Source("account " + login[:min(len(login), 64)]) }

// Address is what counts as one client: an address, of IPv6 the network of 64
// bits that one household has.
func Address(r *http.Request) Source {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Source("address unknown")
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails on lengths out of range only
	return Source("address " + p.String())
}
