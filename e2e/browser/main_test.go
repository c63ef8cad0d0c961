// Package browser holds scenarios of the page as people meet it: a real farm, a
// real worker with Blender, and a real browser. Whatever a page logs as an error,
// and whatever its security policy refuses, fails the test.
package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"drover.farm/e2e/harness"
	"drover.farm/internal/renderer/blender"
)

// long is how long a page may take to come to something on a slow and busy
// machine before it counts as stuck.
const long = 4 * time.Minute

func TestMain(m *testing.M) {
	harness.Main(m, func() {
		if chrome.end != nil {
			chrome.end()
		}
	})
}

// chrome is the one browser of all tests; each page has a profile of its own.
var chrome struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func browser(t *testing.T) context.Context {
	t.Helper()
	chrome.once.Do(func() {
		path, err := exec.LookPath("chromium")
		if err != nil {
			chrome.err = err
			return
		}
		alloc, stop := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
			chromedp.WSURLReadTimeout(long))
		ctx, closeIt := chromedp.NewContext(alloc)
		chrome.ctx, chrome.err = ctx, chromedp.Run(ctx)
		chrome.end = func() { closeIt(); stop() }
	})
	if chrome.err != nil {
		t.Fatalf("%v; the tests take Chromium, which this installs: make deps", chrome.err)
	}
	return chrome.ctx
}

// demo is the sample animation, made once for all tests.
var demo = sync.OnceValues(func() (string, error) {
	path, err := exec.LookPath("blender")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "drover-browser-")
	if err != nil {
		return "", err
	}
	scene := filepath.Join(dir, "sample.blend")
	return scene, blender.MakeDemo(context.Background(), path, scene)
})

// scene copies the sample animation to a folder of the test.
func scene(t *testing.T, name string) string {
	t.Helper()
	from, err := demo()
	if err != nil {
		t.Fatalf("%v; the tests take Blender, which this installs: make deps", err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const password = "a long password"

// account adds a user who signs in with the password above.
func account(t *testing.T, f *harness.Farm, login, roles string) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), "user", "add", login, "--role", roles, "--password-stdin")
	cmd.Env, cmd.Stdin = harness.Environment(f.Env()...), strings.NewReader(password+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// template writes a job of one step whose tasks run a shell script.
func template(t *testing.T, name, frames, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.yaml")
	text := `specificationVersion: jobtemplate-2023-09
name: ` + name + `
parameterDefinitions:
- {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT, default: out}
steps:
- name: Render
  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: "` + frames + `"}]}
  script:
    actions: {onRun: {command: sh, args: ["{{Task.File.Run}}"]}}
    embeddedFiles:
    - name: Run
      type: TEXT
      data: |
        frame={{Task.Param.Frame}}; out='{{Param.Out}}'; mkdir -p "$out"
        ` + strings.ReplaceAll(script, "\n", "\n        ") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
