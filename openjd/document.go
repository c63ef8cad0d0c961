package openjd

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits on documents. Templates in use have some hundreds of values in some
// kilobytes; managed services refuse more than 300,000 characters.
const (
	maxDocument   = 300_000
	maxValues     = 50_000
	maxRepeated   = 2_000_000
	maxDepth      = 64
	maxIndicators = 40_000
	maxLines      = 30_000
	maxComments   = 10_000
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindString
	kindList
	kindMap
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "an integer", "a number", "a string", "a list", "an object"}[k]
}

// node is a value of a document, whichever notation it came in.
type node struct {
	kind kind
	line int32
	col  int32
	// size counts the values below and bytes the text, as often as aliases repeat
	// them.
	size, bytes int32
	// text of a scalar: decimal for integers, as written for other numbers,
	// "true" or "false" for booleans.
	text string
	// items of a list, or values of a map in the order of keys.
	items []*node
	keys  []string
}

// parseDocument reads a document of either notation within the limits.
func parseDocument(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxDocument {
		return nil, Errors{{
			Rule: fmt.Sprintf("has %d bytes, and at most %d are read", len(data), maxDocument),
			Hint: "move large data into files that PATH parameters name",
		}}
	}
	if !utf8.Valid(data) {
		return nil, Errors{{Rule: "is not UTF-8", Hint: "save it as UTF-8"}}
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		// Flow-style YAML begins the same way; what is not JSON may be that.
		if n, err := parseJSON(data); err == nil || !isSyntax(err) {
			return n, err
		}
	}
	if err := checkIndicators(data); err != nil {
		return nil, err
	}
	return parseYAML(data)
}

// checkIndicators refuses what would make the YAML parser, which reads a document
// whole, build far more than maxValues values or as many comments. It cannot tell
// those from the same characters in embedded text, so the limits leave room for it.
func checkIndicators(data []byte) error {
	for _, limit := range []struct {
		what string
		of   []string
		most int
	}{
		{"commas and brackets", []string{",", "[", "{"}, maxIndicators},
		{"lines", []string{"\n", "\r"}, maxLines},
		{"comments", []string{" #", "\t#", "\n#", "\r#"}, maxComments},
	} {
		count := 0
		for _, s := range limit.of {
			count += bytes.Count(data, []byte(s))
		}
		if limit.what == "lines" {
			count -= bytes.Count(data, []byte("\r\n"))
		}
		if count > limit.most {
			return Errors{{
				Rule: fmt.Sprintf("has %d %s, and at most %d are read as YAML", count, limit.what, limit.most),
				Hint: "move large data into files that PATH parameters name",
			}}
		}
	}
	return nil
}

// builder counts what a document's notation builds.
type builder struct{ values int }

// syntaxError is an Errors of one, marked so that the other notation is tried.
type syntaxError struct{ Errors }

func isSyntax(err error) bool {
	_, ok := err.(syntaxError)
	return ok
}

func (b *builder) add(depth int, line, col int32) error {
	b.values++
	if b.values > maxValues {
		return errAt(line, col, fmt.Sprintf("has more than %d values", maxValues), "give large ranges as range expressions and large data as files")
	}
	if depth > maxDepth {
		return errAt(line, col, fmt.Sprintf("nests deeper than %d levels", maxDepth), "no template needs that")
	}
	return nil
}

// grow adds a child's size to its parent's.
func (n *node) grow(child *node) error {
	n.size += child.size + 1
	n.bytes += child.bytes + int32(len(child.text))
	if n.size > maxValues || n.bytes > maxRepeated {
		return errAt(child.line, child.col, fmt.Sprintf("has more than %d values or %d bytes when its aliases are followed", maxValues, maxRepeated), "repeat less")
	}
	return nil
}

func errAt(line, col int32, rule, hint string) error {
	return Errors{{Rule: rule, Hint: hint, Line: int(line), Column: int(col)}}
}

func duplicateKey(key string, line, col int32) error {
	return errAt(line, col, fmt.Sprintf("has the key %q twice in one object", clip(key)), "remove one of them")
}

// place is a path in a document, linked so that it costs nothing until an error
// needs it written.
type place struct {
	up    *place
	key   string
	index int
}

func (p *place) field(key string) *place { return &place{up: p, key: key, index: -1} }
func (p *place) item(i int) *place       { return &place{up: p, index: i} }

func (p *place) String() string {
	if p == nil {
		return ""
	}
	var parts []string
	for ; p != nil; p = p.up {
		switch {
		case p.index >= 0:
			parts = append(parts, fmt.Sprintf("[%d]", p.index))
		case p.up != nil:
			parts = append(parts, "."+clip(p.key))
		default:
			parts = append(parts, clip(p.key))
		}
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return b.String()
}
