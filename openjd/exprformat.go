package openjd

import (
	"errors"
	"fmt"
	"strings"

	"drover.farm/openjd/expr"
)

// maxExprText bounds the expressions of a document together, in bytes.
const maxExprText = 64 << 10

// parseExprFormat cuts a format string of the extension EXPR in its parts. Its
// expressions are taken off what is left for the document.
func parseExprFormat(s string, left *int) (FormatString, error) {
	f := FormatString{raw: s}
	for rest := s; rest != ""; {
		open := strings.Index(rest, "{{")
		text := rest
		if open >= 0 {
			text = rest[:open]
		}
		if strings.Contains(text, "}}") {
			return f, fmt.Errorf("%q closes an expression with }} that nothing opens", clip(s))
		}
		if open < 0 {
			if len(f.parts) > 0 {
				f.parts = append(f.parts, part{text: rest})
			}
			break
		}
		length := exprEnd(rest[open+2:])
		if length < 0 {
			return f, fmt.Errorf("%q opens an expression with {{ that nothing closes", clip(s))
		}
		inner := rest[open+2 : open+2+length]
		if *left -= len(inner); *left < 0 {
			return f, fmt.Errorf("the expressions of the document have more than %d bytes", maxExprText)
		}
		e, err := expr.Parse(inner)
		if err != nil {
			return f, fmt.Errorf("the expression {{%s}}: %w", clip(inner), err)
		}
		if open > 0 {
			f.parts = append(f.parts, part{text: rest[:open]})
		}
		f.parts = append(f.parts, part{expr: e})
		rest = rest[open+length+4:]
	}
	return f, nil
}

// exprEnd finds the }} that closes an expression, not one within a text of it; -1
// without one.
func exprEnd(s string) int {
	quote := ""
	for i := 0; i < len(s); i++ {
		switch {
		case quote == "" && strings.HasPrefix(s[i:], "}}"):
			return i
		case quote == "" && (s[i] == '\'' || s[i] == '"'):
			quote = s[i : i+1]
			if strings.HasPrefix(s[i:], strings.Repeat(quote, 3)) {
				quote = strings.Repeat(quote, 3)
			}
			i += len(quote) - 1
		case quote != "" && s[i] == '\\':
			i++
		case quote != "" && strings.HasPrefix(s[i:], quote):
			i += len(quote) - 1
			quote = ""
		}
	}
	return -1
}

func (f FormatString) hasExpr() bool {
	for i := range f.parts {
		if f.parts[i].expr != nil {
			return true
		}
	}
	return false
}

// whole reports a format string that is one expression and no text: it gives a
// value of any type, not a text (section 1.3.2).
func (f FormatString) whole() bool { return len(f.parts) == 1 && f.parts[0].expr != nil }

// errNoValue is in the errors of what gives null.
var errNoValue = errors.New("it gives null")

// exprText resolves a format string with expressions to one text.
func (f FormatString) exprText(symbols Symbols, most int, budget *expr.Budget) (string, error) {
	var b strings.Builder
	for i := range f.parts {
		p := &f.parts[i]
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.value(symbols, budget)
		switch {
		case err != nil:
			return "", fmt.Errorf("resolve %q: %w", clip(f.raw), err)
		case !v.Known():
			return "", fmt.Errorf("resolve %q: what it needs is not known yet", clip(f.raw))
		case f.whole() && v.IsNull():
			return "", fmt.Errorf("resolve %q: %w where a value is needed", clip(f.raw), errNoValue)
		case f.whole() && v.Type().Kind == expr.KindList:
			return "", fmt.Errorf("resolve %q: it gives a list where one value is needed", clip(f.raw))
		case !v.IsNull():
			b.WriteString(v.Text())
		}
		if b.Len() > most {
			return "", fmt.Errorf("resolve %q: the result is longer than %d bytes", clip(f.raw), most)
		}
	}
	return b.String(), nil
}

// ResolveAll resolves an item of a list. With the extension EXPR an item that is
// one expression can stand for several, when that gives a list, or for none, when
// it gives null; else the result is the one text of Resolve.
func (f FormatString) ResolveAll(symbols Symbols) ([]string, error) {
	return f.resolveAll(symbols, maxResolved, nil)
}

func (f FormatString) resolveAll(symbols Symbols, most int, budget *expr.Budget) ([]string, error) {
	if f.whole() {
		v, err := f.parts[0].valueOf(symbols, budget, true)
		switch {
		case err != nil:
			return nil, fmt.Errorf("resolve %q: %w", clip(f.raw), err)
		case v.Known() && v.IsNull():
			return nil, nil
		case v.Known() && v.Type().Kind == expr.KindList:
			texts := make([]string, len(v.Items()))
			for i, item := range v.Items() {
				texts[i] = item.Text()
			}
			return texts, nil
		}
	}
	s, err := f.resolveWith(symbols, most, budget)
	if err != nil {
		return nil, err
	}
	return []string{s}, nil
}

func (f FormatString) resolveWith(symbols Symbols, most int, budget *expr.Budget) (string, error) {
	if f.hasExpr() {
		return f.exprText(symbols, most, budget)
	}
	return f.resolve(symbols, most)
}

// exprFormat reads a format string with expressions and checks their names and
// types. Where lists is set, the string is an item of a list.
func (c *checker) exprFormat(n *node, at *place, text string, s scope, lists bool) (FormatString, bool) {
	f, err := parseExprFormat(text, &c.exprText)
	if err != nil {
		c.fail(n, at, err.Error(), "write {{Param.Name}}, or an expression of the OpenJD expression language")
		return f, false
	}
	ok := true
	for i := range f.parts {
		if p := &f.parts[i]; p.expr != nil {
			v, good := c.exprPart(n, at, p, s, lists && f.whole())
			if ok = ok && good; good && f.whole() {
				ok = c.oneValue(n, at, v.Type(), lists)
			}
		}
	}
	return f, ok
}

// oneValue checks that what a whole field gives can be its value.
func (c *checker) oneValue(n *node, at *place, t expr.Type, lists bool) bool {
	if lists || !t.Has(expr.KindList) {
		return true
	}
	for _, k := range []expr.Kind{expr.KindBool, expr.KindInt, expr.KindFloat, expr.KindString, expr.KindPath, expr.KindRange} {
		if t.Has(k) {
			return true
		}
	}
	c.fail(n, at, fmt.Sprintf("gives %s where one value is needed", t), "take an item of the list, or join it")
	return false
}

// exprPart finds the symbols of an expression and the type of what it gives.
func (c *checker) exprPart(n *node, at *place, p *part, s scope, lists bool) (expr.Value, bool) {
	p.types = map[string]expr.Type{}
	for _, name := range p.expr.Names() {
		symbol := symbolOf(name)
		if _, seen := p.types[symbol]; seen {
			continue
		}
		if rule, hint := s.refuse(symbol); rule != "" {
			c.fail(n, at, rule, hint)
			return expr.Value{}, false
		}
		p.types[symbol] = s.symbolType(symbol)
	}
	if name := p.expr.Shadows(func(v string) bool { _, ok := s.lets[v]; return ok }); name != "" {
		c.fail(n, at, fmt.Sprintf("the variable %s of a comprehension is bound by let already", name), "give it another name")
		return expr.Value{}, false
	}
	env := baseEnv(&c.budget)
	env.Texts = lists
	env.Lookup = func(name string) (expr.Value, bool) {
		if v, ok := s.lets[name]; ok {
			return v, true
		}
		t, ok := p.types[name]
		return expr.Unknown(t), ok
	}
	if s.host {
		env.MapPath = func(path string) string { return path }
	}
	v, err := p.expr.Eval(env)
	if errors.Is(err, expr.ErrLimit) {
		return expr.Unknown(anyType), true // what it gives is found when a job is made
	}
	if err != nil {
		c.fail(n, at, fmt.Sprintf("the expression {{%s}}: %s", clip(p.expr.String()), err), "mend the expression")
		return v, false
	}
	return v, true
}

// anyType is what an expression that was not evaluated may give.
var anyType = expr.Union(expr.Null, expr.Bool, expr.Int, expr.Float, expr.String, expr.Path, expr.Range,
	expr.List(expr.Bool), expr.List(expr.Int), expr.List(expr.Float), expr.List(expr.String), expr.List(expr.Path))
