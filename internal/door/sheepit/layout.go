package sheepit

import (
	"path"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// layout says where a job's files are in its archive: below their root's folder,
// which is the archive itself when only one root has files.
type layout struct {
	prefix map[int]string // by root; of those that have files
	scene  string         // path of the scene in the archive
	names  []string       // in the order of Spec.Files
}

func newLayout(s *farm.Spec) *layout {
	l := &layout{prefix: make(map[int]string), names: make([]string, len(s.Files))}
	for _, f := range s.Files {
		l.prefix[f.Root] = ""
	}
	if len(l.prefix) > 1 {
		for root := range l.prefix {
			l.prefix[root] = strconv.Itoa(root)
		}
	}
	taken := make(map[string]bool, len(s.Files))
	for i, f := range s.Files {
		l.names[i] = path.Join(l.prefix[f.Root], f.Name)
		taken[l.names[i]] = true
	}
	if root, rest, ok := place(s, s.Parameters["Scene"]); ok {
		l.scene = path.Join(l.prefix[root], rest)
	}
	l.rename(taken)
	return l
}

// rename gives the scene a name that command lines can carry: some clients cut
// theirs at spaces. Paths in a scene do not depend on its own name.
func (l *layout) rename(taken map[string]bool) {
	dir, name := path.Split(l.scene)
	if !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	}) {
		return
	}
	plain := dir + "scene.blend"
	for i := 2; taken[plain]; i++ {
		plain = dir + "scene" + strconv.Itoa(i) + ".blend"
	}
	for i, n := range l.names {
		if n == l.scene {
			l.names[i] = plain
		}
	}
	l.scene = plain
}

// folders are the folders that a file lies in, outermost first.
func folders(name string) []string {
	var out []string
	for i, c := range name {
		if c == '/' {
			out = append(out, name[:i])
		}
	}
	return out
}
