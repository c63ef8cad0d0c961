package expr

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/runenames"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokInt
	tokFloat
	tokString
	tokOp
)

type token struct {
	kind tokenKind
	text string // of a string, its value
	at   int
}

// lex cuts an expression into tokens. Line ends are blanks (section 1.1.7).
func lex(s string) ([]token, error) {
	var out []token
	for at := 0; ; {
		for at < len(s) && strings.IndexByte(" \t\r\n\f", s[at]) >= 0 {
			at++
		}
		if at == len(s) {
			return append(out, token{kind: tokEnd, at: at}), nil
		}
		t, n, err := next(s, at)
		if err != nil {
			err.At = at
			return nil, err
		}
		out = append(out, t)
		at += n
	}
}

// next reads the token at a place, and how long it is.
func next(s string, at int) (token, int, *Error) {
	rest := s[at:]
	if n := stringPrefix(rest); n >= 0 {
		text, size, err := lexString(rest, n == 1)
		return token{tokString, text, at}, size, err
	}
	switch c := rest[0]; {
	case isLetter(c):
		n := 1
		for n < len(rest) && (isLetter(rest[n]) || isDigit(rest[n])) {
			n++
		}
		return token{tokName, rest[:n], at}, n, nil
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return lexNumber(rest, at)
	}
	for _, op := range []string{"**", "//", "<=", ">=", "==", "!="} {
		if strings.HasPrefix(rest, op) {
			return token{tokOp, op, at}, 2, nil
		}
	}
	if strings.IndexByte("+-*/%<>()[],:.=", rest[0]) >= 0 {
		return token{tokOp, rest[:1], at}, 1, nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return token{}, 0, failf("%q cannot stand in an expression", r)
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// stringPrefix is 0 where a string begins, 1 where a raw one does, else -1.
func stringPrefix(s string) int {
	if s[0] == '\'' || s[0] == '"' {
		return 0
	}
	if (s[0] == 'r' || s[0] == 'R') && len(s) > 1 && (s[1] == '\'' || s[1] == '"') {
		return 1
	}
	return -1
}

func lexString(s string, raw bool) (string, int, *Error) {
	at := 0
	if raw {
		at = 1
	}
	quote := s[at : at+1]
	if strings.HasPrefix(s[at:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	at += len(quote)
	var b strings.Builder
	for at < len(s) {
		switch c := s[at]; {
		case strings.HasPrefix(s[at:], quote):
			return b.String(), at + len(quote), nil
		case c == '\n' && len(quote) == 1:
			return "", 0, failf("a string ends at the end of its line; use three quotes for several lines")
		case c == '\\' && at+1 < len(s):
			text, n, err := escape(s[at:], raw)
			if err != nil {
				return "", 0, err
			}
			b.WriteString(text)
			at += n
		default:
			b.WriteByte(c)
			at++
		}
	}
	return "", 0, failf("a string is not closed with %s", quote)
}

var escapes = map[byte]string{'\\': "\\", '\'': "'", '"': "\"", 'n': "\n", 'r': "\r", 't': "\t", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': ""}

// escape reads an escape sequence at the beginning of s.
func escape(s string, raw bool) (string, int, *Error) {
	if raw {
		return s[:2], 2, nil
	}
	if text, ok := escapes[s[1]]; ok {
		return text, 2, nil
	}
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]; digits > 0 {
		if len(s) < 2+digits {
			return "", 0, failf("the escape \\%c needs %d hexadecimal digits", s[1], digits)
		}
		n, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err != nil || n > utf8.MaxRune || 0xD800 <= n && n < 0xE000 {
			return "", 0, failf("%s is no character", s[:2+digits])
		}
		return string(rune(n)), 2 + digits, nil
	}
	if '0' <= s[1] && s[1] <= '7' {
		n := 1
		for n < 3 && 1+n < len(s) && '0' <= s[1+n] && s[1+n] <= '7' {
			n++
		}
		r, _ := strconv.ParseUint(s[1:1+n], 8, 32)
		return string(rune(r)), 1 + n, nil
	}
	if s[1] == 'N' {
		name, _, closed := strings.Cut(strings.TrimPrefix(s[2:], "{"), "}")
		r, ok := namedRunes()[strings.ToUpper(name)]
		if !closed || !strings.HasPrefix(s[2:], "{") || !ok {
			return "", 0, failf("%q is no character's name; write \\N{NAME} as Unicode has it, or \\uXXXX with the number", clip(name))
		}
		return string(r), 4 + len(name), nil
	}
	return s[:2], 2, nil // as Python: the backslash stays
}

// lexNumber reads a number (section 1.1.6).
func lexNumber(s string, at int) (token, int, *Error) {
	n := 0
	for n < len(s) && (isDigit(s[n]) || isLetter(s[n]) || s[n] == '.' || (s[n] == '+' || s[n] == '-') && n > 0 && s[n-1]|0x20 == 'e' && !hexPrefix(s)) {
		n++
	}
	text := s[:n]
	plain := strings.ReplaceAll(text, "_", "")
	bad := failf("%s is no number", clip(text))
	for i := range text {
		if text[i] == '_' && (i == 0 || i == len(text)-1 || !isHex(text[i-1]) && i != 2 || !isHex(text[i+1])) {
			return token{}, 0, bad
		}
	}
	if hexPrefix(s) || len(s) > 1 && s[0] == '0' && strings.IndexByte("oObB", s[1]) >= 0 {
		i, err := strconv.ParseInt(plain, 0, 64)
		if err != nil {
			return token{}, 0, failf("%s is no integer of 64 bits", clip(text))
		}
		return token{tokInt, strconv.FormatInt(i, 10), at}, n, nil
	}
	if strings.Trim(plain, "0123456789") == "" {
		if len(plain) > 1 && plain[0] == '0' && strings.Trim(plain, "0") != "" {
			return token{}, 0, failf("the integer %s has leading zeros; write 0o%s for an octal one", clip(text), clip(strings.TrimLeft(plain, "0")))
		}
		return token{tokInt, plain, at}, n, nil
	}
	if strings.Trim(plain, "0123456789.eE+-") != "" {
		return token{}, 0, bad
	}
	if _, err := strconv.ParseFloat(plain, 64); err != nil {
		return token{}, 0, bad
	}
	return token{tokFloat, plain, at}, n, nil
}

func hexPrefix(s string) bool { return len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func (t token) String() string {
	if t.kind == tokEnd {
		return "the end"
	}
	return fmt.Sprintf("%q", clip(t.text))
}

// namedRunes are the characters that Unicode names one by one. The table is made
// when a template first needs it.
var namedRunes = sync.OnceValue(func() map[string]rune {
	names := make(map[string]rune, 40_000)
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if name := runenames.Name(r); name != "" && name[0] != '<' {
			names[name] = r
		}
	}
	return names
})
