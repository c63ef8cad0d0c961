package blender

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// EnvBlender names the environment variable with the Blender to use.
const EnvBlender = "DROVER_BLENDER"

const (
	versionWait   = 30 * time.Second
	versionOutput = 64 << 10
	maxBuilds     = 64
)

// Build is a Blender that is installed on this machine.
type Build struct {
	Path    string    `json:"path"`
	Version string    `json:"version"` // such as 3.4.1
	Hash    string    `json:"hash"`    // of the commit it was built from; "" if it does not say
	ModTime time.Time `json:"mod_time"`
	Size    int64     `json:"size"`
}

// Newer says whether b's version is later than c's.
func (b *Build) Newer(c *Build) bool {
	return slices.Compare(versionParts(b.Version), versionParts(c.Version)) > 0
}

func versionParts(v string) []int {
	var out []int
	for part := range strings.SplitSeq(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}

// DetectOptions say where to look for Blender and where to remember what was
// found.
type DetectOptions struct {
	Cache  string   // file to remember versions in, so that Blender need not be run; "" for none
	Places []string // patterns of paths to look at; nil for the usual ones
	Log    *slog.Logger
}

// Detect finds the Blenders of this machine: the one that DROVER_BLENDER names,
// the one on PATH, and those in the usual places, newest first after the first
// two. Each that is not remembered is asked for its version; one that does not
// answer is left out, with a warning.
func Detect(ctx context.Context, o DetectOptions) []Build {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	known := o.recall()
	var out []Build
	seen := map[string]bool{}
	for _, path := range candidates(o.Places) {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] || len(out) == maxBuilds {
			continue
		}
		seen[real] = true
		st, err := os.Stat(real)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		b, ok := known[path]
		if !ok || !b.ModTime.Equal(st.ModTime()) || b.Size != st.Size() {
			if b, err = probe(ctx, path); err != nil {
				o.Log.Warn("a Blender does not say its version", "path", path, "error", err)
				continue
			}
			b.ModTime, b.Size = st.ModTime(), st.Size()
		}
		out = append(out, b)
	}
	o.remember(out)
	return out
}

func (o *DetectOptions) recall() map[string]Build {
	known := map[string]Build{}
	if o.Cache == "" {
		return known
	}
	f, err := os.Open(o.Cache)
	if err != nil {
		return known
	}
	defer f.Close()
	var builds []Build
	if json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&builds) != nil {
		return known // written anew below
	}
	for _, b := range builds {
		known[b.Path] = b
	}
	return known
}

func (o *DetectOptions) remember(builds []Build) {
	if o.Cache == "" {
		return
	}
	if err := writeJSON(o.Cache, builds); err != nil {
		o.Log.Warn("the list of Blenders is not kept", "error", err)
	}
}

// candidates lists paths to look at, the preferred first.
func candidates(places []string) []string {
	var out []string
	if places == nil {
		if p := os.Getenv(EnvBlender); p != "" {
			out = append(out, p)
		}
		if p, err := exec.LookPath("blender"); err == nil {
			out = append(out, p)
		}
		places = usualPlaces()
	}
	var found []string
	for _, p := range places {
		list, err := filepath.Glob(p)
		if err == nil {
			found = append(found, list...)
		}
	}
	slices.Sort(found)
	slices.Reverse(found) // blender-4.2 before blender-3.6
	return append(out, found...)
}

func usualPlaces() []string {
	home, _ := os.UserHomeDir() // without one, the patterns find nothing
	switch runtime.GOOS {
	case "windows":
		return []string{`C:\Program Files\Blender Foundation\Blender*\blender.exe`, filepath.Join(home, `AppData\Local\Programs\Blender*\blender.exe`)}
	case "darwin":
		return []string{"/Applications/Blender*.app/Contents/MacOS/Blender", filepath.Join(home, "Applications/Blender*.app/Contents/MacOS/Blender")}
	}
	return []string{
		"/usr/bin/blender", "/usr/local/bin/blender", "/opt/blender*/blender", "/opt/blender/*/blender", "/snap/bin/blender",
		"/usr/local/blender*/blender", filepath.Join(home, "blender*/blender"), filepath.Join(home, ".local/bin/blender"),
	}
}

var (
	versionRE = regexp.MustCompile(`(?m)^Blender (\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)`)
	hashRE    = regexp.MustCompile(`(?m)build hash: ([0-9a-f]{6,40})`)
)

// probe runs a Blender for its version.
func probe(ctx context.Context, path string) (Build, error) {
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	out := &limited{left: versionOutput}
	cmd.Stdout, cmd.WaitDelay = out, time.Second
	if err := cmd.Run(); err != nil {
		return Build{}, fmt.Errorf("run %s --version: %w", path, err)
	}
	return parseVersion(path, out.buf.Bytes())
}

func parseVersion(path string, out []byte) (Build, error) {
	m := versionRE.FindSubmatch(out)
	if m == nil {
		return Build{}, fmt.Errorf("%s --version prints no version of Blender", path)
	}
	b := Build{Path: path, Version: string(m[1])}
	if h := hashRE.FindSubmatch(out); h != nil {
		b.Hash = string(h[1])
	}
	return b, nil
}

// limited keeps the first bytes of an output and drops the rest.
type limited struct {
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.buf.Write(b[:n])
	l.left -= n
	return len(b), nil
}

// Find gives the path of the Blender to use: what DROVER_BLENDER names, the one
// on PATH, or the newest in the usual places. It runs no Blender unless it must
// choose.
func Find(ctx context.Context) (string, error) {
	if p := os.Getenv(EnvBlender); p != "" {
		return p, nil
	}
	if p, err := exec.LookPath("blender"); err == nil {
		return p, nil
	}
	builds := Detect(ctx, DetectOptions{})
	if len(builds) == 0 {
		return "", &renderer.Fault{Party: renderer.WorkerFault, Message: "no Blender was found on this machine: install it, or name it with " + EnvBlender}
	}
	best := slices.MaxFunc(builds, func(a, b Build) int {
		if a.Newer(&b) {
			return 1
		}
		return -1
	})
	return best.Path, nil
}
