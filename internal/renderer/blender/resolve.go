package blender

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// maxListing bounds how many names of one folder are looked at.
const maxListing = 200_000

// Resolve sets where each external file of the scene at path is and whether it
// exists. It may be called again.
func (s *Scene) Resolve(path string) { s.resolve(path, "") }

func (s *Scene) resolve(path, inside string) {
	s.Folder = filepath.Dir(path)
	for i := range s.Files {
		f := &s.Files[i]
		if f.Path == diskCache {
			f.Path += strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		}
		f.Resolved = resolvePath(s.Folder, f.Path)
		if inside != "" && !below(f.Resolved, inside) {
			f.Resolved = ""
		}
		f.Exists = len(f.OnDisk()) > 0
	}
}

// resolvePath makes a path of a scene absolute. Both kinds of slashes are read,
// since a scene may come from another system.
func resolvePath(folder, path string) string {
	rel, relative := strings.CutPrefix(path, "//")
	if !relative {
		if rel, relative = strings.CutPrefix(path, `\\`); relative && strings.Contains(rel, `\`) && !strings.HasPrefix(rel, ".") {
			return path // a share of Windows
		}
	}
	if isWindowsPath(path) {
		return path
	}
	if relative {
		return filepath.Join(folder, filepath.FromSlash(strings.ReplaceAll(rel, `\`, "/")))
	}
	if !filepath.IsAbs(path) {
		return filepath.Join(folder, filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")))
	}
	return filepath.Clean(path)
}

func isWindowsPath(path string) bool {
	return len(path) > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/')
}

// OnDisk lists the files that f stands for and that exist: itself, the frames
// of a sequence, the tiles of a UDIM set, the files in a folder. Resolve must
// have been called. The list is sorted and bounded.
func (f *File) OnDisk() []string {
	switch {
	case f.Resolved == "":
		return nil
	case f.Folder:
		return filesBelow(f.Resolved)
	case f.UDIM:
		return tiles(f.Resolved)
	case f.Sequence:
		if list := sequence(f.Resolved); len(list) > 0 {
			return list
		}
	}
	if st, err := os.Stat(f.Resolved); err == nil && st.Mode().IsRegular() {
		return []string{f.Resolved}
	}
	return nil
}

func filesBelow(dir string) []string {
	var out []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be read is not there for us
		}
		if d.Type().IsRegular() {
			out = append(out, path)
		}
		if len(out) >= maxListing {
			return filepath.SkipAll
		}
		return nil
	})
	sort.Strings(out)
	return out
}

// tiles finds name.<UDIM>.ext as name.1001.ext and name.<UVTILE>.ext as
// name.u1_v1.ext.
func tiles(path string) []string {
	name := filepath.Base(path)
	for mark, isTile := range map[string]func(string) bool{"<UDIM>": isUDIM, "<UVTILE>": isUVTile} {
		if before, after, ok := strings.Cut(name, mark); ok {
			return matching(filepath.Dir(path), before, after, isTile)
		}
	}
	// Older scenes name the first tile instead of a mark.
	if i := strings.Index(name, "1001"); i >= 0 {
		return matching(filepath.Dir(path), name[:i], name[i+4:], isUDIM)
	}
	return matching(filepath.Dir(path), name, "", func(s string) bool { return s == "" })
}

func isUDIM(s string) bool { return len(s) == 4 && isNumber(s) && s >= "1001" && s <= "2000" }

func isUVTile(s string) bool {
	u, v, ok := strings.Cut(s, "_")
	return ok && strings.HasPrefix(u, "u") && strings.HasPrefix(v, "v") && isNumber(u[1:]) && isNumber(v[1:])
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// sequence finds the files whose names differ from path's only in the last
// number before the extension.
func sequence(path string) []string {
	dir, name := filepath.Split(path)
	end := len(name)
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && strings.ContainsAny(name[:dot], "0123456789") {
		end = dot
	}
	for end > 0 && !isNumber(name[end-1:end]) {
		end--
	}
	start := end
	for start > 0 && isNumber(name[start-1:start]) {
		start--
	}
	if start == end {
		return nil
	}
	return matching(dir, name[:start], name[end:], isNumber)
}

func matching(dir, before, after string, fits func(string) bool) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxListing) // what was read before an error counts
	var out []string
	for _, n := range names {
		if len(n) >= len(before)+len(after) && strings.HasPrefix(n, before) && strings.HasSuffix(n, after) &&
			fits(n[len(before):len(n)-len(after)]) {
			out = append(out, filepath.Join(dir, n))
		}
	}
	sort.Strings(out)
	return out
}
