package expr

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// paths are the properties and functions of section 2.3.
var paths = map[string]impl{
	"__property_name__(path) -> string":   ofPath(func(_ *eval, p parts) (Value, *Error) { return OfString(p.name()), nil }),
	"__property_stem__(path) -> string":   ofPath(func(_ *eval, p parts) (Value, *Error) { s, _ := split(p.name()); return OfString(s), nil }),
	"__property_suffix__(path) -> string": ofPath(func(_ *eval, p parts) (Value, *Error) { _, s := split(p.name()); return OfString(s), nil }),
	"__property_suffixes__(path) -> list[string]": ofPath(func(ev *eval, p parts) (Value, *Error) {
		return ev.strings("", suffixes(p.name()))
	}),
	"__property_parent__(path) -> path": ofPath(func(_ *eval, p parts) (Value, *Error) { return OfPath(p.parent().String()), nil }),
	"__property_parts__(path) -> list[string]": ofPath(func(ev *eval, p parts) (Value, *Error) {
		return ev.strings("", p.all())
	}),

	"__truediv__(path, string) -> path": joinPath, "__truediv__(path, path) -> path": joinPath,
	"path(string) -> path": func(ev *eval, a []Value) (Value, *Error) {
		return OfPath(ev.parse(a[0].s).String()), ev.text(len(a[0].s))
	},
	"path(path) -> path": same,
	"path(list[string]) -> path": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		if err != nil {
			return Value{}, err
		}
		if len(items) == 0 {
			return OfPath("."), nil
		}
		if uriScheme.MatchString(items[0].s) { // empty parts are parts
			p := ev.parse(items[0].s)
			for _, v := range items[1:] {
				p.names = append(p.names, v.s)
			}
			return OfPath(p.String()), nil
		}
		p := ev.parse("")
		for _, v := range items {
			p = p.join(ev.parse(v.s))
		}
		return OfPath(p.String()), nil
	},
	"with_name(path, string) -> path": func(ev *eval, a []Value) (Value, *Error) { return ev.rename(a[0].s, a[1].s) },
	"with_stem(path, string) -> path": func(ev *eval, a []Value) (Value, *Error) {
		_, suffix := split(ev.parse(a[0].s).name())
		if a[1].s == "" {
			return Value{}, failf("the stem is empty")
		}
		return ev.rename(a[0].s, a[1].s+suffix)
	},
	"with_suffix(path, string) -> path": func(ev *eval, a []Value) (Value, *Error) {
		if s := a[1].s; s != "" && (s[0] != '.' || s == "." || strings.ContainsAny(s, ev.separators())) {
			return Value{}, failf("%q is no suffix; it begins with a dot and has no separator", clip(s))
		}
		stem, _ := split(ev.parse(a[0].s).name())
		return ev.rename(a[0].s, stem+a[1].s)
	},
	"with_number(path, int) -> path": func(ev *eval, a []Value) (Value, *Error) {
		name, err := withNumber(ev.parse(a[0].s).name(), a[1].i)
		if err != nil {
			return Value{}, err
		}
		return ev.rename(a[0].s, name)
	},
	"with_number(string, int) -> string": func(ev *eval, a []Value) (Value, *Error) {
		s := a[0].s
		at := strings.LastIndexAny(s, `/\`) + 1
		name, err := withNumber(s[at:], a[1].i)
		if err != nil {
			return Value{}, err
		}
		return OfString(s[:at] + name), ev.text(len(s))
	},
	"as_posix(path) -> string": func(ev *eval, a []Value) (Value, *Error) {
		p := ev.parse(a[0].s)
		if p.uri {
			return OfString(a[0].s), nil
		}
		return OfString(strings.ReplaceAll(a[0].s, p.sep, "/")), ev.text(len(a[0].s))
	},
	"is_absolute(path) -> bool": ofPath(func(_ *eval, p parts) (Value, *Error) { return OfBool(p.absolute), nil }),
	"is_relative_to(path, path) -> bool": func(ev *eval, a []Value) (Value, *Error) {
		return OfBool(ev.parse(a[0].s).below(ev.parse(a[1].s))), nil
	},
	"is_relative_to(path, string) -> bool": func(ev *eval, a []Value) (Value, *Error) {
		return OfBool(ev.parse(a[0].s).below(ev.parse(a[1].s))), nil
	},
	"relative_to(path, path) -> path": relativeTo, "relative_to(path, string) -> path": relativeTo,
	"apply_path_mapping(string) -> path": func(ev *eval, a []Value) (Value, *Error) {
		return OfPath(ev.env.MapPath(a[0].s)), ev.text(len(a[0].s))
	},
}

func ofPath(do func(ev *eval, p parts) (Value, *Error)) impl {
	return func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.text(len(a[0].s)); err != nil {
			return Value{}, err
		}
		return do(ev, ev.parse(a[0].s))
	}
}

func joinPath(ev *eval, a []Value) (Value, *Error) {
	if err := ev.text(len(a[0].s) + len(a[1].s)); err != nil {
		return Value{}, err
	}
	return OfPath(ev.parse(a[0].s).join(ev.parse(a[1].s)).String()), nil
}

func (ev *eval) separators() string {
	if ev.env.Windows {
		return `/\`
	}
	return "/"
}

// rename gives a path another last name.
func (ev *eval) rename(path, name string) (Value, *Error) {
	if err := ev.text(len(path) + len(name)); err != nil {
		return Value{}, err
	}
	p := ev.parse(path)
	if p.name() == "" {
		return Value{}, failf("%q has no name that could be changed", clip(path))
	}
	if name == "" || name == "." || strings.ContainsAny(name, ev.separators()) {
		return Value{}, failf("%q is no name of a file", clip(name))
	}
	names := p.parent().names
	p.names = append(names[:len(names):len(names)], name)
	return OfPath(p.String()), nil
}

func relativeTo(ev *eval, a []Value) (Value, *Error) {
	p, base := ev.parse(a[0].s), ev.parse(a[1].s)
	if !p.below(base) {
		return Value{}, failf("%q does not lie under %q", clip(a[0].s), clip(a[1].s))
	}
	n := len(base.names)
	if base.uri && n > 0 && base.names[n-1] == "" {
		n--
	}
	return OfPath(parts{names: p.names[n:], sep: p.sep}.String()), nil
}

var frameNumber = regexp.MustCompile(`%(0?)(\d*)d|#+|\d+`)

// maxPadding bounds how wide a frame's number is written.
const maxPadding = 32

// withNumber puts a number in the place of the last one in the stem of a name.
func withNumber(name string, n int64) (string, *Error) {
	stem, suffix := split(name)
	all := frameNumber.FindAllStringSubmatchIndex(stem, -1)
	if len(all) == 0 {
		return stem + "_" + padded(n, 4) + suffix, nil
	}
	m := all[len(all)-1]
	found := stem[m[0]:m[1]]
	width := m[1] - m[0]
	var text string
	switch {
	case found[0] == '%':
		width, _ = strconv.Atoi("0" + stem[m[4]:m[5]])
		if width > maxPadding {
			return "", failf("the number in %q is wider than %d", clip(name), maxPadding)
		}
		if text = fmt.Sprintf("%*d", width, n); m[3] > m[2] {
			text = padded(n, width)
		}
	case found[0] == '#' && width > maxPadding:
		return "", failf("the number in %q is wider than %d", clip(name), maxPadding)
	default:
		text = padded(n, width)
	}
	return stem[:m[0]] + text + stem[m[1]:] + suffix, nil
}

// padded writes a number with zeros; a sign counts to the width.
func padded(n int64, width int) string { return fmt.Sprintf("%0*d", width, n) }
