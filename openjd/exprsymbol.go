package openjd

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"drover.farm/openjd/expr"
)

// Symbols are text; expressions need typed values. The type of a symbol is known
// from the template, so its text says it all. What let binds carries its type with
// it, for that may depend on values.

// letMark begins the text of a value that let has bound: the type follows, another
// mark and the text.
const letMark = "\x00"

// symbolRules is the symbol with the session's path mapping rules, for
// apply_path_mapping. No template can name it.
const symbolRules = "\x00rules"

// exprTypes are the types that parameters have in expressions (section 1.2.2 of the
// expression language).
var exprTypes = map[ParamType]expr.Type{
	TypeString: expr.String, TypePath: expr.Path, TypeInt: expr.Int, TypeFloat: expr.Float, TypeBool: expr.Bool, TypeRange: expr.Range, TypeChunkInt: expr.Range,
	TypeListString: expr.List(expr.String), TypeListPath: expr.List(expr.Path), TypeListInt: expr.List(expr.Int), TypeListFloat: expr.List(expr.Float),
	TypeListBool: expr.List(expr.Bool), TypeListListInt: expr.List(expr.List(expr.Int)),
}

// rawTypes are those without path mapping.
func rawType(t ParamType) expr.Type {
	switch t {
	case TypePath:
		return expr.String
	case TypeListPath:
		return expr.List(expr.String)
	}
	return exprTypes[t]
}

// symbolOf cuts the symbol off the beginning of a dotted name: what follows are
// properties.
func symbolOf(name string) string {
	for _, prefix := range []string{PrefixTaskParam, PrefixTaskRawParam, PrefixTaskFile, PrefixEnvFile, PrefixParam, PrefixRawParam, "Session.", "Job.", "Step."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			id, _, _ := strings.Cut(rest, ".")
			return prefix + id
		}
	}
	first, _, _ := strings.Cut(name, ".")
	if 'A' <= first[0] && first[0] <= 'Z' {
		return name // no symbol begins so
	}
	return first
}

// symbolType is the type of a symbol that the scope has.
func (s scope) symbolType(symbol string) expr.Type {
	id := symbol[strings.LastIndexByte(symbol, '.')+1:]
	switch {
	case strings.HasPrefix(symbol, PrefixTaskParam):
		return exprTypes[s.task[id]]
	case strings.HasPrefix(symbol, PrefixTaskRawParam):
		return rawType(s.task[id])
	case strings.HasPrefix(symbol, PrefixParam):
		return exprTypes[s.params[id]]
	case strings.HasPrefix(symbol, PrefixRawParam):
		return rawType(s.params[id])
	case strings.HasPrefix(symbol, PrefixTaskFile), strings.HasPrefix(symbol, PrefixEnvFile), symbol == SymbolWorkingDirectory, symbol == SymbolPathMappingRulesFile:
		return expr.Path
	case symbol == SymbolHasPathMappingRules:
		return expr.Bool
	case symbol == SymbolJobName, symbol == SymbolStepName:
		return expr.String
	}
	return s.lets[symbol].Type()
}

// exprValue reads the text of a symbol.
func exprValue(t expr.Type, text string) (expr.Value, error) {
	if rest, ok := strings.CutPrefix(text, letMark); ok {
		name, value, _ := strings.Cut(rest, letMark)
		if t, ok = expr.ParseType(name); !ok {
			return expr.Value{}, fmt.Errorf("a bound value has no type")
		}
		text = value
	}
	switch t.Kind {
	case expr.KindNull:
		return expr.Value{}, nil
	case expr.KindBool:
		b, ok := expr.ParseBool(text)
		if !ok {
			return expr.Value{}, fmt.Errorf("%q is no boolean", clip(text))
		}
		return expr.OfBool(b), nil
	case expr.KindInt:
		i, err := parseInt(text)
		return expr.OfInt(i), err
	case expr.KindFloat:
		f, err := parseFloat(text)
		return expr.OfFloat(f, strings.TrimSpace(text)), err
	case expr.KindPath:
		return expr.OfPath(text), nil
	case expr.KindRange:
		r, err := ParseRange(text)
		return expr.OfRange(r), err
	case expr.KindList:
		var items []json.RawMessage
		if err := json.Unmarshal([]byte(text), &items); err != nil {
			return expr.Value{}, fmt.Errorf("%q is no list", clip(text))
		}
		values := make([]expr.Value, len(items))
		for i, item := range items {
			s := string(item)
			if t.Elem.Kind == expr.KindString || t.Elem.Kind == expr.KindPath || t.Elem.Kind == expr.KindRange {
				if err := json.Unmarshal(item, &s); err != nil {
					return expr.Value{}, fmt.Errorf("%q is no text", clip(s))
				}
			}
			var err error
			if values[i], err = exprValue(*t.Elem, s); err != nil {
				return expr.Value{}, err
			}
		}
		return expr.OfList(*t.Elem, values), nil
	}
	return expr.OfString(text), nil
}

// letText writes a value that let binds, so that exprValue reads it again.
func letText(v expr.Value) string { return letMark + v.Type().String() + letMark + v.Text() }

// exprEnv is what an expression of this part is evaluated with.
func (p *part) exprEnv(symbols Symbols, budget *expr.Budget) (*expr.Env, error) {
	values := make(map[string]expr.Value, len(p.types))
	for name, t := range p.types {
		text, ok := symbols[name]
		if !ok {
			values[name] = expr.Unknown(t)
			continue
		}
		v, err := exprValue(t, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = v
	}
	_, host := symbols[SymbolWorkingDirectory]
	env := baseEnv(budget)
	env.Lookup = func(name string) (expr.Value, bool) { v, ok := values[name]; return v, ok }
	if host {
		env.Windows = runtime.GOOS == "windows"
		rules := []PathRule(nil)
		if doc, ok := symbols[symbolRules]; ok && p.expr.Calls("apply_path_mapping") {
			var err error
			if rules, err = ParsePathRules([]byte(doc)); err != nil {
				return nil, err
			}
		}
		env.MapPath = func(path string) string { path, _ = ApplyPathRules(rules, path); return path }
	}
	return env, nil
}

func baseEnv(budget *expr.Budget) *expr.Env {
	return &expr.Env{
		Budget:    budget,
		ParseInts: func(text string) (expr.Ints, error) { return ParseRange(text) },
		IntsOf:    func(values []int64) expr.Ints { return rangeOf(values) },
	}
}

// value evaluates the part. A symbol without a value makes it unknown.
func (p *part) value(symbols Symbols, budget *expr.Budget) (expr.Value, error) {
	return p.valueOf(symbols, budget, false)
}

// valueOf is value; where texts is set, what it gives is wanted as texts.
func (p *part) valueOf(symbols Symbols, budget *expr.Budget, texts bool) (expr.Value, error) {
	env, err := p.exprEnv(symbols, budget)
	if err != nil {
		return expr.Value{}, err
	}
	env.Texts = texts
	v, err := p.expr.Eval(env)
	if err != nil {
		return expr.Value{}, fmt.Errorf("the expression {{%s}}: %w", clip(p.expr.String()), err)
	}
	return v, nil
}
