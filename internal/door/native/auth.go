package native

import (
	"context"
	"net/http"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
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
	address := lockout.Address(r)
	if given {
		d.Log.Info("a token was refused", "client", address)
	}
	if wait, ok := d.Fails.Fail(address); !ok {
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
