package vray

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// Install is a V-Ray Standalone that is installed on this machine.
type Install struct {
	Path    string
	Version string // such as 6.20.10
}

var coreRE = regexp.MustCompile(`V-Ray core version is (\d+\.\d+\.\d+)`)

// Detect finds the V-Ray that DROVER_VRAY names and the one on PATH, and asks each
// for its version.
func Detect(ctx context.Context) []Install {
	var out []Install
	seen := map[string]bool{}
	onPath, _ := exec.LookPath("vray") // "" when there is none
	for _, p := range []string{os.Getenv("DROVER_VRAY"), onPath} {
		real, err := filepath.EvalSymlinks(p)
		if p == "" || err != nil || seen[real] {
			continue
		}
		seen[real] = true
		if v := ask(ctx, p); v != "" {
			out = append(out, Install{p, v})
		}
	}
	return out
}

// ask runs a V-Ray for its version; "" when it does not say.
func ask(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-version")
	cmd.WaitDelay = time.Second
	text, _ := cmd.CombinedOutput() // some versions end with an error
	if m := coreRE.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}
