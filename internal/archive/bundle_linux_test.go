package archive_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"drover.farm/internal/archive"
)

// TestBundleRunsByItselfAndLeavesIdleFoldersOut bundles this machine's cat with
// a tree, and runs it from where it was unpacked.
func TestBundleRunsByItselfAndLeavesIdleFoldersOut(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	idle := []string{"__pycache__/os.pyc", "test/test_os.py", "idlelib/a.py", "lib2to3/a.py", "ensurepip/a.whl", "turtledemo/a.py", "tkinter/a.py",
		"config-3.11-x86_64-linux-gnu/libpython3.11.a"}
	used := []string{"os.py", "json/decoder.py", "config/settings.py"}
	for _, name := range append(idle, used...) {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = archive.Bundle(t.Context(), &b, archive.Program{Path: program, Name: "kitty", Trees: map[string]string{"python": tree},
		Env: map[string]string{"BUNDLE_PYTHON": "python"}, Files: map[string]string{"about": "text"}})
	if err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	if err := archive.Unpack(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), at, "bundle", archive.Options{}); err != nil {
		t.Fatal(err)
	}
	at = filepath.Join(at, "bundle")
	for _, name := range idle {
		if _, err := os.Stat(filepath.Join(at, "python", name)); err == nil {
			t.Errorf("the bundle has %s", name)
		}
	}
	for _, name := range used {
		out, err := exec.Command(filepath.Join(at, "kitty"), filepath.Join(at, "python", name)).CombinedOutput()
		if err != nil || string(out) != name {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
	for _, name := range []string{"kitty.bin", archive.BundleLoader, "about"} {
		if _, err := os.Stat(filepath.Join(at, name)); err != nil {
			t.Error(err)
		}
	}
}
