package expr

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// representations are the functions of section 2.2.6: values as other languages
// write them.
var representations = withLiterals(map[string]impl{
	"repr_sh(string) -> string": quoted(shQuote), "repr_sh(path) -> string": quoted(shQuote),
	"repr_sh(list[string]) -> string": quotedList(shQuote), "repr_sh(list[path]) -> string": quotedList(shQuote), "repr_sh(list[nulltype]) -> string": quotedList(shQuote),
	"repr_cmd(string) -> string": quoted(cmdQuote), "repr_cmd(path) -> string": quoted(cmdQuote),
	"repr_cmd(list[string]) -> string": quotedList(cmdQuote), "repr_cmd(list[path]) -> string": quotedList(cmdQuote), "repr_cmd(list[nulltype]) -> string": quotedList(cmdQuote),
})

// withLiterals adds the functions that take values of all types.
func withLiterals(all map[string]impl) map[string]impl {
	for _, l := range []struct {
		name string
		do   func(Value) string
	}{{"repr_py", pyRepr}, {"repr_json", Value.json}, {"repr_pwsh", pwshRepr}} {
		for _, t := range []string{"nulltype", "bool", "int", "float", "string", "path", "range_expr", "list[T]"} {
			all[l.name+"("+t+") -> string"] = func(ev *eval, a []Value) (Value, *Error) {
				if err := ev.textOf(a[0]); err != nil {
					return Value{}, err
				}
				return OfString(l.do(a[0])), nil
			}
		}
	}
	delete(all, "repr_pwsh(nulltype) -> string")
	return all
}

func quoted(quote func(string) string) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.textOf(a[0]); err != nil {
			return Value{}, err
		}
		return OfString(quote(a[0].s)), nil
	}
}

func quotedList(quote func(string) string) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.textOf(a[0]); err != nil {
			return Value{}, err
		}
		parts := make([]string, len(a[0].list))
		for i, v := range a[0].list {
			parts[i] = quote(v.s)
		}
		return OfString(strings.Join(parts, " ")), nil
	}
}

var shUnsafe = regexp.MustCompile(`[^A-Za-z0-9_@%+=:,./-]`)

// shQuote is Python's shlex.quote.
func shQuote(s string) string {
	if s == "" {
		return "''"
	}
	if !shUnsafe.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

// cmdQuote is for batch files of Windows.
func cmdQuote(s string) string {
	if s != "" && !strings.ContainsAny(s, "&|<>^\"()%! \t\r\n\v\f") {
		return s
	}
	return `"` + strings.NewReplacer("^", "^^", `"`, `^"`, "%", "%%").Replace(s) + `"`
}

func pwshRepr(v Value) string {
	switch v.typ.Kind {
	case KindBool:
		return "$" + v.Text()
	case KindInt, KindFloat:
		return v.Text()
	case KindList:
		return "@(" + eachItem(v, pwshRepr) + ")"
	}
	return "'" + strings.ReplaceAll(v.Text(), "'", "''") + "'"
}

func eachItem(v Value, do func(Value) string) string {
	parts := make([]string, len(v.list))
	for i, e := range v.list {
		parts[i] = do(e)
	}
	return strings.Join(parts, ", ")
}

// pyRepr is Python's repr.
func pyRepr(v Value) string {
	switch v.typ.Kind {
	case KindNull:
		return "None"
	case KindBool:
		return map[bool]string{true: "True", false: "False"}[v.isTrue()]
	case KindInt, KindFloat:
		return v.Text()
	case KindList:
		return "[" + eachItem(v, pyRepr) + "]"
	}
	return pyString(v.Text())
}

func pyString(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	var b strings.Builder
	b.WriteString(quote)
	for _, r := range s {
		switch {
		case r == '\\' || string(r) == quote:
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteString(quote)
	return b.String()
}
