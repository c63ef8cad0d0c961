//go:build unix

package blender

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces keeps what is written to it, write by write.
type pieces []string

func (p *pieces) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

func TestCalledRend(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]bool{`C:\work\12ab\rend.exe`: true, "/tmp/rend.exe": true, "REND.EXE": true, "drover.exe": false, "/usr/bin/rend": false} {
		if CalledRend(program) != want {
			t.Errorf("%s: %v", program, !want)
		}
	}
}

// TestLaunchIsSilentUntilTheSceneIsRead with a script in Blender's place.
func TestLaunchIsSilentUntilTheSceneIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says string
		want pieces
		code int
	}{
		{"echo Blender 4.2.1; echo \"$*\"; echo 'drover: the scene is open'; exit 3", pieces{"Blender 4.2.1\n-b a b.blend\ndrover: the scene is open\n"}, 3},
		{"echo Blender 4.2.1; echo 'Fra:1 Mem:2M'; printf more", pieces{"Blender 4.2.1\nFra:1 Mem:2M\n", "more"}, 0},
		{"echo Blender 4.2.1; printf 'cannot read' >&2; exit 1", pieces{"Blender 4.2.1\ncannot read"}, 1},
		{"echo \"<$PYTHONHOME$BLENDER_USER_CONFIG$OCIO>\"", pieces{"<>\n"}, 0},
		{"kill -9 $$", pieces{""}, 1},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "blender"), []byte("#!/bin/sh\n"+c.says+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		var got pieces
		if code := Launch(filepath.Join(dir, "rend.exe"), []string{"-b", "a b.blend"}, &got); code != c.code {
			t.Errorf("%s: exit code %d", c.says, code)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", c.says, d)
		}
	}
	var got pieces
	if code := Launch(filepath.Join(t.TempDir(), "rend.exe"), nil, &got); code != 127 || !strings.HasPrefix(strings.Join(got, ""), "drover: error of the machine: Blender could not be started: ") {
		t.Errorf("without Blender: %d, %s", code, got)
	}
}

// TestQuietHoldsOnlySoMuchBack and reads on when nobody listens.
func TestQuietHoldsOnlySoMuchBack(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 999) + "\n"
	var got pieces
	quiet(strings.NewReader(strings.Repeat(line, 2000)), &got)
	if n := len(strings.Join(got, "")); n != 2_000_000 || len(got) < 2 || len(got[0]) > maxHeld+maxLine {
		t.Errorf("%d bytes in %d pieces, the first of %d", n, len(got), len(got[0]))
	}
	r := strings.NewReader("Fra:1\n" + strings.Repeat(line, 100))
	quiet(r, closed{})
	if r.Len() != 0 {
		t.Errorf("%d bytes were not read", r.Len())
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, os.ErrClosed }
