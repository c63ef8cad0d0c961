package expr_test

import (
	"fmt"

	"drover.farm/openjd/expr"
)

// An expression is read once and evaluated with the symbols that are known.
func Example() {
	e, err := expr.Parse("Param.Dir / 'frame_####.exr'.with_number(Task.Param.Frame * 2)")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Names())
	symbols := map[string]expr.Value{"Param.Dir": expr.OfPath("/out"), "Task.Param.Frame": expr.OfInt(21)}
	v, err := e.Eval(&expr.Env{Lookup: func(name string) (expr.Value, bool) { v, ok := symbols[name]; return v, ok }})
	fmt.Println(v.Type(), v.Text(), err)
	// Output:
	// [Param.Dir Task.Param.Frame]
	// path /out/frame_0042.exr <nil>
}

// A symbol of which only the type is known makes the result a type: that is how
// templates are checked before there are values.
func ExampleUnknown() {
	lookup := func(name string) (expr.Value, bool) { return expr.Unknown(expr.Int), name == "Param.Count" }
	for _, text := range []string{"Param.Count / 2", "[Param.Count, 0.5]", "Param.Count + 'a'"} {
		e, _ := expr.Parse(text)
		v, err := e.Eval(&expr.Env{Lookup: lookup})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(v.Known(), v.Type())
	}
	// Output:
	// false float
	// false list[float]
	// + is not defined for int, string
}
