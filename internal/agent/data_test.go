package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAWorkersKeyLasts: it is made once. An empty file, as a power cut may leave
// it, is no key; anything else that is none is somebody's mistake.
func TestAWorkersKeyLasts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "worker.key")
	first, err := workerKey(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := workerKey(path); err != nil || again != first {
		t.Errorf("then it is %q, %v; want %q", again, err, first)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := workerKey(path)
	if err != nil || len(second) != 32 || second == first {
		t.Errorf("in the place of an empty file: %q, %v", second, err)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := workerKey(path); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("of nonsense: %v", err)
	}
}
