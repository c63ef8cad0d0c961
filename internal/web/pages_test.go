package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("")
	if a := sam.get("/ui/jobs?state=done"); a.status != 303 || a.header.Get("Location") != "/ui/login?next=%2Fui%2Fjobs%3Fstate%3Ddone" {
		t.Fatalf("a page without a login: %d to %q", a.status, a.header.Get("Location"))
	}
	if p := sam.page("/ui/login?next=/ui/jobs"); !strings.Contains(p, `value="/ui/jobs"`) {
		t.Error("the login forgets where to go")
	}
	for _, wrong := range [][2]string{{"sam", "wrong"}, {"nobody", "sam-passworD"}, {"", ""}, {"SAM", "sam-passworD"}} {
		a := sam.post("/ui/login", "login", wrong[0], "password", wrong[1])
		if a.status != 401 || !strings.Contains(a.body, "do not fit together") || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %s %s", wrong, a.status, a.header.Get("Set-Cookie"), textOf(a.body))
		}
	}
	a := sam.post("/ui/login", "login", "sam", "password", "sam-password", "next", "https://evil.example/")
	if a.status != 303 || a.header.Get("Location") != "/ui/" {
		t.Errorf("the right password: %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Session: time.Hour})
	olga := b.open("")
	a := olga.post("/ui/login", "login", "olga", "password", "olga-password", "next", "/ui/jobs")
	if a.status != 303 || a.header.Get("Location") != "/ui/jobs" {
		t.Fatalf("login: %d to %q: %s", a.status, a.header.Get("Location"), textOf(a.body))
	}
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/ui/", "Max-Age=3600"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	if p := olga.page("/ui/jobs"); !strings.Contains(p, ">olga</a>") {
		t.Error("the page does not say who is signed in")
	}
	if a := olga.get("/ui/login?next=/ui/workers"); a.status != 303 || a.header.Get("Location") != "/ui/workers" {
		t.Errorf("the login of who is signed in: %d", a.status)
	}
	stolen := b.open("")
	stolen.Jar = olga.Jar
	if a := olga.post("/ui/logout"); a.status != 303 {
		t.Fatalf("logout: %d", a.status)
	}
	if n := len(b.f.Tokens("olga", kindSession)); n != 0 {
		t.Errorf("%d sessions are left after the logout", n)
	}
	if a := stolen.get("/ui/jobs"); a.status != 303 {
		t.Errorf("the session goes on after its end: %d", a.status)
	}

	olga = b.open("olga")
	b.check(b.f.AddToken(t.Context(), principal("olga"), farm.Token{Login: "olga", Kind: kindSession, Expires: start.Add(time.Hour)}))
	b.now = start.Add(2 * time.Hour)
	olga.post("/ui/login", "login", "olga", "password", "olga-password")
	b.now = b.now.Add(61 * time.Minute)
	if a := olga.get("/ui/jobs"); a.status != 303 {
		t.Errorf("an old session goes on: %d", a.status)
	}
}

// TestTokenOpensTheFirstDoor lets the account in that a new farm has.
func TestTokenOpensTheFirstDoor(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	token := b.token("root", "token")
	br := b.open("")
	if a := br.post("/ui/login", "login", "sam", "password", token); a.status != 401 {
		t.Errorf("a token of another account: %d", a.status)
	}
	if a := br.post("/ui/login", "password", token); a.status != 303 {
		t.Errorf("a token: %d", a.status)
	}
	if a := b.open("").post("/ui/login", "password", b.token("root", kindSession)); a.status != 401 {
		t.Errorf("a session in place of a token: %d", a.status)
	}
}

func TestLoginsAreLimited(t *testing.T) {
	t.Parallel()
	fails := lockout.New(3, time.Hour)
	b := setup(t, Config{Fails: fails})
	br := b.open("")
	for range 4 {
		if a := br.post("/ui/login", "login", "olga", "password", "olga-password"); a.status != 303 {
			t.Fatalf("a right password is counted: %d", a.status)
		}
	}
	for i := range 4 {
		want := http.StatusUnauthorized
		if i == 3 {
			want = http.StatusTooManyRequests
		}
		if a := br.post("/ui/login", "login", "olga", "password", "wrongwrong"); a.status != want {
			t.Errorf("attempt %d: %d, not %d", i, a.status, want)
		}
	}
	if a := br.post("/ui/login", "login", "olga", "password", "olga-password"); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("guessing goes on: %d", a.status)
	}
}

// TestForgedRequests refuses what does not come from a page of the farm.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for _, c := range []struct {
		origin, site string
		want         int
	}{
		{b.srv.URL, "", 303}, {"", "same-origin", 303}, {"", "", 403}, {"null", "", 403}, {"https://evil.example", "", 403},
		{b.srv.URL, "cross-site", 403}, {"", "same-site", 403}, {"", "none", 403},
	} {
		br := b.open("olga")
		req := br.request(post, "/ui/logout", nil)
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			req.Header.Set("Sec-Fetch-Site", c.site)
		}
		if a := br.send(req); a.status != c.want {
			t.Errorf("origin %q, site %q: %d, not %d", c.origin, c.site, a.status, c.want)
		}
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"/ui/jobs?state=done": "/ui/jobs?state=done", "/ui/": "/ui/", "": "/ui/", "https://evil.example/ui/": "/ui/", "//evil.example/ui/": "/ui/",
		"/api/v1/jobs": "/ui/", `/ui/\evil.example`: "/ui/", "javascript:alert(1)": "/ui/", "/ui/..//evil.example": "/ui/..//evil.example", "\x00": "/ui/",
	} {
		if got := local(to); got != want {
			t.Errorf("local(%q) = %q, want %q", to, got, want)
		}
	}
}

// TestEveryRouteAndRole asks for every route as everybody.
func TestEveryRouteAndRole(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.scene()
	fill := strings.NewReplacer("{$}", "", "{job}", "1000", "{step}", "0", "{index}", "0", "{n}", "0", "{attempt}", "1", "{build}", "1", "{worker}", "1", "{login}", "sam", "{id}", strings.Repeat("0", 32))
	for _, rt := range b.site.routes {
		path := Prefix + fill.Replace(rt.path)
		for _, who := range []string{"", "rick", "sam", "olga", "root"} {
			p := principal(who)
			may := rt.access.allows(p, who == "", false)
			br := b.open(who)
			req := br.request(rt.method, path, nil)
			if strings.Contains(rt.path, "live") {
				continue // it does not end by itself
			}
			a := br.send(req) // without an origin: what changes something is refused to all
			switch {
			case rt.method == http.MethodHead:
				if a.status == 200 {
					t.Errorf("%s as %q: there is no such upload", path, who)
				}
			case rt.method != get && a.status != 403:
				t.Errorf("%s %s as %q without an origin: %d", rt.method, path, who, a.status)
			case rt.method != get && !may:
				req := br.request(rt.method, path, nil)
				req.Header.Set("Origin", br.origin)
				if a := br.send(req); a.status != 403 && a.status != 401 && a.status != 303 {
					t.Errorf("%s %s as %q: %d, though it takes %s", rt.method, path, who, a.status, rt.access)
				}
			case rt.method == get && may && (a.status == 403 || a.status >= 500 || a.status == 401):
				t.Errorf("%s %s as %q: %d %s", rt.method, path, who, a.status, textOf(a.body))
			case rt.method == get && !may && a.status != 403 && a.status != 303:
				t.Errorf("%s %s as %q: %d, though it takes %s", rt.method, path, who, a.status, rt.access)
			}
			if a.header.Get("Content-Security-Policy") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: headers %v", path, a.header)
			}
		}
	}
}

// TestEveryChangeAndRole sends every request that changes something as everybody,
// from a page of the farm with an empty form: who may not is refused, who may is
// told what is missing at most, and nothing breaks.
func TestEveryChangeAndRole(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Undo: time.Hour})
	b.scene()
	b.build("4.2.1")
	fill := strings.NewReplacer("{$}", "", "{job}", "1000", "{step}", "0", "{index}", "0", "{build}", "1", "{worker}", "1", "{login}", "nobody", "{id}", strings.Repeat("0", 32))
	changes := 0
	for _, rt := range b.site.routes {
		if rt.method == get || rt.method == http.MethodHead {
			continue
		}
		changes++
		path := Prefix + fill.Replace(rt.path)
		for _, who := range []string{"", "rick", "sue", "sam", "olga", "root"} {
			br := b.open(who)
			req := br.request(rt.method, path, nil)
			req.Header.Set("Origin", br.origin)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			a := br.send(req)
			may := rt.access.allows(principal(who), who == "", false)
			switch {
			case !may && who == "" && a.status != 401, !may && who != "" && a.status != 403:
				t.Errorf("%s %s as %q: %d, though it takes %s", rt.method, path, who, a.status, rt.access)
			case may && (a.status >= 500 && a.status != 503 || a.status == 401 && rt.path != "login" || a.status == 200 && !strings.HasPrefix(rt.path, "workers/add") && rt.path != "account/token"):
				t.Errorf("%s %s as %q: %d %s", rt.method, path, who, a.status, textOf(a.body))
			case who == "sue" && strings.HasPrefix(rt.path, "jobs/{job}/") && a.status != 403 && a.status != 400:
				t.Errorf("%s of another's job: %d", path, a.status)
			}
		}
	}
	if changes < 25 {
		t.Errorf("only %d routes change something", changes)
	}
}

// TestIdleHasAReason says why some are idle while others render.
func TestIdleHasAReason(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "ball", 5, func(s *farm.Spec) { s.Renderer = "blender" })
	able := b.join("able", func(r *farm.Registration) {
		r.Machine.Renderers = []farm.Renderer{{Product: "blender", Version: "4.2.1"}}
	})
	b.join("bare")
	b.claim(able)
	p := b.open("sam").page("/ui/")
	if !strings.Contains(p, "1 worker rendering, 1 idle, 4 tasks waiting") || !strings.Contains(p, "1 worker is idle although work waits: for job 1000, ") || !strings.Contains(p, "blender") {
		t.Errorf("the first screen: %s", textOf(p))
	}
}

func TestPausedWorkIsNoTrouble(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.join("able")
	j := b.submit("sam", "ball", 5)
	_, err := b.f.Pause(t.Context(), farm.JobChange{By: principal("sam"), Job: j.ID})
	b.check(err)
	if p := b.open("sam").page("/ui/"); !strings.Contains(p, "1 worker is ready: all that waits is paused, 5 tasks.") {
		t.Errorf("the first screen: %s", textOf(p))
	}
	b.submit("sam", "cube", 1)
	if p := b.open("sam").page("/ui/"); !strings.Contains(p, "6 tasks are waiting, 1 worker idle.") {
		t.Errorf("the first screen: %s", textOf(p))
	}
}

// scene is a job of five frames: one done, one failed, one running.
func (b *bundle) scene() *farm.Job {
	b.Helper()
	j, w := b.submit("sam", "ball", 5), b.join("node1")
	b.finish(w, b.claim(w), "0001.png", drawing(1))
	l := b.claim(w)
	for range 2 {
		b.fails(w, l, "Error: no camera", "Read blend\nError: no camera\nquit\n")
		w2 := b.join(fmt.Sprintf("other%d", time.Now().UnixNano()))
		for {
			if n := b.claim(w2); n.Task == l.Task {
				l, w = n, w2
				break
			}
		}
	}
	b.fails(w, l, "Error: no camera", "Read blend\nError: no camera\nquit\n")
	return j
}

func TestHostileText(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	j := b.submit("sam", evil, 2)
	w := b.join(`<b onmouseover=alert(1)>`)
	b.finish(w, b.claim(w), `<svg onload=alert(1)>.png`, drawing(1))
	b.fails(w, b.claim(w), evil, "one\x1b[31m\u202egnp.exe\n"+evil+"\n")
	sam := b.open("sam")
	for _, path := range []string{"/ui/", "/ui/jobs", "/ui/jobs/1000", "/ui/jobs/1000?by=picture&state=done", "/ui/jobs/1000/cells?by=picture", "/ui/jobs/1000/why", "/ui/jobs/1000/details",
		"/ui/jobs/1000/tasks/0/0", "/ui/jobs/1000/tasks/0/1", "/ui/workers", "/ui/workers/1", "/ui/jobs?q=" + `%22%3E%3Cscript%3E`} {
		p := sam.page(path)
		for _, bad := range []string{"<script>alert", "<img src=x", "<svg onload", "<b onmouse", `"><script`, "\x1b", "\u202e"} {
			if strings.Contains(p, bad) {
				t.Errorf("%s has %q as it came", path, bad)
			}
		}
	}
	if p := sam.page(fmt.Sprintf("/ui/jobs/%d/tasks/0/1", j.ID)); !strings.Contains(p, `<span class="ln bad" id="error">`) {
		t.Errorf("the line of the error is not marked: %s", textOf(p))
	}
}

// TestHostilePicture serves as a picture only what is one.
func TestHostilePicture(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "x", 2, func(s *farm.Spec) { s.Check = nil })
	w := b.join("node")
	b.finish(w, b.claim(w), "page.png", []byte("<html><script>alert(1)</script>"))
	b.finish(w, b.claim(w), "real.png", drawing(2))
	sam := b.open("sam")
	if p := sam.page("/ui/jobs/1000/tasks/0/0"); strings.Contains(p, "<img") || !strings.Contains(p, "No preview: this file is named like a picture and is none.") || !strings.Contains(p, "/file/0\" download") || strings.Contains(p, "Compare with") {
		t.Errorf("the page of a picture that is none: %s", textOf(p))
	}
	if p := sam.page("/ui/jobs/1000/tasks/0/1"); !strings.Contains(p, `<img src="/ui/jobs/1000/tasks/0/1/out/0`) || strings.Contains(p, "No preview") {
		t.Errorf("the page of a picture: %s", textOf(p))
	}
	if a := sam.get("/ui/jobs/1000/tasks/0/0/out/0"); a.status != 400 || strings.Contains(a.body, "<script>alert") {
		t.Errorf("a page that is called a picture: %d %s", a.status, a.body)
	}
	a := sam.get("/ui/jobs/1000/tasks/0/1/out/0")
	if a.status != 200 || a.header.Get("Content-Type") != "image/png" || a.body != string(drawing(2)) || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a picture: %d %v", a.status, a.header)
	}
	if a := sam.get("/ui/jobs/1000/tasks/0/1/out/0?side=16"); a.status != 200 || a.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("a small picture: %d %v", a.status, a.header)
	}
	a = sam.get("/ui/jobs/1000/tasks/0/0/file/0")
	if a.status != 200 || a.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a download: %d %v", a.status, a.header)
	}
}

func TestPagesSayWhatIs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam := b.open("sam")
	for path, want := range map[string]string{
		"/ui/": "The farm has no workers yet.", "/ui/jobs": "There are no jobs yet.", "/ui/workers": "No machine renders here yet.",
	} {
		if p := sam.page(path); !strings.Contains(p, want) {
			t.Errorf("%s of an empty farm does not say %q: %s", path, want, textOf(p))
		}
	}
	b.scene()
	for path, wants := range map[string][]string{
		"/ui/":                              {"1 task of job 1000 “ball” failed", `href="/ui/jobs/1000?state=failed"`, "tasks/0/0/out/0?thumb=", "ball"},
		"/ui/jobs":                          {"ball", "1 done", "1 failed"},
		"/ui/jobs?state=running":            {"ball"},
		"/ui/jobs?state=done":               {"No job is like that."},
		"/ui/jobs?q=BAL":                    {"ball"},
		"/ui/jobs?owner=sue":                {"No job is like that."},
		"/ui/jobs/1000":                     {"ball", `data-src="/ui/jobs/1000/cells?step=0&amp;from=0&amp;n=5&amp;by=picture"`},
		"/ui/jobs/1000?by=state":            {"data-choose", `data-src="/ui/jobs/1000/cells?step=0&amp;from=0&amp;n=5&amp;by=state"`},
		"/ui/jobs/1000?state=done":          {`name="task" value="0/0"`, "Download the chosen ones"},
		"/ui/jobs/1000?state=failed":        {`href="/ui/jobs/1000/tasks/0/1"`, "Error: no camera"},
		"/ui/jobs/1000/cells":               {`id="c-0-0"`, `class="c s-done"`, "1: done, on node1, 2.0 s, 1.0 GiB", `class="c s-failed"`},
		"/ui/jobs/1000/cells?by=memory":     {`class="c h3"`},
		"/ui/jobs/1000/cells?by=time":       {`class="c h4"`},
		"/ui/jobs/1000/cells?by=worker":     {`class="c w1 s-done"`},
		"/ui/jobs/1000/cells?by=picture":    {"<img src"},
		"/ui/jobs/1000/cells?from=3&n=1":    {`id="c-0-3"`},
		"/ui/jobs/1000/why":                 {"Error: no camera"},
		"/ui/jobs/1000/tasks/0/0":           {"0001.png", "32 × 18", `rel="next"`, "node1"},
		"/ui/jobs/1000/tasks/0/1?attempt=1": {"Error: no camera", `id="error"`, "(the job's fault)"},
		"/ui/workers":                       {"node1", "8 cores", "16 GiB"},
		"/ui/workers/1":                     {"x86_64", "rick"},
	} {
		p := sam.page(path)
		for _, want := range wants {
			if !strings.Contains(p, want) {
				t.Errorf("%s does not have %q: %s", path, want, textOf(p))
			}
		}
	}
	for path, want := range map[string]int{
		"/ui/jobs/999": 404, "/ui/jobs/x": 404, "/ui/jobs/1000/tasks/0/9": 404, "/ui/jobs/1000/tasks/7/0": 404, "/ui/nothing": 404, "/ui/workers/99": 404,
		"/ui/jobs?state=odd": 400, "/ui/jobs/1000?by=odd": 400, "/ui/jobs/1000?state=odd": 400, "/ui/jobs?before=x": 400, "/ui/jobs/1000/cells?from=-1": 400,
		"/ui/jobs/1000/tasks/0/0?attempt=9": 404, "/ui/jobs/1000/tasks/0/0/out/5": 404, "/ui/jobs/1000/tasks/0/0/out/0?side=5": 400,
	} {
		if a := sam.get(path); a.status != want {
			t.Errorf("%s: %d, not %d", path, a.status, want)
		}
	}
	if a := sam.get("/ui/jobs?q=1000"); a.header.Get("Location") != "/ui/jobs/1000" {
		t.Errorf("the number of a job leads to %q", a.header.Get("Location"))
	}
}

// TestOpened shows the farm to everybody once an operator opened it, and no more
// than that.
func TestOpened(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.scene()
	b.check(b.f.SetPublic(t.Context(), principal("olga"), true))
	anyone := b.open("")
	for path, want := range map[string]int{
		"/ui/": 200, "/ui/jobs": 200, "/ui/jobs/1000": 200, "/ui/jobs/1000/cells": 200, "/ui/jobs/1000/why": 200, "/ui/jobs/1000/tasks/0/1": 200, "/ui/workers": 200,
		"/ui/jobs/1000/tasks/0/0/out/0": 200, "/ui/jobs/1000/details": 303, "/ui/jobs/1000/tasks/0/1/log": 303, "/ui/jobs/1000/tasks/0/0/file/0": 303,
	} {
		if a := anyone.get(path); a.status != want {
			t.Errorf("%s: %d, not %d", path, a.status, want)
		}
	}
	if p := anyone.page("/ui/jobs/1000/tasks/0/1"); strings.Contains(p, "Read blend") {
		t.Error("the log is shown to everybody")
	}
	b.check(b.f.SetPublic(t.Context(), principal("olga"), false))
	if a := anyone.get("/ui/jobs"); a.status != 303 {
		t.Errorf("a farm that was closed again: %d", a.status)
	}
}

func TestTheme(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	br := b.open("sam")
	if p := br.page("/ui/"); strings.Contains(p, "data-theme") {
		t.Error("a theme is set from the start")
	}
	if a := br.post("/ui/theme", "theme", "dark", "next", "/ui/jobs"); a.status != 303 || a.header.Get("Location") != "/ui/jobs" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	if p := br.page("/ui/"); !strings.Contains(p, `data-theme="dark"`) {
		t.Error("the theme is not kept")
	}
}

// TestNothingInline keeps the content security policy satisfied: no inline
// script, style or handler in any page, and nothing from outside.
func TestNothingInline(t *testing.T) {
	t.Parallel()
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text, _ := templateFiles.ReadFile("templates/" + n.Name())
		for _, bad := range []string{"style=", "<style", " onclick", " onload", " onchange", " onsubmit", "javascript:", "hx-on", "http://", "https://", "//cdn"} {
			if strings.Contains(strings.ReplaceAll(string(text), "http://www.w3.org", ""), bad) {
				t.Errorf("%s has %q", n.Name(), bad)
			}
		}
		if strings.Contains(strings.ReplaceAll(string(text), "<script src", ""), "<script") {
			t.Errorf("%s has a script of its own", n.Name())
		}
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	br := b.open("")
	a := br.get(b.site.assets.url("drover.css"))
	if a.status != 200 || !strings.Contains(a.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := br.get("/ui/static/drover.css"); !strings.Contains(a.header.Get("Cache-Control"), "no-cache") {
		t.Errorf("without its hash: %v", a.header)
	}
	if a := br.get("/ui/static/../web.go"); a.status == 200 {
		t.Error("a file outside of the assets is served")
	}
	if a := br.get("/ui/static/nothing.js"); a.status != 404 {
		t.Errorf("a file that is not there: %d", a.status)
	}
}

// TestVendored holds what is vendored to its manifest.
func TestVendored(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("static/vendor/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"MANIFEST": true}
	for line := range strings.Lines(string(manifest)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 5 {
			t.Fatalf("%q has %d fields, not 5", line, len(f))
		}
		text, err := os.ReadFile("static/vendor/" + f[0])
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f[4] {
			t.Errorf("%s is not what the manifest says", f[0])
		}
		listed[f[0]] = true
	}
	files, err := os.ReadDir("static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not in the manifest", f.Name())
		}
	}
}

// TestWhoNeverSendsAFormIsLetGo: before anybody has signed in, a form that does
// not come must not hold a connection for good.
func TestWhoNeverSendsAFormIsLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Idle: 50 * time.Millisecond})
	for _, site := range []string{"same-origin", "cross-site"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.srv.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "POST /ui/login HTTP/1.1\r\nHost: farm\r\nSec-Fetch-Site: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nlogin=", site)
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if answer, err := io.ReadAll(conn); err != nil { // until the server closes it
			t.Errorf("%s: after %q: %v", site, answer[:min(len(answer), 100)], err)
		}
	}
}

// TestPlainWords leaves advice for the command line out of what pages say.
func TestPlainWords(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "x", 1)
	for _, name := range []string{"one", "two", "three"} {
		w := b.join(name)
		b.fails(w, b.claim(w), "no such texture", "")
	}
	sam := b.open("sam")
	for path, want := range map[string]string{
		"/ui/": "tasks of step Render failed<", "/ui/jobs": "tasks of step Render failed<", "/ui/jobs/1000/why": "The job failed: 1 of 1 tasks of step Render failed.",
		"/ui/jobs/1000/tasks/0/0": "<h1>Frame 1</h1>",
	} {
		if p := sam.page(path); !strings.Contains(p, want) || strings.Contains(p, "drover job") || strings.Contains(p, "It is failed") {
			t.Errorf("%s: %s", path, textOf(p))
		}
	}
}
