package browser

import (
	"fmt"
	"testing"

	"drover.farm/e2e/harness"
)

// hostile is what a page must show and never do.
const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>`

// TestHostileNamesLogsAndPicturesAreShown shows what somebody wrote to be run by
// the page: nothing of it runs, and all of it can be read.
func TestHostileNamesLogsAndPicturesAreShown(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	f.StartWorker("--name", hostile[:25])
	account(t, f, "ann", "submitter")
	script := `printf '\033[31m%s\033[0m\n' '` + hostile + `'
printf '%s\n' "javascript:alert(3)" '\u202egnp.exe'
printf '%s' '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(4)"><script>alert(5)</script></svg>' > "$out/a.svg"
printf '%s' '<!doctype html><script>alert(6)</script>' > "$out/b.png"
printf '%s' '<script>alert(7)</script>' > "$out/c <b onmouseover=alert(8)>.html"`
	job := f.Submit(template(t, "'"+hostile+"'", "1", script), "--name", hostile).ID
	bad := f.Submit(template(t, "bad", "1", `echo 'Error: `+hostile+`' >&2; exit 1`)).ID
	f.WaitJob(job, long)
	f.WaitJob(bad, long)
	for _, login := range []string{"admin", "ann"} {
		p := open(t, f, login)
		for _, path := range []string{"/ui/", "/ui/jobs", "/ui/jobs/%d", "/ui/jobs/%d?state=done", "/ui/jobs/%d?by=picture", "/ui/jobs/%d/details", "/ui/jobs/%d/timeline", "/ui/jobs/%d/tasks/0/0", "/ui/workers", "/ui/workers/1", "/ui/jobs?q=%%3Cscript%%3Ealert(9)%%3C/script%%3E"} {
			p.to(fmt.Sprintf(path+"%[2]s", job, ""))
			p.await(`document.querySelector('main h1')`)
			p.await(`[...document.images].every((i) => i.complete)`)
			if n := value[int](p, `document.querySelectorAll('main script, main [onerror], main [onload], main [onmouseover], main img[src="x"]').length`); n > 0 {
				t.Errorf("%s has %d things that would run", path, n)
			}
			p.quiet()
		}
		p.to(fmt.Sprintf("/ui/jobs/%d/tasks/0/0", job))
		p.await(`document.querySelector('.stage.none').textContent.includes('No preview')`) // b.png
		p.await(`document.querySelector('.log').textContent.includes('` + hostile[:20] + `') && !document.querySelector('.log').textContent.includes('\u001b')`)
		p.to(fmt.Sprintf("/ui/jobs/%d/tasks/0/0", bad))
		p.await(`document.querySelector('.ln.bad').textContent.includes('` + hostile[:20] + `')`)
		p.press("e")
		p.await(`document.activeElement.matches('pre.log')`)
		p.to(fmt.Sprintf("/ui/jobs/%d", job))
		if h := value[string](p, `document.querySelector('h1').textContent`); h != hostile {
			t.Errorf("the job is called %q", h)
		}
	}
}
