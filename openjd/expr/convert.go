package expr

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// conversions are the general functions of section 2.2.1.
var conversions = map[string]impl{
	"len(list[T]) -> int": length, "len(range_expr) -> int": length,
	"len(string) -> int": textLength, "len(path) -> int": textLength,

	"bool(bool) -> bool":     same,
	"bool(nulltype) -> bool": func(*eval, []Value) (Value, *Error) { return OfBool(false), nil },
	"bool(int) -> bool":      func(_ *eval, a []Value) (Value, *Error) { return OfBool(a[0].i != 0), nil },
	"bool(float) -> bool":    func(_ *eval, a []Value) (Value, *Error) { return OfBool(a[0].f != 0), nil },
	"bool(string) -> bool": func(_ *eval, a []Value) (Value, *Error) {
		b, ok := ParseBool(a[0].s)
		if !ok {
			return Value{}, failf("%q is no bool; write true or false", clip(a[0].s))
		}
		return OfBool(b), nil
	},
	"bool(path) -> bool":    func(*eval, []Value) (Value, *Error) { return Value{}, failf("cannot convert path to bool") },
	"bool(list[T]) -> bool": func(*eval, []Value) (Value, *Error) { return Value{}, failf("cannot convert list to bool") },

	"string(bool) -> string": toText, "string(int) -> string": toText, "string(float) -> string": toText, "string(string) -> string": toText,
	"string(path) -> string": toText, "string(range_expr) -> string": toText, "string(nulltype) -> string": toText, "string(list[T]) -> string": toText,

	"int(int) -> int": same,
	"int(float) -> int": func(_ *eval, a []Value) (Value, *Error) {
		if a[0].f != math.Trunc(a[0].f) {
			return Value{}, failf("%s is no whole number; use floor, ceil or round", a[0].Text())
		}
		return toInt(a[0].f)
	},
	"int(string) -> int": func(_ *eval, a []Value) (Value, *Error) {
		s := strings.TrimSpace(a[0].s)
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return OfInt(i), nil
		}
		if f, ok := parseFloat(s); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return OfInt(int64(f)), nil
		}
		return Value{}, failf("%q is no integer", clip(a[0].s))
	},
	"float(float) -> float": same,
	"float(int) -> float":   func(_ *eval, a []Value) (Value, *Error) { return OfFloat(float64(a[0].i), ""), nil },
	"float(string) -> float": func(_ *eval, a []Value) (Value, *Error) {
		f, ok := parseFloat(strings.TrimSpace(a[0].s))
		if !ok {
			return Value{}, failf("%q is no finite number", clip(a[0].s))
		}
		return OfFloat(f, ""), nil
	},
	"list(range_expr) -> list[int]": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		return OfList(Int, items), err
	},
	"list(list[T]) -> list[T]":             same,
	"range_expr(range_expr) -> range_expr": same,
	"range_expr(string) -> range_expr": func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.charge(int64(len(a[0].s))); err != nil {
			return Value{}, err
		}
		r, err := ev.env.ParseInts(a[0].s)
		if err != nil {
			return Value{}, failf("%v", err)
		}
		return OfRange(r), nil
	},
	"range_expr(list[int]) -> range_expr": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		if err != nil {
			return Value{}, err
		}
		if len(items) == 0 {
			return Value{}, failf("a range expression has at least one value")
		}
		return OfRange(ev.env.IntsOf(ints(items))), nil
	},
	"fail(string) -> noreturn": func(_ *eval, a []Value) (Value, *Error) { return Value{}, failf("%s", a[0].s) },
}

func length(_ *eval, a []Value) (Value, *Error) {
	n, _, _ := iterate(a[0])
	return OfInt(n), nil
}

func textLength(_ *eval, a []Value) (Value, *Error) {
	return OfInt(int64(utf8.RuneCountInString(a[0].s))), nil
}

func toText(ev *eval, a []Value) (Value, *Error) {
	if err := ev.textOf(a[0]); err != nil {
		return Value{}, err
	}
	return OfString(a[0].Text()), nil
}

// textOf charges for writing a value.
func (ev *eval) textOf(v Value) *Error {
	if err := ev.charge(int64(len(v.list))); err != nil {
		return err
	}
	for _, e := range v.list {
		if err := ev.textOf(e); err != nil {
			return err
		}
	}
	if err := ev.alloc(8 * int64(len(v.s)+8)); err != nil { // each character may need six
		return err
	}
	return ev.text(len(v.s))
}

// ParseBool reads what stands for a bool (section 2.2.1), in capital or small
// letters.
func ParseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "true", "on", "yes":
		return true, true
	case "0", "false", "off", "no":
		return false, true
	}
	return false, false
}

// parseFloat reads a finite decimal number.
func parseFloat(s string) (float64, bool) {
	if strings.Trim(s, "+-.0123456789eE_") != "" || s == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
