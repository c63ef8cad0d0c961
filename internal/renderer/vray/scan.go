package vray

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Scene is what a scene file and those that it includes say of what is rendered.
type Scene struct {
	Width, Height int
	Start, End    int64 // of the animation, both 0 when there is none
	Files         []File
}

// File is a file that a scene needs, by its absolute path.
type File struct {
	Path    string
	Kind    string // "include" or the name of the parameter
	Missing bool
}

// Bounds of what is read of a scene. Lines that are longer hold packed geometry.
const (
	maxLine  = 64 << 10
	maxFiles = 100_000
	maxDepth = 32
)

var (
	includeRE = regexp.MustCompile(`^\s*#include\s+"([^"]+)"`)
	valueRE   = regexp.MustCompile(`(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"`)
	numberRE  = regexp.MustCompile(`\b(img_width|img_height|anim_start|anim_end|frame_start|frame_end)\s*=\s*(-?\d+)(?:\.\d*)?\s*;`)
	pluginRE  = regexp.MustCompile(`^\s*(\w+)\s+[\w@|:.]+\s*\{`)
)

// assets are the extensions of files that scenes refer to.
var assets = map[string]bool{}

func init() {
	for _, e := range strings.Fields("png jpg jpeg tif tiff tga bmp exr hdr pic psd tx tex dds gif vrmesh vrmap vrlmap vrst abc vdb aur pxr prt bin ies osl oso obj ply gltf glb usd usda usdc cube 3dl lut ocio vrmat vismat xml ptx sbsar sbs vrscene") {
		assets["."+e] = true
	}
}

// ReadScene reads a scene and what it includes, and looks for the files that they
// name. Relative paths lie beside the file that names them.
func ReadScene(ctx context.Context, path string) (*Scene, error) { return ReadSceneIn(ctx, path, "") }

// ReadSceneIn is ReadScene for a scene that a stranger sent: files that do not lie
// in the folder inside, whose links are resolved, are not looked at and count as
// missing.
func ReadSceneIn(ctx context.Context, path, inside string) (*Scene, error) {
	s := &Scene{}
	r := &reader{ctx: ctx, scene: s, seen: map[string]bool{}, inside: inside}
	if err := r.file(path, 0); err != nil {
		return nil, err
	}
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return s, nil
}

type reader struct {
	ctx   context.Context
	scene *Scene
	seen  map[string]bool
	// inside is the folder that files must lie in; "" for any.
	inside string
}

// may reports whether a path may be looked at.
func (r *reader) may(path string) bool {
	if r.inside == "" {
		return true
	}
	if !beneath(path, r.inside) {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && beneath(real, r.inside)
}

func (r *reader) file(path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("read the scene: files include one another more than %d deep at %s", maxDepth, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the scene: %w", err)
	}
	defer f.Close()
	in, plugin := bufio.NewReaderSize(f, maxLine), ""
	for first := true; ; first = false {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if first && bytes.IndexByte(line, 0) >= 0 {
			return fmt.Errorf("%s is no V-Ray scene: it is not text", path)
		}
		if !long {
			if plugin, err = r.line(string(line), plugin, path, depth, err); err != nil && err != io.EOF {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the scene %s: %w", path, err)
		}
	}
}

// line reads one line; plugin is the block that it lies in. It returns readErr.
func (r *reader) line(line, plugin, path string, depth int, readErr error) (string, error) {
	if at := strings.Index(line, "//"); at >= 0 && !strings.Contains(line[:at], `"`) {
		line = line[:at]
	}
	if m := pluginRE.FindStringSubmatch(line); m != nil {
		plugin = m[1]
	}
	if m := includeRE.FindStringSubmatch(line); m != nil {
		for _, p := range r.need(m[1], "include", path) {
			if err := r.file(p, depth+1); err != nil {
				return plugin, err
			}
		}
		return plugin, readErr
	}
	if plugin == "SettingsOutput" {
		r.settings(line)
	} else {
		for _, m := range valueRE.FindAllStringSubmatch(line, -1) {
			if v := strings.ReplaceAll(m[2], `\\`, `\`); isFile(m[1], v) {
				r.need(v, m[1], path)
			}
		}
	}
	if strings.HasPrefix(strings.TrimSpace(line), "}") {
		plugin = ""
	}
	return plugin, readErr
}

// settings reads what SettingsOutput says of pictures and frames.
func (r *reader) settings(line string) {
	for _, m := range numberRE.FindAllStringSubmatch(line, -1) {
		n, err := strconv.ParseInt(m[2], 10, 32)
		if err != nil {
			continue
		}
		switch m[1] {
		case "img_width":
			r.scene.Width = int(n)
		case "img_height":
			r.scene.Height = int(n)
		case "anim_start":
			r.scene.Start = n
		case "anim_end":
			r.scene.End = n
		}
	}
}

// isFile reports whether a parameter's value is the path of a file to be read.
func isFile(name, value string) bool {
	name = strings.ToLower(name)
	if value == "" || len(value) > 4096 || strings.HasPrefix(name, "img_") || strings.HasPrefix(name, "auto_save") || strings.Contains(name, "output") {
		return false
	}
	return assets[strings.ToLower(filepath.Ext(value))]
}

// sequence stands for digits in names of files that differ by tile or frame.
var sequence = regexp.MustCompile(`(?i)<udim>|<uvtile\d*>|<frame\d*>|<f\d*>|%0?\d*d`)

// need notes a file, or all those that a pattern such as tex.<UDIM>.exr stands
// for. It returns those that were not seen before and are there.
func (r *reader) need(value, kind, from string) []string {
	p := filepath.FromSlash(strings.ReplaceAll(value, `\`, "/"))
	if !filepath.IsAbs(p) {
		p = filepath.Join(filepath.Dir(from), p)
	}
	paths := []string{filepath.Clean(p)}
	if sequence.MatchString(p) && (r.inside == "" || beneath(filepath.Clean(p), r.inside)) {
		found, err := filepath.Glob(sequence.ReplaceAllString(p, "*"))
		if err == nil && len(found) > 0 {
			paths = found
		}
	}
	var fresh []string
	for _, p := range paths {
		if r.seen[p] || len(r.scene.Files) >= maxFiles {
			continue
		}
		r.seen[p] = true
		missing := !r.may(p)
		if !missing {
			st, err := os.Stat(p)
			missing = err != nil || !st.Mode().IsRegular()
		}
		r.scene.Files = append(r.scene.Files, File{Path: p, Kind: kind, Missing: missing})
		if !missing {
			fresh = append(fresh, p)
		}
	}
	return fresh
}
