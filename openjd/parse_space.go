package openjd

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxTaskParams = 16
	maxRangeList  = 1024
)

// space reads parameterSpace (section 3.4).
func (c *checker) space(n *node, at *place, s scope) *spaceTemplate {
	o, ok := c.object(n, at, "taskParameterDefinitions", "combination")
	if !ok {
		return nil
	}
	t := &spaceTemplate{at: at}
	before := c.failures()
	if n := o.need("taskParameterDefinitions"); n != nil {
		at := at.field("taskParameterDefinitions")
		seen := map[string]*place{}
		for i, item := range c.list(n, at, 1, maxTaskParams) {
			p := c.taskParam(item, at.item(i), s)
			c.unique(seen, item, at.item(i).field("name"), p.name, "the task parameter name")
			t.params = append(t.params, p)
		}
		t.oneChunk(c, n, at)
	}
	t.combination = productOf(len(t.params))
	if n := o.get("combination"); n != nil && c.failures() == before {
		o.combination(n, t)
	}
	return t
}

func (t *spaceTemplate) names() []string {
	names := make([]string, len(t.params))
	for i, p := range t.params {
		names[i] = p.name
	}
	return names
}

func (t *spaceTemplate) oneChunk(c *checker, n *node, at *place) {
	count := 0
	for _, p := range t.params {
		if p.typ == TypeChunkInt {
			count++
		}
	}
	if count > 1 {
		c.fail(n, at, fmt.Sprintf("has %d parameters of type CHUNK[INT], and at most one is allowed", count), "use INT for the others")
	}
}

// combination reads the expression of that name and checks what is known of the
// lengths that it associates.
func (o object) combination(n *node, t *spaceTemplate) {
	at := o.at.field("combination")
	text, ok := o.c.text(n, at)
	if !ok {
		return
	}
	const hint = "combine each task parameter once, as in A * (B, C)"
	root, err := parseCombination(text, t.names())
	if err != nil {
		o.c.fail(n, at, err.Error(), hint)
		return
	}
	t.combination = root
	counts := make([]int64, len(t.params))
	for i, p := range t.params {
		counts[i] = p.knownCount()
		if p.typ == TypeChunkInt && root.associates(i) {
			o.c.fail(n, at, fmt.Sprintf("associates %s, which is of type CHUNK[INT]", clip(p.name)), "take it out of the parentheses")
		}
	}
	if _, err := root.length(counts, t.names()); err != nil && !errors.Is(err, errTooMany) {
		o.c.fail(n, at, err.Error(), "give both the same number of values")
	}
}

// knownCount is the number of values, or -1 while it depends on job parameters.
func (p taskParamTemplate) knownCount() int64 {
	switch {
	case p.values != nil:
		for _, v := range p.values {
			if v.whole() { // it may stand for several values, or for none
				return -1
			}
		}
		return int64(len(p.values))
	case p.expr.literal():
		if r, err := ParseRange(p.expr.raw); err == nil {
			return r.Len()
		}
	}
	return -1
}

func (c *checker) taskParam(n *node, at *place, s scope) (p taskParamTemplate) {
	p.at = at
	if n.kind != kindMap {
		c.object(n, at, "name", "type", "range")
		return p
	}
	peek := object{c: c, n: n, at: at}
	if n := peek.need("name"); n != nil {
		p.name = c.identifier(n, at.field("name"))
	}
	if n := peek.need("type"); n != nil {
		p.typ = c.taskType(n, at.field("type"))
	}
	if p.typ == "" {
		return p
	}
	keys := []string{"name", "type", "range"}
	if p.typ == TypeChunkInt {
		keys = append(keys, "chunks")
	}
	o, _ := c.object(n, at, keys...)
	if n := o.need("range"); n != nil {
		o.taskRange(n, &p, s)
	}
	if p.typ == TypeChunkInt {
		if n := o.need("chunks"); n != nil {
			p.chunks = c.chunks(n, at.field("chunks"), s)
		}
	}
	return p
}

func (c *checker) taskType(n *node, at *place) ParamType {
	s, ok := c.text(n, at)
	if !ok {
		return ""
	}
	if s == string(TypeChunkInt) {
		if !c.chunking {
			c.fail(n, at, "CHUNK[INT] belongs to the extension TASK_CHUNKING", "add TASK_CHUNKING to extensions")
		}
		return TypeChunkInt
	}
	if upper := strings.ToUpper(s); c.expr && upper == string(TypeChunkInt) && s != upper {
		return c.taskType(&node{kind: kindString, text: upper, line: n.line, col: n.col}, at)
	} else if c.expr && slices.Contains(paramTypes, upper) {
		return ParamType(upper)
	}
	if !slices.Contains(paramTypes, s) {
		hint := "use one of " + strings.Join(paramTypes, ", ")
		if upper := strings.ToUpper(s); slices.Contains(paramTypes, upper) {
			hint = "write it as " + upper
		}
		c.fail(n, at, fmt.Sprintf("%q is not a task parameter type", clip(s)), hint)
		return ""
	}
	return ParamType(s)
}

// taskRange reads a list of values, or a range expression for integers.
func (o object) taskRange(n *node, p *taskParamTemplate, s scope) {
	at := o.at.field("range")
	integer := p.typ == TypeInt || p.typ == TypeChunkInt
	if n.kind == kindString && (integer || o.c.expr) {
		f, ok := o.c.rangeText(n, at, s, integer)
		if ok && f.literal() {
			if _, err := ParseRange(f.raw); err != nil {
				o.c.fail(n, at, err.Error(), "write integers and ranges as in 1-10:2,20, without overlaps")
			}
		}
		p.expr = f
		return
	}
	items := o.c.list(n, at, 1, maxRangeList)
	p.values = make([]FormatString, 0, len(items))
	for i, item := range items {
		if f, ok := o.c.rangeItem(p.typ, item, at.item(i), s); ok {
			p.values = append(p.values, f)
		}
	}
}

// rangeText reads a range expression, or with EXPR an expression that gives the
// values as a list (section 1.3.12 of the expression language).
func (c *checker) rangeText(n *node, at *place, s scope, integer bool) (FormatString, bool) {
	f, ok := c.formatItem(n, at, s)
	if ok && !integer && !f.whole() {
		c.fail(n, at, "is a string and must be a list", "write it as a list, or as one expression that gives a list")
		return f, false
	}
	return f, ok
}

func (c *checker) rangeItem(t ParamType, n *node, at *place, s scope) (FormatString, bool) {
	number := n.kind == kindInt && t != TypeString && t != TypePath || n.kind == kindFloat && t == TypeFloat
	f := FormatString{raw: n.text}
	if !number {
		var ok bool
		if f, ok = c.formatItem(n, at, s); !ok {
			return f, false
		}
	}
	if !f.literal() {
		return f, true
	}
	if _, rule := taskValue(t, f.raw); rule != "" {
		c.fail(n, at, rule, "give a value of the type "+string(t))
		return f, false
	}
	return f, true
}

// taskValue gives the text that a task sees for a value of a range list; rule tells
// why it is none of the type. Whether numbers given as strings keep their zeros,
// the specification does not say; they are written without here, so that a list
// and a range expression of the same numbers give the same tasks.
func taskValue(t ParamType, s string) (value, rule string) {
	switch t {
	case TypeInt, TypeChunkInt:
		i, err := parseInt(s)
		if err != nil {
			return "", err.Error()
		}
		if t == TypeChunkInt && (i >= maxRangeValue || i <= -maxRangeValue) {
			return "", fmt.Sprintf("%d is not between -2^62 and 2^62", i)
		}
		return strconv.FormatInt(i, 10), ""
	case TypeFloat:
		if _, err := parseFloat(s); err != nil {
			return "", err.Error()
		}
		return canonicalFloat(s), ""
	case TypePath:
		if s == "" {
			return "", "is an empty path"
		}
	}
	if n := utf8.RuneCountInString(s); n > maxText {
		return "", fmt.Sprintf("has %d characters, and at most %d are allowed", n, maxText)
	}
	return s, ""
}

// chunks reads how a CHUNK[INT] parameter is cut (section 3.4.1.5).
func (c *checker) chunks(n *node, at *place, s scope) *chunksTemplate {
	o, ok := c.object(n, at, "defaultTaskCount", "targetRuntimeSeconds", "rangeConstraint")
	if !ok {
		return nil
	}
	t := &chunksTemplate{}
	if n := o.need("defaultTaskCount"); n != nil {
		t.count = c.numberText(n, at.field("defaultTaskCount"), s, checkTaskCount)
	}
	if n := o.get("targetRuntimeSeconds"); n != nil {
		t.target = c.numberText(n, at.field("targetRuntimeSeconds"), s, checkTargetRuntime)
	}
	if n := o.need("rangeConstraint"); n != nil {
		t.constraint = RangeConstraint(c.choice(n, at.field("rangeConstraint"), string(Contiguous), string(Noncontiguous)))
	}
	return t
}

func checkTaskCount(text string) string     { return checkInt(text, 1, math.MaxInt32) }
func checkTargetRuntime(text string) string { return checkInt(text, 0, math.MaxInt32) }
