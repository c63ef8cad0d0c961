package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Program is an installed program to be bundled.
type Program struct {
	Path string // of the executable
	Name string // it gets in the bundle
	// Trees are folders to take along: the key is where in the bundle.
	Trees map[string]string
}

// Bundle paths of what makes a program run on another machine.
const (
	BundleLibs   = "lib"
	BundleLoader = "lib/ld.so"
)

var libraryRE = regexp.MustCompile(`(?m)^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$`)

// Bundle writes a gzipped tar of a dynamically linked program with all of its
// libraries and the system's loader, so that "lib/ld.so --library-path lib NAME"
// runs it on any machine of the same architecture whose kernel is not older. It
// asks the system's ldd, so it must only be used on programs that are trusted.
func Bundle(ctx context.Context, w io.Writer, p Program) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ldd", p.Path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("find the libraries of %s: %w: %s", p.Path, err, clip(string(bytes.TrimSpace(out))))
	}
	if bytes.Contains(out, []byte("not found")) {
		return fmt.Errorf("find the libraries of %s: some are missing", p.Path)
	}
	g := NewTarGz(w)
	if err := g.addFile(p.Name, p.Path, true); err != nil {
		return err
	}
	loader := false
	for _, m := range libraryRE.FindAllStringSubmatch(string(out), -1) {
		name := path.Join(BundleLibs, path.Base(m[2]))
		if m[1] != "" {
			name = path.Join(BundleLibs, path.Base(m[1]))
		}
		if strings.HasPrefix(path.Base(m[2]), "ld-linux") || strings.HasPrefix(path.Base(m[2]), "ld-musl") {
			name, loader = BundleLoader, true
		}
		if err := g.addFile(name, m[2], name == BundleLoader); err != nil {
			return err
		}
	}
	if !loader {
		return fmt.Errorf("find the libraries of %s: it names no loader", p.Path)
	}
	for at, dir := range p.Trees {
		if err := g.addTree(at, dir); err != nil {
			return err
		}
	}
	return g.Close()
}

func (g *TarGz) addFile(name, file string, executable bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return g.Add(Entry{Name: name, Exec: executable}, st.Size(), io.LimitReader(f, st.Size()))
}

// addTree adds the files below dir, following links; what leads nowhere and
// compiled Python is left out.
func (g *TarGz) addTree(at, dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(real, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(real, file)
		if err != nil {
			return err
		}
		name := path.Join(at, filepath.ToSlash(rel))
		if d.IsDir() {
			if d.Name() == "__pycache__" || d.Name() == "test" || d.Name() == "idlelib" {
				return filepath.SkipDir
			}
			return nil
		}
		st, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if st.IsDir() && d.Type()&fs.ModeSymlink != 0 {
			return g.addTree(name, file)
		}
		if !st.Mode().IsRegular() {
			return nil
		}
		return g.addFile(name, file, st.Mode()&0o111 != 0)
	})
}
