package openjd

import (
	"path"
	"regexp"
	"strings"
)

// Paths are handled as text, in the way of the system they come from: a farm makes
// jobs for hosts of other systems than its own.

// isWindowsPath reports an absolute path of Windows, with a drive or a share.
func isWindowsPath(p string) bool {
	if strings.HasPrefix(p, `\\`) {
		return true
	}
	return len(p) >= 3 && isLetter(p[0]) && p[1] == ':' && (p[2] == '\\' || p[2] == '/')
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// isAbsolute reports an absolute path of either system.
func isAbsolute(p string) bool { return strings.HasPrefix(p, "/") || isWindowsPath(p) }

var uriScheme = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://`)

// isURI reports a path that is a URI, as in s3://bucket/key.
func isURI(p string) bool { return uriScheme.MatchString(p) }

// joinPath joins a relative path to dir and takes the dots out; dir decides the
// system. Empty paths and absolute ones stay as they are, as all do without dir.
func joinPath(dir, p string) string {
	if dir == "" || p == "" || isAbsolute(p) {
		return p
	}
	if isWindowsPath(dir) {
		return cleanWindows(dir + `\` + p)
	}
	return path.Join(dir, p)
}

// cleanWindows takes the dots out of an absolute path of Windows.
func cleanWindows(p string) string {
	root, rest := windowsRoot(strings.ReplaceAll(p, "/", `\`))
	var parts []string
	for part := range strings.SplitSeq(rest, `\`) {
		switch {
		case part == "" || part == ".":
		case part == ".." && len(parts) > 0:
			parts = parts[:len(parts)-1]
		case part != "..":
			parts = append(parts, part)
		}
	}
	return root + strings.Join(parts, `\`)
}

// windowsRoot splits what .. cannot leave off a path with backslashes: C:\ or
// \\server\share\.
func windowsRoot(p string) (root, rest string) {
	share, ok := strings.CutPrefix(p, `\\`)
	if !ok {
		return p[:3], p[3:]
	}
	server, share, _ := strings.Cut(share, `\`)
	share, rest, _ = strings.Cut(share, `\`)
	return `\\` + server + `\` + share + `\`, rest
}

// badDefaultPath tells why p cannot be a default of a PATH parameter of a template
// in dir, or is empty: it must be relative and stay in dir (section 2.2).
func badDefaultPath(dir, p string) string {
	windows := dir == "" || isWindowsPath(dir)
	if windows {
		p = strings.ReplaceAll(p, `\`, "/")
	}
	drive := windows && len(p) >= 2 && isLetter(p[0]) && p[1] == ':'
	if isAbsolute(p) || drive {
		return "is an absolute path"
	}
	depth := 0
	for part := range strings.SplitSeq(p, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return "leaves the template's directory"
			}
		default:
			depth++
		}
	}
	return ""
}
