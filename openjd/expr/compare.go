package expr

import (
	"cmp"
	"strings"
)

// compare evaluates a chain of comparisons (section 1.3.6).
func (ev *eval) compare(n *node) (Value, *Error) {
	left, err := ev.node(n.kids[0])
	if err != nil {
		return Value{}, err
	}
	unknown := false
	for i, op := range n.ops {
		right, err := ev.node(n.kids[i+1])
		if err != nil {
			return Value{}, err
		}
		v, err := ev.comparison(op, left, right)
		if err != nil {
			return Value{}, err
		}
		if v.Known() && !v.isTrue() {
			return v, nil
		}
		unknown = unknown || v.unknown
		left = right
	}
	if unknown {
		return Unknown(Bool), nil
	}
	return OfBool(true), nil
}

func (ev *eval) comparison(op string, a, b Value) (Value, *Error) {
	if err := ev.charge(1); err != nil {
		return Value{}, err
	}
	switch op {
	case "in", "not in":
		return ev.contains(b, a, op == "in")
	case "==", "!=":
		if a.unknown || b.unknown {
			return Unknown(Bool), nil
		}
		same, err := ev.equal(a, b)
		return OfBool(same == (op == "==")), err
	}
	if !ordered(a.typ, b.typ) {
		return Value{}, failf("%s is not defined for %s and %s", op, a.typ, b.typ)
	}
	if a.unknown || b.unknown {
		return Unknown(Bool), nil
	}
	c, err := ev.order(a, b)
	switch op {
	case "<":
		return OfBool(c < 0), err
	case "<=":
		return OfBool(c <= 0), err
	case ">":
		return OfBool(c > 0), err
	}
	return OfBool(c >= 0), err
}

// ordered reports whether some values of the types can be ordered.
func ordered(a, b Type) bool {
	class := func(t Type) int {
		switch t.Kind {
		case KindInt, KindFloat:
			return 1
		case KindString, KindPath:
			return 2
		case KindBool:
			return 3
		case KindList:
			return 4
		}
		return 0
	}
	for _, x := range a.members() {
		for _, y := range b.members() {
			if class(x) != 0 && class(x) == class(y) {
				if class(x) < 4 || x.Elem.Kind == KindNull || y.Elem.Kind == KindNull || ordered(*x.Elem, *y.Elem) {
					return true
				}
			}
		}
	}
	return false
}

// order compares two values of an order.
func (ev *eval) order(a, b Value) (int, *Error) {
	switch a.typ.Kind {
	case KindInt:
		if b.typ.Kind == KindInt {
			return cmp.Compare(a.i, b.i), nil
		}
		return cmp.Compare(a.float(), b.float()), nil
	case KindFloat:
		return cmp.Compare(a.float(), b.float()), nil
	case KindBool:
		return cmp.Compare(a.i, b.i), nil
	case KindList:
		for i := range min(len(a.list), len(b.list)) {
			if err := ev.charge(1); err != nil {
				return 0, err
			}
			if c, err := ev.order(a.list[i], b.list[i]); c != 0 || err != nil {
				return c, err
			}
		}
		return cmp.Compare(len(a.list), len(b.list)), nil
	}
	return strings.Compare(a.s, b.s), ev.text(min(len(a.s), len(b.s)))
}

// equal compares values of any types (section 1.2.5).
func (ev *eval) equal(a, b Value) (bool, *Error) {
	x, y := a.typ.Kind, b.typ.Kind
	text := func(k Kind) bool { return k == KindString || k == KindPath }
	number := func(k Kind) bool { return k == KindInt || k == KindFloat }
	many := func(k Kind) bool { return k == KindList || k == KindRange }
	switch {
	case x == KindInt && y == KindInt:
		return a.i == b.i, nil
	case number(x) && number(y):
		return a.float() == b.float(), nil
	case text(x) && text(y):
		return a.s == b.s, ev.text(min(len(a.s), len(b.s)))
	case many(x) && many(y):
		n, atA, _ := iterate(a)
		m, atB, _ := iterate(b)
		if n != m {
			return false, nil
		}
		if err := ev.charge(n); err != nil {
			return false, err
		}
		for i := range n {
			if same, err := ev.equal(atA(i), atB(i)); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case x != y:
		return false, nil
	case x == KindBool:
		return a.i == b.i, nil
	}
	return true, nil // both null
}

// contains reports whether item is in a list, a range expression or a string.
func (ev *eval) contains(in, item Value, want bool) (Value, *Error) {
	for _, m := range in.typ.members() {
		switch {
		case m.Kind == KindList || m.Kind == KindRange:
		case m.Kind == KindString && (item.typ.Has(KindString) || item.typ.Has(KindPath)):
		default:
			return Value{}, failf("in is not defined for %s in %s", item.typ, in.typ)
		}
	}
	if in.unknown || item.unknown {
		return Unknown(Bool), nil
	}
	if in.typ.Kind == KindString {
		return OfBool(strings.Contains(in.s, item.s) == want), ev.text(len(in.s))
	}
	n, at, _ := iterate(in)
	if err := ev.charge(n); err != nil {
		return Value{}, err
	}
	for i := range n {
		same, err := ev.equal(at(i), item)
		if err != nil {
			return Value{}, err
		}
		if same {
			return OfBool(want), nil
		}
	}
	return OfBool(!want), nil
}
