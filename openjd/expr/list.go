package expr

import (
	"slices"
)

// lists are the functions of section 2.2.3.
var lists = map[string]impl{
	"range(int) -> list[int]":           func(ev *eval, a []Value) (Value, *Error) { return ev.count(0, a[0].i, 1) },
	"range(int, int) -> list[int]":      func(ev *eval, a []Value) (Value, *Error) { return ev.count(a[0].i, a[1].i, 1) },
	"range(int, int, int) -> list[int]": func(ev *eval, a []Value) (Value, *Error) { return ev.count(a[0].i, a[1].i, a[2].i) },

	"flatten(list[list[T]]) -> list[T]":         flatten,
	"flatten(list[nulltype]) -> list[nulltype]": same,
	"flatten(list[bool]) -> list[bool]":         same, "flatten(list[int]) -> list[int]": same, "flatten(list[float]) -> list[float]": same,
	"flatten(list[string]) -> list[string]": same, "flatten(list[path]) -> list[path]": same,

	"sorted(list[T]) -> list[T]": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		if err != nil {
			return Value{}, err
		}
		if len(items) > 0 && !ordered(*a[0].typ.Elem, *a[0].typ.Elem) {
			return Value{}, failf("%s cannot be sorted", a[0].typ)
		}
		items = slices.Clone(items)
		slices.SortStableFunc(items, func(x, y Value) int {
			c, e := ev.order(x, y)
			if e != nil {
				err = e
			}
			return c
		})
		return OfList(*a[0].typ.Elem, items), err
	},
	"reversed(list[T]) -> list[T]": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		items = slices.Clone(items)
		slices.Reverse(items)
		return OfList(*a[0].typ.Elem, items), err
	},
	"unique(list[T]) -> list[T]": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		if err != nil {
			return Value{}, err
		}
		seen := make(map[string]bool, len(items))
		var out []Value
		for _, v := range items {
			if err := ev.textOf(v); err != nil {
				return Value{}, err
			}
			key := v.Text()
			if v.typ.Kind == KindFloat {
				key = floatText(v.f)
			}
			if !seen[key] {
				seen[key] = true
				out = append(out, v)
			}
		}
		return OfList(*a[0].typ.Elem, out), nil
	},
	"any(list[bool]) -> bool":     func(ev *eval, a []Value) (Value, *Error) { return truth(ev, a[0], true) },
	"all(list[bool]) -> bool":     func(ev *eval, a []Value) (Value, *Error) { return truth(ev, a[0], false) },
	"any(list[nulltype]) -> bool": func(*eval, []Value) (Value, *Error) { return OfBool(false), nil },
	"all(list[nulltype]) -> bool": func(*eval, []Value) (Value, *Error) { return OfBool(true), nil },
}

// count lists the integers from start up to, not including, stop.
func (ev *eval) count(start, stop, step int64) (Value, *Error) {
	if step == 0 {
		return Value{}, failf("the step of a range is 0")
	}
	n := uint64(0)
	switch {
	case step > 0 && start < stop:
		n = (uint64(stop)-uint64(start)-1)/uint64(step) + 1
	case step < 0 && start > stop:
		n = (uint64(start)-uint64(stop)-1)/magnitude(step) + 1
	}
	n = min(n, 1<<40) // far above what is allowed
	if err := ev.charge(int64(n)); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(96 * int64(n)); err != nil {
		return Value{}, err
	}
	items := make([]Value, n)
	for i := range items {
		items[i] = OfInt(start + int64(i)*step)
	}
	return OfList(Int, items), nil
}

func flatten(ev *eval, a []Value) (Value, *Error) {
	elem := *a[0].typ.Elem.Elem
	var out []Value
	for _, l := range a[0].list {
		if err := ev.charge(1 + int64(len(l.list))); err != nil {
			return Value{}, err
		}
		if err := ev.alloc(96 * int64(len(l.list))); err != nil {
			return Value{}, err
		}
		out = append(out, l.list...)
	}
	return OfList(elem, out), nil
}

func truth(ev *eval, v Value, want bool) (Value, *Error) {
	items, err := ev.items(v)
	found := slices.ContainsFunc(items, func(i Value) bool { return i.isTrue() == want })
	return OfBool(found == want), err
}
