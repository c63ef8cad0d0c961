package expr

import (
	"slices"
	"strconv"
	"strings"
)

func (p *parser) postfix() (*node, *Error) {
	n, err := p.primary()
	for err == nil {
		switch {
		case p.isOp("."):
			n, err = p.attribute(n)
		case p.isOp("["):
			n, err = p.subscript(n)
		case p.isOp("("):
			n, err = p.call(n)
		default:
			return n, nil
		}
	}
	return n, err
}

// attribute reads .name: of a name, more of the name; of a value, a property or a
// method. Keywords are names here (section 1.1.3).
func (p *parser) attribute(of *node) (*node, *Error) {
	p.at++
	t := p.peek()
	if t.kind != tokName {
		return nil, p.unexpected("a name")
	}
	p.at++
	if of.op == opName {
		of.text += "." + t.text
		return of, nil
	}
	return &node{op: opProperty, at: t.at, text: t.text, kids: []*node{of}}, nil
}

func (p *parser) subscript(of *node) (*node, *Error) {
	at := p.peek().at
	p.at++
	p.vars = append(p.vars, " ") // an "if" in brackets is a conditional again
	defer func() { p.vars = p.vars[:len(p.vars)-1] }()
	n := &node{op: opIndex, at: at, kids: []*node{of}}
	for k := 0; ; k++ {
		var part *node
		if !p.isOp(":") && !p.isOp("]") {
			var err *Error
			if part, err = p.conditional(); err != nil {
				return nil, err
			}
		} else if k == 0 && p.isOp("]") {
			return nil, p.unexpected("an index")
		}
		n.kids = append(n.kids, part)
		if k < 2 && p.take(":") {
			n.op = opSlice
			continue
		}
		break
	}
	for n.op == opSlice && len(n.kids) < 4 {
		n.kids = append(n.kids, nil)
	}
	return n, p.need("]")
}

// call reads the arguments of a function, or of a method of what the name before
// the last dot stands for.
func (p *parser) call(of *node) (*node, *Error) {
	n := &node{op: opCall, at: of.at}
	switch {
	case of.op == opName && !strings.Contains(of.text, "."):
		n.text = of.text
	case of.op == opName:
		i := strings.LastIndexByte(of.text, '.')
		n.text, n.method = of.text[i+1:], true
		n.kids = []*node{{op: opName, at: of.at, text: of.text[:i]}}
	case of.op == opProperty:
		n.text, n.method, n.kids = of.text, true, of.kids
	default:
		return nil, failf("only functions and methods can be called")
	}
	if strings.HasPrefix(n.text, "__") {
		return nil, failf("%s cannot be called", clip(n.text))
	}
	p.at++
	p.vars = append(p.vars, " ")
	defer func() { p.vars = p.vars[:len(p.vars)-1] }()
	for !p.isOp(")") {
		arg, err := p.conditional()
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, arg)
		if !p.take(",") {
			break
		}
	}
	return n, p.need(")")
}

var constants = map[string]Value{"True": OfBool(true), "true": OfBool(true), "False": OfBool(false), "false": OfBool(false), "None": {}, "null": {}}

var keywords = []string{"if", "else", "and", "or", "not", "for", "in", "lambda", "is"}

func (p *parser) primary() (*node, *Error) {
	t := p.peek()
	n := &node{op: opValue, at: t.at}
	switch {
	case t.kind == tokInt:
		i, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return nil, failf("%s is no integer of 64 bits", clip(t.text))
		}
		n.value = OfInt(i)
	case t.kind == tokFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, failf("%s is too large for a number", clip(t.text))
		}
		n.value = OfFloat(f, t.text)
	case t.kind == tokString:
		n.value = OfString(t.text)
	case t.kind == tokName && slices.Contains(keywords, t.text):
		return nil, p.unexpected("a value")
	case t.kind == tokName:
		if v, ok := constants[t.text]; ok {
			n.value = v
			break
		}
		n.op, n.text = opName, t.text
	case p.isOp("("):
		return p.group()
	case p.isOp("["):
		return p.list()
	default:
		return nil, p.unexpected("a value")
	}
	p.at++
	return n, nil
}

func (p *parser) group() (*node, *Error) {
	p.at++
	p.vars = append(p.vars, " ")
	defer func() { p.vars = p.vars[:len(p.vars)-1] }()
	n, err := p.conditional()
	if err != nil {
		return nil, err
	}
	if n.op == opName { // what follows is a property, not more of the name
		n = &node{op: opGroup, at: n.at, kids: []*node{n}}
	}
	return n, p.need(")")
}

// list reads a list or a list comprehension.
func (p *parser) list() (*node, *Error) {
	n := &node{op: opList, at: p.peek().at}
	p.at++
	p.vars = append(p.vars, " ")
	defer func() { p.vars = p.vars[:len(p.vars)-1] }()
	if v := p.loopVar(); v != "" {
		return p.comprehension(n, v)
	}
	for !p.isOp("]") {
		item, err := p.conditional()
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, item)
		if !p.take(",") {
			break
		}
	}
	return n, p.need("]")
}

// loopVar looks ahead for the variable of a comprehension, so that the item's
// names are known when it is read; empty when this is a plain list.
func (p *parser) loopVar() string {
	depth := 0
	for i := p.at; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; {
		case t.kind == tokOp && (t.text == "(" || t.text == "["):
			depth++
		case t.kind == tokOp && (t.text == ")" || t.text == "]"):
			if depth--; depth < 0 {
				return ""
			}
		case depth == 0 && t.kind == tokOp && t.text == ",":
			return ""
		case depth == 0 && t.kind == tokName && t.text == "for" && (i == 0 || p.tokens[i-1].text != "."):
			return p.tokens[i+1].text + " "
		}
	}
	return ""
}

func (p *parser) comprehension(n *node, name string) (*node, *Error) {
	name = strings.TrimSuffix(name, " ")
	if name == "" || !isLetter(name[0]) || 'A' <= name[0] && name[0] <= 'Z' || slices.Contains(keywords, name) {
		return nil, failf("the variable %q of a comprehension must begin with a small letter or an underscore", clip(name))
	}
	if slices.Contains(p.vars, name) {
		return nil, failf("the variable %s is there already", name)
	}
	if _, ok := constants[name]; ok {
		return nil, failf("%s is no name for a variable", name)
	}
	n.op, n.text = opFor, name
	p.vars = append(p.vars, name)
	item, err := p.conditional()
	if err != nil {
		return nil, err
	}
	if err := p.need("for"); err != nil {
		return nil, err
	}
	p.at++ // the variable
	if err := p.need("in"); err != nil {
		return nil, err
	}
	p.vars[len(p.vars)-1] = "" // not known in what it ranges over; an "if" is the filter
	over, err := p.conditional()
	if err != nil {
		return nil, err
	}
	var filter *node
	p.vars[len(p.vars)-1] = name
	if p.take("if") {
		if filter, err = p.conditional(); err != nil {
			return nil, err
		}
	}
	p.vars = p.vars[:len(p.vars)-1]
	n.kids = []*node{item, over, filter}
	if p.isWord("for") {
		return nil, failf("a comprehension has one \"for\"; nest comprehensions instead")
	}
	return n, p.need("]")
}
