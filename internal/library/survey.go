package library

import (
	"context"
	"io"
	"path"
	"strings"

	"drover.farm/internal/archive"
)

// survey is what one pass over an archive has shown.
type survey struct {
	name  string            // of the archive
	progs []program         // executables and scripts, in the archive's order
	texts map[string]string // of small files that tell something, by path
	paths map[string]bool   // of everything, folders included
}

type program struct {
	path string
	on   system
}

// telling are the names of files whose text is kept.
var telling = map[string]bool{ManifestName: true, "version.txt": true, "VERSION": true, "Info.plist": true}

// maxText bounds the text that is kept of one file, maxTexts the number of them.
const (
	maxText  = 64 << 10
	maxTexts = 100
)

// look reads an archive once from front to back, all of its content: what is
// damaged or not allowed shows here.
func look(ctx context.Context, r io.ReaderAt, size int64, name string, o archive.Options) (*survey, error) {
	s := &survey{name: path.Base(strings.ReplaceAll(name, "\\", "/")), texts: map[string]string{}, paths: map[string]bool{}}
	head := make([]byte, headSize)
	err := archive.Walk(ctx, r, size, o, func(e archive.Entry, body io.Reader) error {
		s.add(e.Name)
		if e.Kind != archive.File {
			return nil
		}
		if telling[path.Base(e.Name)] && len(s.texts) < maxTexts {
			text, err := io.ReadAll(io.LimitReader(body, maxText))
			if err != nil {
				return err
			}
			s.texts[e.Name] = string(text)
		} else if n, err := io.ReadFull(body, head); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		} else if on := systemOf(head[:n]); on != (system{}) {
			s.progs = append(s.progs, program{e.Name, on})
		}
		_, err := io.Copy(io.Discard, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// add notes a path and the folders above it.
func (s *survey) add(p string) {
	for ; p != "." && !s.paths[p]; p = path.Dir(p) {
		s.paths[p] = true
	}
}

// find gives the program with one of these names that lies least deep.
func (s *survey) find(names ...string) *program {
	var best *program
	for _, name := range names {
		for i := range s.progs {
			p := &s.progs[i]
			if (p.path == name || strings.HasSuffix(p.path, "/"+name)) && (best == nil || depth(p.path) < depth(best.path)) {
				best = p
			}
		}
	}
	return best
}

// at gives the program at a path, nil when there is none.
func (s *survey) at(p string) *program {
	for i := range s.progs {
		if s.progs[i].path == p {
			return &s.progs[i]
		}
	}
	return nil
}

func depth(p string) int { return strings.Count(p, "/") }

// up is the folder n levels above a path, "" for the archive itself.
func up(p string, n int) string {
	for range n {
		p = path.Dir(p)
	}
	if p == "." {
		return ""
	}
	return p
}

// below is the rest of a path below a folder of the archive.
func below(root, p string) string {
	if root == "" {
		return p
	}
	return strings.TrimPrefix(p, root+"/")
}

// names are what the archive and the folders above root are called: where a
// version may stand, the nearest first.
func (s *survey) names(root string) []string {
	var out []string
	for p := root; p != "" && p != "."; p = path.Dir(p) {
		out = append(out, path.Base(p))
	}
	return append(out, s.name)
}
