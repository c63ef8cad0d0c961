package agent

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkName accepts the name of a file of a job: relative, with slashes, beneath
// its folder on every system. The farm accepts the same; it is not trusted to
// have looked.
func checkName(name string) error {
	bad := func(why string) error { return fmt.Errorf("the file name %s is not allowed: %s", quote(name), why) }
	switch {
	case name == "":
		return errors.New("a file has no name")
	case len(name) > 1024:
		return bad("it is longer than 1024 bytes")
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("it contains control characters")
	case strings.ContainsAny(name, `\:`) || strings.HasPrefix(name, "/"):
		return bad("it must be relative, with slashes, and without colons")
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return bad(`it must not contain ".", ".." or empty parts`)
	case !filepath.IsLocal(filepath.FromSlash(name)):
		return bad("this system reserves it")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 255 {
			return bad("a part of it is longer than 255 bytes")
		}
	}
	return nil
}

// checkHash accepts a SHA-256 in lower-case hex: it becomes a file name.
func checkHash(hash string) error {
	if len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return fmt.Errorf("%s is no SHA-256 in lower-case hex", quote(hash))
	}
	return nil
}

// quote shows text of others in a message.
func quote(s string) string { return strconv.Quote(clip(s, 200)) }

// clip shortens s to at most n bytes, at a rune's start.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
