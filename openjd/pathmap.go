package openjd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
)

// PathFormat says how the source path of a rule is written.
type PathFormat string

// The path formats of rules.
const (
	PathPosix   PathFormat = "POSIX"
	PathWindows PathFormat = "WINDOWS"
	// PathURI maps the beginning of a URI (extension EXPR).
	PathURI PathFormat = "URI"
)

// PathRule maps a directory of the submitting machine to one of this host.
type PathRule struct {
	SourceFormat PathFormat `json:"source_path_format"`
	Source       string     `json:"source_path"`
	Destination  string     `json:"destination_path"`
}

// pathRulesVersion is the version of the document of rules (How Jobs Are Run, path
// mapping).
const pathRulesVersion = "pathmapping-1.0"

const (
	maxPathRulesText = 1 << 20
	maxPathRules     = 10_000
)

type pathRulesDocument struct {
	Version string     `json:"version"`
	Rules   []PathRule `json:"path_mapping_rules"`
}

// ParsePathRules reads a path mapping document (JSON, version pathmapping-1.0) of
// at most 1 MiB and 10,000 rules; the empty object has no rules. The error is
// Errors.
func ParsePathRules(data []byte) ([]PathRule, error) {
	if len(data) > maxPathRulesText {
		return nil, Errors{{Rule: fmt.Sprintf("has %d bytes, and at most %d are read", len(data), maxPathRulesText), Hint: "use fewer rules"}}
	}
	if string(bytes.Join(bytes.Fields(data), nil)) == "{}" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var doc pathRulesDocument
	if err := dec.Decode(&doc); err != nil {
		return nil, Errors{{Rule: "is not a path mapping document: " + strings.TrimPrefix(err.Error(), "json: "), Hint: "write version and path_mapping_rules as JSON"}}
	}
	if dec.More() {
		return nil, Errors{{Rule: "has more text after the path mapping document", Hint: "remove it"}}
	}
	c := newChecker()
	if doc.Version != pathRulesVersion {
		c.fail(nil, (*place)(nil).field("version"), fmt.Sprintf("%q is not a known version", clip(doc.Version)), "write "+pathRulesVersion)
	}
	at := (*place)(nil).field("path_mapping_rules")
	if len(doc.Rules) > maxPathRules {
		c.fail(nil, at, fmt.Sprintf("has %d rules, and at most %d are read", len(doc.Rules), maxPathRules), "use fewer")
	}
	for i, r := range doc.Rules {
		r.check(c, at.item(i))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return doc.Rules, nil
}

func (r PathRule) check(c *checker, at *place) {
	if r.SourceFormat != PathPosix && r.SourceFormat != PathWindows && r.SourceFormat != PathURI {
		c.fail(nil, at.field("source_path_format"), fmt.Sprintf("%q is not allowed", clip(string(r.SourceFormat))), "use POSIX, WINDOWS or URI")
	}
	if r.Source == "" {
		c.fail(nil, at.field("source_path"), "is empty", "name a directory")
	}
	if r.Destination == "" {
		c.fail(nil, at.field("destination_path"), "is empty", "name a directory")
	}
}

// FormatPathRules writes the document that Session.PathMappingRulesFile names; the
// empty object when there are no rules.
func FormatPathRules(rules []PathRule) ([]byte, error) {
	if len(rules) == 0 {
		return []byte("{}"), nil
	}
	data, err := json.Marshal(pathRulesDocument{pathRulesVersion, rules})
	if err != nil {
		return nil, fmt.Errorf("write path mapping rules: %w", err)
	}
	return data, nil
}

// ApplyPathRules maps path by the rule with the longest matching source, the first
// of equals; the second result tells whether a rule matched. Without one, path
// comes back as it is. Sources match by whole components, those of Windows without
// regard to case. The result is written in the way of the host's operating system.
func ApplyPathRules(rules []PathRule, path string) (string, bool) {
	return applyPathRules(rules, path, runtime.GOOS == "windows")
}

func applyPathRules(rules []PathRule, path string, windows bool) (string, bool) {
	best, matched := -1, 0
	var rest []string
	for i, r := range rules {
		if isURI(path) != (r.SourceFormat == PathURI) {
			continue
		}
		source, p := splitPath(r.Source, r.SourceFormat), splitPath(path, r.SourceFormat)
		if p.within(source, r.SourceFormat) && (best < 0 || len(source.parts) > matched) {
			best, matched, rest = i, len(source.parts), p.parts[len(source.parts):]
		}
	}
	if best < 0 {
		return path, false
	}
	sep, seps := "/", "/"
	if windows {
		sep, seps = `\`, `\/`
	}
	out := rules[best].Destination
	if windows {
		out = strings.ReplaceAll(out, "/", sep)
	}
	if len(rest) > 0 {
		out = strings.TrimRight(out, seps) + sep + strings.Join(rest, sep)
	}
	trailing := strings.HasSuffix(path, "/") || rules[best].SourceFormat == PathWindows && strings.HasSuffix(path, `\`)
	if trailing && !strings.HasSuffix(out, sep) {
		out += sep
	}
	return out, true
}

// splitted is a path's root ("" for a relative one) and components.
type splitted struct {
	root  string
	parts []string
}

func splitPath(p string, format PathFormat) splitted {
	var s splitted
	if format == PathURI { // kept as it is, empty parts too
		return splitted{parts: strings.Split(strings.TrimSuffix(p, "/"), "/")}
	}
	if format == PathWindows {
		p = strings.ReplaceAll(p, `\`, "/")
		if len(p) >= 2 && p[1] == ':' && isLetter(p[0]) {
			s.root, p = strings.ToLower(p[:2]), p[2:]
		}
	}
	switch {
	case format == PathWindows && strings.HasPrefix(p, "//"):
		s.root += "//"
	case strings.HasPrefix(p, "/"):
		s.root += "/"
	}
	for part := range strings.SplitSeq(p, "/") {
		if part != "" && part != "." {
			s.parts = append(s.parts, part)
		}
	}
	return s
}

// within reports whether p is dir or beneath it, by its text: where .. leads is for
// the file system to know.
func (p splitted) within(dir splitted, format PathFormat) bool {
	if p.root != dir.root || len(p.parts) < len(dir.parts) {
		return false
	}
	for i, part := range dir.parts {
		if p.parts[i] != part && (format != PathWindows || !strings.EqualFold(p.parts[i], part)) {
			return false
		}
	}
	return true
}
