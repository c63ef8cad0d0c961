package native

import (
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

// authenticate finds out who asks. It never holds up a valid token: only
// failures are counted.
func (d *door) authenticate(r *http.Request) (farm.Principal, error) {
	token, given := bearer(r.Header.Get("Authorization"))
	if !given {
		return farm.Principal{}, d.refuse(r, farm.Errorf(farm.Unauthorized, "this takes a token: send it as \"Authorization: Bearer TOKEN\""))
	}
	p, err := d.Farm.Authenticate(token)
	if err != nil {
		d.Log.Info("a token was refused", "client", lockout.Address(r))
		return farm.Principal{}, d.refuse(r, err)
	}
	return p, nil
}

// refuse counts a failure, and returns err, or what to say to an address that
// failed too often.
func (d *door) refuse(r *http.Request, err error) error {
	if wait, ok := d.Fails.Fail(lockout.Address(r)); !ok {
		return &fault{status: http.StatusTooManyRequests, code: farm.Unauthorized, wait: wait,
			detail: "too many attempts without a valid token came from your address; try again later, with a valid one"}
	}
	return err
}

// bearer reads the token out of an Authorization header (RFC 6750, 2.1).
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
