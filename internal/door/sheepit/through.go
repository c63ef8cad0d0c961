package sheepit

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
)

// Obstacle says why a job cannot be rendered through this door, "" when it can.
// It is for farm.Config.Obstacles.
func Obstacle(s *farm.Spec) string {
	switch {
	case s.Renderer != product || !blender.Shipped(s.Template):
		return "SheepIt clients render only Drover's own jobs for Blender"
	case len(s.Environments) > 0:
		return "it has environments, which SheepIt clients cannot enter"
	case s.Parameters["Autoexec"] == "true":
		return "the scene's scripts are to run, and would on the machines of strangers"
	case s.Check != nil && s.Check.Pictures > 1:
		return "each frame gives " + strconv.Itoa(s.Check.Pictures) + " pictures, one for each view, and SheepIt clients deliver one"
	}
	if frames, err := renderer.ParseFrames(s.Parameters["Frames"]); err != nil || frames.Runs()[0].Start < 0 {
		return "it has frames below 0, which the command line of SheepIt clients cannot say"
	}
	if _, _, ok := place(s, s.Parameters["Scene"]); !ok {
		return "its scene is not among its files"
	}
	return ""
}

// place finds a path of the submitter's machine among the job's roots: the
// innermost root that it lies under, and the rest of it.
func place(s *farm.Spec, p string) (root int, rest string, ok bool) {
	root = -1
	slashed := func(p string, format string) string {
		if format == "WINDOWS" {
			p = strings.ReplaceAll(p, `\`, "/")
		}
		return path.Clean(p)
	}
	for i, r := range s.Roots {
		at, have := slashed(r.Path, r.Format), slashed(p, r.Format)
		inside := have == at || strings.HasPrefix(have, strings.TrimSuffix(at, "/")+"/")
		if r.Format == "WINDOWS" && !inside {
			inside = strings.HasPrefix(strings.ToLower(have), strings.ToLower(strings.TrimSuffix(at, "/"))+"/")
		}
		if inside && (root < 0 || len(r.Path) > len(s.Roots[root].Path)) {
			root, rest = i, strings.TrimPrefix(have[min(len(at), len(have)):], "/")
		}
	}
	return root, rest, root >= 0
}

// frameOf is the number of the frame that a lease is for.
func frameOf(l *farm.Lease) (int64, error) {
	for _, p := range l.Parameters {
		if p.Name == "Frame" {
			var n int64
			if _, err := fmt.Sscanf(p.Value, "%d", &n); err != nil {
				return 0, fmt.Errorf("job %d: the frame %q is no number", l.Task.Job, p.Value)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("job %d has no parameter Frame", l.Task.Job)
}

// frameText is a frame as Blender writes it into file names, which is what
// clients look for.
func frameText(n int64) string { return fmt.Sprintf("%04d", n) }

// outputOf is the file that a frame of the job becomes, under the name that
// every other worker gives it.
func outputOf(s *farm.Spec, frame int64, extension string) farm.File {
	name := renderer.FrameName(s.Parameters["OutputName"], frame) + extension
	root, rest, ok := place(s, s.Parameters["OutputDir"])
	if !ok {
		return farm.File{Name: name}
	}
	return farm.File{Name: path.Join(rest, name), Root: root}
}
