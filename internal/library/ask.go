package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"drover.farm/internal/archive"
	"drover.farm/internal/sandbox"
)

// askTime is how long a program may take to say its version.
const askTime = time.Minute

// versionLines are the option that each program tells its version by, and the
// line that it prints.
var versionLines = map[string]struct {
	option string
	line   *regexp.Regexp
}{
	"vray":     {"-version", regexp.MustCompile(`V-Ray core version is (\d{1,3}\.\d{1,3}\.\d{1,5})`)},
	"blender":  {"--version", regexp.MustCompile(`(?m)^Blender (\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)`)},
	"radiance": {"-version", regexp.MustCompile(`(?i)radiance (\d{1,2}(?:\.\d{1,3})*[a-z]?)`)},
}

// Ask completes what was recognised but for its version: the archive is unpacked
// below dir, and the program is run in a sandbox to say it. What was made is
// removed again.
func Ask(ctx context.Context, r io.ReaderAt, size int64, f *Found, dir string, l archive.Limits) (*Found, error) {
	how, known := versionLines[f.Product]
	if !known || f.OS != hostOS() && f.OS != Any {
		return nil, unknown("the version of this %s cannot be asked for on this machine: it is for %s", f.Product, f.OS)
	}
	work, err := os.MkdirTemp(dir, "ask-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to ask for a version in: %w", err)
	}
	defer os.RemoveAll(work)
	program := filepath.Join(work, "build", filepath.FromSlash(f.Program))
	if err := archive.Unpack(ctx, r, size, work, "build", archive.Options{Limits: l, Root: f.Root}); err != nil {
		return nil, err
	}
	if err := os.Chmod(program, 0o755); err != nil {
		return nil, unknown("the program %s cannot be run: %v", f.Program, errors.Unwrap(err))
	}
	out, err := sandbox.Run(ctx, sandbox.Spec{Program: program, Args: []string{how.option}, Read: []string{filepath.Join(work, "build")}, Time: askTime})
	if err != nil {
		return nil, unknown("the version of this %s cannot be told: asked for it, %s ends with %v", f.Product, f.Program, err)
	}
	m := how.line.FindSubmatch(out)
	if m == nil {
		return nil, unknown("the version of this %s cannot be told: %s %s does not print it", f.Product, f.Program, how.option)
	}
	g := *f
	g.Version = string(m[1])
	if v, ok := ParseVRayVersion(g.Version); ok && f.Product == "vray" {
		g.Version = v.Number()
	}
	return &g, nil
}
