package blender

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed demo.py
var demoScript []byte

// DemoFrames is how many frames the sample animation has.
const DemoFrames = 24

const demoWait = 2 * time.Minute

// MakeDemo has the Blender at blender make the sample animation and save it as
// a scene at path: DemoFrames frames of 320x180 for Cycles on the CPU.
func MakeDemo(ctx context.Context, blender, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find the folder of the sample animation: %w", err)
	}
	dir, err := os.MkdirTemp("", "drover-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "demo.py")
	if err := os.WriteFile(script, demoScript, 0o600); err != nil {
		return fmt.Errorf("write the script of the sample animation: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, blender, "-b", "--factory-startup", "--python-exit-code", "70", "-P", script, "--", abs)
	out := &limited{left: versionOutput}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make the sample animation with %s: %w: %s", blender, err, lastLines(out.buf.Bytes()))
	}
	if _, err := os.Stat(abs); err != nil {
		return fmt.Errorf("%s made no sample animation: %s", blender, lastLines(out.buf.Bytes()))
	}
	return nil
}

func lastLines(out []byte) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return strings.ToValidUTF8(string(bytes.Join(lines[max(0, len(lines)-5):], []byte(" | "))), "?")
}
