package browser

import (
	"fmt"
	"strings"
	"testing"

	"drover.farm/e2e/harness"
)

// shown are the pages that are looked at, and the names of those that the
// documentation shows. %d is a finished job, %[2]d one that failed.
var shown = []struct{ path, shot string }{
	{"/ui/", "farm"},
	{"/ui/jobs", "jobs"},
	{"/ui/jobs?state=failed", ""},
	{"/ui/jobs/%[1]d?by=picture", "job"},
	{"/ui/jobs/%[1]d", ""},
	{"/ui/jobs/%[1]d?by=time", ""},
	{"/ui/jobs/%[1]d?by=worker", ""},
	{"/ui/jobs/%[2]d?state=failed", ""},
	{"/ui/jobs/%[1]d/film", "film"},
	{"/ui/jobs/%[1]d/timeline", ""},
	{"/ui/jobs/%[2]d/why", "why"},
	{"/ui/jobs/%[1]d/details", ""},
	{"/ui/jobs/%[1]d/tasks/0/3", "frame"},
	{"/ui/jobs/%[2]d/tasks/0/0", "error"},
	{"/ui/submit", "submit"},
	{"/ui/workers", "workers"},
	{"/ui/workers/1", ""},
	{"/ui/workers/2", ""},
	{"/ui/workers/add", ""},
	{"/ui/renderers", "renderers"},
	{"/ui/users", "users"},
	{"/ui/account", ""},
	{"/ui/settings", "settings"},
	{"/ui/jobs/99", ""},
}

// TestPages holds every page, in light and dark, wide and narrow, for an
// administrator, a user and the public, to what it may be: without violations
// that axe finds, no wider than a phone, and without a complaint.
func TestPages(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	f.StartWorker("--name", "atlas")
	done := f.Submit(scene(t, "ball.blend"), "--frames", "1-8", "--name", "Bouncing ball").ID
	if j := f.WaitJob(done, long); j.State != "done" {
		t.Fatalf("the job is %s: %s", j.State, j.Reason)
	}
	bad := f.Submit(template(t, "Broken", "1-3", "echo 'loading scene'; echo 'Error: cannot read texture wood.png' >&2; exit 1")).ID
	f.WaitJob(bad, long)
	f.Submit(template(t, "Waiting for a licence", "1-12", "true"), "--paused")
	account(t, f, "ann", "submitter")
	account(t, f, "lena", "renderer")
	f.StartWorker("--name", "attic", "--token-file", tokenOf(t, f, "lena"))
	f.WaitWorkers(2, long)
	admin := open(t, f, "admin")
	admin.every(done, bad, func(path string) bool { return true })
	ann := open(t, f, "ann")
	ann.every(done, bad, func(path string) bool { return path != "/ui/users" && path != "/ui/settings" })
	lena := open(t, f, "lena")
	lena.every(done, bad, func(path string) bool {
		return path == "/ui/" || path == "/ui/workers/2" || path == "/ui/account" || path == "/ui/workers" || path == "/ui/workers/add"
	})
	admin.to("/ui/settings")
	admin.click("button[name=on]", "Open")
	admin.await(`[...document.querySelectorAll('button[name=on]')].some((b) => b.textContent == 'Close')`)
	public := open(t, f, "")
	public.looked("/ui/login", "")
	public.every(done, bad, func(path string) bool {
		return path == "/ui/" || path == "/ui/workers" || strings.HasPrefix(path, "/ui/jobs") && !strings.HasSuffix(path, "details") && path != "/ui/jobs/99"
	})
}

// every looks at all pages that the reader may see.
func (p *tab) every(done, bad int64, may func(path string) bool) {
	p.Helper()
	admin := len(shown) > 0 && may("/ui/users")
	for _, s := range shown {
		if !may(s.path) {
			continue
		}
		path, shot := s.path, s.shot
		if strings.Contains(path, "%") {
			path = fmt.Sprintf(strings.ReplaceAll(path+"%[3]s", "%d", "%[1]d"), done, bad, "")
		}
		if !admin {
			shot = ""
		}
		p.looked(path, shot)
	}
}

// looked looks at one page.
func (p *tab) looked(path, shot string) {
	p.Helper()
	p.size(1280, 860)
	p.scheme("light")
	p.to(path)
	missing := path == "/ui/jobs/99"
	if missing { // the browser itself says that the page is not there
		p.mu.Lock()
		p.errors = nil
		p.mu.Unlock()
	}
	p.await(`document.querySelector('main h1') && [...document.querySelectorAll('.part[data-src]')].every((e) => e.children.length > 0)`)
	p.accessible(path+" in light", all)
	if shot != "" {
		p.shoot(shot)
	}
	p.scheme("dark")
	p.accessible(path+" in dark", colours)
	if bg := value[string](p, `getComputedStyle(document.documentElement).backgroundColor`); bg != "rgb(20, 23, 26)" {
		p.Errorf("%s is not dark: %s", path, bg)
	}
	if shot == "farm" || shot == "frame" {
		p.shoot(shot + "-dark")
	}
	p.size(390, 844)
	p.fits(path)
	p.accessible(path+" in dark and narrow", colours)
	p.scheme("light")
	p.accessible(path+" in light and narrow", all)
	if shot == "farm" || shot == "job" {
		p.shoot(shot + "-phone")
	}
	if !missing {
		p.quiet()
	}
}
