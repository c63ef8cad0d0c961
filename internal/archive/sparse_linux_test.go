package archive_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"drover.farm/internal/archive"
)

// TestSparseTricks packs a file of 1 TiB of holes as GNU tar does, in its own form
// and in that of POSIX: some kilobytes that would fill any disk.
func TestSparseTricks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "holes"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "holes"), 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "pax"} {
		data, err := exec.Command("tar", "--sparse", "--format="+format, "-cf", "-", "-C", dir, "holes").Output()
		if err != nil || len(data) > 1<<20 {
			t.Fatalf("tar made %d bytes, %v", len(data), err)
		}
		var refused *archive.Refusal
		if _, err := unpack(t, data, archive.Options{}); !errors.As(err, &refused) || refused.Entry != "holes" {
			t.Errorf("%s: %v", format, err)
		}
		// Within the limit of bytes it is the ratio that gives it away.
		if _, err := unpack(t, data, archive.Options{Limits: archive.Limits{Bytes: 1 << 41}}); !errors.As(err, &refused) || !bytes.Contains([]byte(refused.Why), []byte("times its size")) {
			t.Errorf("%s, within the limit: %v", format, err)
		}
	}
}
