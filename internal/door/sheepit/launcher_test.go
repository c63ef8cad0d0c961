package sheepit

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/archive"
	"drover.farm/internal/farm"
)

// windowsBuild publishes a Blender for Windows as its official archives are.
func (b *bundle) windowsBuild() *farm.Build {
	b.t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, name := range []string{"blender-4.2.1/blender.exe", "blender-4.2.1/4.2/scripts/a.py"} {
		b.check(tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(name))}))
		_, err := tw.Write([]byte(name))
		b.check(err)
	}
	b.check(tw.Close())
	out, _, err := b.f.PublishBuild(b.t.Context(), root, farm.Build{Product: "blender", Version: "4.2.1", OS: "windows", Arch: "x86_64",
		SHA256: b.blob(buf.Bytes()).SHA256, Layout: farm.Layout{Root: "blender-4.2.1", Program: "blender.exe"}})
	b.check(err)
	return out
}

// TestLauncherForWindows goes into the archive beside Blender; without it, or
// with what is none, clients start Blender itself.
func TestLauncherForWindows(t *testing.T) {
	t.Parallel()
	good, bad := filepath.Join(t.TempDir(), "drover.exe"), filepath.Join(t.TempDir(), "drover")
	for path, text := range map[string]string{good: "MZ and more", bad: "\x7fELF"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]bool{}
	for _, c := range []struct {
		file, log string
		rend      string
		names     []string
	}{
		{"", "", "blender-4.2.1/blender.exe", []string{"rend.exe", "4.2/", "4.2/scripts/", "4.2/scripts/a.py"}},
		{good, "", "MZ and more", []string{"blender.exe", "4.2/", "4.2/scripts/", "4.2/scripts/a.py", "rend.exe"}},
		{bad, "it is no program for Windows", "blender-4.2.1/blender.exe", []string{"rend.exe", "4.2/", "4.2/scripts/", "4.2/scripts/a.py"}},
		{good + "x", "no such file", "blender-4.2.1/blender.exe", []string{"rend.exe", "4.2/", "4.2/scripts/", "4.2/scripts/a.py"}},
	} {
		b := setup(t, Config{Settings: Settings{Launcher: c.file}}, farm.Settings{})
		pack, err := b.door.packer.build(t.Context(), b.windowsBuild(), false)
		b.check(err)
		keys[pack.Key] = true
		content := b.content(pack.SHA256)
		if d := cmp.Diff(c.names, entries(t, string(content))); d != "" {
			t.Errorf("%q: -want +got\n%s", c.file, d)
		}
		dir := t.TempDir()
		b.check(archive.Unpack(t.Context(), bytes.NewReader(content), pack.Size, dir, "x", archive.Options{}))
		if got, err := os.ReadFile(filepath.Join(dir, "x", rendProgram)); err != nil || string(got) != c.rend {
			t.Errorf("%q: rend.exe is %q, %v", c.file, got, err)
		}
		if !strings.Contains(b.log.String(), c.log) {
			t.Errorf("%q: the log does not say %q: %s", c.file, c.log, b.log)
		}
	}
	if len(keys) != 2 {
		t.Errorf("archives with and without the launcher have the keys %v", keys)
	}
}
