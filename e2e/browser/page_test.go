package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"drover.farm/e2e/harness"
)

// tab is a page of a profile of its own.
type tab struct {
	*testing.T
	ctx    context.Context
	farm   *harness.Farm
	mu     sync.Mutex
	errors []string
}

// open opens an empty page; with a login, one that is signed in. At the end of
// the test nothing may have gone wrong on it.
func open(t *testing.T, f *harness.Farm, login string) *tab {
	t.Helper()
	ctx, end := profile(t)
	p := &tab{T: t, ctx: ctx, farm: f}
	t.Cleanup(end)
	chromedp.ListenTarget(ctx, p.hear)
	p.run(cdplog.Enable(), runtime.Enable(), page.Enable())
	p.size(1280, 860)
	t.Cleanup(p.quiet)
	if login != "" {
		p.signIn(login)
	}
	return p
}

// profile opens a window with cookies of its own: browsers with windows open no
// tab of a new profile without one.
func profile(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	all := browser(t)
	bctx := cdp.WithExecutor(all, chromedp.FromContext(all).Browser)
	id, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(bctx)
	if err != nil {
		t.Fatal(err)
	}
	window, err := target.CreateTarget("about:blank").WithBrowserContextID(id).WithNewWindow(true).Do(bctx)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := chromedp.NewContext(all, chromedp.WithTargetID(window))
	if err := chromedp.Run(ctx); err != nil { // the first run's context is that of the window
		t.Fatal(err)
	}
	return ctx, end
}

// hear notes what a page complains of.
func (p *tab) hear(ev any) {
	text := ""
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			for _, a := range e.Args {
				text += string(a.Value) + a.Description + " "
			}
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError || e.Entry.Source == cdplog.SourceSecurity {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *page.EventJavascriptDialogOpening:
		text = "a dialog: " + e.Message
		go func() { _ = chromedp.Run(p.ctx, page.HandleJavaScriptDialog(true)) }()
	}
	if text != "" {
		p.mu.Lock()
		p.errors = append(p.errors, text)
		p.mu.Unlock()
	}
}

// quiet fails the test for what pages complained of since the last time.
func (p *tab) quiet() {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.errors {
		p.Errorf("a page complains: %s", e)
	}
	p.errors = nil
}

func (p *tab) run(actions ...chromedp.Action) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, long)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// to goes to a path.
func (p *tab) to(path string) {
	p.Helper()
	p.run(chromedp.Navigate(p.farm.URL + path))
}

// size sets the size of the window.
func (p *tab) size(w, h int64) {
	p.Helper()
	p.run(emulation.SetDeviceMetricsOverride(w, h, 1, w < 600))
}

// value is what an expression of the page comes to.
func value[T any](p *tab, js string) T {
	p.Helper()
	var v T
	p.run(chromedp.Evaluate(js, &v))
	return v
}

// await waits until an expression holds, on this page or on the one that comes
// after it.
func (p *tab) await(js string) {
	p.Helper()
	came := false
	defer func() {
		if !came {
			var text string
			_ = chromedp.Run(p.ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText`, &text))
			p.Logf("the page is:\n%s", text)
		}
	}()
	harness.Until(p, js, long, func() bool {
		var ok bool
		return chromedp.Run(p.ctx, chromedp.Evaluate("document.readyState == 'complete' && !!("+js+")", &ok)) == nil && ok
	})
	came = true
}

// click clicks the first thing of a selector whose text has words in it.
func (p *tab) click(selector, words string) {
	p.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.textContent.includes(%q))`, selector, words)
	p.await(find)
	p.run(chromedp.Evaluate(find+".click()", nil))
}

// press presses keys, such as "\t" and "\r".
func (p *tab) press(keys string) {
	p.Helper()
	p.run(chromedp.KeyEvent(keys))
}

// signIn signs in by the form.
func (p *tab) signIn(login string) {
	p.Helper()
	p.to("/ui/login")
	word := password
	if login == "admin" {
		text, err := os.ReadFile(p.farm.TokenFile())
		if err != nil {
			p.Fatal(err)
		}
		word = strings.TrimSpace(string(text))
	}
	p.run(chromedp.SendKeys("input[name=login]", login), chromedp.SendKeys("input[name=password]", word), chromedp.KeyEvent("\r"))
	p.await(`document.querySelector('.me')`)
}

// drop drops a file on the middle of what a selector finds.
func (p *tab) drop(selector, file string) {
	p.Helper()
	at := value[[]float64](p, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + 20]; })()`, selector))
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: []string{file}, DragOperationsMask: 1}
	for _, what := range []input.DispatchDragEventType{input.DragEnter, input.DragOver, input.Drop} {
		p.run(input.DispatchDragEvent(what, at[0], at[1], data))
	}
}
