package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.Bool("screenshots", false, "write the pictures of docs/screenshots")

// scheme has the page prefer light or dark colours.
func (p *tab) scheme(name string) {
	p.Helper()
	p.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// shoot writes what the window shows to the documentation, when that is asked
// for.
func (p *tab) shoot(name string) {
	p.Helper()
	if !*screenshots {
		return
	}
	p.await(`[...document.images].every((i) => i.complete)`)
	var png []byte
	p.run(chromedp.CaptureScreenshot(&png))
	path := filepath.Join("..", "..", "docs", "screenshots", name+".png")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		p.Fatal(err)
	}
}

// fits fails the test when the page is wider than the window.
func (p *tab) fits(where string) {
	p.Helper()
	if w := value[[]int](p, `[document.documentElement.scrollWidth, innerWidth]`); w[0] > w[1] {
		wide := value[[]string](p, `[...document.querySelectorAll('main *, header *, footer *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 120))`)
		p.Errorf("%s is %d pixels wide in a window of %d: %q", where, w[0], w[1], wide)
	}
}

// colours are the rules of axe on which light and dark can differ.
const colours = `{type: 'rule', values: ['color-contrast', 'link-in-text-block']}`

// all are the rules of axe that pages are held to.
const all = `['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']`

// accessible runs rules of axe on the page and fails the test for what it finds.
func (p *tab) accessible(where, rules string) {
	p.Helper()
	if !value[bool](p, `typeof axe == 'object'`) {
		p.run(chromedp.Evaluate(axe(p.T), nil))
	}
	var text string
	p.run(chromedp.Evaluate(`axe.run(document, {runOnly: `+rules+`, resultTypes: ['violations']})
		.then((r) => JSON.stringify(r.violations.map((v) => ({rule: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' — ' + n.failureSummary)}))))`,
		&text, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	var found []struct {
		Rule, Help string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		p.Fatal(err)
	}
	for _, v := range found {
		p.Errorf("%s: %s: %s\n  %s", where, v.Rule, v.Help, strings.Join(v.Nodes, "\n  "))
	}
}

func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n;0"
}

// TestVendored holds axe to its manifest.
func TestVendored(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("testdata/axe/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(manifest)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 5 {
			t.Fatalf("%q has %d fields, not 5", line, len(f))
		}
		text, err := os.ReadFile(filepath.Join("testdata/axe", f[0]))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f[4] {
			t.Errorf("%s is not what the manifest says", f[0])
		}
		n++
	}
	if n != 2 {
		t.Errorf("the manifest lists %d files, not 2", n)
	}
}
