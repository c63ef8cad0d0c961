package expr

import (
	"errors"
	"slices"
	"strings"
)

// Env is what an expression is evaluated with.
type Env struct {
	// Lookup finds a symbol by its dotted name.
	Lookup func(name string) (Value, bool)
	// ParseInts reads a range expression, and IntsOf makes one of integers.
	ParseInts func(text string) (Ints, error)
	IntsOf    func(values []int64) Ints
	// MapPath applies the session's path mapping rules; nil where these are not
	// known, and apply_path_mapping is an error then.
	MapPath func(path string) string
	// Texts tells that a list which the expression gives is wanted as one of texts:
	// the items of a list literal in that place may be of different types, and are
	// made strings (section 1.2.6).
	Texts bool
	// Windows gives paths the form of Windows, not of POSIX.
	Windows bool
	// Budget bounds the evaluation; a new one of the recommended size when nil.
	Budget *Budget
}

// Budget is how much evaluations that share it may still use.
type Budget struct {
	// Ops are operations and Bytes memory, as section 1.3.9 and 1.3.10 count them.
	Ops, Bytes int64
}

// The recommended bounds of one evaluation.
const (
	MaxOps   = 10_000_000
	MaxBytes = 100_000_000
)

// NewBudget is a budget of the recommended size.
func NewBudget() *Budget { return &Budget{Ops: MaxOps, Bytes: MaxBytes} }

// eval is one evaluation.
type eval struct {
	env  *Env
	b    *Budget
	vars map[string]Value
}

// Eval evaluates the expression. The error is an *Error; with ErrLimit in it, the
// budget did not suffice.
func (e *Expr) Eval(env *Env) (Value, error) {
	ev := &eval{env: env, b: env.Budget, vars: map[string]Value{}}
	if ev.b == nil {
		ev.b = NewBudget()
	}
	get := ev.node
	if env.Texts {
		get = ev.texts
	}
	v, err := get(e.root)
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

// charge counts operations. What no budget could pay is wrong, not only costly.
func (ev *eval) charge(n int64) *Error {
	if ev.b.Ops -= n; ev.b.Ops < 0 || n < 0 {
		e := failf("the expression takes too many operations")
		if n <= MaxOps && n >= 0 {
			e.cause = ErrLimit
		}
		ev.b.Ops = max(ev.b.Ops, 0)
		return e
	}
	return nil
}

// alloc counts memory before it is taken.
func (ev *eval) alloc(n int64) *Error {
	if ev.b.Bytes -= n; ev.b.Bytes < 0 || n < 0 {
		e := failf("the expression takes too much memory")
		if n <= MaxBytes && n >= 0 {
			e.cause = ErrLimit
		}
		ev.b.Bytes = max(ev.b.Bytes, 0)
		return e
	}
	return nil
}

// text charges for working on a text.
func (ev *eval) text(n int) *Error { return ev.charge(int64(n+255) / 256) }

func (ev *eval) node(n *node) (Value, *Error) {
	v, err := ev.plain(n)
	if err != nil && err.At == 0 {
		err.At = n.at
	}
	return v, err
}

func (ev *eval) plain(n *node) (Value, *Error) {
	switch n.op {
	case opValue:
		return n.value, nil
	case opName:
		return ev.name(n.text)
	case opGroup:
		return ev.node(n.kids[0])
	case opList:
		return ev.list(n)
	case opFor:
		return ev.comprehension(n)
	case opIf:
		return ev.conditional(n, ev.node)
	case opAnd, opOr:
		return ev.logic(n)
	case opCompare:
		return ev.compare(n)
	case opProperty:
		of, err := ev.node(n.kids[0])
		if err != nil {
			return Value{}, err
		}
		return ev.property(of, n.text)
	}
	return ev.operation(n)
}

// keep gives back the memory taken since before was left, but for what the result
// needs: the values in between are garbage.
func (ev *eval) keep(before int64, v Value) {
	if !v.unknown {
		ev.b.Bytes = min(before, max(ev.b.Bytes, before-v.deepSize()))
	}
}

// operation evaluates what is a call of a function.
func (ev *eval) operation(n *node) (v Value, err *Error) {
	before := ev.b.Bytes
	defer func() {
		if err == nil {
			ev.keep(before, v)
		}
	}()
	args := make([]Value, 0, 4)
	for _, k := range n.kids {
		if k == nil {
			args = append(args, Value{})
			continue
		}
		v, err := ev.node(k)
		if err != nil {
			return Value{}, err
		}
		args = append(args, v)
	}
	switch n.op {
	case opNot:
		return ev.call("__not__", args, false)
	case opIndex:
		return ev.call("__getitem__", args, false)
	case opSlice:
		return ev.slice(args)
	}
	return ev.call(n.text, args, n.method)
}

// name finds the symbol that the longest beginning of a dotted name is, and takes
// the rest for properties.
func (ev *eval) name(name string) (Value, *Error) {
	first, rest, _ := strings.Cut(name, ".")
	if v, ok := ev.vars[first]; ok {
		return ev.properties(v, rest)
	}
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if v, ok := ev.env.Lookup(name[:end]); ok {
			return ev.properties(v, strings.TrimPrefix(name[end:], "."))
		}
	}
	return Value{}, failf("there is no symbol %s here", clip(name))
}

func (ev *eval) properties(v Value, names string) (Value, *Error) {
	for names != "" {
		name, rest, _ := strings.Cut(names, ".")
		var err *Error
		if v, err = ev.property(v, name); err != nil {
			return Value{}, err
		}
		names = rest
	}
	return v, nil
}

func (ev *eval) property(of Value, name string) (Value, *Error) {
	if _, ok := library["__property_"+name+"__"]; !ok {
		return Value{}, failf("%s has no property %s", of.typ, clip(name))
	}
	return ev.call("__property_"+name+"__", []Value{of}, true)
}

// list evaluates a list literal (section 1.2.6).
func (ev *eval) list(n *node) (Value, *Error) {
	items := make([]Value, 0, len(n.kids))
	if err := ev.alloc(96 * int64(len(n.kids))); err != nil {
		return Value{}, err
	}
	for _, k := range n.kids {
		v, err := ev.node(k)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	return makeList(items)
}

// makeList finds the common type of items and brings them all to it.
func makeList(items []Value) (Value, *Error) {
	elem, unknown := Null, false
	for i, v := range items {
		t := v.typ
		if t.Has(KindNull) && (v.Known() || t.Kind == KindNull) {
			return Value{}, failf("null cannot be an item of a list")
		}
		if t.depth() > 1 {
			return Value{}, failf("lists nest at most two deep")
		}
		unknown = unknown || v.unknown
		if i == 0 {
			elem = t
			continue
		}
		c, ok := common(elem, t)
		switch {
		case ok:
			elem = c
		case elem.Kind == KindUnion || t.Kind == KindUnion:
			elem = Union(elem, t)
		default:
			return Value{}, failf("a list cannot have items of %s and %s", elem, t)
		}
	}
	if unknown {
		return Unknown(List(elem)), nil
	}
	for i := range items {
		items[i] = convert(items[i], elem)
	}
	return OfList(elem, items), nil
}

// comprehension evaluates [item for var in over if filter].
func (ev *eval) comprehension(n *node) (Value, *Error) {
	over, err := ev.node(n.kids[1])
	if err != nil {
		return Value{}, err
	}
	if _, taken := ev.env.Lookup(n.text); taken {
		return Value{}, failf("the variable %s is there already", n.text)
	}
	defer delete(ev.vars, n.text)
	if over.unknown {
		return ev.comprehendType(n, over.typ)
	}
	length, at, ok := iterate(over)
	if !ok {
		return Value{}, failf("%s cannot be gone through; a comprehension takes a list or a range_expr", over.typ)
	}
	if err := ev.charge(length); err != nil {
		return Value{}, err
	}
	var items []Value
	for i := range length {
		ev.vars[n.text] = at(i)
		if n.kids[2] != nil {
			keep, err := ev.condition(n.kids[2])
			if err != nil {
				return Value{}, err
			}
			if keep.unknown {
				return ev.comprehendType(n, List(at(i).typ))
			}
			if !keep.isTrue() {
				continue
			}
		}
		before := ev.b.Bytes
		v, err := ev.node(n.kids[0])
		if err == nil {
			ev.keep(before, v)
			err = ev.alloc(v.size())
		}
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	return makeList(items)
}

// comprehendType finds the type of a comprehension over what is not known.
func (ev *eval) comprehendType(n *node, over Type) (Value, *Error) {
	elem := Int
	switch {
	case over.Kind == KindList:
		elem = *over.Elem
	case over.Kind != KindRange:
		return Value{}, failf("%s cannot be gone through; a comprehension takes a list or a range_expr", over)
	}
	ev.vars[n.text] = Unknown(elem)
	if n.kids[2] != nil {
		if _, err := ev.condition(n.kids[2]); err != nil {
			return Value{}, err
		}
	}
	v, err := ev.node(n.kids[0])
	if err != nil {
		return Value{}, err
	}
	v, err = makeList([]Value{v})
	return Unknown(v.typ), err
}

// iterate gives the items of a list or a range expression.
func iterate(v Value) (n int64, at func(int64) Value, ok bool) {
	switch v.typ.Kind {
	case KindList:
		return int64(len(v.list)), func(i int64) Value { return v.list[i] }, true
	case KindRange:
		return v.ints.Len(), func(i int64) Value { return OfInt(v.ints.At(i)) }, true
	}
	return 0, nil, false
}

// condition evaluates what must be a bool.
func (ev *eval) condition(n *node) (Value, *Error) {
	v, err := ev.node(n)
	if err == nil && !v.typ.Has(KindBool) {
		return v, failf("the condition is %s and must be bool", v.typ)
	}
	return v, err
}

// texts evaluates what gives the result where texts are wanted.
func (ev *eval) texts(n *node) (Value, *Error) {
	switch n.op {
	case opGroup:
		return ev.texts(n.kids[0])
	case opIf:
		return ev.conditional(n, ev.texts)
	case opList:
		items := make([]Value, 0, len(n.kids))
		for _, k := range n.kids {
			v, err := ev.node(k)
			if err != nil {
				return Value{}, err
			}
			items = append(items, v)
		}
		if v, err := makeList(slices.Clone(items)); err == nil {
			return v, nil
		}
		return textList(items)
	}
	return ev.node(n)
}

// textList makes a list of strings of values that are no lists.
func textList(items []Value) (Value, *Error) {
	unknown := false
	for i, v := range items {
		if v.typ.Has(KindNull) && v.Known() || v.typ.Kind == KindList || v.typ.Kind == KindNull {
			return Value{}, failf("%s cannot be an item of a list of texts", v.typ)
		}
		unknown = unknown || v.unknown
		items[i] = convert(v, String)
	}
	if unknown {
		return Unknown(List(String)), nil
	}
	return OfList(String, items), nil
}

// conditional evaluates the sides that it needs by get.
func (ev *eval) conditional(n *node, get func(*node) (Value, *Error)) (Value, *Error) {
	cond, err := ev.condition(n.kids[1])
	if err != nil {
		return Value{}, err
	}
	if cond.Known() {
		if cond.isTrue() {
			return get(n.kids[0])
		}
		return get(n.kids[2])
	}
	a, errA := get(n.kids[0])
	b, errB := get(n.kids[2])
	switch {
	case limited(errA), limited(errB):
		return Value{}, firstOf(errA, errB)
	case errA != nil && errB != nil:
		return Value{}, failf("neither side of the conditional can be evaluated: %s; %s", errA.Message, errB.Message)
	case errA != nil:
		return Unknown(b.typ), nil
	case errB != nil:
		return Unknown(a.typ), nil
	}
	return Unknown(Union(a.typ, b.typ)), nil
}

func limited(err *Error) bool { return err != nil && errors.Is(err, ErrLimit) }

func firstOf(a, b *Error) *Error {
	if limited(a) {
		return a
	}
	return b
}

// logic evaluates "and" and "or", which give one of their sides (section 2.1.6).
func (ev *eval) logic(n *node) (Value, *Error) {
	a, err := ev.node(n.kids[0])
	if err != nil {
		return Value{}, err
	}
	if a.Known() {
		falsy := a.IsNull() || a.typ.Kind == KindBool && !a.isTrue()
		if falsy == (n.op == opOr) {
			return ev.node(n.kids[1])
		}
		return a, nil
	}
	if !a.typ.Has(KindBool) && !a.typ.Has(KindNull) {
		if n.op == opOr {
			return a, nil
		}
		return ev.node(n.kids[1])
	}
	left := a.typ
	if n.op == opOr { // a null on the left never comes out
		left = without(left, KindNull)
	}
	b, err := ev.node(n.kids[1])
	if limited(err) {
		return Value{}, err
	}
	if err != nil { // where the right fails, the left is all that comes out
		return Unknown(left), nil
	}
	return Unknown(Union(left, b.typ)), nil
}

func without(t Type, k Kind) Type {
	var rest []Type
	for _, m := range t.members() {
		if m.Kind != k {
			rest = append(rest, m)
		}
	}
	return Union(rest...)
}
