package native

import (
	"context"
	"encoding/hex"
	"net/http"
	"unicode/utf8"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

func roles(names []string) []farm.Role {
	out := make([]farm.Role, len(names))
	for i, n := range names {
		out[i] = farm.Role(n)
	}
	return out
}

func (d *door) users(context.Context, *call) (api.UserList, error) {
	out := api.UserList{Users: []api.User{}}
	for _, u := range d.Farm.AccountList() {
		out.Users = append(out.Users, *userView(u))
	}
	return out, nil
}

func (d *door) addUser(ctx context.Context, c *call, in api.NewUser) (*api.User, error) {
	u := farm.User{Login: in.Login, Roles: roles(in.Roles), Weight: in.Weight}
	if in.Weight < 0 {
		return nil, farm.Errorf(farm.Invalid, "the weight %g is negative", in.Weight)
	}
	if in.Password != "" {
		var err error
		if u.Password, err = d.hasher.Hash(ctx, secret.Text(in.Password)); err != nil {
			return nil, err
		}
	}
	if err := d.Farm.AddUser(ctx, c.by, u); err != nil {
		return nil, err
	}
	c.w.Header().Set("Location", d.PublicPath+"/users/"+in.Login)
	return d.account(in.Login)
}

func (d *door) account(login string) (*api.User, error) {
	u, err := d.Farm.Account(login)
	if err != nil {
		return nil, err
	}
	return userView(u), nil
}

func (d *door) me(_ context.Context, c *call) (*api.User, error) { return d.account(c.by.Login) }

func (d *door) user(_ context.Context, c *call) (*api.User, error) {
	login := c.r.PathValue("login")
	if login != c.by.Login && !c.by.Is(farm.RoleAdmin) {
		return nil, farm.Errorf(farm.Forbidden, "other accounts take the role admin")
	}
	return d.account(login)
}

func (d *door) patchUser(ctx context.Context, c *call, in api.UserPatch) (*api.User, error) {
	login := c.r.PathValue("login")
	ch := farm.UserChange{Weight: in.Weight}
	if in.Weight != nil && *in.Weight <= 0 {
		return nil, farm.Errorf(farm.Invalid, "the weight %g is not above 0", *in.Weight)
	}
	if in.Roles != nil {
		rs := roles(*in.Roles)
		ch.Roles = &rs
	}
	if in.Password != nil {
		if login != c.by.Login && !c.by.Is(farm.RoleAdmin) {
			return nil, farm.Errorf(farm.Forbidden, "other accounts take the role admin") // before the work of hashing
		}
		hash, err := d.hasher.Hash(ctx, secret.Text(*in.Password))
		if err != nil {
			return nil, err
		}
		ch.Password = &hash
	}
	if ch.Roles == nil && ch.Password == nil && ch.Weight == nil {
		return nil, farm.Errorf(farm.Invalid, "there is nothing to change: one of the fields roles, password and weight is needed")
	}
	if err := d.Farm.ChangeUser(ctx, c.by, login, ch); err != nil {
		return nil, err
	}
	return d.account(login)
}

func (d *door) removeUser(ctx context.Context, c *call) (nothing, error) {
	return nothing{}, d.Farm.RemoveUser(ctx, c.by, c.r.PathValue("login"))
}

const (
	kindToken = "token"
	maxLabel  = 200
)

func (d *door) addToken(ctx context.Context, c *call, in api.NewToken) (*api.Token, error) {
	login := c.r.PathValue("login")
	if len(in.Label) > maxLabel || !utf8.ValidString(in.Label) {
		return nil, farm.Errorf(farm.Invalid, "the label of a token is text of at most %d bytes", maxLabel)
	}
	token := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(token), Login: login, Kind: kindToken, Label: in.Label}
	if in.Expires != nil {
		if t.Expires = *in.Expires; !t.Expires.After(d.Farm.Now()) {
			return nil, farm.Errorf(farm.Invalid, "the token would have expired already")
		}
	}
	if err := d.Farm.AddToken(ctx, c.by, t); err != nil {
		return nil, err
	}
	return &api.Token{Login: login, Token: token.Reveal()}, nil
}

func (d *door) revokeTokens(ctx context.Context, c *call) (api.Revoked, error) {
	kind, err := c.get("kind")
	if err != nil {
		return api.Revoked{}, err
	}
	switch kind {
	case "", kindToken, "publickey", "session":
	default:
		return api.Revoked{}, farm.Errorf(farm.Invalid, "the kind %q is not known; there are token, publickey and session", clip(kind, 50))
	}
	n, err := d.Farm.RevokeTokens(ctx, c.by, c.r.PathValue("login"), kind)
	return api.Revoked{Tokens: n}, err
}

// join lets a machine in that knows a one-time token. Wrong ones count as failed
// logins.
func (d *door) join(ctx context.Context, c *call, in api.Join) (*api.User, error) {
	var hash [32]byte
	if n, err := hex.Decode(hash[:], []byte(in.SHA256[:min(64, len(in.SHA256))])); err != nil || n != len(hash) || len(in.SHA256) != 64 {
		return nil, farm.Errorf(farm.Invalid, "sha256 is not the SHA-256 of a token: 64 hexadecimal digits")
	}
	p, err := d.Farm.Join(ctx, in.Once, hash, in.Label)
	if farm.CodeOf(err) == farm.Unauthorized {
		if wait, ok := d.Fails.Fail(lockout.Address(c.r)); !ok {
			return nil, &fault{status: http.StatusTooManyRequests, code: farm.Unauthorized, wait: wait,
				detail: "too many attempts without a valid token came from your address; try again later, with a valid one"}
		}
	}
	if err != nil {
		return nil, err
	}
	return d.account(p.Login)
}
