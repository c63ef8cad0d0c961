package sandbox_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Inside()
	os.Exit(m.Run())
}

// sh runs a script in a sandbox.
func sh(t *testing.T, script, write string) (string, error) {
	t.Helper()
	out, err := sandbox.Run(t.Context(), sandbox.Spec{Program: "/bin/sh", Args: []string{"-c", script}, Write: write})
	return string(out), err
}

func TestWritesToItsFolderOnly(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	secret := filepath.Join(other, "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := sh(t, "echo hi > "+dir+"/file; echo x > "+other+"/file; echo x > /usr/bin/evil; cat "+secret+"; cat /etc/passwd; ls /; id -u", dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "hi\n" {
		t.Errorf("its own folder: %q, %v", b, err)
	}
	for _, p := range []string{filepath.Join(other, "file"), "/usr/bin/evil"} {
		if _, err := os.Stat(p); err == nil {
			os.Remove(p)
			t.Errorf("it wrote %s", p)
		}
	}
	if strings.Contains(out, "s3cret") || strings.Contains(out, "root:") || strings.Contains(out, "\nhome\n") {
		t.Errorf("it saw more than it should:\n%s", out)
	}
}

func TestHasNoNetworkAndNoRights(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := sh(t, "mount -t tmpfs none /tmp && echo mounted; chroot / true && echo rooted; cat /proc/net/dev 2>/dev/null | wc -l", "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "mounted") || strings.Contains(out, "rooted") {
		t.Errorf("it had rights:\n%s", out)
	}
	if _, err := sandbox.Run(t.Context(), sandbox.Spec{Program: "/bin/bash", Args: []string{"-c", "echo x > /dev/tcp/" + strings.Replace(l.Addr().String(), ":", "/", 1)}}); err == nil {
		t.Error("it reached a listener on loopback")
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	if _, err := sandbox.Run(t.Context(), sandbox.Spec{Program: "/bin/sh", Args: []string{"-c", "sleep 1000 & sleep 1000"}, Time: 300 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a program without end: %v", err)
	}
	if _, err := sh(t, "echo it broke >&2; exit 3", ""); err == nil || !strings.Contains(err.Error(), "it broke") {
		t.Errorf("a program that fails: %v", err)
	}
	out, err := sh(t, "yes | head -c 1000000", "")
	if err != nil || len(out) > 64<<10 {
		t.Errorf("%d bytes of output, %v", len(out), err)
	}
}
