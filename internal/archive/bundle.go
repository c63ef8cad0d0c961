package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Program is an installed program to be bundled.
type Program struct {
	Path string // of the executable
	Name string // it gets in the bundle
	// Trees are folders to take along: the key is where in the bundle. Shared
	// objects (.so) in them have their libraries taken along, too.
	Trees map[string]string
	// Env is what the launcher sets: names, and paths in the bundle.
	Env map[string]string
	// Files are further files of the bundle: their text by name.
	Files map[string]string
}

// Bundle paths of what makes a program run on another machine.
const (
	BundleLibs   = "lib"
	BundleLoader = "lib/ld.so"
)

var libraryRE = regexp.MustCompile(`(?m)^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$`)

// Bundle writes a gzipped tar of a dynamically linked program with all of its
// libraries and the system's loader, so that it runs on any machine of the same
// architecture whose kernel is not older: the script Name starts NAME.bin by the
// bundled loader. It asks the system's ldd, so it must only be used on programs
// that are trusted.
func Bundle(ctx context.Context, w io.Writer, p Program) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	g := NewTarGz(w)
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		if err := g.addText(name, p.Files[name], false); err != nil {
			return err
		}
	}
	if err := g.addText(p.Name, p.launcher(), true); err != nil {
		return err
	}
	if err := g.addFile(p.Name+".bin", p.Path, true); err != nil {
		return err
	}
	objects := []string{p.Path}
	for _, at := range slices.Sorted(maps.Keys(p.Trees)) {
		if err := g.addTree(at, p.Trees[at], &objects); err != nil {
			return err
		}
	}
	if err := g.addLibraries(ctx, objects); err != nil {
		return err
	}
	return g.Close()
}

// launcher is the script that starts the program by the bundled loader.
func (p *Program) launcher() string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\nhere=${0%/*}\n")
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		fmt.Fprintf(&b, "export %s=\"$here/%s\"\n", name, p.Env[name])
	}
	fmt.Fprintf(&b, "exec \"$here/%s\" --library-path \"$here/%s\" --argv0 \"$0\" \"$here/%s.bin\" \"$@\"\n", BundleLoader, BundleLibs, p.Name)
	return b.String()
}

// addLibraries adds what the first object, a program, and the others need. What
// one of the others lacks is left out: it is missing on this machine, too.
func (g *TarGz) addLibraries(ctx context.Context, objects []string) error {
	out, err := exec.CommandContext(ctx, "ldd", objects[0]).CombinedOutput()
	if err != nil {
		return fmt.Errorf("find the libraries of %s: %w: %s", objects[0], err, clip(string(bytes.TrimSpace(out))))
	}
	if bytes.Contains(out, []byte("not found")) {
		return fmt.Errorf("find the libraries of %s: some are missing", objects[0])
	}
	if len(objects) > 1 {
		more, _ := exec.CommandContext(ctx, "ldd", objects[1:]...).Output() // exits 1 when one of them is static
		out = append(out, more...)
	}
	seen, loader := map[string]bool{}, false
	for _, m := range libraryRE.FindAllStringSubmatch(string(out), -1) {
		name := path.Join(BundleLibs, path.Base(m[2]))
		if m[1] != "" {
			name = path.Join(BundleLibs, path.Base(m[1]))
		}
		if strings.HasPrefix(path.Base(m[2]), "ld-linux") || strings.HasPrefix(path.Base(m[2]), "ld-musl") {
			name, loader = BundleLoader, true
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := g.addFile(name, m[2], name == BundleLoader); err != nil {
			return err
		}
	}
	if !loader {
		return fmt.Errorf("find the libraries of %s: it names no loader", objects[0])
	}
	return nil
}

func (g *TarGz) addText(name, text string, executable bool) error {
	return g.Add(Entry{Name: name, Exec: executable}, int64(len(text)), strings.NewReader(text))
}

// Tree adds the files below dir, following links, under the folder at.
func (g *TarGz) Tree(at, dir string) error { return g.addTree(at, dir, new([]string)) }

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

// idle reports whether a folder of this name holds nothing that a program uses
// as it runs: compiled Python, Python's tests, its installer and its windows, and
// what programs that contain Python are linked from (32 MB in Debian).
func idle(folder string) bool {
	switch folder {
	case "__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "turtledemo", "tkinter":
		return true
	}
	return strings.HasPrefix(folder, "config-3.")
}

// addTree adds the files below dir, following links, and notes shared objects;
// what leads nowhere and folders that are idle are left out.
func (g *TarGz) addTree(at, dir string, objects *[]string) error {
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
			if idle(d.Name()) {
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
			return g.addTree(name, file, objects)
		}
		if !st.Mode().IsRegular() {
			return nil
		}
		if strings.HasSuffix(file, ".so") {
			*objects = append(*objects, file)
		}
		return g.addFile(strings.TrimPrefix(name, "/"), file, st.Mode()&0o111 != 0)
	})
}
