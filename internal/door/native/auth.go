package native

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"drover.farm/internal/farm"
)

// access is who may use a route. What it takes beyond that, such as owning the
// job, is the verb's affair.
type access string

const (
	public    access = "public"
	anybody   access = "any account"
	renderer  access = access(farm.RoleRenderer)
	submitter access = access(farm.RoleSubmitter)
	operator  access = access(farm.RoleOperator)
	admin     access = access(farm.RoleAdmin)
)

// allows reports whether p may use a route.
func (a access) allows(p farm.Principal) bool {
	return a == public || a == anybody || p.Is(farm.Role(a))
}

type principalKey struct{}

// loginOf is who makes a request that went through authenticate.
func loginOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(farm.Principal)
	return p.Login
}

// authenticate finds out who asks. It never holds up a valid token: only
// failures are counted.
func (d *door) authenticate(r *http.Request) (farm.Principal, error) {
	token, given := bearer(r.Header.Get("Authorization"))
	var err error = farm.Errorf(farm.Unauthorized, "this takes a token: send it as \"Authorization: Bearer TOKEN\"")
	if given {
		var p farm.Principal
		if p, err = d.Farm.Authenticate(token); err == nil {
			return p, nil
		}
	}
	address := addressOf(r)
	if given {
		d.Log.Info("a token was refused", "client", address)
	}
	if wait, ok := d.fails.allow(address); !ok {
		return farm.Principal{}, &fault{status: http.StatusTooManyRequests, code: farm.Unauthorized, wait: wait,
			detail: "too many attempts without a valid token came from your address; try again later, with a valid one"}
	}
	return farm.Principal{}, err
}

// bearer reads the token out of an Authorization header (RFC 6750, 2.1).
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// addressOf is what counts as one client: an address, of IPv6 the network of 64
// bits that one household has.
func addressOf(r *http.Request) netip.Prefix {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails on lengths out of range only
	return p
}

// failures counts failed attempts by address. Addresses longest without one are
// forgotten first.
type failures struct {
	burst int
	every rate.Limit
	by    *lru.Cache[netip.Prefix, *rate.Limiter]
}

const maxAddresses = 16 << 10

func newFailures(burst int, every time.Duration) *failures {
	by, _ := lru.New[netip.Prefix, *rate.Limiter](maxAddresses) // fails on a size below 1 only
	return &failures{burst: burst, every: rate.Every(every), by: by}
}

// allow counts a failure and reports whether there were not too many; if there
// were, when the next is let through.
func (f *failures) allow(a netip.Prefix) (time.Duration, bool) {
	l, ok := f.by.Get(a)
	if !ok {
		l = rate.NewLimiter(f.every, f.burst)
		if prev, had, _ := f.by.PeekOrAdd(a, l); had {
			l = prev
		}
	}
	r := l.Reserve()
	if d := r.Delay(); d > 0 {
		r.Cancel()
		return d, false
	}
	return 0, true
}
