package radiance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of a scene.
const (
	maxInputFiles = 20_000
	maxSceneLine  = 1 << 20
)

// Inputs are the files that a variation is made of.
type Inputs struct {
	Files    []string // relative to the project, sorted, each with slashes
	Commands []string // "file: !command" of scenes that hold any, a few
	Missing  []string // files that variables name and that are not there
	Outside  []string // files that are named and lie outside the project
}

const maxCommands = 20

// FindInputs finds the files that a variable file needs: those that it names,
// and, in their turn, those that scenes, view files and commands name by a word
// that is a file below dir. A file of Radiance's own library is none.
func FindInputs(ctx context.Context, dir string, rif string, vars *Rif, more ...string) (*Inputs, error) {
	return findInputs(ctx, dir, rif, vars, false, more...)
}

// findInputs is FindInputs; with foreign no file outside of dir is looked at.
func findInputs(ctx context.Context, dir string, rif string, vars *Rif, foreign bool, more ...string) (*Inputs, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the project: %w", err)
	}
	defer root.Close()
	s := &search{foreign: foreign, root: root, dir: dir, in: &Inputs{}, seen: map[string]bool{}}
	for _, name := range slices.Concat([]string{rif}, vars.Files("materials", "scene", "illum", "objects"), more) {
		s.named(name)
	}
	for _, v := range vars.Views {
		s.words(v.Spec)
	}
	for len(s.todo) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		if err := s.read(name); err != nil {
			return nil, err
		}
		if len(s.in.Files) > maxInputFiles {
			return nil, fmt.Errorf("the scene needs more than %d files", maxInputFiles)
		}
	}
	slices.Sort(s.in.Files)
	return s.in, nil
}

type search struct {
	foreign bool
	root    *os.Root
	dir     string
	in      *Inputs
	seen    map[string]bool
	todo    []string
}

// named takes a file that must be there.
func (s *search) named(name string) {
	if strings.HasPrefix(name, "!") {
		s.command("variables", name)
		return
	}
	if !filepath.IsLocal(name) {
		s.in.Outside = append(s.in.Outside, name)
		return
	}
	if !s.word(name) && !slices.Contains(s.in.Missing, name) && !slices.Contains(s.in.Files, filepath.ToSlash(filepath.Clean(name))) {
		s.in.Missing = append(s.in.Missing, name)
	}
}

// word takes a word if it is the name of a file in the project.
func (s *search) word(w string) bool {
	if !strings.ContainsFunc(w, func(r rune) bool { return r == '.' || r == '_' || r == '/' || r >= 'A' }) || len(w) > 1000 {
		return false // a number, most likely
	}
	name := filepath.Clean(w)
	if s.seen[name] {
		return false
	}
	s.seen[name] = true
	if filepath.IsAbs(name) {
		if rel, err := filepath.Rel(s.dir, name); err == nil && filepath.IsLocal(rel) {
			s.in.Outside = append(s.in.Outside, w) // it is here, but by a path that holds on this machine alone
		} else if s.foreign {
			return false
		} else if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(name, "/dev/") && !executable(info) {
			s.in.Outside = append(s.in.Outside, w)
		}
		return false
	}
	if !filepath.IsLocal(name) {
		if s.foreign {
			return false
		}
		if info, err := os.Stat(filepath.Join(s.dir, name)); err == nil && info.Mode().IsRegular() {
			s.in.Outside = append(s.in.Outside, w)
		}
		return false
	}
	info, err := s.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	s.in.Files = append(s.in.Files, filepath.ToSlash(name))
	s.todo = append(s.todo, name)
	return true
}

func executable(info os.FileInfo) bool { return info.Mode()&0o111 != 0 }

func (s *search) words(text string) {
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"';|<>()", r) }) {
		s.word(strings.TrimPrefix(w, "!"))
	}
}

func (s *search) command(where, line string) {
	if len(s.in.Commands) < maxCommands {
		s.in.Commands = append(s.in.Commands, clip(where+": "+line))
	}
}

// read looks for names in a file of text. Files of another kind have none.
func (s *search) read(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("read a file of the scene: %w", err)
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 64<<10)
	if head, err := lines.Peek(512); bytes.IndexByte(head, 0) >= 0 || err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, maxSceneLine)
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "!"):
			s.command(name, line)
		}
		s.words(line)
	}
	return nil // a line too long for words is none of a scene's
}

// Hash is the hash of all inputs with their names and of what else counts.
func (in *Inputs) Hash(dir string, what ...string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open the project: %w", err)
	}
	defer root.Close()
	h := sha256.New()
	fmt.Fprintf(h, "drover radiance 1\n%q\n", what)
	for _, name := range in.Files {
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return "", fmt.Errorf("read a file of the scene: %w", err)
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintf(h, "%q %x\n", name, sum.Sum(nil))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
