package expr

import (
	"regexp"
	"strings"
)

var uriScheme = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://`)

// parts is a path taken apart as Python's pathlib does; that of a URI is kept as it
// stands (section 1.2.1).
type parts struct {
	// anchor is the root with the drive, or a URI's scheme and authority; empty for
	// a relative path.
	anchor string
	// absolute: a Windows path with a drive and no root is not.
	absolute bool
	names    []string
	uri      bool
	sep      string
}

func (ev *eval) parse(s string) parts { return parsePath(s, ev.env.Windows) }

func parsePath(s string, windows bool) parts {
	if scheme := uriScheme.FindString(s); scheme != "" {
		rest := s[len(scheme):]
		host, path, found := strings.Cut(rest, "/")
		p := parts{anchor: scheme + host, absolute: true, uri: true, sep: "/"}
		if found {
			p.names = strings.Split(path, "/")
		}
		return p
	}
	p := parts{sep: "/"}
	if windows {
		p.sep = `\`
		s = strings.ReplaceAll(s, "/", `\`)
		var drive string
		drive, s = cutDrive(s)
		p.anchor = drive
		if strings.HasPrefix(s, `\`) || strings.HasPrefix(drive, `\\`) && drive != "" {
			p.anchor += `\`
			p.absolute = drive != ""
		}
	} else if strings.HasPrefix(s, "/") {
		p.anchor, p.absolute = "/", true
		if strings.HasPrefix(s, "//") && !strings.HasPrefix(s, "///") {
			p.anchor = "//"
		}
	}
	for name := range strings.SplitSeq(s, p.sep) {
		if name != "" && name != "." {
			p.names = append(p.names, name)
		}
	}
	return p
}

// cutDrive cuts C: or \\server\share from a path of Windows.
func cutDrive(s string) (drive, rest string) {
	if len(s) > 1 && s[1] == ':' && isLetter(s[0]) && s[0] != '_' {
		return s[:2], s[2:]
	}
	if after, ok := strings.CutPrefix(s, `\\`); ok {
		server, share, ok := strings.Cut(after, `\`)
		if ok && server != "" {
			name, rest, _ := strings.Cut(share, `\`)
			return `\\` + server + `\` + name, strings.TrimPrefix(s[2+len(server)+1+len(name):], rest[len(rest):])
		}
	}
	return "", s
}

func (p parts) String() string {
	body := strings.Join(p.names, p.sep)
	switch {
	case p.uri && p.names == nil:
		return p.anchor
	case p.uri:
		return p.anchor + "/" + body
	case p.anchor == "" && body == "":
		return "."
	}
	return p.anchor + body
}

// name is the last name, empty for a root.
func (p parts) name() string {
	if len(p.names) == 0 {
		return ""
	}
	return p.names[len(p.names)-1]
}

// split cuts a name in stem and suffix.
func split(name string) (stem, suffix string) {
	if i := strings.LastIndexByte(name, '.'); i > 0 && i < len(name)-1 {
		return name[:i], name[i:]
	}
	return name, ""
}

func suffixes(name string) []string {
	if strings.HasSuffix(name, ".") {
		return nil
	}
	var out []string
	pieces := strings.Split(strings.TrimLeft(name, "."), ".")
	for _, s := range pieces[1:] {
		out = append(out, "."+s)
	}
	return out
}

func (p parts) parent() parts {
	if len(p.names) > 0 {
		p.names = p.names[:len(p.names)-1]
		if len(p.names) == 0 {
			p.names = nil
		}
	}
	return p
}

// join puts a child below p; an absolute one takes its place.
func (p parts) join(child parts) parts {
	if child.uri || child.absolute {
		return child
	}
	if p.sep == `\` && child.anchor != "" { // a root without a drive, or a drive alone
		if child.anchor == `\` && !p.uri {
			drive := strings.TrimSuffix(p.anchor, `\`)
			child.anchor, child.absolute = drive+`\`, drive != ""
			return child
		}
		if !strings.EqualFold(strings.TrimSuffix(p.anchor, `\`), child.anchor) {
			return child
		}
	}
	names := p.names
	if p.uri && len(names) > 0 && names[len(names)-1] == "" { // the slash at the end
		names = names[:len(names)-1]
	}
	p.names = append(names[:len(names):len(names)], child.names...)
	return p
}

// all are the parts as pathlib lists them.
func (p parts) all() []string {
	if p.anchor == "" {
		return p.names
	}
	return append([]string{p.anchor}, p.names...)
}

// below reports whether p is other or lies beneath it.
func (p parts) below(other parts) bool {
	fold := func(a, b string) bool { return a == b || p.sep == `\` && strings.EqualFold(a, b) }
	if p.uri != other.uri || !fold(p.anchor, other.anchor) || len(p.names) < len(other.names) {
		return false
	}
	for i, n := range other.names {
		if p.uri && i == len(other.names)-1 && n == "" {
			return true
		}
		if !fold(p.names[i], n) {
			return false
		}
	}
	return true
}
