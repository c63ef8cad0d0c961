package library

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"drover.farm/internal/archive"
	"drover.farm/internal/renderer/blender"
)

// Bundle writes an archive of a renderer as it is installed on this machine, and
// returns its name. Only "blender" is known. The program is run for its version:
// it is this machine's own.
func Bundle(ctx context.Context, w io.Writer, product string) (name string, err error) {
	if product != "blender" {
		return "", unknown("only blender can be taken from this machine by name; pack other renderers into an archive")
	}
	path, err := blender.Find(ctx)
	if err != nil {
		return "", err
	}
	found := blender.Detect(ctx, blender.DetectOptions{Log: slog.New(slog.DiscardHandler), Places: []string{path}})
	if len(found) == 0 {
		return "", fmt.Errorf("%s does not say its version", path)
	}
	b := found[0]
	real, err := filepath.EvalSymlinks(b.Path)
	if err != nil {
		return "", fmt.Errorf("find Blender: %w", err)
	}
	name = "blender-" + b.Version + "-" + runtime.GOOS + "-" + runtime.GOARCH + ".tar.gz"
	if portable(real) {
		g := archive.NewTarGz(w)
		if err := g.Tree("blender-"+b.Version, filepath.Dir(real)); err != nil {
			return "", fmt.Errorf("pack Blender: %w", err)
		}
		return name, g.Close()
	}
	if runtime.GOOS != "linux" {
		return "", unknown("%s is not an unpacked official archive; give the archive that it was installed from", real)
	}
	p, err := systemBlender(real, b)
	if err != nil {
		return "", err
	}
	return name, archive.Bundle(ctx, w, p)
}

// portable reports whether Blender's own files lie beside the program, as in the
// official archives.
func portable(program string) bool {
	entries, err := os.ReadDir(filepath.Dir(program))
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() && blenderSeries.MatchString(e.Name()) })
}

// systemBlender is a Blender from a distribution's package: its files are below
// /usr/share/blender, its Python is the system's.
func systemBlender(program string, b blender.Build) (archive.Program, error) {
	p := archive.Program{Path: program, Name: "blender", Trees: map[string]string{}, Env: map[string]string{}}
	prefix := filepath.Dir(filepath.Dir(program))
	for variable, dir := range map[string]string{"BLENDER_SYSTEM_SCRIPTS": "scripts", "BLENDER_SYSTEM_DATAFILES": "datafiles"} {
		from := filepath.Join(prefix, "share", "blender", dir)
		if st, err := os.Stat(from); err != nil || !st.IsDir() {
			return p, unknown("%s has no folder %s: this installation of Blender is not known; add the official archive instead", program, from)
		}
		p.Trees["share/"+dir], p.Env[variable] = from, "share/"+dir
	}
	if python, err := filepath.Glob(filepath.Join(prefix, "lib", "python3.*")); err == nil && len(python) > 0 {
		newest := python[len(python)-1]
		p.Trees["python/lib/"+filepath.Base(newest)] = newest
		p.Env["BLENDER_SYSTEM_PYTHON"] = "python"
		for _, m := range blenderModules {
			if dir := filepath.Join(prefix, "lib", "python3", "dist-packages", m); isFolder(dir) {
				p.Trees["python/lib/python3/dist-packages/"+m] = dir
			}
		}
	}
	text, err := json.Marshal(Description{Product: "blender", Version: b.Version, Revision: b.Hash, OS: "linux", Arch: archOf(runtime.GOARCH), Program: "blender"})
	p.Files = map[string]string{ManifestName: string(text)}
	return p, err
}

// blenderModules are the Python modules that come with official Blender.
var blenderModules = []string{"numpy", "requests", "certifi", "charset_normalizer", "chardet", "idna", "urllib3", "zstandard"}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// archOf is the value of attr.worker.cpu.arch (OpenJD 2023-09, section 3.3.2).
func archOf(goarch string) string {
	if goarch == "amd64" {
		return "x86_64"
	}
	return goarch
}
