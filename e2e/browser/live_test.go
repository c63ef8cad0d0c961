package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/e2e/harness"
)

// tokenOf is a file with a new token of an account.
func tokenOf(t *testing.T, f *harness.Farm, login string) string {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), "user", "token", login)
	cmd.Env = harness.Environment(f.Env()...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(strings.TrimSpace(string(out))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestALendersPageMoves watches a machine join, render and end, as who lent it.
func TestALendersPageMoves(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	account(t, f, "lena", "renderer")
	p := open(t, f, "lena")
	p.to("/ui/workers")
	w := f.StartWorker("--name", "attic", "--token-file", tokenOf(t, f, "lena"))
	p.await(`document.querySelector('#news a')`)
	p.click("#news a", "Show")
	p.await(`document.querySelector('li.worker .chip').textContent.includes('idle')`)
	gate := filepath.Join(t.TempDir(), "gate")
	job := f.Submit(template(t, "Long", "1", "until [ -e '"+gate+"' ]; do sleep 0.1; done")).ID
	p.await(`document.querySelector('li.worker .chip').textContent.includes('rendering') && document.querySelector('[sse-swap=workers-rendering]').textContent == '1'`)
	if value[bool](p, `!!document.querySelector('main a[href*="/jobs"]')`) {
		t.Error("a lender's page leads to jobs")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.WaitJob(job, long)
	p.await(`document.querySelector('li.worker .nums').textContent.includes('✓ 1')`)
	w.Stop()
	p.await(`document.querySelector('li.worker .chip').textContent.includes('offline')`)
	p.quiet()
}

// TestAPageComesBack ends the farm under an open page, which says so and goes on
// when the farm is there again.
func TestAPageComesBack(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	account(t, f, "ann", "submitter")
	p := open(t, f, "ann")
	p.to("/ui/")
	p.await(`document.querySelector('#offline').hidden && document.querySelector('.state').textContent.includes('no workers')`)
	f.Kill()
	p.await(`!document.querySelector('#offline').hidden`)
	f.Start()
	p.await(`document.querySelector('#offline').hidden`)
	p.mu.Lock()
	p.errors = nil // the browser tells of connections that were refused
	p.mu.Unlock()
	f.StartWorker("--name", "attic")
	p.await(`document.querySelector('.heat a').title.includes('attic')`)
}
