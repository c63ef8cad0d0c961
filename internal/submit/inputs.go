// Package submit finds what a job needs on a machine's disk: the files of a
// scene, of an OpenJD template and of a job bundle, and the folders that its
// paths lie under. The command line uses it on the submitter's machine, the page
// on what was uploaded. It sends nothing.
package submit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"drover.farm/internal/api"
)

// maxInputs bounds what one job may bring along, files found in folders
// included.
const maxInputs = 200_000

// Inputs are the files that a job needs and the folders that its paths lie
// under, on this machine.
type Inputs struct {
	Roots  []api.Root
	Notes  []string               // for people
	files  map[string]os.FileInfo // by absolute path
	pruned map[string]bool        // folders for outputs alone
	inside string                 // files elsewhere are refused; "" for anywhere
}

// New makes Inputs without any. With a folder, given with its links resolved,
// only files beneath it are taken: what a stranger uploaded must not bring along
// files of this machine.
func New(inside string) *Inputs {
	return &Inputs{inside: inside, files: map[string]os.FileInfo{}, pruned: map[string]bool{}}
}

func pathFormat() string {
	if runtime.GOOS == "windows" {
		return "WINDOWS"
	}
	return "POSIX"
}

// Root adds a folder that paths of the job lie under. One that is both input
// and output is one root.
func (in *Inputs) Root(dir string, output bool) {
	dir = filepath.Clean(dir)
	for i := range in.Roots {
		if in.Roots[i].Path == dir {
			in.Roots[i].Output = in.Roots[i].Output || output
			return
		}
	}
	in.Roots = append(in.Roots, api.Root{Path: dir, Format: pathFormat(), Output: output})
}

// File adds a file that must be there.
func (in *Inputs) File(path string) error {
	if !in.may(path) {
		return fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder, not a file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no ordinary file", path)
	case len(in.files) >= maxInputs:
		return fmt.Errorf("the job needs more than %d files; pack them", maxInputs)
	}
	in.files[filepath.Clean(path)] = info
	return nil
}

// may reports whether the path leads to a file that may be taken.
func (in *Inputs) may(path string) bool {
	if in.inside == "" {
		return true
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && beneath(real, in.inside)
}

// Folder adds all files below a folder. Links to files count as the files;
// links to folders and what is no ordinary file are left out with a note.
func (in *Inputs) Folder(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if in.pruned[path] && path != dir {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				in.Notes = append(in.Notes, fmt.Sprintf("%s is left out: it is no file, nor a link to one", path))
				return nil
			}
		}
		return in.File(path)
	})
}

// rootOf is the innermost root that a path lies under, -1 for none: that is how
// OpenJD maps paths, too.
func (in *Inputs) rootOf(path string) int {
	best := -1
	for i, r := range in.Roots {
		if beneath(path, r.Path) && (best < 0 || len(r.Path) > len(in.Roots[best].Path)) {
			best = i
		}
	}
	return best
}

func beneath(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// List gives the files in the order of their paths, as the farm wants them but
// for their hashes, beside their paths on this machine.
func (in *Inputs) List() (files []api.File, paths []string, err error) {
	for p := range in.files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		r := in.rootOf(p)
		if r < 0 {
			return nil, nil, fmt.Errorf("%s lies under none of the job's folders", p)
		}
		name, err := filepath.Rel(in.Roots[r].Path, p)
		if err != nil {
			return nil, nil, err
		}
		name = filepath.ToSlash(name)
		if why := unfit(name); why != "" {
			return nil, nil, fmt.Errorf("the file %q cannot be sent: its name %s; rename it", p, why)
		}
		info := in.files[p]
		files = append(files, api.File{Name: name, Root: r, Size: info.Size(), Mode: int(info.Mode().Perm())})
	}
	return files, paths, nil
}

// unfit says what keeps a file name from being used on every system.
func unfit(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.ContainsAny(name, "\\:"):
		return "has a backslash or a colon"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters"
	case len(name) > 1024:
		return "is longer than 1024 bytes"
	}
	return ""
}
