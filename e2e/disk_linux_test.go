package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"drover.farm/e2e/harness"
	"drover.farm/internal/client"
	"drover.farm/internal/secret"
)

// TestAFullDiskIsSaidAndLosesNothing runs a farm on a file system of 24 MiB, in
// a mount namespace of its own. A file that does not fit is refused, nothing of
// it is kept, and the farm goes on.
func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	// The token leaves the namespace by a pipe: the farm's folder is seen only
	// inside it.
	script := `mount -t tmpfs -o size=24m tmpfs "$1" && "$2" serve --data "$1/farm" --listen "$3" --files-min-free 0 & farm=$!
trap 'kill $farm; wait $farm' TERM
while [ ! -s "$1/farm/admin.token" ]; do sleep 0.05; kill -0 $farm || exit 1; done
cat "$1/farm/admin.token"
wait $farm`
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", strings.Replace(script, "&& \"$2\"", "|| exit 1\n\"$2\"", 1), "farm", dir, harness.Binary(t), addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = harness.Environment()
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of the farm:\n%s", log.String())
		}
	})
	line := make([]byte, 128)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the farm did not start: %v", err)
	}
	token := strings.TrimSpace(string(line[:n]))
	c, err := client.New(client.Config{Server: "http://" + addr, Token: secret.Text(token), Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	harness.Until(t, "the farm is ready", harness.Patience, func() bool {
		_, err := c.Farm(t.Context())
		return err == nil
	})
	big := filepath.Join(t.TempDir(), "big")
	fill(t, big, 40<<20, 1)
	if _, err := c.Upload(t.Context(), big); err == nil || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "room") {
		t.Fatalf("a file larger than the disk: %v", err)
	}
	// What fits is still taken, once nothing of the large one is left; jobs too.
	var small string
	for i := range 5 {
		small = filepath.Join(t.TempDir(), "small")
		fill(t, small, 1<<20, byte(i+2))
		if _, err := c.Upload(t.Context(), small); err != nil {
			t.Fatalf("a small file after the refusal: %v", err)
		}
	}
	env := []string{"DROVER_SERVER=http://" + addr, "DROVER_TOKEN=" + token}
	for i := range 3 {
		harness.Run(t, env, "submit", quick(t, 10, frameFile), "--name", fmt.Sprint("job ", i), "--json").OK(t)
	}
	// Fill it to the brim, then see that nothing acknowledged is gone.
	for i := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		path := filepath.Join(t.TempDir(), "fill")
		fill(t, path, 1<<20, byte(i+50))
		_, err := c.Upload(ctx, path)
		cancel()
		if err != nil {
			break
		}
	}
	jobs, err := c.Jobs(t.Context(), client.JobFilter{})
	if err != nil || len(jobs.Jobs) != 3 {
		t.Errorf("jobs on a full disk: %+v, %v; want the 3 that were accepted", jobs, err)
	}
}
