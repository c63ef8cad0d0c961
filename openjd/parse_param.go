package openjd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText bounds values of STRING and PATH parameters, job and task alike
// (sections 2.5 and 3.4.2).
const maxText = 1024

var paramTypes = []string{string(TypeString), string(TypePath), string(TypeInt), string(TypeFloat)}

// parameterKeys are the keys of a definition by type, beyond those all have.
var parameterKeys = map[ParamType][]string{
	TypeString: {"minLength", "maxLength"},
	TypePath:   {"minLength", "maxLength", "objectType", "dataFlow"},
	TypeInt:    {"minValue", "maxValue"},
	TypeFloat:  {"minValue", "maxValue"},
	TypeRange:  {"minLength", "maxLength"},

	TypeListString: {"minLength", "maxLength", "item"}, TypeListPath: {"minLength", "maxLength", "item", "objectType", "dataFlow"},
	TypeListInt: {"minLength", "maxLength", "item"}, TypeListFloat: {"minLength", "maxLength", "item"},
	TypeListBool: {"minLength", "maxLength"}, TypeListListInt: {"minLength", "maxLength", "item"},
}

// parameters reads the optional key parameterDefinitions.
func (o object) parameters() []ParameterDefinition {
	n, at := o.get("parameterDefinitions"), o.at.field("parameterDefinitions")
	if n == nil {
		return nil
	}
	items := o.c.list(n, at, 1, o.c.lim.parameters)
	defs := make([]ParameterDefinition, 0, len(items))
	seen := map[string]*place{}
	for i, item := range items {
		d, ok := o.c.parameter(item, at.item(i))
		if ok {
			o.c.unique(seen, item, at.item(i).field("name"), d.Name, "the parameter name")
			defs = append(defs, d)
		}
	}
	return defs
}

// parameter reads one definition; ok is false when it is too broken to be referred
// to by others.
func (c *checker) parameter(n *node, at *place) (d ParameterDefinition, ok bool) {
	if n.kind != kindMap {
		c.object(n, at, "name", "type")
		return d, false
	}
	peek := object{c: c, n: n, at: at}
	if t := peek.need("type"); t != nil {
		d.Type = c.parameterType(t, at.field("type"))
	}
	if name := peek.need("name"); name != nil {
		d.Name = c.identifier(name, at.field("name"))
	}
	if d.Type == "" {
		// The name counts, so that references to it raise no errors of their own.
		d.Type = TypeString
		return d, d.Name != ""
	}
	keys := []string{"name", "type", "description", "default", "userInterface"}
	if slices.Contains(paramTypes, string(d.Type)) {
		keys = slices.Insert(keys, 4, "allowedValues")
	}
	keys = append(keys, parameterKeys[d.Type]...)
	o, _ := c.object(n, at, keys...)
	d.Description = o.description()
	before := c.failures()
	switch d.Type {
	case TypeInt, TypeFloat:
		o.bounds(&d)
	case TypeBool:
	default:
		o.lengths(&d)
		o.pathKinds(&d)
		o.item(&d)
	}
	o.defaults(&d)
	if c.failures() == before {
		o.consistent(&d)
	}
	o.userInterface(&d)
	return d, d.Name != ""
}

func (c *checker) parameterType(n *node, at *place) ParamType {
	s, ok := c.text(n, at)
	if !ok {
		return ""
	}
	if slices.Contains(paramTypes, s) {
		return ParamType(s)
	}
	upper := strings.ToUpper(s)
	if c.expr && (slices.Contains(paramTypes, upper) || slices.Contains(exprParamTypes, upper)) {
		return ParamType(upper)
	}
	hint := "use one of " + strings.Join(paramTypes, ", ")
	switch {
	case c.expr:
		hint += ", " + strings.Join(exprParamTypes, ", ")
	case slices.Contains(paramTypes, upper):
		hint = "write it as " + upper
	case slices.Contains(exprParamTypes, upper):
		hint = "it belongs to the extension EXPR: add that to extensions; " + hint
	}
	c.fail(n, at, fmt.Sprintf("%q is not a parameter type", clip(s)), hint)
	return ""
}

func (o object) lengths(d *ParameterDefinition) {
	if n := o.get("minLength"); n != nil {
		if i, ok := o.c.wholeNode(n, o.at.field("minLength"), 0); ok {
			d.MinLength = &i
		}
	}
	if n := o.get("maxLength"); n != nil {
		if i, ok := o.c.wholeNode(n, o.at.field("maxLength"), 1); ok {
			d.MaxLength = &i
		}
	}
}

func (o object) pathKinds(d *ParameterDefinition) {
	if d.Type != TypePath && d.Type != TypeListPath {
		return
	}
	if n := o.get("objectType"); n != nil {
		d.ObjectType = o.c.choice(n, o.at.field("objectType"), "FILE", "DIRECTORY")
	}
	if n := o.get("dataFlow"); n != nil {
		d.DataFlow = o.c.choice(n, o.at.field("dataFlow"), "NONE", "IN", "OUT", "INOUT")
	}
}

func (o object) bounds(d *ParameterDefinition) {
	if n := o.get("minValue"); n != nil {
		d.MinValue, _ = o.c.paramValue(d.Type, n, o.at.field("minValue"))
	}
	if n := o.get("maxValue"); n != nil {
		d.MaxValue, _ = o.c.paramValue(d.Type, n, o.at.field("maxValue"))
	}
}

func (o object) defaults(d *ParameterDefinition) {
	if n := o.get("default"); n != nil {
		d.Default, d.HasDefault = o.c.paramValue(d.Type, n, o.at.field("default"))
	}
	n, at := o.raw("allowedValues"), o.at.field("allowedValues")
	if n == nil || d.Type.Elem() != "" || d.Type == TypeBool || d.Type == TypeRange {
		return
	}
	for i, item := range o.c.list(n, at, 1, 0) {
		if v, ok := o.c.paramValue(d.Type, item, at.item(i)); ok {
			d.AllowedValues = append(d.AllowedValues, v)
		}
	}
}

// paramValue reads a value of a job parameter's type from a document.
func (c *checker) paramValue(t ParamType, n *node, at *place) (string, bool) {
	switch t {
	case TypeInt:
		i, ok := c.intNode(n, at)
		return strconv.FormatInt(i, 10), ok
	case TypeFloat:
		return c.floatNode(n, at)
	case TypeBool:
		text, ok := boolText(n.text)
		if !ok || n.kind == kindNull || n.kind == kindList || n.kind == kindMap {
			c.fail(n, at, fmt.Sprintf("is %s and must be a boolean", n.kind), "write true or false")
			return "", false
		}
		return text, true
	case TypeRange:
		s, ok := c.text(n, at)
		if ok {
			if _, err := ParseRange(s); err != nil {
				c.fail(n, at, err.Error(), "write integers and ranges as in 1-10:2,20, without overlaps")
				return s, false
			}
		}
		return s, ok
	}
	if t.Elem() != "" {
		return c.listNode(t, n, at)
	}
	s, ok := c.text(n, at)
	return s, ok && c.sized(n, at, s, 0, maxText)
}

// consistent checks that a definition's default and allowed values meet its own
// constraints, and that these can be met.
func (o object) consistent(d *ParameterDefinition) {
	if rule := d.contradiction(); rule != "" {
		o.c.fail(o.n, o.at, rule, "raise the maximum or lower the minimum")
		return
	}
	for i, v := range d.AllowedValues {
		if rule := d.outside(v); rule != "" {
			at := o.at.field("allowedValues")
			o.c.fail(o.get("allowedValues").items[i], at.item(i), rule, "remove the value or loosen the constraint")
		}
	}
	if d.HasDefault {
		at := o.at.field("default")
		if rule := d.refuses(d.Default); rule != "" {
			o.c.fail(o.get("default"), at, rule, "change the default or loosen the constraint")
		}
	}
}

// contradiction tells why no value can meet the constraints, or is empty.
func (d *ParameterDefinition) contradiction() string {
	if d.MinLength != nil && d.MaxLength != nil && *d.MinLength > *d.MaxLength {
		return fmt.Sprintf("has minLength %d above maxLength %d", *d.MinLength, *d.MaxLength)
	}
	if d.MinValue != "" && d.MaxValue != "" && compareNumbers(d.Type, d.MinValue, d.MaxValue) > 0 {
		return fmt.Sprintf("has minValue %s above maxValue %s", clip(d.MinValue), clip(d.MaxValue))
	}
	return ""
}

// compareNumbers orders two valid values of INT or FLOAT.
func compareNumbers(t ParamType, a, b string) int {
	if t == TypeInt {
		x, _ := parseInt(a)
		y, _ := parseInt(b)
		return compare(x, y)
	}
	x, _ := parseFloat(a)
	y, _ := parseFloat(b)
	return compare(x, y)
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// outside tells which bound of length or value v breaks, or is empty.
func (d *ParameterDefinition) outside(v string) string {
	if d.Type == TypeInt || d.Type == TypeFloat {
		if d.MinValue != "" && compareNumbers(d.Type, v, d.MinValue) < 0 {
			return fmt.Sprintf("%s is less than the minimum %s", clip(v), clip(d.MinValue))
		}
		if d.MaxValue != "" && compareNumbers(d.Type, v, d.MaxValue) > 0 {
			return fmt.Sprintf("%s is more than the maximum %s", clip(v), clip(d.MaxValue))
		}
		return ""
	}
	switch {
	case d.Type.Elem() != "":
		return d.outsideList(v)
	case d.Type == TypeBool:
		return ""
	}
	count := utf8.RuneCountInString(v)
	if d.Type == TypeRange && d.MaxLength == nil && count > maxText {
		return fmt.Sprintf("has %d characters, more than the maximum %d", count, maxText)
	}
	if d.MinLength != nil && count < *d.MinLength {
		return fmt.Sprintf("has %d characters, fewer than the minimum %d", count, *d.MinLength)
	}
	if d.MaxLength != nil && count > *d.MaxLength {
		return fmt.Sprintf("has %d characters, more than the maximum %d", count, *d.MaxLength)
	}
	return ""
}

// refuses tells why v, well-formed for the type, is not a value of the parameter,
// or is empty.
func (d *ParameterDefinition) refuses(v string) string {
	if rule := d.outside(v); rule != "" {
		return rule
	}
	if len(d.AllowedValues) == 0 || slices.ContainsFunc(d.AllowedValues, func(a string) bool { return d.same(a, v) }) {
		return ""
	}
	return fmt.Sprintf("%q is not one of the allowed values %s", clip(v), clip(strings.Join(d.AllowedValues, ", ")))
}

func (d *ParameterDefinition) same(a, b string) bool {
	if d.Type == TypeInt || d.Type == TypeFloat {
		return compareNumbers(d.Type, a, b) == 0
	}
	return a == b
}
