package blender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inputs gathers files of a scene and of its libraries.
type inputs struct {
	plan  *Plan
	seen  map[string]bool // inputs
	libs  map[string]bool // libraries that were read
	queue []string        // libraries to read
	// inside is the folder that files must lie in; "" for any.
	inside string
}

// collectInputs finds every file the render needs, through linked libraries.
func (p *Plan) collectInputs(ctx context.Context, path, inside string) error {
	in := &inputs{plan: p, inside: inside, seen: map[string]bool{}, libs: map[string]bool{path: true}}
	in.add(path, SceneFile)
	if err := in.files(p.Scene.Files, ""); err != nil {
		return err
	}
	for len(in.queue) > 0 {
		lib := in.queue[0]
		in.queue = in.queue[1:]
		s, err := readSceneIn(ctx, lib, in.inside)
		var fault *SceneFault
		switch {
		case errors.As(err, &fault):
			p.Warnings = append(p.Warnings, fmt.Sprintf("library %s cannot be read, so files it needs are not known: %v", lib, fault))
			continue
		case err != nil:
			return err
		}
		if err := in.files(s.Files, lib); err != nil {
			return err
		}
	}
	p.setRoots()
	return nil
}

func (in *inputs) add(path string, kind FileKind) {
	if !in.seen[path] {
		in.seen[path] = true
		in.plan.Inputs = append(in.plan.Inputs, Input{Path: path, Kind: kind})
	}
}

func (in *inputs) files(files []File, library string) error {
	for _, f := range files {
		if !f.Exists {
			if !f.Optional {
				if library != "" {
					f.Name = filepath.Base(library) + "/" + f.Name
				}
				in.plan.Missing = append(in.plan.Missing, f)
			}
			continue
		}
		for _, path := range f.OnDisk() {
			in.add(path, f.Kind)
		}
		if f.Kind == LibraryFile && !in.libs[f.Resolved] {
			in.libs[f.Resolved] = true
			in.queue = append(in.queue, f.Resolved)
		}
		if len(in.plan.Inputs) > maxInputs || len(in.libs) > maxLibraries {
			return fmt.Errorf("the scene needs more than %d files or %d libraries", maxInputs, maxLibraries)
		}
	}
	return nil
}

// setRoots finds the folders that hold all inputs: few, but not so high that
// unrelated trees share one.
func (p *Plan) setRoots() {
	var roots []string
	for _, in := range p.Inputs {
		roots = addRoot(roots, filepath.Dir(in.Path))
	}
	slices.Sort(roots)
	p.Roots = roots
	for i := range p.Inputs {
		for _, r := range roots {
			if below(p.Inputs[i].Path, r) {
				p.Inputs[i].Root = r
			}
		}
	}
}

// addRoot adds a folder to roots, or widens one of them to hold it too.
func addRoot(roots []string, dir string) []string {
	for _, r := range roots {
		if below(dir, r) {
			return roots
		}
	}
	for i, r := range roots {
		if c := common(r, dir); depth(c) >= 2 {
			rest := slices.Delete(roots, i, i+1)
			rest = slices.DeleteFunc(rest, func(s string) bool { return below(s, c) })
			return append(rest, c)
		}
	}
	return append(roots, dir)
}

func below(path, root string) bool {
	return path == root || strings.HasPrefix(path, strings.TrimSuffix(root, string(os.PathSeparator))+string(os.PathSeparator))
}

// common is the longest folder above both a and b; "" when there is none.
func common(a, b string) string {
	for !below(b, a) {
		up := filepath.Dir(a)
		if up == a {
			return ""
		}
		a = up
	}
	return a
}

// depth counts the folders of a path, without its volume.
func depth(path string) int {
	path = strings.Trim(path[len(filepath.VolumeName(path)):], `/\`)
	if path == "" {
		return 0
	}
	return strings.Count(filepath.ToSlash(path), "/") + 1
}
