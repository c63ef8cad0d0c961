package expr

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Ints is a set of integers in increasing order, which is never listed: the value
// of a range expression.
type Ints interface {
	Len() int64
	At(i int64) int64
	// String is the canonical range expression.
	String() string
}

// Value is a value of the language. It is immutable. The zero value is null.
type Value struct {
	typ     Type
	unknown bool
	i       int64 // of a bool, 0 or 1
	f       float64
	s       string // of a string or path; of a float, its text where that was given
	list    []Value
	ints    Ints
}

// Unknown is a value of which only the type is known.
func Unknown(t Type) Value { return Value{typ: t, unknown: true} }

// OfBool makes a bool.
func OfBool(b bool) Value {
	v := Value{typ: Bool}
	if b {
		v.i = 1
	}
	return v
}

// OfInt makes an int.
func OfInt(i int64) Value { return Value{typ: Int, i: i} }

// OfString makes a string.
func OfString(s string) Value { return Value{typ: String, s: s} }

// OfPath makes a path, as the system writes it.
func OfPath(s string) Value { return Value{typ: Path, s: s} }

// OfRange makes a range expression.
func OfRange(r Ints) Value { return Value{typ: Range, ints: r} }

// OfFloat makes a float. Text is how it was written, and stays so as long as
// nobody calculates with it (section 1.3.4); empty for the shortest form.
func OfFloat(f float64, text string) Value {
	if f == 0 {
		f = 0 // no negative zero
	}
	return Value{typ: Float, f: f, s: text}
}

// OfList makes a list; all items are of the type elem.
func OfList(elem Type, items []Value) Value {
	if len(items) == 0 && elem.Kind != KindNull {
		return Value{typ: List(elem)}
	}
	return Value{typ: List(elem), list: items}
}

// Type is the value's type; that of an unknown value may be a union.
func (v Value) Type() Type { return v.typ }

// Known reports whether there is a value, not its type alone.
func (v Value) Known() bool { return !v.unknown }

// IsNull reports whether v is null for certain.
func (v Value) IsNull() bool { return v.typ.Kind == KindNull }

// Items are the items of a list; they are not to be changed.
func (v Value) Items() []Value { return v.list }

// Ints is the set of a range expression.
func (v Value) Ints() Ints { return v.ints }

func (v Value) isTrue() bool { return v.i != 0 }

// float is the number of an int or a float.
func (v Value) float() float64 {
	if v.typ.Kind == KindInt {
		return float64(v.i)
	}
	return v.f
}

// Text writes the value as string() does: lists as JSON, null as "null".
func (v Value) Text() string {
	switch v.typ.Kind {
	case KindNull:
		return "null"
	case KindBool:
		return strconv.FormatBool(v.isTrue())
	case KindInt:
		return strconv.FormatInt(v.i, 10)
	case KindFloat:
		if v.s != "" {
			return v.s
		}
		return floatText(v.f)
	case KindRange:
		return v.ints.String()
	case KindList:
		return v.json()
	}
	return v.s
}

// json writes the value as JSON, with a blank after each comma.
func (v Value) json() string {
	switch v.typ.Kind {
	case KindList:
		parts := make([]string, len(v.list))
		for i, e := range v.list {
			parts[i] = e.json()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case KindString, KindPath, KindRange:
		return jsonString(v.Text())
	}
	return v.Text()
}

func jsonString(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always can be
	return strings.TrimSuffix(b.String(), "\n")
}

// floatText is the shortest decimal text, as Python writes it.
func floatText(f float64) string {
	if exp := math.Abs(f); f != 0 && (exp < 1e-4 || exp >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// deepSize is size with the items of the value's items.
func (v Value) deepSize() int64 {
	n := v.size()
	for _, e := range v.list {
		n += int64(len(e.s)) + 96*int64(cap(e.list))
	}
	return n
}

// size is about how much memory the value takes.
func (v Value) size() int64 { return 96 + int64(len(v.s)) + 96*int64(cap(v.list)) }
