package expr

import (
	"maps"
	"slices"
	"strings"
)

// function is one signature of a function with what it does. Its arguments are
// known and of the types that the signature says.
type function struct {
	params  []Type
	result  Type
	generic bool
	do      func(ev *eval, a []Value) (Value, *Error)
}

// library has the functions by name; operators and properties have the names that
// the specification gives them.
var library map[string][]function

func init() {
	library = map[string][]function{}
	for _, part := range []map[string]impl{operators, conversions, numbers, lists, texts, patterns, representations, paths} {
		for signature, do := range part {
			register(signature, do)
		}
	}
	for _, fs := range library { // the same order each time, whatever the maps gave
		slices.SortFunc(fs, func(a, b function) int { return strings.Compare(a.key(), b.key()) })
	}
}

type impl = func(ev *eval, a []Value) (Value, *Error)

// key orders signatures: those without variables first.
func (f *function) key() string {
	var b strings.Builder
	if f.generic {
		b.WriteByte('~')
	}
	for _, p := range f.params {
		b.WriteString(p.String() + ",")
	}
	return b.String()
}

// register adds a function written as "name(int, T) -> T".
func register(signature string, do impl) {
	name, rest, _ := strings.Cut(signature, "(")
	params, result, _ := strings.Cut(rest, ") -> ")
	f := function{result: parseType(result), do: do}
	if params != "" {
		for p := range strings.SplitSeq(params, ", ") {
			t := parseType(p)
			f.generic = f.generic || isGeneric(t)
			f.params = append(f.params, t)
		}
	}
	library[name] = append(library[name], f)
}

func isGeneric(t Type) bool { return t.Kind == kindVar || t.Kind == KindList && isGeneric(*t.Elem) }

// maxCombinations bounds how many types of unknown arguments are tried together.
const maxCombinations = 256

// call calls a function. The receiver of a method is not converted (section 1.2.4).
func (ev *eval) call(name string, args []Value, method bool) (Value, *Error) {
	fs := library[name]
	if fs == nil {
		return Value{}, failf("there is no function %s%s", clip(name), suggestion(name))
	}
	if name == "apply_path_mapping" && ev.env.MapPath == nil {
		return Value{}, failf("apply_path_mapping can be used only on the host, where the rules are known")
	}
	if err := ev.charge(1); err != nil {
		return Value{}, err
	}
	types := make([]Type, len(args))
	unknown := false
	for i, a := range args {
		types[i] = a.typ
		unknown = unknown || a.unknown
	}
	if unknown {
		return ev.callType(name, fs, types, method)
	}
	f, params := find(fs, types, method)
	if f == nil {
		return Value{}, mismatch(name, fs, types)
	}
	for i := range args {
		args[i] = convert(args[i], params[i])
	}
	v, err := f.do(ev, args)
	if err == nil {
		err = ev.alloc(v.size())
	}
	return v, err
}

// callType finds the type of a call with unknown arguments: all that the members of
// their types can give.
func (ev *eval) callType(name string, fs []function, types []Type, method bool) (Value, *Error) {
	var results []Type
	tried := 0
	var each func(i int, chosen []Type)
	each = func(i int, chosen []Type) {
		if tried > maxCombinations {
			return
		}
		if i == len(types) {
			tried++
			if f, params := find(fs, chosen, method); f != nil {
				results = append(results, f.resultFor(params))
			}
			return
		}
		for _, m := range types[i].members() {
			each(i+1, append(chosen[:i:i], m))
		}
	}
	each(0, nil)
	if err := ev.charge(int64(tried)); err != nil {
		return Value{}, err
	}
	if len(results) == 0 {
		return Value{}, mismatch(name, fs, types)
	}
	return Unknown(Union(results...)), nil
}

// find finds the signature for arguments of these types, and what they are to be
// made: as they are, then with conversions, then by variables.
func find(fs []function, types []Type, method bool) (*function, []Type) {
	for phase := range 4 {
		for i := range fs {
			f := &fs[i]
			if len(f.params) != len(types) || f.generic != (phase >= 2) {
				continue
			}
			binds := map[byte]Type{}
			params, ok := make([]Type, len(types)), true
			for k := range types {
				loose := (phase == 1 || phase == 3) && !(method && k == 0)
				if params[k], ok = accept(f.params[k], types[k], loose, binds); !ok {
					break
				}
			}
			if ok {
				return f, params
			}
		}
	}
	return nil, nil
}

// accept reports whether a parameter takes an argument of type t, and which type
// the argument is to be made.
func accept(param, t Type, loose bool, binds map[byte]Type) (Type, bool) {
	switch {
	case param.Kind == kindVar:
		bound, ok := binds[param.name]
		if !ok {
			binds[param.name] = t
			return t, true
		}
		return bound, bound.Equal(t)
	case param.Equal(t):
		return t, true
	case param.Kind == KindUnion:
		for _, m := range param.Alts {
			if got, ok := accept(m, t, loose, binds); ok {
				return got, true
			}
		}
		return t, false
	case param.Kind == KindList && t.Kind == KindList:
		if t.Elem.Kind == KindNull && param.Elem.Kind != KindNull {
			if isGeneric(param) {
				if _, ok := accept(*param.Elem, Null, false, binds); !ok {
					return t, false
				}
				return t, true
			}
			return param, loose
		}
		elem, ok := accept(*param.Elem, *t.Elem, loose, binds)
		return List(elem), ok
	}
	if !loose {
		return t, false
	}
	switch {
	case param.Kind == KindFloat && t.Kind == KindInt, param.Kind == KindString && (t.Kind == KindPath || t.Kind == KindRange):
		return param, true
	case param.Kind == KindList && t.Kind == KindRange:
		_, ok := accept(*param.Elem, Int, true, binds)
		return List(Int), ok
	}
	return t, false
}

// resultFor is the type of the result for arguments of these types.
func (f *function) resultFor(args []Type) Type {
	binds := map[byte]Type{}
	for i, p := range f.params {
		accept(p, args[i], false, binds)
	}
	var fill func(t Type) Type
	fill = func(t Type) Type {
		switch t.Kind {
		case kindVar:
			if b, ok := binds[t.name]; ok {
				return b
			}
			if c, ok := common(binds['T'], binds['S']); ok { // of two lists put together
				return c
			}
			return Null
		case KindList:
			return List(fill(*t.Elem))
		}
		return t
	}
	return fill(f.result)
}

// convert makes a value the type, which it can be made without loss.
func convert(v Value, t Type) Value {
	if v.unknown || v.typ.Equal(t) {
		return v
	}
	switch {
	case t.Kind == KindFloat && v.typ.Kind == KindInt:
		return OfFloat(float64(v.i), "")
	case t.Kind == KindString:
		return OfString(v.Text())
	case t.Kind == KindPath:
		return OfPath(v.s)
	case t.Kind == KindList && v.typ.Kind == KindRange:
		n, at, _ := iterate(v)
		items := make([]Value, n)
		for i := range items {
			items[i] = convert(at(int64(i)), *t.Elem)
		}
		return OfList(*t.Elem, items)
	case t.Kind == KindList && v.typ.Kind == KindList:
		items := make([]Value, len(v.list))
		for i, e := range v.list {
			items[i] = convert(e, *t.Elem)
		}
		return OfList(*t.Elem, items)
	}
	return v
}

// symbols are how operators are called in messages.
var symbols = map[string]string{
	"__add__": "+", "__sub__": "-", "__mul__": "*", "__truediv__": "/", "__floordiv__": "//", "__mod__": "%", "__pow__": "**",
	"__neg__": "-", "__pos__": "+", "__not__": "not", "__getitem__": "[]", "__contains__": "in",
}

func mismatch(name string, fs []function, types []Type) *Error {
	parts := make([]string, len(types))
	for i, t := range types {
		parts[i] = t.String()
	}
	given := strings.Join(parts, ", ")
	if s, ok := symbols[name]; ok {
		return failf("%s is not defined for %s", s, given)
	}
	if p, ok := strings.CutPrefix(name, "__property_"); ok {
		return failf("%s has no property %s", given, strings.TrimSuffix(p, "__"))
	}
	var takes []string
	for _, f := range fs {
		takes = append(takes, "("+strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(f.key(), "~"), ",", ", "), ", ")+")")
	}
	return failf("%s does not take (%s); it takes %s", name, given, clip(strings.Join(takes, " or ")))
}

// suggestion names the function that was probably meant.
func suggestion(name string) string {
	for _, f := range slices.Sorted(maps.Keys(library)) {
		if !strings.HasPrefix(f, "__") && (strings.EqualFold(f, name) || strings.ReplaceAll(f, "_", "") == strings.ReplaceAll(strings.ToLower(name), "_", "")) {
			return "; perhaps " + f
		}
	}
	return ""
}
