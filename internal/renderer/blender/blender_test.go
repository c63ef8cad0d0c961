package blender

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// realBlender is the Blender that tests run.
func realBlender(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("blender")
	if err != nil {
		t.Fatal("these tests run a real Blender, which is not installed; install Blender: make deps")
	}
	return path
}

// runBlender runs a script in an empty Blender, with args after "--".
func runBlender(t testing.TB, script string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	all := append([]string{"-b", "--factory-startup", "--python-exit-code", "9", "-P", file, "--"}, args...)
	out, err := exec.CommandContext(ctx, realBlender(t), all...).CombinedOutput()
	if err != nil {
		t.Fatalf("run Blender: %v\n%s", err, out)
	}
}
