package expr

import (
	"math"
	"math/bits"
	"strings"
)

// operators are those of sections 2.1.1 to 2.1.7; comparisons are apart.
var operators = map[string]impl{
	"__add__(int, int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		return ofSum(a[0].i, a[1].i, a[0].i+a[1].i)
	},
	"__add__(float, float) -> float": floats(func(x, y float64) float64 { return x + y }),
	"__sub__(int, int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		d := a[0].i - a[1].i
		if (a[0].i < 0) != (a[1].i < 0) && (d < 0) != (a[0].i < 0) {
			return Value{}, errOverflow()
		}
		return OfInt(d), nil
	},
	"__sub__(float, float) -> float": floats(func(x, y float64) float64 { return x - y }),
	"__mul__(int, int) -> int":       func(_ *eval, a []Value) (Value, *Error) { return times(a[0].i, a[1].i) },
	"__mul__(float, float) -> float": floats(func(x, y float64) float64 { return x * y }),
	"__truediv__(int, int) -> float": divide, "__truediv__(float, float) -> float": divide,
	"__floordiv__(int, int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		q, _, err := divmod(a[0].i, a[1].i)
		return OfInt(q), err
	},
	"__floordiv__(float, float) -> int": func(_ *eval, a []Value) (Value, *Error) {
		if a[1].f == 0 {
			return Value{}, errZero()
		}
		return toInt(math.Floor(a[0].f / a[1].f))
	},
	"__mod__(int, int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		_, r, err := divmod(a[0].i, a[1].i)
		return OfInt(r), err
	},
	"__mod__(float, float) -> float": func(_ *eval, a []Value) (Value, *Error) {
		if a[1].f == 0 {
			return Value{}, errZero()
		}
		r := math.Mod(a[0].f, a[1].f)
		if r != 0 && (r < 0) != (a[1].f < 0) {
			r += a[1].f
		}
		return finite(r)
	},
	"__pow__(int, int) -> int | float": power, "__pow__(float, float) -> float": func(_ *eval, a []Value) (Value, *Error) {
		return powFloat(a[0].f, a[1].f)
	},
	"__neg__(int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		if a[0].i == math.MinInt64 {
			return Value{}, errOverflow()
		}
		return OfInt(-a[0].i), nil
	},
	"__neg__(float) -> float": func(_ *eval, a []Value) (Value, *Error) { return finite(-a[0].f) },
	"__pos__(int) -> int":     same, "__pos__(float) -> float": same,
	"__not__(bool) -> bool": func(_ *eval, a []Value) (Value, *Error) { return OfBool(!a[0].isTrue()), nil },

	"__add__(string, string) -> string":     concat,
	"__add__(string, range_expr) -> string": concat,
	"__add__(range_expr, string) -> string": concat,
	"__add__(path, string) -> path": func(ev *eval, a []Value) (Value, *Error) {
		v, err := concat(ev, a)
		return OfPath(v.s), err
	},
	"__mul__(string, int) -> string": func(ev *eval, a []Value) (Value, *Error) { return ev.repeat(a[0].s, a[1].i) },
	"__mul__(int, string) -> string": func(ev *eval, a []Value) (Value, *Error) { return ev.repeat(a[1].s, a[0].i) },

	"__add__(list[T], list[S]) -> list[R]":         concatLists,
	"__add__(range_expr, list[T]) -> list[T]":      concatLists,
	"__add__(list[T], range_expr) -> list[T]":      concatLists,
	"__add__(range_expr, range_expr) -> list[int]": concatLists,
	"__mul__(list[T], int) -> list[T]":             repeatList,
	"__mul__(int, list[T]) -> list[T]":             func(ev *eval, a []Value) (Value, *Error) { return repeatList(ev, []Value{a[1], a[0]}) },

	"__getitem__(list[T], int) -> T":      index,
	"__getitem__(range_expr, int) -> int": index,
	"__getitem__(string, int) -> string": func(ev *eval, a []Value) (Value, *Error) {
		if err := ev.text(len(a[0].s)); err != nil {
			return Value{}, err
		}
		rs := []rune(a[0].s)
		i, err := within(a[1].i, int64(len(rs)), "string")
		if err != nil {
			return Value{}, err
		}
		return OfString(string(rs[i])), nil
	},
}

func same(_ *eval, a []Value) (Value, *Error) { return a[0], nil }

func errOverflow() *Error { return failf("the result is no integer of 64 bits") }
func errZero() *Error     { return failf("division by zero") }

func ofSum(x, y, sum int64) (Value, *Error) {
	if (x < 0) == (y < 0) && (sum < 0) != (x < 0) {
		return Value{}, errOverflow()
	}
	return OfInt(sum), nil
}

func times(x, y int64) (Value, *Error) {
	hi, lo := bits.Mul64(magnitude(x), magnitude(y))
	negative := (x < 0) != (y < 0)
	if hi != 0 || lo > 1<<63 || lo == 1<<63 && !negative {
		return Value{}, errOverflow()
	}
	if negative {
		return OfInt(int64(-lo)), nil
	}
	return OfInt(int64(lo)), nil
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// finite makes a float, or fails: there is no infinity and no NaN.
func finite(f float64) (Value, *Error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}, failf("the result is no finite number")
	}
	return OfFloat(f, ""), nil
}

func floats(do func(x, y float64) float64) impl {
	return func(_ *eval, a []Value) (Value, *Error) { return finite(do(a[0].f, a[1].f)) }
}

func divide(_ *eval, a []Value) (Value, *Error) {
	if a[1].float() == 0 {
		return Value{}, errZero()
	}
	return finite(a[0].float() / a[1].float())
}

// divmod divides towards minus infinity.
func divmod(x, y int64) (q, r int64, err *Error) {
	if y == 0 {
		return 0, 0, errZero()
	}
	if x == math.MinInt64 && y == -1 {
		return 0, 0, errOverflow()
	}
	q, r = x/y, x%y
	if r != 0 && (r < 0) != (y < 0) {
		q, r = q-1, r+y
	}
	return q, r, nil
}

// toInt makes an int of a whole float.
func toInt(f float64) (Value, *Error) {
	if !(f >= -1<<63 && f < 1<<63) {
		return Value{}, errOverflow()
	}
	return OfInt(int64(f)), nil
}

func power(ev *eval, a []Value) (Value, *Error) {
	base, exp := a[0].i, a[1].i
	if exp < 0 {
		return powFloat(float64(base), float64(exp))
	}
	out, err := OfInt(1), (*Error)(nil)
	for ; exp > 0 && err == nil; exp >>= 1 {
		if exp&1 == 1 {
			out, err = times(out.i, base)
		}
		if exp > 1 && err == nil {
			var sq Value
			if sq, err = times(base, base); err == nil {
				base = sq.i
			}
		}
	}
	return out, err
}

func powFloat(x, y float64) (Value, *Error) {
	switch {
	case x == 0 && y < 0:
		return Value{}, failf("zero cannot be raised to a negative power")
	case x < 0 && y != math.Trunc(y):
		return Value{}, failf("a negative number cannot be raised to a fractional power")
	}
	return finite(math.Pow(x, y))
}

func concat(ev *eval, a []Value) (Value, *Error) {
	x, y := a[0].Text(), a[1].Text()
	if err := ev.text(len(x) + len(y)); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(int64(len(x) + len(y))); err != nil {
		return Value{}, err
	}
	return OfString(x + y), nil
}

func (ev *eval) repeat(s string, n int64) (Value, *Error) {
	n = max(n, 0)
	if len(s) > 0 && n > (1<<40)/int64(len(s)) {
		n = (1 << 40) / int64(len(s)) // far above what is allowed
	}
	size := int64(len(s)) * n
	if err := ev.charge((size + 255) / 256); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(size); err != nil {
		return Value{}, err
	}
	return OfString(strings.Repeat(s, int(n))), nil
}

func (ev *eval) items(v Value) ([]Value, *Error) {
	n, _, _ := iterate(v)
	if err := ev.charge(n); err != nil {
		return nil, err
	}
	if v.typ.Kind == KindList {
		return v.list, nil
	}
	if err := ev.alloc(96 * n); err != nil {
		return nil, err
	}
	return convert(v, List(Int)).list, nil
}

func concatLists(ev *eval, a []Value) (Value, *Error) {
	x, err := ev.items(a[0])
	if err != nil {
		return Value{}, err
	}
	y, err := ev.items(a[1])
	if err != nil {
		return Value{}, err
	}
	elem := func(v Value) Type {
		if v.typ.Kind == KindRange {
			return Int
		}
		return *v.typ.Elem
	}
	t, ok := common(List(elem(a[0])), List(elem(a[1])))
	if !ok {
		return Value{}, failf("+ is not defined for %s and %s", a[0].typ, a[1].typ)
	}
	if err := ev.alloc(96 * int64(len(x)+len(y))); err != nil {
		return Value{}, err
	}
	out := make([]Value, 0, len(x)+len(y))
	for _, v := range x {
		out = append(out, convert(v, *t.Elem))
	}
	for _, v := range y {
		out = append(out, convert(v, *t.Elem))
	}
	return OfList(*t.Elem, out), nil
}

func repeatList(ev *eval, a []Value) (Value, *Error) {
	n, size := max(a[1].i, 0), int64(len(a[0].list))
	if size == 0 || n == 0 {
		return OfList(*a[0].typ.Elem, nil), nil
	}
	if n > (1<<40)/size {
		n = (1 << 40) / size
	}
	if err := ev.charge(n * size); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(96 * n * size); err != nil {
		return Value{}, err
	}
	out := make([]Value, 0, n*size)
	for range n {
		out = append(out, a[0].list...)
	}
	return OfList(*a[0].typ.Elem, out), nil
}

func index(_ *eval, a []Value) (Value, *Error) {
	n, at, _ := iterate(a[0])
	i, err := within(a[1].i, n, "list")
	if err != nil {
		return Value{}, err
	}
	return at(i), nil
}

// within makes an index that may count from the end one from the beginning.
func within(i, n int64, what string) (int64, *Error) {
	at := i
	if at < 0 {
		at += n
	}
	if at < 0 || at >= n {
		return 0, failf("the index %d is outside of a %s of %d", i, what, n)
	}
	return at, nil
}

// slice takes a part of a list, a string or a range expression (section 2.1.8).
func (ev *eval) slice(a []Value) (Value, *Error) {
	of := a[0]
	unknown := of.unknown
	for _, v := range a[1:] {
		if !v.typ.Has(KindInt) && !v.IsNull() {
			return Value{}, failf("a slice is bounded by int, not by %s", v.typ)
		}
		unknown = unknown || v.unknown
	}
	kinds := of.typ
	for _, m := range kinds.members() {
		if m.Kind != KindList && m.Kind != KindString && m.Kind != KindRange {
			return Value{}, failf("%s cannot be sliced", m)
		}
	}
	if unknown {
		if kinds.Has(KindRange) && (!a[3].Known() || a[3].typ.Kind == KindInt && a[3].i < 0) {
			if a[3].Known() {
				return Unknown(List(Int)), nil
			}
			return Unknown(Union(kinds, List(Int))), nil
		}
		return Unknown(kinds), nil
	}
	if err := ev.charge(1); err != nil {
		return Value{}, err
	}
	return ev.cut(of, a[1], a[2], a[3])
}

func (ev *eval) cut(of, start, stop, step Value) (Value, *Error) {
	var rs []rune
	n, at, _ := iterate(of)
	if of.typ.Kind == KindString {
		if err := ev.text(len(of.s)); err != nil {
			return Value{}, err
		}
		rs = []rune(of.s)
		n = int64(len(rs))
	}
	by := int64(1)
	if !step.IsNull() {
		by = step.i
	}
	if by == 0 {
		return Value{}, failf("the step of a slice is 0")
	}
	from, to := bounds(start, stop, by, n)
	count := int64(0)
	if by > 0 && from < to {
		count = (to-from-1)/by + 1
	} else if by < 0 && from > to {
		count = int64((uint64(from-to)-1)/magnitude(by)) + 1
	}
	if err := ev.charge(count); err != nil {
		return Value{}, err
	}
	if err := ev.alloc(96 * count); err != nil {
		return Value{}, err
	}
	if of.typ.Kind == KindString {
		out := make([]rune, count)
		for i := range out {
			out[i] = rs[from+int64(i)*by]
		}
		return OfString(string(out)), nil
	}
	out := make([]Value, count)
	for i := range out {
		out[i] = at(from + int64(i)*by)
	}
	if of.typ.Kind == KindRange {
		if by > 0 && count > 0 {
			return OfRange(ev.env.IntsOf(ints(out))), nil
		}
		return OfList(Int, out), nil
	}
	return OfList(*of.typ.Elem, out), nil
}

// bounds clamps the ends of a slice, as Python does.
func bounds(start, stop Value, by, n int64) (from, to int64) {
	low, high := int64(0), n
	if by < 0 {
		low, high = -1, n-1
	}
	clamp := func(v Value, otherwise int64) int64 {
		if v.IsNull() {
			return otherwise
		}
		i := v.i
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	if by > 0 {
		return clamp(start, 0), clamp(stop, n)
	}
	return clamp(start, n-1), clamp(stop, -1)
}

func ints(vs []Value) []int64 {
	out := make([]int64, len(vs))
	for i, v := range vs {
		out[i] = v.i
	}
	return out
}
