package expr

import (
	"slices"
	"strconv"
	"strings"
)

// Bounds of an expression's text.
const (
	maxText   = 64 << 10
	maxTokens = 10_000
	maxDepth  = 100
)

// Expr is an expression that was read. It is immutable.
type Expr struct {
	text string
	root *node
	// names are the dotted names, with properties, as they stand.
	names []string
	calls []string
}

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// Names lists the dotted names that the expression refers to, with the properties
// asked of them, but without the variables of its comprehensions.
func (e *Expr) Names() []string { return slices.Clone(e.names) }

// Calls reports whether the expression calls the function or method.
func (e *Expr) Calls(name string) bool { return slices.Contains(e.calls, name) }

// Name is the dotted name that the whole expression is; empty when it is more.
func (e *Expr) Name() string {
	if e.root.op == opName {
		return e.root.text
	}
	return ""
}

type op uint8

const (
	opValue op = iota
	opName
	opList
	opFor // kids: item, over, if (or nil)
	opIf  // kids: then, condition, else
	opAnd
	opOr
	opNot
	opCompare // text: the operators, one each between the kids, in ops
	opCall    // text: function; method when the first kid is a receiver
	opIndex   // kids: of, index
	opSlice   // kids: of, start, stop, step (or nil)
	opProperty
	opGroup // a name in parentheses
)

type node struct {
	op     op
	at     int
	text   string
	ops    []string
	kids   []*node
	value  Value
	method bool
}

// Parse reads an expression. The error is an *Error.
func Parse(text string) (*Expr, error) {
	if len(text) > maxText {
		return nil, failf("the expression has %d bytes, more than %d", len(text), maxText)
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	if len(tokens) > maxTokens {
		return nil, failf("the expression has more than %d parts", maxTokens)
	}
	p := &parser{tokens: tokens, e: &Expr{text: text}}
	root, perr := p.conditional()
	if perr == nil && p.peek().kind != tokEnd {
		perr = p.unexpected("an operator")
	}
	if perr != nil {
		return nil, perr
	}
	p.e.root = root
	p.e.collect(root, nil)
	return p.e, nil
}

// collect gathers the names and calls of a part; vars are those of the
// comprehensions around it.
func (e *Expr) collect(n *node, vars []string) {
	if n == nil {
		return
	}
	switch n.op {
	case opName:
		first, _, _ := strings.Cut(n.text, ".")
		if !slices.Contains(vars, first) && !slices.Contains(e.names, n.text) {
			e.names = append(e.names, n.text)
		}
	case opCall:
		if !strings.HasPrefix(n.text, "__") {
			e.calls = append(e.calls, n.text)
		}
	case opFor:
		inner := append(slices.Clone(vars), n.text)
		e.collect(n.kids[1], vars)
		e.collect(n.kids[0], inner)
		e.collect(n.kids[2], inner)
		return
	}
	for _, k := range n.kids {
		e.collect(k, vars)
	}
}

// Shadows gives a variable of a comprehension that has one of the names, or "".
func (e *Expr) Shadows(taken func(name string) bool) string { return e.root.shadows(taken) }

func (n *node) shadows(taken func(string) bool) string {
	if n == nil {
		return ""
	}
	if n.op == opFor && taken(n.text) {
		return n.text
	}
	for _, k := range n.kids {
		if name := k.shadows(taken); name != "" {
			return name
		}
	}
	return ""
}

type parser struct {
	tokens []token
	at     int
	depth  int
	e      *Expr
	vars   []string // of comprehensions around
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) isOp(text string) bool { t := p.peek(); return t.kind == tokOp && t.text == text }

func (p *parser) isWord(word string) bool {
	t := p.peek()
	return t.kind == tokName && t.text == word
}

func (p *parser) take(text string) bool {
	if p.isOp(text) || p.isWord(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) need(text string) *Error {
	if !p.take(text) {
		return p.unexpected(strconv.Quote(text))
	}
	return nil
}

func (p *parser) unexpected(wanted string) *Error {
	t := p.peek()
	e := failf("%s stands where %s should", t, wanted)
	e.At = t.at
	return e
}

// conditional reads <ConditionalExpr>.
func (p *parser) conditional() (*node, *Error) {
	if p.depth++; p.depth > maxDepth {
		return nil, failf("the expression nests deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	then, err := p.binary(0)
	if err != nil || !p.isWord("if") || p.inFilter() {
		return then, err
	}
	at := p.peek().at
	p.at++
	cond, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if err := p.need("else"); err != nil {
		return nil, err
	}
	other, err := p.conditional()
	return &node{op: opIf, at: at, kids: []*node{then, cond, other}}, err
}

// inFilter reports whether an "if" here begins the filter of a comprehension: what
// it ranges over is no conditional expression.
func (p *parser) inFilter() bool { return len(p.vars) > 0 && p.vars[len(p.vars)-1] == "" }

// levels are the binary operators, loosest first.
var levels = [][]string{{"or"}, {"and"}, nil, nil, {"+", "-"}, {"*", "/", "//", "%"}}

var functions = map[string]string{"+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__", "//": "__floordiv__", "%": "__mod__", "**": "__pow__"}

func (p *parser) binary(level int) (*node, *Error) {
	switch level {
	case 2:
		return p.not()
	case 3:
		return p.compare()
	case len(levels):
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		t := p.peek()
		if !slices.Contains(levels[level], t.text) || t.kind != tokOp && t.kind != tokName {
			break
		}
		p.at++
		var right *node
		right, err = p.binary(level + 1)
		n := &node{op: opCall, at: t.at, text: functions[t.text], kids: []*node{left, right}}
		switch t.text {
		case "or":
			n.op = opOr
		case "and":
			n.op = opAnd
		}
		left = n
	}
	return left, err
}

func (p *parser) not() (*node, *Error) {
	if !p.isWord("not") {
		return p.binary(3)
	}
	at := p.peek().at
	p.at++
	if p.depth++; p.depth > maxDepth {
		return nil, failf("the expression nests deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	kid, err := p.not()
	return &node{op: opNot, at: at, kids: []*node{kid}}, err
}

func (p *parser) compare() (*node, *Error) {
	first, err := p.binary(4)
	if err != nil {
		return nil, err
	}
	n := &node{op: opCompare, at: p.peek().at, kids: []*node{first}}
	for {
		t := p.peek()
		op := ""
		switch {
		case t.kind == tokOp && slices.Contains([]string{"<", ">", "<=", ">=", "==", "!="}, t.text), p.isWord("in"):
			op = t.text
		case p.isWord("not") && p.tokens[p.at+1].text == "in" && p.tokens[p.at+1].kind == tokName:
			op = "not in"
			p.at++
		}
		if op == "" {
			break
		}
		p.at++
		kid, err := p.binary(4)
		if err != nil {
			return nil, err
		}
		n.ops, n.kids = append(n.ops, op), append(n.kids, kid)
	}
	if len(n.ops) == 0 {
		return first, nil
	}
	return n, nil
}

func (p *parser) unary() (*node, *Error) {
	t := p.peek()
	name := map[string]string{"-": "__neg__", "+": "__pos__"}[t.text]
	if t.kind != tokOp || name == "" {
		return p.power()
	}
	p.at++
	if p.depth++; p.depth > maxDepth {
		return nil, failf("the expression nests deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	// The least integer has no positive twin: it is read as one number.
	if v := p.peek(); t.text == "-" && v.kind == tokInt && v.text == "9223372036854775808" && p.tokens[p.at+1].text != "**" {
		p.at++
		return &node{op: opValue, at: t.at, value: OfInt(-9223372036854775808)}, nil
	}
	kid, err := p.unary()
	return &node{op: opCall, at: t.at, text: name, kids: []*node{kid}}, err
}

func (p *parser) power() (*node, *Error) {
	base, err := p.postfix()
	if err != nil || !p.isOp("**") {
		return base, err
	}
	at := p.peek().at
	p.at++
	exp, err := p.unary()
	return &node{op: opCall, at: at, text: "__pow__", kids: []*node{base, exp}}, err
}
