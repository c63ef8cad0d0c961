package expr

import (
	"slices"
	"strings"
)

// Kind is the outermost part of a type.
type Kind uint8

// The kinds of types.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindFloat
	KindString
	KindPath
	KindRange
	KindList
	// KindUnion is one of several types, and KindNever the type of what never
	// returns; only unknown values have them.
	KindUnion
	KindNever
	// kindVar is a type variable of a signature.
	kindVar
)

// Type is a type of the language (section 1.2). Types compare with Equal.
type Type struct {
	Kind Kind
	// Elem is the element type of a list.
	Elem *Type
	// Alts are the members of a union, without repeats or unions of their own.
	Alts []Type
	name byte // of a variable
}

// The types without parts.
var (
	Null   = Type{Kind: KindNull}
	Bool   = Type{Kind: KindBool}
	Int    = Type{Kind: KindInt}
	Float  = Type{Kind: KindFloat}
	String = Type{Kind: KindString}
	Path   = Type{Kind: KindPath}
	Range  = Type{Kind: KindRange}
	Never  = Type{Kind: KindNever}
)

// List is the type of lists of elem; that of the empty list has elem Null.
func List(elem Type) Type { return Type{Kind: KindList, Elem: &elem} }

// Union is the type of what has one of the types.
func Union(types ...Type) Type {
	var alts []Type
	for _, t := range types {
		parts := []Type{t}
		if t.Kind == KindUnion {
			parts = t.Alts
		}
		for _, p := range parts {
			if p.Kind != KindNever && !slices.ContainsFunc(alts, p.Equal) {
				alts = append(alts, p)
			}
		}
	}
	switch len(alts) {
	case 0:
		return Never
	case 1:
		return alts[0]
	}
	slices.SortStableFunc(alts, func(a, b Type) int { return strings.Compare(a.order(), b.order()) })
	return Type{Kind: KindUnion, Alts: alts}
}

// order is what unions are sorted by: null comes last.
func (t Type) order() string {
	if t.Kind == KindNull {
		return "~"
	}
	return t.String()
}

// Equal reports whether both are the same type.
func (t Type) Equal(o Type) bool {
	switch {
	case t.Kind != o.Kind || t.name != o.name:
		return false
	case t.Kind == KindList:
		return t.Elem.Equal(*o.Elem)
	}
	return slices.EqualFunc(t.Alts, o.Alts, Type.Equal)
}

// members are the types of a union, or the type itself.
func (t Type) members() []Type {
	if t.Kind == KindUnion {
		return t.Alts
	}
	return []Type{t}
}

// Has reports whether a value of type t may be of the kind.
func (t Type) Has(k Kind) bool {
	return slices.ContainsFunc(t.members(), func(m Type) bool { return m.Kind == k })
}

// depth is how many lists are around the innermost element.
func (t Type) depth() int {
	n := 0
	for ; t.Kind == KindList; t = *t.Elem {
		n++
	}
	return n
}

// String writes the type as the specification does.
func (t Type) String() string {
	switch t.Kind {
	case KindList:
		return "list[" + t.Elem.String() + "]"
	case KindUnion:
		parts := make([]string, len(t.Alts))
		for i, a := range t.Alts {
			parts[i] = a.String()
		}
		return strings.Join(parts, " | ")
	case kindVar:
		return string(t.name)
	}
	return [...]string{"nulltype", "bool", "int", "float", "string", "path", "range_expr", "", "", "noreturn"}[t.Kind]
}

// ParseType reads a type as String writes it; ok is false for what is none.
func ParseType(s string) (t Type, ok bool) {
	defer func() { ok = recover() == nil && !isGeneric(t) }()
	return parseType(s), true
}

// parseType reads a type of a signature: a name, list[…], or one capital letter for
// a variable.
func parseType(s string) Type {
	if strings.Contains(s, "|") {
		var alts []Type
		for part := range strings.SplitSeq(s, "|") {
			alts = append(alts, parseType(strings.TrimSpace(part)))
		}
		return Union(alts...)
	}
	if inner, ok := strings.CutPrefix(s, "list["); ok {
		return List(parseType(strings.TrimSuffix(inner, "]")))
	}
	for _, t := range []Type{Null, Bool, Int, Float, String, Path, Range, Never} {
		if t.String() == s {
			return t
		}
	}
	if len(s) != 1 {
		panic("expr: no type " + s)
	}
	return Type{Kind: kindVar, name: s[0]}
}

// common is the type that both can be made without loss (section 1.2.6).
func common(a, b Type) (Type, bool) {
	switch {
	case a.Equal(b):
		return a, true
	case a.Kind == KindList && b.Kind == KindList:
		if a.Elem.Kind == KindNull {
			return b, true
		}
		if b.Elem.Kind == KindNull {
			return a, true
		}
		e, ok := common(*a.Elem, *b.Elem)
		return List(e), ok
	case a.Kind == KindInt && b.Kind == KindFloat, a.Kind == KindFloat && b.Kind == KindInt:
		return Float, true
	case a.Kind == KindPath && b.Kind == KindString, a.Kind == KindString && b.Kind == KindPath:
		return String, true
	}
	return Type{}, false
}
