package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/e2e/harness"
)

// TestOneFarmAFolder: a second farm on one data folder is refused by name.
func TestOneFarmAFolder(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	r := harness.Run(t, nil, "serve", "--data", f.Data, "--listen", "127.0.0.1:0")
	if r.Code != 1 || !strings.Contains(r.ErrOut, "in use by another drover serve") || !strings.Contains(r.ErrOut, fmt.Sprint(f.PID())) {
		t.Errorf("exit %d: %s", r.Code, r.ErrOut)
	}
	if info, err := os.Stat(f.TokenFile()); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the administrator's token: %v, %v; want it for its owner alone", info, err)
	}
}

// TestRubbishIsRefused gives the command line what is no scene.
func TestRubbishIsRefused(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	blend := scene(t, 32, 18, 1, 3)
	whole, err := os.ReadFile(blend)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no blend":     {[]string{write("text.blend", "hello, I am no scene")}, "blend"},
		"cut blend":    {[]string{write("cut.blend", string(whole[:len(whole)/3]))}, "blend"},
		"empty frames": {[]string{blend, "--frames", ""}, "frame"},
		"reversed":     {[]string{blend, "--frames", "10-1"}, "10-1"},
		"malformed":    {[]string{blend, "--frames", "1-2-3"}, "1-2-3"},
		"absurd":       {[]string{blend, "--frames", "1-1000000000"}, "frames"},
		"new line":     {[]string{blend, "--frames", "1", "--name", "a\nb"}, "name"},
		"long name":    {[]string{blend, "--frames", "1", "--name", strings.Repeat("x", 300)}, "300"},
		"no file":      {[]string{filepath.Join(dir, "nothing.blend")}, "nothing.blend"},
		"format":       {[]string{blend, "--format", "GIF"}, "GIF"},
		"priority":     {[]string{blend, "--priority", "101"}, "101"},
	} {
		r := f.Drover(append([]string{"submit"}, c.args...)...)
		if r.Code == 0 || !strings.Contains(r.ErrOut, c.want) {
			t.Errorf("%s: exit %d, says %q; want %q in it", name, r.Code, r.ErrOut, c.want)
		}
	}
	if out := f.Drover("job", "ls", "--json").OK(t).Out; strings.TrimSpace(out) != "[]" {
		t.Errorf("jobs after all that: %s", out)
	}
	r := harness.Run(t, []string{"DROVER_SERVER=" + f.URL, "DROVER_TOKEN=drv_wrong"}, "job", "ls")
	if r.Code != 1 || !strings.Contains(r.ErrOut, "token") {
		t.Errorf("a wrong token: exit %d, %s", r.Code, r.ErrOut)
	}
}

// fill writes a file of n bytes whose content depends on seed.
func fill(t *testing.T, path string, n int, seed byte) {
	t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i>>12)*7 + byte(i)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
