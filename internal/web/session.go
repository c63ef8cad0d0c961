package web

import (
	"net/http"
	"strings"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

const (
	sessionCookie = "drover_session"
	themeCookie   = "drover_theme"
	kindSession   = "session"
	kindKey       = farm.KindKey
)

// identify finds out who asks. A session that has ended counts as none.
func (v *visit) identify() {
	v.anonymous = true
	c, err := v.r.Cookie(sessionCookie)
	if err != nil || !secret.Looks(c.Value) {
		return
	}
	p, t, err := v.Farm.Credential(c.Value)
	if err != nil || t.Kind != kindSession {
		return
	}
	v.by, v.anonymous, v.token = p, false, c.Value
}

// opened reports whether an operator opened the farm for everybody to view.
func (s *site) opened() bool { return s.Farm.Value(farm.ValuePublic) == "on" }

// secure reports whether the farm is reached over TLS.
func secure(r *http.Request) bool { return r.URL.Scheme == "https" || r.TLS != nil }

func (v *visit) cookie(name, value string, age int, hidden bool) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: Prefix, MaxAge: age, HttpOnly: hidden, SameSite: http.SameSiteLaxMode, Secure: secure(v.r),
	})
}

type loginPage struct {
	Login, Next, Error string
	Fresh              bool // no account has a password yet
}

func (v *visit) login() error {
	if !v.anonymous {
		v.redirect(local(v.r.URL.Query().Get("next")))
		return nil
	}
	v.page(http.StatusOK, "login", "", "Sign in", loginPage{Next: local(v.r.URL.Query().Get("next")), Fresh: v.noPasswords()})
	return nil
}

// noPasswords reports whether nobody could sign in with a password yet.
func (s *site) noPasswords() bool {
	for _, u := range s.Farm.AccountList() {
		if u.Password != "" {
			return false
		}
	}
	return true
}

// signIn checks a login with its password, or with a token in its place: the
// account that a new farm has knows only that.
func (v *visit) signIn() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	p := loginPage{Login: strings.TrimSpace(v.r.PostForm.Get("login")), Next: local(v.r.PostForm.Get("next")), Fresh: v.noPasswords()}
	refuse := func(status int, text string) error {
		p.Error = text
		v.page(status, "login", "", "Sign in", p)
		return nil
	}
	// An attempt is paid for before the password is looked at, so that many at
	// once cannot slip through, and given back when it was right.
	address := lockout.Address(v.r)
	if wait, ok := v.Fails.Fail(address); !ok {
		v.w.Header().Set("Retry-After", seconds(wait))
		return refuse(http.StatusTooManyRequests, "Too many failed attempts came from your address. Try again in "+duration(wait)+".")
	}
	login, ok, err := v.check(p.Login, secret.Text(v.r.PostForm.Get("password")))
	if err != nil {
		return err
	}
	if !ok {
		v.Log.Info("a login was refused", "client", address, "login", clip(p.Login, 64))
		return refuse(http.StatusUnauthorized, "That login and password do not fit together.")
	}
	v.Fails.Refund(address)
	v.endSession() // of who was signed in here before
	if err := v.begin(login); err != nil {
		return err
	}
	v.redirect(p.Next)
	return nil
}

// check finds the account that a login and a password, or token, belong to.
func (v *visit) check(login string, password secret.Text) (string, bool, error) {
	if secret.Looks(strings.TrimSpace(password.Reveal())) {
		p, t, err := v.Farm.Credential(strings.TrimSpace(password.Reveal()))
		ok := err == nil && t.Kind == "token" && (login == "" || login == p.Login)
		return p.Login, ok, nil
	}
	u, _ := v.Farm.Account(login) // an unknown one has no hash, which takes as long to refuse
	ok, err := v.hasher.Verify(v.ctx(), u.Password, password)
	return login, ok, err
}

func (v *visit) endSession() {
	if v.token == "" {
		return
	}
	if err := v.Farm.DropToken(v.ctx(), secret.Hash(secret.Text(v.token))); err != nil {
		v.Log.Warn("a session could not be ended", "login", v.by.Login, "err", err)
	}
}

func (v *visit) signOut() error {
	if err := v.Farm.DropToken(v.ctx(), secret.Hash(secret.Text(v.token))); err != nil {
		return err
	}
	v.cookie(sessionCookie, "", -1, true)
	v.redirect(Prefix + "login")
	return nil
}

// form reads a posted form of at most so many bytes.
func (v *visit) form(most int64) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	if err := v.r.ParseForm(); err != nil {
		return farm.Errorf(farm.Invalid, "the form could not be read: it is too long, or was cut off")
	}
	// Left in place the body's deadline would later count as the client's going
	// away.
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Time{})
	return nil
}

// setTheme remembers how pages look: light, dark, or as the system does.
func (v *visit) setTheme() error {
	if err := v.form(4 << 10); err != nil {
		return err
	}
	switch t := v.r.PostForm.Get("theme"); t {
	case "light", "dark":
		v.cookie(themeCookie, t, 365*24*3600, false)
	default:
		v.cookie(themeCookie, "", -1, false)
	}
	v.redirect(local(v.r.PostForm.Get("next")))
	return nil
}

// theme is "light", "dark", or "" for the system's.
func theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}
