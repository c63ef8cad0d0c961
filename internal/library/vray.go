package library

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// VRayVersion is a version of V-Ray: major.minor.release, and the hash of the
// source that it was built from.
type VRayVersion struct {
	Major, Minor, Release int
	Hash                  string // lower-case hex; "" when not told
}

// Number is the version without its hash: 6.20.10. Numbers have no leading
// zeros, so that 7.10.00 and 7.10.0 are one version.
func (v VRayVersion) Number() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Release) }

// String is the text form that names files and folders: 6.20.10-e8197af2.
func (v VRayVersion) String() string {
	if v.Hash == "" {
		return v.Number()
	}
	return v.Number() + "-" + v.Hash
}

var (
	vrayManifest = regexp.MustCompile(`^(?i:v-?ray\s+)?v?(\d{1,3})\.(\d{1,3})\.(\d{1,5})(?:[\s-]+([0-9a-fA-F]{6,40}))?(?:\s|$)`)
	vrayName     = regexp.MustCompile(`(?i)vray[-_](\d{1,3})\.(\d{1,3})\.(\d{1,5})(?:-([0-9a-f]{6,40}))?`)
	vrayProduct  = regexp.MustCompile(`(?i)vray(?:std)?_(?:adv|std|demo|edu|standalone)_(\d{1,2})(\d\d)(\d\d)(?:_|\.|$)`)
)

// ParseVRayVersion reads a manifest's "<version> <hash>" or the text form
// "<version>-<hash>".
func ParseVRayVersion(s string) (VRayVersion, bool) {
	return version(vrayManifest.FindStringSubmatch(strings.TrimPrefix(strings.TrimSpace(s), "\ufeff")))
}

// version makes a version of the parts that an expression found.
func version(m []string) (v VRayVersion, ok bool) {
	if m == nil {
		return v, false
	}
	for i, to := range []*int{&v.Major, &v.Minor, &v.Release} {
		*to, _ = strconv.Atoi(m[i+1]) // digits, at most five
	}
	if len(m) > 4 {
		v.Hash = strings.ToLower(m[4])
	}
	return v, true
}

// nameVersion reads a version from the name of a file or folder:
// vray-6.20.10-e8197af2… or vraystd_adv_62022_….
func nameVersion(name string) (VRayVersion, bool) {
	if v, ok := version(vrayName.FindStringSubmatch(name)); ok {
		return v, true
	}
	return version(vrayProduct.FindStringSubmatch(name))
}

// isVRay recognises a tree with bin/vray, bin/vray.bin or bin/vray.exe. Its version
// is told by version.txt, or by the names of its folder and of the archive.
func isVRay(s *survey) (*Found, error) {
	p := s.find("bin/vray", "bin/vray.bin", "bin/vray.exe")
	n := 2
	if p == nil {
		if p, n = s.find("vray", "vray.bin", "vray.exe"), 1; p == nil {
			return nil, nil
		}
	}
	root := up(p.path, n)
	on := p.on
	if other := s.at(p.path + ".bin"); on == script && other != nil {
		on = other.on // bin/vray is a script that starts it
	}
	f := &Found{Product: "vray", OS: on.os, Arch: on.arch, Root: root, Program: below(root, p.path)}
	v, ok := s.vrayVersion(root)
	f.Version, f.Revision = v.Number(), v.Hash
	if !ok {
		f.Version = ""
		return f, unknown("the version of this V-Ray cannot be told: the archive has no version.txt with \"<version> <hash>\", such as \"6.20.10 e8197af2\", and neither its folder nor its name %q has the form vray-6.20.10-e8197af2", s.name)
	}
	return f, nil
}

func (s *survey) vrayVersion(root string) (VRayVersion, bool) {
	for _, dir := range []string{root, path.Join(root, "bin"), ""} {
		if v, ok := ParseVRayVersion(s.texts[path.Join(dir, "version.txt")]); ok {
			return v, true
		}
	}
	for _, n := range s.names(root) {
		if v, ok := nameVersion(n); ok {
			return v, true
		}
	}
	return VRayVersion{}, false
}
