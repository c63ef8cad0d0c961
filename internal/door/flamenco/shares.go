package flamenco

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// system is an operating system as Flamenco's settings name it, or the farm's
// own machine.
type system string

const (
	linux   system = "linux"
	win     system = "win"
	osx     system = "osx"
	farmSys system = "farm"
)

// systems are those of workers.
var systems = []system{linux, win, osx}

// systemOf finds the system in what a worker says of itself, as the original
// did: "Linux 3.13.0-44-generic", "Darwin 14.1.0", "Windows 7".
func systemOf(text string) system {
	switch {
	case strings.Contains(text, "Darwin"):
		return osx
	case strings.Contains(text, "Windows"):
		return win
	}
	return linux
}

// family is OpenJD's word for the system.
func (s system) family() string {
	switch s {
	case win:
		return "windows"
	case osx:
		return "macos"
	}
	return "linux"
}

// share is storage that several machines see, by its folder on each system.
type share map[system]string

type shares []share

func parseShares(list []string) (shares, error) {
	var out shares
	for _, text := range list {
		s := make(share)
		for part := range strings.SplitSeq(text, ";") {
			name, path, ok := strings.Cut(strings.TrimSpace(part), "=")
			sys := system(name)
			if !ok || sys != linux && sys != win && sys != osx && sys != farmSys || s[sys] != "" || !isAbsolute(sys, path) {
				return nil, fmt.Errorf("the share %q is not of the form linux=/render;win=R:/;osx=/Volumes/render;farm=/srv/render, with whole paths", text)
			}
			s[sys] = path
		}
		out = append(out, s)
	}
	return out, nil
}

func isAbsolute(s system, path string) bool {
	switch s {
	case win:
		return len(path) > 2 && path[1] == ':' && (path[2] == '/' || path[2] == '\\') || strings.HasPrefix(path, `\\`) || strings.HasPrefix(path, "//")
	case farmSys:
		return filepath.IsAbs(path)
	}
	return strings.HasPrefix(path, "/")
}

// parts are the names in a path.
func parts(s system, path string) []string {
	if s == win || s == farmSys {
		path = strings.ReplaceAll(path, `\`, "/")
	}
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// under is what is left of path below dir; whole folders match, and on Windows in
// any case. A path that steps upwards is below nothing.
func under(s system, path, dir string) ([]string, bool) {
	p, d := parts(s, path), parts(s, dir)
	if len(p) < len(d) || !isAbsolute(s, path) {
		return nil, false
	}
	for i, name := range p {
		if name == ".." {
			return nil, false
		}
		if i < len(d) && name != d[i] && !(s == win && strings.EqualFold(name, d[i])) {
			return nil, false
		}
	}
	return p[len(d):], true
}

// translate gives a path of one system the name that it has on another. The
// share whose folder is the innermost around the path counts.
func (ss shares) translate(path string, from, to system) (string, bool) {
	best, depth := "", -1
	for _, s := range ss {
		if s[from] == "" || s[to] == "" {
			continue
		}
		rest, ok := under(from, path, s[from])
		if n := len(parts(from, s[from])); ok && n > depth {
			best, depth = strings.TrimRight(s[to], `/\`)+"/"+strings.Join(rest, "/"), n
		}
	}
	return best, depth >= 0
}

// paths is one file or folder by its name on each system.
type paths map[system]string

// on is the path on a system: as it was given for that, or translated from what
// was given for another.
func (ss shares) on(p paths, s system) string {
	if p[s] != "" {
		return p[s]
	}
	for _, from := range systems {
		if p[from] == "" {
			continue
		}
		if t, ok := ss.translate(p[from], from, s); ok {
			return t
		}
	}
	return ""
}

// local is where the farm's own machine sees the path, "" where it does not, and
// where a link leads out of the shares: whoever may write to a share could
// otherwise have any file of that machine read, or written over.
func (ss shares) local(p paths) string {
	l := ss.on(p, farmSys)
	if l == "" {
		return ""
	}
	if l = filepath.Clean(filepath.FromSlash(l)); !ss.holds(l) {
		return ""
	}
	return l
}

// holds reports whether a path of the farm's own machine lies on a share, with all
// links followed, as far as it is there.
func (ss shares) holds(path string) bool {
	real, rest := "", ""
	for at := path; ; at = filepath.Dir(at) {
		var err error
		if real, err = filepath.EvalSymlinks(at); err == nil {
			break
		}
		if info, err := os.Lstat(at); err == nil && info.Mode()&fs.ModeSymlink != 0 || at == filepath.Dir(at) {
			return false // a link to where nothing is yet
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
	real = filepath.Join(real, rest)
	for _, s := range ss {
		if s[farmSys] == "" {
			continue
		}
		root := filepath.FromSlash(s[farmSys])
		if r, err := filepath.EvalSymlinks(root); err == nil {
			root = r
		}
		if rel, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// staging is a share that the farm's own machine sees, on a system of a worker.
func (ss shares) staging(s system) (share, bool) {
	for _, sh := range ss {
		if sh[farmSys] != "" && sh[s] != "" {
			return sh, true
		}
	}
	return nil, false
}
