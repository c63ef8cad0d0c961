package expr

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// patterns are the functions of regular expressions (section 2.2.5).
var patterns = map[string]impl{
	"re_match(string, string) -> list[string] | nulltype":             func(ev *eval, a []Value) (Value, *Error) { return ev.groups(a, true) },
	"re_search(string, string) -> list[string] | nulltype":            func(ev *eval, a []Value) (Value, *Error) { return ev.groups(a, false) },
	"re_findall(string, string) -> list[string] | list[list[string]]": findAll,
	"re_sub(string, string, string) -> string": func(ev *eval, a []Value) (Value, *Error) {
		if strings.ContainsAny(a[2].s, `\$`) && groupReference.MatchString(a[2].s) {
			return Value{}, failf("the replacement %q refers to a group; it is literal text", clip(a[2].s))
		}
		re, err := ev.pattern(a[0].s, a[1].s)
		if err != nil {
			return Value{}, err
		}
		n := int64(len(re.FindAllStringIndex(a[0].s, -1)))
		if err := ev.alloc(int64(len(a[0].s)) + n*int64(len(a[2].s))); err != nil {
			return Value{}, err
		}
		return OfString(re.ReplaceAllLiteralString(a[0].s, a[2].s)), nil
	},
	"re_escape(string) -> string":              mapText(reEscape),
	"re_split(string, string) -> list[string]": func(ev *eval, a []Value) (Value, *Error) { return ev.reSplit(a[0].s, a[1].s, 0) },
	"re_split(string, string, int) -> list[string]": func(ev *eval, a []Value) (Value, *Error) {
		return ev.reSplit(a[0].s, a[1].s, a[2].i)
	},
}

var groupReference = regexp.MustCompile(`\\([0-9]|g<)|\$([0-9A-Za-z_]|\{)`)

// unsupported are the parts that Python and the specification's other languages
// read differently.
var unsupported = []struct{ what, sign string }{
	{"lookahead", "(?="}, {"lookahead", "(?!"}, {"lookbehind", "(?<="}, {"lookbehind", "(?<!"}, {"a conditional", "(?("}, {"a reference to a group", "(?P="},
	{`\z`, `\z`}, {`\Z`, `\Z`}, {`\x{…}`, `\x{`}, {`\u{…}`, `\u{`}, {`\U{…}`, `\U{`}, {`\A`, `\A`}, {`\Q`, `\Q`}, {`\C`, `\C`},
}

// pattern compiles a regular expression and charges for using it on a text.
func (ev *eval) pattern(text, pattern string) (*regexp.Regexp, *Error) {
	if pattern == "" {
		return nil, failf("the pattern is empty")
	}
	if len(pattern) > 4096 {
		return nil, failf("the pattern has %d bytes, more than 4096", len(pattern))
	}
	plain := strings.ReplaceAll(pattern, `\\`, "  ")
	for _, u := range unsupported {
		if strings.Contains(plain, u.sign) {
			return nil, failf("the pattern %q has %s, which is not supported", clip(pattern), u.what)
		}
	}
	for i := 0; i+1 < len(plain); i++ {
		if plain[i] == '\\' && '1' <= plain[i+1] && plain[i+1] <= '9' {
			return nil, failf("the pattern %q refers to a group, which is not supported", clip(pattern))
		}
	}
	plain = unicodeClasses(pattern)
	tree, err := syntax.Parse(plain, syntax.Perl)
	if err != nil {
		return nil, failf("the pattern %q is no regular expression: %s", clip(pattern), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	size := patternSize(tree)
	if size > maxPattern {
		return nil, failf("the pattern %q repeats too much", clip(pattern))
	}
	// Compiling takes time by the pattern's size, matching by the text's as well.
	if err := ev.charge(100 + size + int64(len(text)/256+1)*(size/16+1)); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(plain)
	if err != nil {
		return nil, failf("the pattern %q is no regular expression", clip(pattern))
	}
	return re, nil
}

// maxPattern bounds a pattern with its repetitions written out.
const maxPattern = 20_000

// patternSize is about how large a pattern is with its repetitions written out.
func patternSize(re *syntax.Regexp) int64 {
	n := int64(1 + len(re.Rune)/2)
	for _, sub := range re.Sub {
		n += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= int64(max(re.Min, re.Max, 1))
	}
	return min(n, 1<<30)
}

// unicodeClasses makes \d, \w and \s those of Unicode, and reads \uXXXX.
func unicodeClasses(p string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c != '\\' || i+1 == len(p) {
			switch {
			case c == '[' && !class:
				class = true
				if strings.HasPrefix(p[i+1:], "]") || strings.HasPrefix(p[i+1:], "^]") { // a bracket that is meant
					n := 1 + strings.IndexByte(p[i+1:], ']')
					b.WriteString(p[i:i+n] + `\]`)
					i += n
					continue
				}
			case c == ']':
				class = false
			}
			b.WriteByte(c)
			continue
		}
		i++
		set := map[byte]string{'d': `\p{Nd}`, 'w': `\p{L}\p{N}_`, 's': `\s\x0b\x1c-\x1f\x85\p{Z}`, 'D': `\P{Nd}`, 'W': `\p{L}\p{N}_`, 'S': `\s\x0b\x1c-\x1f\x85\p{Z}`}[p[i]]
		switch {
		case set == "" && p[i] == 'u' && i+4 < len(p):
			b.WriteString(`\x{` + p[i+1:i+5] + `}`)
			i += 4
		case set == "" && p[i] == 'U' && i+8 < len(p):
			b.WriteString(`\x{` + p[i+1:i+9] + `}`)
			i += 8
		case set == "":
			b.WriteString(p[i-1 : i+1])
		case class && (p[i] == 'W' || p[i] == 'S'):
			b.WriteString(p[i-1 : i+1]) // the negation of a set has no name within another
		case class || p[i] == 'D':
			b.WriteString(set)
		case p[i] == 'W' || p[i] == 'S':
			b.WriteString("[^" + set + "]")
		default:
			b.WriteString("[" + set + "]")
		}
	}
	return b.String()
}

func (ev *eval) groups(a []Value, start bool) (Value, *Error) {
	re, err := ev.pattern(a[0].s, a[1].s)
	if err != nil {
		return Value{}, err
	}
	if start {
		re = regexp.MustCompile(`\A(?:` + re.String() + `)`)
	}
	m := re.FindStringSubmatch(a[0].s)
	if m == nil {
		return Value{}, nil
	}
	return ev.strings("", m)
}

func findAll(ev *eval, a []Value) (Value, *Error) {
	re, err := ev.pattern(a[0].s, a[1].s)
	if err != nil {
		return Value{}, err
	}
	all := re.FindAllStringSubmatch(a[0].s, -1)
	if err := ev.charge(int64(len(all)) * int64(re.NumSubexp()+1)); err != nil {
		return Value{}, err
	}
	if re.NumSubexp() > 1 {
		items := make([]Value, len(all))
		for i, m := range all {
			if items[i], err = ev.strings("", m[1:]); err != nil {
				return Value{}, err
			}
		}
		return OfList(List(String), items), nil
	}
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = m[re.NumSubexp()]
	}
	return ev.strings("", parts)
}

func (ev *eval) reSplit(s, pattern string, most int64) (Value, *Error) {
	re, err := ev.pattern(s, pattern)
	if err != nil {
		return Value{}, err
	}
	n := -1
	if most > 0 {
		n = int(min(most, 1<<30))
	}
	var parts []string
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, n) {
		parts = append(parts, s[last:m[0]])
		for g := 2; g < len(m); g += 2 { // groups stand between the parts, as in Python
			if m[g] >= 0 {
				parts = append(parts, s[m[g]:m[g+1]])
			} else {
				parts = append(parts, "")
			}
		}
		last = m[1]
	}
	return ev.strings(s, append(parts, s[last:]))
}

// reEscape puts a backslash before what has a meaning, as Python's re.escape.
func reEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 128 && strings.ContainsRune("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
