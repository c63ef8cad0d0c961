package openjd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drover.farm/openjd/expr"
)

const (
	maxLets     = 50
	maxLetsName = 512
)

// letBinding is a name that let binds to an expression (section 3.6).
type letBinding struct {
	name  string
	value part
	at    *place
}

// lets reads the optional key let and adds the names to the scope.
func (o object) lets(s scope) ([]letBinding, scope) {
	n, at := o.get("let"), o.at.field("let")
	if n == nil {
		return nil, s
	}
	if !o.c.expr {
		o.c.fail(n, at, "belongs to the extension EXPR", "add EXPR to extensions")
		return nil, s
	}
	s.lets = maps.Clone(s.lets)
	if s.lets == nil {
		s.lets = map[string]expr.Value{}
	}
	var out []letBinding
	for i, item := range o.c.list(n, at, 1, maxLets) {
		b := letBinding{at: at.item(i)}
		text, ok := o.c.text(item, b.at)
		if !ok {
			continue
		}
		name, value, found := strings.Cut(text, "=")
		b.name = strings.Trim(name, " \t")
		if rule := badLetName(b.name); !found || strings.HasPrefix(value, "=") || rule != "" {
			if !found {
				rule = "has no ="
			}
			o.c.fail(item, b.at, rule, "write name = expression, the name with a small letter or an underscore first")
			continue
		}
		if _, taken := s.lets[b.name]; taken {
			o.c.fail(item, b.at, fmt.Sprintf("%s is bound already", clip(b.name)), "give it another name")
			continue
		}
		if v, ok := o.c.letValue(item, value, &b, s); ok {
			s.lets[b.name] = v
			out = append(out, b)
		} else {
			s.lets[b.name] = expr.Unknown(anyType) // so that its uses raise no errors of their own
		}
	}
	return out, s
}

func badLetName(name string) string {
	switch {
	case !isIdentifier(name) || 'A' <= name[0] && name[0] <= 'Z':
		return fmt.Sprintf("%q is no name that let can bind", clip(name))
	case len(name) > maxLetsName:
		return fmt.Sprintf("the name has %d characters, and at most %d are allowed", len(name), maxLetsName)
	}
	if e, err := expr.Parse(name); err != nil || e.Name() != name {
		return fmt.Sprintf("%q is a word of the language, not a name", clip(name))
	}
	return ""
}

func (c *checker) letValue(n *node, text string, b *letBinding, s scope) (expr.Value, bool) {
	if c.exprText -= len(text); c.exprText < 0 {
		c.fail(n, b.at, fmt.Sprintf("the expressions of the document have more than %d bytes", maxExprText), "use fewer")
		return expr.Value{}, false
	}
	e, err := expr.Parse(text)
	if err != nil {
		c.fail(n, b.at, fmt.Sprintf("%s: %s", b.name, err), "write an expression of the OpenJD expression language")
		return expr.Value{}, false
	}
	b.value.expr = e
	if e.Shadows(func(v string) bool { return v == b.name }) != "" {
		c.fail(n, b.at, fmt.Sprintf("the variable of a comprehension has the name %s itself", b.name), "give one of them another name")
		return expr.Value{}, false
	}
	return c.exprPart(n, b.at, &b.value, s, false)
}

// bind evaluates bindings in their order and adds them to the symbols. What depends
// on symbols that are not there yet is returned.
func bind(lets []letBinding, symbols Symbols, budget *expr.Budget) (later []letBinding, err error) {
	for i := range lets {
		b := &lets[i]
		v, err := b.value.value(symbols, budget)
		switch {
		case err != nil:
			return nil, fmt.Errorf("let %s: %w", b.name, err)
		case !v.Known():
			later = append(later, *b)
		default:
			symbols[b.name] = letText(v)
		}
	}
	return later, nil
}

// Bindings is what let binds for a part of a job: known are the names that were
// known when the job was made, lets those that a session evaluates.
type Bindings struct {
	used  bool // the template has the extension
	known Symbols
	lets  []letBinding
}

func (b *Bindings) bind(symbols Symbols) error {
	maps.Copy(symbols, b.known)
	later, err := bind(b.lets, symbols, nil)
	if err == nil && len(later) > 0 {
		err = fmt.Errorf("let %s: what it needs is not known", later[0].name)
	}
	return err
}

// Bind adds what the step's let, its script's let and its name stand for (extension
// EXPR). The symbols have those of the task and of the session already.
func (s *Step) Bind(symbols Symbols) error { return s.Let.bind(symbols) }

// Bind adds what let stands for in the environment (extension EXPR): that of its
// step, if it is one's, and its own. The symbols have those of its files and of the
// session already.
func (e *Environment) Bind(symbols Symbols) error { return e.Let.bind(symbols) }

// Equal reports whether both bind the same names to the same expressions.
func (b Bindings) Equal(o Bindings) bool {
	return b.used == o.used && maps.Equal(b.known, o.known) && slices.EqualFunc(b.lets, o.lets, func(x, y letBinding) bool {
		return x.name == y.name && x.value.expr.String() == y.value.expr.String()
	})
}
