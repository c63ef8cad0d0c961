package browser

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"drover.farm/e2e/harness"
)

// TestANewUserHasTheFilm signs in, drops the sample scene on the page, watches
// its frames come without loading anything anew, looks at one and has the film.
func TestANewUserHasTheFilm(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--web-undo", "1s")
	f.StartWorker("--slots", "1")
	account(t, f, "ann", "submitter")
	p := open(t, f, "")
	p.to("/ui/")
	p.await(`location.pathname == '/ui/login'`)
	p.signIn("ann")
	p.click("nav a", "Submit")
	p.await(`location.pathname == '/ui/submit'`)
	p.drop("[data-drop]", scene(t, "sample.blend"))
	p.await(`document.querySelector('input[name=frames]')`)
	if got := value[string](p, `document.querySelector('input[name=frames]').value`); got != "1-24" {
		t.Errorf("the form proposes the frames %q", got)
	}
	p.run(chromedp.SetValue("input[name=frames]", "1-6"), chromedp.SetValue("input[name=width]", "96"), chromedp.SetValue("input[name=height]", "54"))
	p.click("main form button.main", "Submit")
	p.await(`/^\/ui\/jobs\/\d+$/.test(location.pathname)`)
	p.run(chromedp.Evaluate(`window.kept = 'same page'`, nil))
	p.await(`document.querySelectorAll('.grid .c').length == 6`)
	p.await(`document.querySelector('.grid .c.s-done')`)
	p.await(`document.querySelectorAll('.grid .c.s-done').length == 6 && document.querySelector('.head .chip').textContent.includes('done')`)
	if value[string](p, `window.kept || ''`) != "same page" {
		t.Error("the page was loaded anew to show frames")
	}
	p.run(chromedp.Evaluate(`document.querySelector('.grid .c').click()`, nil))
	p.await(`document.querySelector('.stage img') && document.querySelector('.stage img').naturalWidth == 96`)
	p.await(`document.querySelector('.log .ln')`)
	for _, key := range []string{"+", "0", "-"} {
		p.press(key)
		p.await(`!!document.querySelector('.stage.zoomed') == ` + fmt.Sprint(key != "0"))
	}
	p.run(chromedp.Evaluate(`document.querySelector('.stage').focus()`, nil))
	p.press(kb.ArrowRight) // moves in the picture while that is zoomed and has the focus
	p.press("0")
	p.await(`!document.querySelector('.stage.zoomed') && location.pathname.endsWith('/tasks/0/0')`)
	p.press(kb.ArrowRight)
	p.await(`location.pathname.endsWith('/tasks/0/1')`)
	p.press(kb.ArrowLeft)
	p.await(`location.pathname.endsWith('/tasks/0/0')`)
	p.run(chromedp.Evaluate(`history.back()`, nil))
	p.await(`location.pathname.endsWith('/tasks/0/1')`)
	p.click(".crumbs a", "sample")
	p.click(".tabs a", "Film")
	p.await(`document.querySelector('#film-picture') && document.querySelector('#film-picture').naturalWidth == 96`)
	first := value[string](p, `document.querySelector('#film-picture').src`)
	p.click("[data-play]", "Play")
	p.await(`document.querySelector('#film-picture').src != '` + first + `'`)
	p.press("p")
	p.await(`document.querySelector('[data-play]').textContent.includes('Play')`)
	p.press("p")
	p.await(`document.querySelector('[data-play]').textContent.includes('Stop')`)
	if kind, n := filmOf(p); kind != "video/mp4" || n < 1000 {
		t.Errorf("the film is %d bytes of %s", n, kind)
	}
	p.quiet()
}

// filmOf downloads the film by the page's link, with its session.
func filmOf(p *tab) (kind string, size int64) {
	p.Helper()
	got := value[string](p, `document.querySelector('a[href*="film.mp4"]').getAttribute('href')`)
	req, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.farm.URL+got, http.NoBody)
	if err != nil {
		p.Fatal(err)
	}
	for _, c := range cookies(p) {
		req.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	size, err = io.Copy(io.Discard, res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.Fatalf("the film: %d, %v", res.StatusCode, err)
	}
	return res.Header.Get("Content-Type"), size
}

// TestCancelIsUndoneDoneAndTriedAgain cancels, takes it back, cancels for good
// and tries again.
func TestCancelIsUndoneDoneAndTriedAgain(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--web-undo", "20s")
	account(t, f, "ann", "submitter")
	p := open(t, f, "ann")
	p.to("/ui/submit")
	p.run(chromedp.SetUploadFiles("input[type=file]", []string{template(t, "quick", "1-3", `echo frame > "$out/$frame.txt"`)}))
	p.await(`document.querySelector('input[name=priority]')`)
	p.click("main form button.main", "Submit")
	p.await(`/^\/ui\/jobs\/\d+$/.test(location.pathname) && document.querySelectorAll('.grid .c.s-waiting').length == 3`)
	p.click(".acts button", "Cancel")
	p.click(".pending button", "Undo")
	p.await(`!document.querySelector('.pending button') && document.querySelector('.head .chip').textContent.includes('waiting')`)
	p.click(".acts button", "Cancel")
	p.await(`document.querySelector('.pending button')`)
	p.await(`document.querySelector('.head .chip').textContent.includes('canceled') && document.querySelectorAll('.grid .c.s-canceled').length == 3`)
	p.click(".acts button", "Try canceled again")
	p.await(`document.querySelectorAll('.grid .c.s-waiting').length == 3`)
	f.StartWorker()
	p.await(`document.querySelector('.head .chip').textContent.includes('done') && document.querySelectorAll('.grid .c.s-done').length == 3`)
	p.quiet()
}

// focusShown says whether what has the focus shows it.
const focusShown = `(() => { const e = document.activeElement, s = getComputedStyle(e); return e !== document.body && s.outlineStyle != 'none' && parseFloat(s.outlineWidth) >= 2; })()`

// tabTo presses Tab until what has the focus matches, and holds each stop to
// show its focus.
func (p *tab) tabTo(js string) {
	p.Helper()
	for range 150 {
		p.press("\t")
		if !value[bool](p, `document.activeElement === document.body || `+focusShown) {
			p.Errorf("the focus does not show on %s", value[string](p, `document.activeElement.outerHTML.slice(0, 200)`))
		}
		if value[bool](p, `(() => { const e = document.activeElement; return !!(`+js+`); })()`) {
			return
		}
	}
	p.Fatalf("Tab does not reach %s on %s", js, value[string](p, `location.pathname`))
}

// TestKeyboardOnly goes the way of a user who has no mouse. Only the choice of
// the file is not by keys: that dialog is the browser's.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--web-undo", "1s")
	account(t, f, "ann", "submitter")
	p := open(t, f, "")
	p.to("/ui/login")
	p.await(`document.activeElement.name == 'login'`)
	p.press("ann")
	p.tabTo(`e.name == 'password'`)
	p.press(password)
	p.tabTo(`e.matches('button.main')`)
	p.press("\r")
	p.await(`document.querySelector('.me')`)
	p.press("\t")
	if !value[bool](p, `document.activeElement.matches('.skip')`) {
		t.Error("the first stop is not the way past the head of the page")
	}
	p.press("gs")
	p.await(`location.pathname == '/ui/submit'`)
	p.tabTo(`e.type == 'file'`)
	p.run(chromedp.SetUploadFiles("input[type=file]", []string{template(t, "keys", "1-4", `true`)}))
	p.await(`document.querySelector('input[name=priority]')`)
	p.tabTo(`e.name == 'priority'`)
	p.tabTo(`e.matches('main form button.main')`)
	p.press("\r")
	p.await(`document.querySelectorAll('.grid .c').length == 4`)
	p.tabTo(`e.matches('.grid .c')`)
	p.press(kb.ArrowRight)
	p.await(`document.activeElement === document.querySelectorAll('.grid .c')[1]`)
	chosen := func(what string) {
		t.Helper()
		p.await(`document.querySelector('[data-choose]').hidden == ` + fmt.Sprint(what == "") + ` && [...document.querySelectorAll('.grid .chosen')].map((a) => a.id).join() == '` + what + `'`)
	}
	p.press(" ")
	chosen("c-0-1")
	p.run(chromedp.KeyEvent(kb.ArrowRight, chromedp.KeyModifiers(input.ModifierShift)))
	chosen("c-0-1,c-0-2")
	p.press(kb.Escape)
	chosen("")
	p.press(kb.ArrowLeft)
	p.press("\r")
	p.await(`location.pathname.endsWith('/tasks/0/1')`)
	p.tabTo(`e.matches('.crumbs a') && e.textContent == 'keys'`)
	p.press("\r")
	p.await(`document.querySelectorAll('.grid .c').length == 4`)
	p.tabTo(`e.textContent.includes('Cancel')`)
	p.press("\r")
	p.await(`document.querySelector('.head .chip').textContent.includes('canceled')`)
	p.press("?")
	p.await(`document.querySelector('#keys').open`)
	p.press("?gs") // which do nothing while the list of keys is open
	p.press(kb.Escape)
	p.await(`!document.querySelector('#keys').open && location.pathname != '/ui/submit'`)
	p.press("/")
	p.await(`document.activeElement.id == 'search'`)
	p.press("gs")
	p.await(`document.activeElement.value.endsWith('gs') && location.pathname != '/ui/submit'`)
	p.quiet()
}

// TestKeysOfPages goes to every page that has a key, and finds each in the list
// of keys.
func TestKeysOfPages(t *testing.T) {
	t.Parallel()
	p := open(t, harness.StartFarm(t), "admin")
	p.to("/ui/account")
	for _, k := range [][2]string{{"f", ""}, {"j", "jobs"}, {"s", "submit"}, {"w", "workers"}, {"r", "renderers"}, {"u", "users"}, {"e", "settings"}} {
		p.press("g" + k[0])
		p.await(`location.pathname == '/ui/` + k[1] + `'`)
		p.await(`[...document.querySelectorAll('#keys dt')].some((e) => e.textContent == 'g ` + k[0] + `')`)
	}
	p.quiet()
}
