package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

// access is who may ask for a route. What it takes beyond that, such as owning
// the job, is the verb's affair.
type access string

const (
	open      access = "open"    // anybody at all: the login and what it is drawn with
	viewer    access = "viewer"  // who sees jobs: submitters, and everybody if an operator opened the farm to view
	everyone  access = "farm"    // any account, and everybody if an operator opened the farm to view
	signedIn  access = "account" // any account
	submitter access = access(farm.RoleSubmitter)
	operator  access = access(farm.RoleOperator)
	admin     access = access(farm.RoleAdmin)
)

// allows reports whether p may ask. anonymous is set for who is not signed in.
func (a access) allows(p farm.Principal, anonymous, opened bool) bool {
	switch {
	case a == open:
		return true
	case anonymous:
		return (a == viewer || a == everyone) && opened
	case a == signedIn, a == everyone:
		return true
	case a == viewer:
		return p.Is(farm.RoleSubmitter)
	}
	return p.Is(farm.Role(a))
}

// route is one address: a row of the table.
type route struct {
	method, path string // path below Prefix, in the patterns of http.ServeMux
	access       access
	run          func(v *visit) error
	plain        bool // not compressed: streams, files
}

// visit is one request on its way through a route.
type visit struct {
	*site
	w         http.ResponseWriter
	r         *http.Request
	by        farm.Principal
	anonymous bool
	token     string // of the session
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// mount puts the routes into the mux.
func (s *site) mount() {
	for i := range s.routes {
		rt := &s.routes[i]
		var h http.Handler = s.serve(rt)
		if !rt.plain {
			h = packed(h)
		}
		s.mux.Handle(rt.method+" "+Prefix+rt.path, h)
	}
	s.mux.Handle("GET "+Prefix+"static/", packed(http.StripPrefix(Prefix+"static/", s.assets)))
	s.mux.Handle(Prefix, packed(s.serve(&route{access: open, run: func(*visit) error {
		return farm.Errorf(farm.NotFound, "there is no page at this address")
	}})))
}

// serve is what every request goes through: where it comes from, who asks,
// whether they may, the page.
func (s *site) serve(rt *route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{site: s, w: w, r: r}
		if r.ContentLength != 0 { // uploads move it on as they come
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.Idle))
		}
		v.identify()
		if err := v.admit(rt); err != nil {
			v.fail(err)
			return
		}
		if err := rt.run(v); err != nil {
			v.fail(err)
		}
	}
}

// admit refuses what may not be asked.
func (v *visit) admit(rt *route) error {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead && !sameOrigin(v.r) {
		return farm.Errorf(farm.Forbidden, "this request did not come from a page of this farm; open the page again and repeat what you did")
	}
	if rt.access.allows(v.by, v.anonymous, v.opened()) {
		return nil
	}
	if v.anonymous {
		return errSignIn
	}
	if rt.access == viewer {
		return farm.Errorf(farm.Forbidden, "this page takes the role submitter; your account %s does not have it", v.by.Login)
	}
	return farm.Errorf(farm.Forbidden, "this takes the role %s; your account %s does not have it", rt.access, v.by.Login)
}

// errSignIn sends to the login.
var errSignIn = farm.Errorf(farm.Unauthorized, "sign in to see this page")

// sameOrigin reports whether a request comes from a page of this very origin, by
// what browsers say of it: Sec-Fetch-Site where there is one, else Origin
// against the host that was asked. A request that says neither is not trusted.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	o, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && o.Host != "" && (o.Host == r.Host || o.Host == r.URL.Host)
}

// partial reports whether htmx asks for a part of a page.
func (v *visit) partial() bool { return v.r.Header.Get("HX-Request") == "true" }

// fail answers with an error.
func (v *visit) fail(err error) {
	status, code, text := tell(err)
	if code == farm.Internal {
		if errors.Is(err, context.Canceled) && v.ctx().Err() != nil {
			return // nobody is there to be answered
		}
		v.Log.Error("a page failed", "method", v.r.Method, "path", v.r.URL.Path, "err", err)
	}
	if code == farm.Unauthorized && v.r.Method == http.MethodGet && !v.partial() && strings.Contains(v.r.Header.Get("Accept"), "text/html") {
		v.redirect("/ui/login?next=" + url.QueryEscape(v.r.URL.RequestURI()))
		return
	}
	if code == farm.Unavailable {
		v.w.Header().Set("Retry-After", "2")
	}
	if v.partial() {
		// The message lands in the page's own line for messages; see drover.js.
		v.w.Header().Set("HX-Retarget", "#flash")
		v.w.Header().Set("HX-Reswap", "innerHTML")
		v.render(status, "flash", flash{Bad: true, Text: sentence(text)})
		return
	}
	v.page(status, "error", "", title(code), errorPage{Status: status, Text: sentence(text), SignIn: code == farm.Unauthorized})
}

type errorPage struct {
	Status int
	Text   string
	SignIn bool
}

func title(c farm.Code) string {
	switch c {
	case farm.NotFound:
		return "Not here"
	case farm.Forbidden, farm.Unauthorized:
		return "Not allowed"
	case farm.Unavailable:
		return "Not now"
	case farm.Internal:
		return "Something broke"
	}
	return "That did not work"
}

// sentence makes a message of the farm a sentence on a page.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// redirect sends the browser on with a GET; htmx too.
func (v *visit) redirect(to string) {
	if v.partial() {
		v.w.Header().Set("HX-Redirect", to)
		v.w.WriteHeader(http.StatusNoContent)
		return
	}
	v.w.Header().Set("Cache-Control", "no-store")
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// local makes of an address that came with a request one that leads nowhere
// else than to these pages.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, Prefix) || strings.ContainsAny(to, "\\\r\n") {
		return Prefix
	}
	return u.RequestURI()
}

// number reads a number of the path.
func (v *visit) number(name string) (int64, error) {
	s := v.r.PathValue(name)
	n, err := parseNumber(s)
	if err != nil {
		return 0, farm.Errorf(farm.NotFound, "there is no %s %q", name, clip(s, 50))
	}
	return n, nil
}

func parseNumber(s string) (int64, error) {
	var n int64
	if len(s) == 0 || len(s) > 18 {
		return 0, fmt.Errorf("no number")
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("no number")
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// clip shortens foreign text.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
