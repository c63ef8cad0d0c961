package library

import (
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"

	"drover.farm/internal/archive"
)

// ManifestName is a file in an archive, at its top or in its only folder, that
// describes the build: a Description as JSON.
const ManifestName = "drover-renderer.json"

// products are the programs that the library knows by their content. Each looks
// whether the archive is one of it: nil when it is not, with an *Unknown when it
// is but its version cannot be told.
var products = []func(*survey) (*Found, error){isBlender, isVRay, isRadiance}

// Recognise says what the archive of size bytes at r is. The name helps only
// where the content does not tell the version; d adds to or overrules what is
// found. It fails with an *Unknown, together with what was found when only the
// version is missing; or with an *archive.Refusal when the archive is not allowed.
// All of it is read once.
func Recognise(ctx context.Context, r io.ReaderAt, size int64, name string, d Description, l archive.Limits) (*Found, error) {
	s, err := look(ctx, r, size, name, archive.Options{Limits: l})
	if err != nil {
		return nil, err
	}
	return s.recognise(d)
}

func (s *survey) recognise(d Description) (*Found, error) {
	if d.Product != "" && d.Program != "" {
		return s.described(d, "")
	}
	root, m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	if m != nil {
		return s.described(m.with(d), root)
	}
	for _, is := range products {
		f, err := is(s)
		if f == nil || d.Product != "" && d.Product != f.Product {
			continue
		}
		if d.Version != "" {
			err = nil
		}
		return f.with(d), err
	}
	if d.Product != "" {
		return nil, unknown("the archive is not recognised as %s; say which of its files is the program, by its path in the archive", d.Product)
	}
	return nil, unknown("the archive holds no renderer that Drover knows (Blender, V-Ray, Radiance); describe it with a product, a version and the path of its program")
}

// manifest finds the archive's own description.
func (s *survey) manifest() (root string, d *Description, err error) {
	at := ""
	for p := range s.texts {
		if path.Base(p) == ManifestName && depth(p) <= 1 && (at == "" || depth(p) < depth(at)) {
			at = p
		}
	}
	if at == "" {
		return "", nil, nil
	}
	d = &Description{}
	if err := json.Unmarshal([]byte(s.texts[at]), d); err != nil {
		return "", nil, unknown("%s in the archive cannot be read: %v", at, err)
	}
	return up(at, 1), d, nil
}

// with lets what an operator says overrule a description.
func (d Description) with(o Description) Description {
	set := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	set(&d.Product, o.Product)
	set(&d.Version, o.Version)
	set(&d.Revision, o.Revision)
	set(&d.OS, o.OS)
	set(&d.Arch, o.Arch)
	set(&d.Program, o.Program)
	return d
}

// with lets what an operator says overrule what was found.
func (f *Found) with(d Description) *Found {
	g := Description{f.Product, f.Version, f.Revision, f.OS, f.Arch, f.Program}.with(d)
	return &Found{Product: g.Product, Version: g.Version, Revision: g.Revision, OS: g.OS, Arch: g.Arch, Root: f.Root, Program: f.Program}
}

// described is a program of which everything but its system is told.
func (s *survey) described(d Description, root string) (*Found, error) {
	d.Program = strings.TrimPrefix(path.Clean(strings.ReplaceAll(d.Program, "\\", "/")), "./")
	switch {
	case d.Product == "":
		return nil, unknown("the description of the build lacks its product")
	case d.Version == "":
		return nil, unknown("the description of %s lacks its version", d.Product)
	case d.Program == "" || d.Program == ".":
		return nil, unknown("the description of %s %s lacks the path of its program in the archive", d.Product, d.Version)
	}
	p := s.at(path.Join(root, d.Program))
	if p == nil {
		return nil, unknown("the archive has no executable %q (ELF, PE, Mach-O or a script)", path.Join(root, d.Program))
	}
	if root == "" {
		root = s.top()
	}
	f := &Found{Product: strings.ToLower(d.Product), Version: d.Version, Revision: d.Revision, OS: p.on.os, Arch: p.on.arch, Root: root, Program: below(root, p.path)}
	if d.OS != "" {
		f.OS = d.OS
	}
	if d.Arch != "" {
		f.Arch = d.Arch
	}
	return f, nil
}

// top is the one folder that holds all of the archive, "" when there is more.
func (s *survey) top() string {
	top := ""
	for p := range s.paths {
		first, _, inside := strings.Cut(p, "/")
		if top != "" && first != top {
			return ""
		}
		if !inside && s.at(p) != nil {
			return ""
		}
		top = first
	}
	return top
}
