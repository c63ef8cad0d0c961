package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// accountPage is one's own account.
type accountPage struct {
	Login    string
	Roles    []farm.Role
	Points   farm.Points
	Password bool // there is one
	Sessions []farm.Token
	Tokens   []farm.Token
	Keys     []farm.Token // of SheepIt clients
	Made     string       // a token that was just made; it is shown this once
}

func (v *visit) account() error { return v.showAccount("") }

func (v *visit) showAccount(made string) error {
	u, err := v.Farm.Account(v.by.Login)
	if err != nil {
		return err
	}
	p := accountPage{Login: u.Login, Roles: u.Roles, Password: u.Password != "", Made: made, Sessions: v.Farm.Tokens(u.Login, kindSession), Tokens: v.Farm.Tokens(u.Login, "token"), Keys: v.Farm.Tokens(u.Login, kindKey)}
	if p.Points, err = v.Farm.Balance(v.ctx(), u.Login); err != nil {
		return err
	}
	v.page(http.StatusOK, "account", "", "Your account", p)
	return nil
}

// setPassword changes one's own password. Whoever has one must know it; other
// sessions end.
func (v *visit) setPassword() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	u, err := v.Farm.Account(v.by.Login)
	if err != nil {
		return err
	}
	if u.Password != "" {
		address := lockout.Address(v.r)
		if wait, ok := v.Fails.Fail(address); !ok {
			v.w.Header().Set("Retry-After", seconds(wait))
			return farm.Errorf(farm.Unavailable, "too many wrong passwords came from your address; try again in %s", duration(wait))
		}
		ok, err := v.hasher.Verify(v.ctx(), u.Password, secret.Text(v.r.PostForm.Get("old")))
		if err != nil {
			return err
		}
		if !ok {
			return farm.Errorf(farm.Invalid, "the old password is not right")
		}
		v.Fails.Refund(address)
	}
	hash, err := v.hasher.Hash(v.ctx(), secret.Text(v.r.PostForm.Get("new")))
	if err != nil {
		return err
	}
	if err := v.Farm.ChangeUser(v.ctx(), v.by, v.by.Login, farm.UserChange{Password: &hash}); err != nil {
		return err
	}
	if _, err := v.Farm.RevokeTokens(v.ctx(), v.by, v.by.Login, kindSession); err != nil {
		return err
	}
	if err := v.begin(v.by.Login); err != nil {
		return err
	}
	v.back("/ui/account", "password")
	return nil
}

// begin begins a session of an account.
func (v *visit) begin(login string) error {
	token := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(token), Login: login, Kind: kindSession, Label: clip(v.r.UserAgent(), 150), Expires: v.Farm.Now().Add(v.Session)}
	if err := v.Farm.AddToken(v.ctx(), farm.Principal{Login: login}, t); err != nil {
		return err
	}
	v.cookie(sessionCookie, token.Reveal(), int(v.Session.Seconds()), true)
	return nil
}

func (v *visit) makeToken() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	token := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(token), Login: v.by.Login, Kind: "token", Label: clip(strings.TrimSpace(v.r.PostForm.Get("label")), 150)}
	if err := v.Farm.AddToken(v.ctx(), v.by, t); err != nil {
		return err
	}
	return v.showAccount(token.Reveal())
}

func (v *visit) revoke() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	kind := v.r.PostForm.Get("kind")
	if kind != "token" && kind != kindSession && kind != kindKey {
		return farm.Errorf(farm.Invalid, "tokens, sessions or keys can be revoked")
	}
	if _, err := v.Farm.RevokeTokens(v.ctx(), v.by, v.by.Login, kind); err != nil {
		return err
	}
	v.back("/ui/account", "revoked")
	return nil
}

type usersPage struct {
	Users []userRow
	All   []farm.Role
}

type userRow struct {
	farm.User
	Points farm.Points
	Own    bool
}

// Has reports whether the account has a role.
func (u userRow) Has(r farm.Role) bool { return slices.Contains(u.Roles, r) }

func (v *visit) users() error {
	p := usersPage{All: farm.Roles}
	for _, u := range v.Farm.AccountList() {
		n, err := v.Farm.Balance(v.ctx(), u.Login)
		if err != nil {
			return err
		}
		p.Users = append(p.Users, userRow{u, n, u.Login == v.by.Login})
	}
	v.page(http.StatusOK, "users", "users", "Users", p)
	return nil
}

func (v *visit) addUser() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	u := farm.User{Login: strings.TrimSpace(v.r.PostForm.Get("login")), Roles: roleList(v.r.PostForm["role"])}
	var err error
	if u.Password, err = v.hasher.Hash(v.ctx(), secret.Text(v.r.PostForm.Get("password"))); err != nil {
		return err
	}
	if err := v.Farm.AddUser(v.ctx(), v.by, u); err != nil {
		return err
	}
	v.back("/ui/users", "added")
	return nil
}

func roleList(names []string) []farm.Role {
	out := make([]farm.Role, len(names))
	for i, n := range names {
		out[i] = farm.Role(n)
	}
	return out
}

// changeUser changes an account's roles and, if one is given, its password.
func (v *visit) changeUser() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	login := v.r.PathValue("login")
	if v.r.PostForm.Get("do") == "remove" {
		if err := v.Farm.RemoveUser(v.ctx(), v.by, login); err != nil {
			return err
		}
		v.back("/ui/users", "removed")
		return nil
	}
	roles := roleList(v.r.PostForm["role"])
	c := farm.UserChange{Roles: &roles}
	if s := v.r.PostForm.Get("password"); s != "" {
		hash, err := v.hasher.Hash(v.ctx(), secret.Text(s))
		if err != nil {
			return err
		}
		c.Password = &hash
	}
	if login == v.by.Login && !slices.Contains(roles, farm.RoleAdmin) {
		return farm.Errorf(farm.Conflict, "you cannot take the role admin from yourself")
	}
	if err := v.Farm.ChangeUser(v.ctx(), v.by, login, c); err != nil {
		return err
	}
	v.back("/ui/users", "saved")
	return nil
}

// addWorkerPage says how to add a machine.
type addWorkerPage struct {
	Server   string
	Token    string // a one-time token that was just made
	Login    string
	Key      string // a key for a SheepIt client that was just made
	Until    time.Duration
	May      bool
	Flamenco *Door // nil while that door is closed
}

// joinTime is how long a one-time token can be used.
const joinTime = time.Hour

func (v *visit) addWorkerPage() error { return v.showAddWorker("", "") }

func (v *visit) showAddWorker(token, key string) error {
	host := v.r.URL.Scheme + "://" + v.r.URL.Host
	if v.r.URL.Host == "" {
		host = "http://" + v.r.Host
	}
	v.page(http.StatusOK, "addworker", "workers", "Add a worker", addWorkerPage{
		Server: host, Token: token, Login: v.by.Login, Key: key, Until: joinTime, May: v.by.Is(farm.RoleRenderer), Flamenco: v.door("flamenco"),
	})
	return nil
}

func (v *visit) makeJoin() error {
	if !v.by.Is(farm.RoleRenderer) {
		return farm.Errorf(farm.Forbidden, "lending machines takes the role renderer; your account %s does not have it", v.by.Login)
	}
	if err := v.form(4 << 10); err != nil {
		return err
	}
	token := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(token), Login: v.by.Login, Kind: farm.KindJoin, Label: "Add a worker", Expires: v.Farm.Now().Add(joinTime)}
	sheepit := v.r.PostForm.Get("for") == "sheepit"
	if sheepit {
		t.Kind, t.Label, t.Expires = kindKey, "SheepIt client", time.Time{}
	}
	if err := v.Farm.AddToken(v.ctx(), v.by, t); err != nil {
		return err
	}
	if sheepit {
		return v.showAddWorker("", token.Reveal())
	}
	return v.showAddWorker(token.Reveal(), "")
}

// changeWorker enables, disables, tags or removes a worker.
func (v *visit) changeWorker() error {
	id, err := v.number("worker")
	if err != nil {
		return err
	}
	if err := v.form(64 << 10); err != nil {
		return err
	}
	c, said := farm.WorkerChange{}, "saved"
	switch do := v.r.PostForm.Get("do"); do {
	case "enable", "disable":
		on := do == "enable"
		c.Enabled, c.Reason, said = &on, clip(strings.TrimSpace(v.r.PostForm.Get("reason")), 500), do+"d"
	case "tags":
		tags := strings.FieldsFunc(v.r.PostForm.Get("tags"), func(r rune) bool { return r == ',' || r == ' ' })
		c.Tags = &tags
	case "remove":
		if err := v.Farm.RemoveWorker(v.ctx(), v.by, id); err != nil {
			return err
		}
		v.back("/ui/workers", "removed")
		return nil
	default:
		return farm.Errorf(farm.Invalid, "a worker cannot be told to %q", clip(do, 30))
	}
	if _, err := v.Farm.ChangeWorker(v.ctx(), v.by, id, c); err != nil {
		return err
	}
	v.back("/ui/workers/"+itoa(id), said)
	return nil
}
