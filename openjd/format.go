package openjd

import (
	"fmt"
	"strings"

	"drover.farm/openjd/expr"
)

// FormatString is text with value references in double braces, as in
// "frame {{Task.Param.Frame}}" (section 7.3). The zero value is the empty text.
type FormatString struct {
	raw   string
	parts []part
}

// part is literal text, or a reference when name is set.
type part struct {
	text string
	name string
	// expr is set for an expression of the extension EXPR, with the types of the
	// symbols that it uses.
	expr  *expr.Expr
	types map[string]expr.Type
}

// ParseFormatString reads a format string. The error says which expression is
// malformed; whether the names exist is for the caller to know. Braces that open or
// close nothing are an error.
func ParseFormatString(s string) (FormatString, error) {
	f := FormatString{raw: s}
	for rest := s; rest != ""; {
		open := strings.Index(rest, "{{")
		text := rest
		if open >= 0 {
			text = rest[:open]
		}
		if strings.Contains(text, "}}") {
			return FormatString{}, fmt.Errorf("%q closes an expression with }} that nothing opens", clip(s))
		}
		if open < 0 {
			if len(f.parts) > 0 {
				f.parts = append(f.parts, part{text: rest})
			}
			break
		}
		length := strings.Index(rest[open:], "}}")
		if length < 0 {
			return FormatString{}, fmt.Errorf("%q opens an expression with {{ that nothing closes", clip(s))
		}
		name, err := parseReference(rest[open+2 : open+length])
		if err != nil {
			return FormatString{}, err
		}
		if open > 0 {
			f.parts = append(f.parts, part{text: rest[:open]})
		}
		f.parts = append(f.parts, part{name: name})
		rest = rest[open+length+2:]
	}
	return f, nil
}

// String returns the format string as it was written.
func (f FormatString) String() string { return f.raw }

// Equal reports whether both were written the same.
func (f FormatString) Equal(g FormatString) bool { return f.raw == g.raw }

// References lists the names of the symbols that f needs, in order, with repeats.
func (f FormatString) References() []string {
	var names []string
	for _, p := range f.parts {
		if p.name != "" {
			names = append(names, p.name)
		}
		if p.expr != nil {
			names = append(names, p.expr.Names()...)
		}
	}
	return names
}

// maxResolved bounds the length of a resolved format string, in bytes, so that a
// short template with long values cannot fill the memory of who resolves it.
const maxResolved = 16 << 20

// Resolve replaces each reference by its symbol. A missing symbol, or a result of
// more than 16 MiB, is an error.
func (f FormatString) Resolve(symbols Symbols) (string, error) {
	return f.resolve(symbols, maxResolved)
}

func (f FormatString) resolve(symbols Symbols, most int) (string, error) {
	if len(f.parts) == 0 {
		return f.raw, nil
	}
	if f.hasExpr() {
		return f.exprText(symbols, most, nil)
	}
	size := 0
	for _, p := range f.parts {
		size += len(p.text)
		if p.name != "" {
			v, ok := symbols[p.name]
			if !ok {
				return "", fmt.Errorf("resolve %q: no value for %s here", clip(f.raw), p.name)
			}
			size += len(v)
		}
		if size > most {
			return "", fmt.Errorf("resolve %q: the result is longer than %d bytes", clip(f.raw), most)
		}
	}
	if len(f.parts) == 1 && f.parts[0].name != "" {
		return symbols[f.parts[0].name], nil
	}
	var b strings.Builder
	b.Grow(size)
	for _, p := range f.parts {
		b.WriteString(p.text)
		if p.name != "" {
			b.WriteString(symbols[p.name])
		}
	}
	return b.String(), nil
}

// parseReference reads what stands between the braces.
func parseReference(s string) (string, error) {
	name := strings.TrimSpace(s)
	for _, id := range strings.Split(name, ".") {
		if !isIdentifier(id) {
			return "", fmt.Errorf("the expression {{%s}} is not a dotted name", clip(s))
		}
	}
	return name, nil
}

// isIdentifier reports whether s has the characters of an identifier (section
// 7.1); its length is bounded elsewhere.
func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// clip shortens text from a document for use in a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
