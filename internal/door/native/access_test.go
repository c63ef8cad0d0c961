package native

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
)

// TestAccessByRole asks every route as every kind of account. A route may go on
// to refuse what was asked; whether it lets the account in is told by its words.
func TestAccessByRole(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(1000, time.Second)})
	allowed := map[string][]string{
		"public":      {"", "root", "olga", "sam", "rick"},
		"any account": {"root", "olga", "sam", "rick"},
		"admin":       {"root"},
		"operator":    {"root", "olga"},
		"submitter":   {"root", "olga", "sam"},
		"renderer":    {"root", "rick"},
	}
	fill := strings.NewReplacer("{job}", "77", "{step}", "0", "{index}", "0", "{worker}", "77", "{build}", "77", "{lease}", "77", "{sha256}", strings.Repeat("0a", 32),
		"{login}", "nobody", "{name}", "amount.x", "{id}", strings.Repeat("0a", 16), "{$}", "")
	for i := range b.door.routes {
		rt := &b.door.routes[i]
		for _, who := range []string{"", "root", "olga", "sam", "rick"} {
			// Whoever is let in finds that the client has gone: nothing is held.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			req := httptest.NewRequestWithContext(ctx, rt.method, Prefix+fill.Replace(rt.path), strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			if who != "" {
				req.Header.Set("Authorization", "Bearer "+b.token[who])
			}
			w := httptest.NewRecorder()
			b.door.ServeHTTP(w, req)
			in := true
			switch {
			case w.Code == http.StatusUnauthorized:
				in = false
				if who != "" || w.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s as %q: %d %v", rt.method, rt.path, who, w.Code, w.Header())
				}
			case w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "this takes the role "+string(rt.access)):
				in = false
			}
			want := false
			for _, a := range allowed[wantAccess[rt.method+" "+strings.ReplaceAll(rt.path, "{$}", "")]] {
				want = want || a == who
			}
			if in != want {
				t.Errorf("%s %s as %q: let in %v, not %v (%d %s)", rt.method, rt.path, who, in, want, w.Code, w.Body)
			}
		}
	}
}

// TestOwnThings is what roles alone do not decide.
func TestOwnThings(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("1-3") // sam's job 1000
	w := b.worker("rick", "box")
	l := b.claim("rick", w)
	enabled := false
	off := api.WorkerPatch{Enabled: &enabled, Reason: "repair"}
	for _, c := range []struct {
		status            int
		who, method, path string
		body              any
	}{
		{403, "sue", post, "/jobs/1000/cancel", nil},
		{403, "sue", pat, "/jobs/1000", map[string]int{"priority": 1}},
		{403, "sue", del, "/jobs/1000", nil},
		{403, "sue", post, "/jobs", api.Submission{Template: template("1", "A"), Owner: "sam"}},
		{201, "olga", post, "/jobs", api.Submission{Template: template("1", "A"), Owner: "sam"}},
		{200, "olga", post, "/jobs/1001/cancel", nil},
		{403, "rosa", get, "/workers/1", nil},
		{403, "rosa", pat, "/workers/1", off},
		{403, "sam", pat, "/workers/1", off},
		{403, "rosa", del, "/workers/1", nil},
		{403, "rosa", post, "/workers/1/claim", nil},
		{403, "rosa", post, "/workers/1/heartbeat", api.Pulse{}},
		{403, "rosa", post, "/workers/1/return", api.GiveBack{Leases: []int64{l.ID}}},
		{403, "rosa", post, "/workers/1/signoff", nil},
		{403, "rosa", get, leasePath(l.ID, "/work?worker=1"), nil},
		{403, "rosa", put, leasePath(l.ID, "/log?worker=1"), strings.NewReader("x")},
		{403, "rosa", post, leasePath(l.ID, "/complete"), result(w, l)},
		{200, "rick", get, "/workers/1", nil},
		{200, "rick", pat, "/workers/1", off},
		{200, "sam", get, "/workers/1", nil},
		{403, "sam", get, "/users/sue", nil},
		{200, "sam", get, "/users/sam", nil},
		{403, "sam", get, "/users/sue/ledger", nil},
		{200, "sam", get, "/users/sam/ledger", nil},
		{403, "sue", get, "/jobs/1000/ledger", nil},
		{200, "sam", get, "/jobs/1000/ledger", nil},
		{403, "rosa", get, "/workers/1/history", nil},
		{200, "rick", get, "/workers/1/history", nil},
		{403, "olga", post, "/users/sam/grants", api.Grant{Points: 5}},
		{400, "root", post, "/users/sam/grants", api.Grant{}},
		{404, "root", post, "/users/nobody/grants", api.Grant{Points: 5}},
		{200, "root", post, "/users/sam/grants", api.Grant{Points: 5}},
		{403, "sam", pat, "/users/sue", map[string]string{"password": "long enough"}},
		{403, "sam", pat, "/users/sam", map[string][]string{"roles": {"admin"}}},
		{403, "sam", post, "/users/root/tokens", nil},
		{403, "sam", del, "/users/root/tokens", nil},
		{201, "sam", post, "/users/sam/tokens", nil},
	} {
		if a := b.send(c.who, c.method, c.path, c.body); a.status != c.status {
			t.Errorf("%s %s as %s: %d, not %d: %s", c.method, c.path, c.who, a.status, c.status, a.body)
		}
	}
	if ws := call1[api.WorkerList](b, 200, "rosa", get, "/workers", nil); len(ws.Workers) != 0 {
		t.Errorf("rosa sees %+v", ws)
	}
	if ws := call1[api.WorkerList](b, 200, "rick", get, "/workers", nil); len(ws.Workers) != 1 || ws.Workers[0].State != "rendering" {
		t.Errorf("rick sees %+v", ws)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	tok := call1[api.Token](b, 201, "sam", post, "/users/sam/tokens", api.NewToken{Label: "laptop"})
	if !strings.HasPrefix(tok.Token, "drv_") || tok.Login != "sam" {
		t.Errorf("%+v", tok)
	}
	b.token["laptop"] = tok.Token
	if u := call1[api.User](b, 200, "laptop", get, "/account", nil); u.Login != "sam" {
		t.Errorf("%+v", u)
	}
	b.problem(400, "invalid", "sam", post, "/users/sam/tokens", map[string]any{"expires": start})
	b.problem(400, "invalid", "sam", post, "/users/sam/tokens", api.NewToken{Label: strings.Repeat("x", 201)})
	b.problem(400, "invalid", "sam", del, "/users/sam/tokens?kind=all", nil)
	if n := call1[api.Revoked](b, 200, "sam", del, "/users/sam/tokens?kind=publickey", nil); n.Tokens != 0 {
		t.Errorf("%+v", n)
	}
	if n := call1[api.Revoked](b, 200, "root", del, "/users/sam/tokens?kind=token", nil); n.Tokens != 2 {
		t.Errorf("%+v", n)
	}
	b.problem(401, "unauthorized", "laptop", get, "/account", nil)
	if strings.Contains(b.log.String(), tok.Token) {
		t.Error("the token is in the log")
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.golden("user-add", b.send("root", post, "/users", api.NewUser{Login: "nina", Roles: []string{"submitter", "renderer"}, Password: "correct horse", Weight: 2}))
	b.golden("user-add-again", b.send("root", post, "/users", api.NewUser{Login: "nina", Roles: []string{"submitter"}}))
	b.golden("user-bad-role", b.send("root", post, "/users", api.NewUser{Login: "nils", Roles: []string{"king"}}))
	b.golden("user-weak-password", b.send("root", post, "/users", api.NewUser{Login: "nils", Roles: []string{"submitter"}, Password: "short"}))
	b.golden("user-patch", b.send("root", pat, "/users/nina", map[string]any{"roles": []string{"operator"}, "weight": 0.5}))
	b.golden("users", b.send("root", get, "/users", nil))
	b.golden("user-remove", b.send("root", del, "/users/nina", nil))
	b.golden("user-remove-again", b.send("root", del, "/users/nina", nil))
	b.problem(400, "invalid", "root", post, "/users", api.NewUser{Login: "nils", Roles: []string{"submitter"}, Weight: -1})
	b.problem(400, "invalid", "root", pat, "/users/sam", map[string]any{"weight": 0})
	b.problem(400, "invalid", "root", pat, "/users/sam", map[string]any{})
	b.problem(400, "invalid", "root", post, "/users", api.NewUser{Login: "a/b", Roles: []string{"submitter"}})
	b.problem(409, "conflict", "root", del, "/users/root", nil)

	call1[api.User](b, 200, "sam", pat, "/users/sam", map[string]string{"password": "a new password"})
	u, err := b.f.Account("sam")
	b.check(err)
	if ok, err := b.door.hasher.Verify(t.Context(), u.Password, "a new password"); !ok || err != nil {
		t.Errorf("the password was not set: %v, %v", ok, err)
	}
	if strings.Contains(b.log.String(), "a new password") || strings.Contains(b.log.String(), "correct horse") {
		t.Error("a password is in the log")
	}
}

func TestLimitsAndMaintenance(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.golden("limit-put", b.send("olga", put, "/limits/amount.licence.nuke", api.NewLimit{Total: 3}))
	b.golden("limits", b.send("sam", get, "/limits", nil))
	b.golden("limit-remove", b.send("olga", del, "/limits/amount.licence.nuke", nil))
	b.golden("limit-remove-again", b.send("olga", del, "/limits/amount.licence.nuke", nil))
	b.problem(400, "invalid", "olga", put, "/limits/x", api.NewLimit{Total: -1})
	b.problem(400, "invalid", "olga", put, "/limits/x", `{"total": 1e300}`)
	b.golden("retention", b.send("olga", put, "/retention", api.Retention{Days: 30}))
	b.problem(403, "forbidden", "sam", put, "/retention", api.Retention{Days: 1})
	b.problem(400, "invalid", "olga", put, "/retention", api.Retention{Days: -1})
	if f := call1[api.Farm](b, 200, "rick", get, "/farm", nil); f.Retention != 30 {
		t.Errorf("%+v", f)
	}
	b.golden("maintenance", b.send("olga", put, "/maintenance", api.Maintenance{On: true}))
	b.submit("1")
	w := b.worker("rick", "box")
	if a := b.send("rick", post, "/workers/1/claim", nil); a.status != 204 {
		t.Errorf("work was handed out in maintenance: %d %s", a.status, a.body)
	}
	if f := call1[api.Farm](b, 200, "rick", get, "/farm", nil); !f.Maintenance {
		t.Errorf("%+v", f)
	}
	call1[api.Maintenance](b, 200, "olga", put, "/maintenance", api.Maintenance{})
	b.claim("rick", w)
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	text := "specificationVersion: environment-2023-09\nenvironment: {name: conda env, variables: {CONDA: base}}\n"
	b.golden("environment-set", b.send("olga", post, "/environments", api.NewEnvironment{Template: text, Tag: "big"}))
	b.golden("environments", b.send("sam", get, "/environments", nil))
	b.problem(400, "invalid", "olga", post, "/environments", api.NewEnvironment{Template: "{}"})
	b.golden("environment-remove", b.send("olga", del, "/environments/conda%20env", nil))
	b.golden("environment-remove-again", b.send("olga", del, "/environments/conda%20env", nil))
	b.golden("environments-none", b.send("sam", get, "/environments", nil))
}

func TestRolesInclude(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		access access
		role   farm.Role
		want   bool
	}{
		{anybody, farm.RoleRenderer, true}, {public, farm.RoleRenderer, true}, {renderer, farm.RoleOperator, false},
		{submitter, farm.RoleOperator, true}, {renderer, farm.RoleAdmin, true}, {admin, farm.RoleOperator, false},
	} {
		if got := c.access.allows(farm.Principal{Roles: []farm.Role{c.role}}); got != c.want {
			t.Errorf("%s for %s: %v", c.access, c.role, got)
		}
	}
}
