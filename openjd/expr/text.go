package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// texts are the functions of section 2.2.4.
var texts = map[string]impl{
	"upper(string) -> string": mapText(strings.ToUpper),
	"lower(string) -> string": mapText(strings.ToLower),
	"capitalize(string) -> string": mapText(func(s string) string {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 {
			return s
		}
		return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
	}),
	"title(string) -> string": mapText(title),

	"strip(string) -> string":                mapText(func(s string) string { return strings.TrimFunc(s, unicode.IsSpace) }),
	"lstrip(string) -> string":               mapText(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
	"rstrip(string) -> string":               mapText(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
	"strip(string, string) -> string":        mapText2(strings.Trim),
	"lstrip(string, string) -> string":       mapText2(strings.TrimLeft),
	"rstrip(string, string) -> string":       mapText2(strings.TrimRight),
	"removeprefix(string, string) -> string": mapText2(strings.TrimPrefix),
	"removesuffix(string, string) -> string": mapText2(strings.TrimSuffix),

	"startswith(string, string) -> bool": testText2(strings.HasPrefix),
	"endswith(string, string) -> bool":   testText2(strings.HasSuffix),
	"isdigit(string) -> bool":            allOf(func(r rune) bool { return unicode.IsDigit(r) || unicode.Is(unicode.No, r) && isDigitLike(r) }),
	"isalpha(string) -> bool":            allOf(unicode.IsLetter),
	"isalnum(string) -> bool":            allOf(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isspace(string) -> bool":            allOf(unicode.IsSpace),
	"isupper(string) -> bool":            allCased(unicode.IsUpper),
	"islower(string) -> bool":            allCased(unicode.IsLower),
	"isascii(string) -> bool": func(ev *eval, a []Value) (Value, *Error) {
		return OfBool(!strings.ContainsFunc(a[0].s, func(r rune) bool { return r > 127 })), ev.text(len(a[0].s))
	},

	"count(string, string) -> int":  search(func(s, sub string) (int, bool) { return strings.Count(s, sub), true }),
	"find(string, string) -> int":   search(func(s, sub string) (int, bool) { return place(s, strings.Index(s, sub)), true }),
	"rfind(string, string) -> int":  search(func(s, sub string) (int, bool) { return place(s, strings.LastIndex(s, sub)), true }),
	"index(string, string) -> int":  search(func(s, sub string) (int, bool) { i := strings.Index(s, sub); return place(s, i), i >= 0 }),
	"rindex(string, string) -> int": search(func(s, sub string) (int, bool) { i := strings.LastIndex(s, sub); return place(s, i), i >= 0 }),
	"replace(string, string, string) -> string": func(ev *eval, a []Value) (Value, *Error) {
		if a[1].s == "" {
			return Value{}, failf("replace() needs a text to look for that is not empty")
		}
		if err := ev.text(len(a[0].s)); err != nil {
			return Value{}, err
		}
		n := int64(strings.Count(a[0].s, a[1].s))
		size := int64(len(a[0].s)) + n*int64(len(a[2].s)-len(a[1].s))
		if err := ev.text(int(min(size, 1<<40))); err != nil {
			return Value{}, err
		}
		if err := ev.alloc(size); err != nil {
			return Value{}, err
		}
		return OfString(strings.ReplaceAll(a[0].s, a[1].s, a[2].s)), nil
	},

	"split(string) -> list[string]":               func(ev *eval, a []Value) (Value, *Error) { return ev.strings(a[0].s, strings.Fields(a[0].s)) },
	"rsplit(string) -> list[string]":              func(ev *eval, a []Value) (Value, *Error) { return ev.strings(a[0].s, strings.Fields(a[0].s)) },
	"split(string, string) -> list[string]":       func(ev *eval, a []Value) (Value, *Error) { return ev.split(a[0].s, a[1].s, -1, false) },
	"rsplit(string, string) -> list[string]":      func(ev *eval, a []Value) (Value, *Error) { return ev.split(a[0].s, a[1].s, -1, true) },
	"split(string, string, int) -> list[string]":  func(ev *eval, a []Value) (Value, *Error) { return ev.split(a[0].s, a[1].s, a[2].i, false) },
	"rsplit(string, string, int) -> list[string]": func(ev *eval, a []Value) (Value, *Error) { return ev.split(a[0].s, a[1].s, a[2].i, true) },
	"join(list[nulltype], string) -> string":      join, "join(list[string], string) -> string": join, "join(list[path], string) -> string": join,

	"ljust(string, int) -> string":  pad(func(n int) (int, int) { return 0, n }),
	"rjust(string, int) -> string":  pad(func(n int) (int, int) { return n, 0 }),
	"center(string, int) -> string": center,
	"zfill(string, int) -> string":  zfill, "zfill(int, int) -> string": zfill, "zfill(float, int) -> string": zfill,
}

func mapText(do func(string) string) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.text(len(a[0].s)); err != nil {
			return Value{}, err
		}
		return OfString(do(a[0].s)), nil
	}
}

func mapText2(do func(s, t string) string) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.text(len(a[0].s) + len(a[1].s)); err != nil {
			return Value{}, err
		}
		return OfString(do(a[0].s, a[1].s)), nil
	}
}

func testText2(do func(s, t string) bool) impl {
	return func(ev *eval, a []Value) (Value, *Error) { return OfBool(do(a[0].s, a[1].s)), ev.text(len(a[1].s)) }
}

// title makes the first letter of each run of letters a capital.
func title(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		was := inside
		inside = unicode.IsLetter(r)
		if inside && !was {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

// isDigitLike tells superscript digits and the like from fractions.
func isDigitLike(r rune) bool {
	return r == '²' || r == '³' || r == '¹' || r >= 0x2070 && r <= 0x2079 || r >= 0x2080 && r <= 0x2089
}

func allOf(is func(rune) bool) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		ok := a[0].s != "" && !strings.ContainsFunc(a[0].s, func(r rune) bool { return !is(r) })
		return OfBool(ok), ev.text(len(a[0].s))
	}
}

func allCased(is func(rune) bool) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		cased := false
		for _, r := range a[0].s {
			if unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) {
				if !is(r) {
					return OfBool(false), ev.text(len(a[0].s))
				}
				cased = true
			}
		}
		return OfBool(cased), ev.text(len(a[0].s))
	}
}

// place counts characters up to a byte.
func place(s string, at int) int {
	if at < 0 {
		return -1
	}
	return utf8.RuneCountInString(s[:at])
}

func search(do func(s, sub string) (int, bool)) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if a[1].s == "" {
			return Value{}, failf("the text to look for is empty")
		}
		if err := ev.text(len(a[0].s)); err != nil {
			return Value{}, err
		}
		n, ok := do(a[0].s, a[1].s)
		if !ok {
			return Value{}, failf("%q is not in %q", clip(a[1].s), clip(a[0].s))
		}
		return OfInt(int64(n)), nil
	}
}

// strings makes a list of parts of a text.
func (ev *eval) strings(of string, parts []string) (Value, *Error) {
	if err := ev.text(len(of)); err != nil {
		return Value{}, err
	}
	if err := ev.charge(int64(len(parts))); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(96 * int64(len(parts))); err != nil {
		return Value{}, err
	}
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = OfString(p)
	}
	return OfList(String, items), nil
}

func (ev *eval) split(s, sep string, most int64, right bool) (Value, *Error) {
	if sep == "" {
		return Value{}, failf("the separator is empty")
	}
	if most < 0 {
		return ev.strings(s, strings.Split(s, sep))
	}
	if !right {
		return ev.strings(s, strings.SplitN(s, sep, int(min(most, 1<<30))+1))
	}
	parts := strings.Split(s, sep)
	if extra := len(parts) - 1 - int(min(most, 1<<30)); extra > 0 {
		parts = append([]string{strings.Join(parts[:extra+1], sep)}, parts[extra+1:]...)
	}
	return ev.strings(s, parts)
}

func join(ev *eval, a []Value) (Value, *Error) {
	parts := make([]string, len(a[0].list))
	size := 0
	for i, v := range a[0].list {
		parts[i] = v.s
		size += len(v.s) + len(a[1].s)
	}
	if err := ev.charge(int64(len(parts))); err != nil {
		return Value{}, err
	}
	if err := ev.text(size); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(int64(size)); err != nil {
		return Value{}, err
	}
	return OfString(strings.Join(parts, a[1].s)), nil
}

// fill charges for padding a text to a width, and gives how much is missing.
func (ev *eval) fill(s string, width int64) (int, *Error) {
	if err := ev.text(len(s)); err != nil {
		return 0, err
	}
	n := max(width-int64(utf8.RuneCountInString(s)), 0)
	if err := ev.charge((n + 255) / 256); err != nil {
		return 0, err
	}
	return int(n), ev.alloc(n)
}

func pad(sides func(n int) (left, right int)) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		n, err := ev.fill(a[0].s, a[1].i)
		if err != nil {
			return Value{}, err
		}
		left, right := sides(n)
		return OfString(strings.Repeat(" ", left) + a[0].s + strings.Repeat(" ", right)), nil
	}
}

// center puts an odd blank to the left where the width is odd, as Python does.
func center(ev *eval, a []Value) (Value, *Error) {
	return pad(func(n int) (int, int) {
		left := n / 2
		if n%2 == 1 && a[1].i%2 == 1 {
			left++
		}
		return left, n - left
	})(ev, a)
}

func zfill(ev *eval, a []Value) (Value, *Error) {
	s := a[0].Text()
	n, err := ev.fill(s, a[1].i)
	if err != nil {
		return Value{}, err
	}
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	return OfString(sign + strings.Repeat("0", n) + s), nil
}
