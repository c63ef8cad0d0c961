package library

import (
	"path"
	"regexp"
	"strings"
)

var radianceVersion = regexp.MustCompile(`(?i)(?:radiance|rad)[-_ ]?v?(\d{1,2}(?:\.\d{1,3}){0,2}(?:\.?[a-z])?|\d[rR]\d{1,2}(?:[pP]\d)?)(?:[^0-9A-Za-z]|$)`)

// isRadiance recognises a tree with Radiance's programs in bin and its function
// files (.cal) in lib, such as the official packages of binaries.
func isRadiance(s *survey) (*Found, error) {
	p := s.find("bin/rpict", "bin/rpict.exe", "bin/rtrace", "bin/rtrace.exe")
	if p == nil {
		return nil, nil
	}
	root := up(p.path, 2)
	if !s.hasCal(path.Join(root, "lib")) {
		return nil, nil
	}
	f := &Found{Product: "radiance", OS: p.on.os, Arch: p.on.arch, Root: root, Program: below(root, p.path)}
	names := s.names(root)
	for _, dir := range []string{root, path.Join(root, "lib")} {
		for _, file := range []string{"VERSION", "version.txt"} {
			if text, ok := s.texts[path.Join(dir, file)]; ok {
				first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
				names = append([]string{"radiance " + strings.TrimPrefix(strings.ToLower(strings.TrimSpace(first)), "radiance ")}, names...)
			}
		}
	}
	for _, n := range names {
		if m := radianceVersion.FindStringSubmatch(n); m != nil {
			f.Version = m[1]
			return f, nil
		}
	}
	return f, unknown("the archive holds Radiance, but neither a file VERSION nor its folder or name says which version; name it")
}

// hasCal reports whether the folder holds Radiance's function files.
func (s *survey) hasCal(dir string) bool {
	for p := range s.paths {
		if path.Dir(p) == dir && strings.HasSuffix(p, ".cal") {
			return true
		}
	}
	return false
}
