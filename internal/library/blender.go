package library

import (
	"path"
	"regexp"
	"strings"
)

var (
	blenderSeries  = regexp.MustCompile(`^\d{1,2}\.\d{1,3}$`)
	blenderVersion = regexp.MustCompile(`(?i)blender[-_ ]v?(\d{1,2}\.\d{1,3}(?:\.\d{1,3})?)`)
	blenderCommit  = regexp.MustCompile(`[+.-]([0-9a-f]{7,40})[-._]`)
	plistVersion   = regexp.MustCompile(`<key>CFBundleShortVersionString</key>\s*<string>(\d[\d.]*)`)
)

// isBlender recognises the official archives: the program beside a folder that is
// named by the series, such as 4.2, with Blender's scripts. On macOS the folder
// is in Resources.
func isBlender(s *survey) (*Found, error) {
	p := s.find("blender", "blender.exe", "MacOS/Blender")
	if p == nil {
		return nil, nil
	}
	root, data := up(p.path, 1), up(p.path, 1)
	if strings.HasSuffix(p.path, "Contents/MacOS/Blender") {
		root, data = up(p.path, 4), path.Join(up(p.path, 2), "Resources")
	}
	series := s.series(data)
	if series == "" {
		return nil, nil
	}
	f := &Found{Product: "blender", OS: p.on.os, Arch: p.on.arch, Root: root, Program: below(root, p.path)}
	for _, n := range s.names(root) {
		m := blenderVersion.FindStringSubmatch(n)
		if m == nil || m[1] != series && !strings.HasPrefix(m[1], series+".") {
			continue
		}
		f.Version = m[1]
		if h := blenderCommit.FindStringSubmatch(n); h != nil {
			f.Revision = h[1]
		}
		break
	}
	if m := plistVersion.FindStringSubmatch(s.texts[path.Join(up(data, 1), "Info.plist")]); m != nil {
		f.Version = m[1]
	}
	if f.Version == "" {
		return f, unknown("the archive holds Blender %s, but neither its folder nor its name says which release of that; name the version, such as %s.1", series, series)
	}
	return f, nil
}

// series is the name of the folder with Blender's own files.
func (s *survey) series(dir string) string {
	for p := range s.paths {
		rest := below(dir, p)
		if rest == p && dir != "" {
			continue
		}
		name, inside, _ := strings.Cut(rest, "/")
		if (inside == "scripts" || inside == "datafiles") && blenderSeries.MatchString(name) {
			return name
		}
	}
	return ""
}
