package expr

import (
	"math"
	"math/big"
	"strconv"
)

// numbers are the functions of section 2.2.2.
var numbers = map[string]impl{
	"abs(int) -> int": func(_ *eval, a []Value) (Value, *Error) {
		if a[0].i == math.MinInt64 {
			return Value{}, errOverflow()
		}
		return OfInt(max(a[0].i, -a[0].i)), nil
	},
	"abs(float) -> float": func(_ *eval, a []Value) (Value, *Error) { return finite(math.Abs(a[0].f)) },

	"min(int, int) -> int": least, "min(float, float) -> float": least, "min(int, int, int) -> int": least, "min(float, float, float) -> float": least,
	"max(int, int) -> int": most, "max(float, float) -> float": most, "max(int, int, int) -> int": most, "max(float, float, float) -> float": most,
	"min(list[int]) -> int": leastOf, "min(list[float]) -> float": leastOf, "max(list[int]) -> int": mostOf, "max(list[float]) -> float": mostOf,
	"min(list[nulltype]) -> noreturn": func(*eval, []Value) (Value, *Error) { return Value{}, failf("min() requires a non-empty list") },
	"max(list[nulltype]) -> noreturn": func(*eval, []Value) (Value, *Error) { return Value{}, failf("max() requires a non-empty list") },
	"min(range_expr) -> int":          func(_ *eval, a []Value) (Value, *Error) { return OfInt(a[0].ints.At(0)), nil },
	"max(range_expr) -> int":          func(_ *eval, a []Value) (Value, *Error) { return OfInt(a[0].ints.At(a[0].ints.Len() - 1)), nil },

	"sum(list[nulltype]) -> int": func(*eval, []Value) (Value, *Error) { return OfInt(0), nil },
	"sum(list[int]) -> int":      sum, "sum(range_expr) -> int": sum,
	"sum(list[float]) -> float": func(ev *eval, a []Value) (Value, *Error) {
		items, err := ev.items(a[0])
		total := 0.0
		for _, v := range items {
			total += v.f
		}
		if err != nil {
			return Value{}, err
		}
		return finite(total)
	},

	"floor(int) -> int": same, "ceil(int) -> int": same, "round(int) -> int": same,
	"floor(float) -> int": func(_ *eval, a []Value) (Value, *Error) { return toInt(math.Floor(a[0].f)) },
	"ceil(float) -> int":  func(_ *eval, a []Value) (Value, *Error) { return toInt(math.Ceil(a[0].f)) },
	"round(float) -> int": func(_ *eval, a []Value) (Value, *Error) { return toInt(math.RoundToEven(a[0].f)) },
	"round(float, int) -> int | float": func(_ *eval, a []Value) (Value, *Error) {
		if n := a[1].i; n > 0 {
			return roundText(a[0].f, min(n, 400))
		}
		i, err := toInt(math.RoundToEven(a[0].f))
		if err != nil || a[1].i == 0 {
			return i, err
		}
		return roundFloat(a[0].f, a[1].i)
	},
	"round(int, int) -> int": func(_ *eval, a []Value) (Value, *Error) { return roundInt(a[0].i, a[1].i) },
}

func pick(a []Value, better func(c int) bool) (Value, *Error) {
	best := a[0]
	for _, v := range a[1:] {
		c := 0
		switch {
		case v.typ.Kind == KindInt && v.i < best.i, v.typ.Kind == KindFloat && v.f < best.f:
			c = -1
		case v.typ.Kind == KindInt && v.i > best.i, v.typ.Kind == KindFloat && v.f > best.f:
			c = 1
		}
		if better(c) {
			best = v
		}
	}
	return best, nil
}

func least(_ *eval, a []Value) (Value, *Error) { return pick(a, func(c int) bool { return c < 0 }) }
func most(_ *eval, a []Value) (Value, *Error)  { return pick(a, func(c int) bool { return c > 0 }) }

func leastOf(ev *eval, a []Value) (Value, *Error) { return ofItems(ev, a, "min", least) }
func mostOf(ev *eval, a []Value) (Value, *Error)  { return ofItems(ev, a, "max", most) }

func ofItems(ev *eval, a []Value, name string, do impl) (Value, *Error) {
	items, err := ev.items(a[0])
	if err != nil {
		return Value{}, err
	}
	if len(items) == 0 {
		return Value{}, failf("%s() requires a non-empty list", name)
	}
	return do(ev, items)
}

func sum(ev *eval, a []Value) (Value, *Error) {
	n, at, _ := iterate(a[0])
	if err := ev.charge(n); err != nil {
		return Value{}, err
	}
	total := OfInt(0)
	for i := range n {
		var err *Error
		x := at(i).i
		if total, err = ofSum(total.i, x, total.i+x); err != nil {
			return Value{}, err
		}
	}
	return total, nil
}

// roundText rounds to n decimals and keeps them in the text.
func roundText(f float64, n int64) (Value, *Error) {
	text := strconv.FormatFloat(f, 'f', int(n), 64) // exact, ties to even
	r, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Value{}, failf("the result is no finite number")
	}
	if r == 0 && text[0] == '-' {
		text = text[1:]
	}
	return OfFloat(r, text), nil
}

// roundFloat rounds to a power of ten above one.
func roundFloat(f float64, digits int64) (Value, *Error) {
	whole, _ := new(big.Float).SetFloat64(f).Int(nil)
	if new(big.Float).SetInt(whole).Cmp(new(big.Float).SetFloat64(f)) == 0 && whole.IsInt64() {
		return roundInt(whole.Int64(), digits)
	}
	if digits < -18 {
		return OfInt(0), nil
	}
	unit := math.Pow10(int(-digits))
	i, err := toInt(math.RoundToEven(f / unit))
	if err != nil {
		return i, err
	}
	return times(i.i, int64(unit))
}

// roundInt rounds to a power of ten, ties to even.
func roundInt(i, digits int64) (Value, *Error) {
	if digits >= 0 {
		return OfInt(i), nil
	}
	if digits < -19 {
		return OfInt(0), nil
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil)
	q, r := new(big.Int).DivMod(big.NewInt(i), unit, new(big.Int))
	if c := r.Lsh(r, 1).Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	if q.Mul(q, unit); !q.IsInt64() {
		return Value{}, errOverflow()
	}
	return OfInt(q.Int64()), nil
}
