package openjd

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"drover.farm/openjd/expr"
)

// The parameter types of the extension EXPR.

var exprParamTypes = []string{string(TypeBool), string(TypeRange), string(TypeListString), string(TypeListPath), string(TypeListInt),
	string(TypeListFloat), string(TypeListBool), string(TypeListListInt)}

// itemKeys are the keys of the constraints of items by their type.
var itemKeys = map[ParamType][]string{
	TypeString: {"allowedValues", "minLength", "maxLength"}, TypePath: {"allowedValues", "minLength", "maxLength"},
	TypeInt: {"allowedValues", "minValue", "maxValue"}, TypeFloat: {"allowedValues", "minValue", "maxValue"},
	TypeListInt: {"minLength", "maxLength", "item"},
}

// item reads the constraints of a list's items.
func (o object) item(d *ParameterDefinition) {
	n, at := o.get("item"), o.at.field("item")
	if n == nil {
		return
	}
	elem := &ParameterDefinition{Type: d.Type.Elem()}
	i, ok := o.c.object(n, at, itemKeys[elem.Type]...)
	if !ok {
		return
	}
	before := o.c.failures()
	switch elem.Type {
	case TypeInt, TypeFloat:
		i.bounds(elem)
	default:
		i.lengths(elem)
	}
	i.item(elem)
	i.defaults(elem)
	if o.c.failures() == before {
		i.consistent(elem)
	}
	d.Item = elem
}

// boolText reads a bool of a document or of a value given as text.
func boolText(s string) (string, bool) {
	if s == "1.0" || s == "0.0" {
		s = s[:1]
	}
	b, ok := expr.ParseBool(strings.TrimSpace(s))
	return strconv.FormatBool(b), ok
}

// listNode reads a list of a document as the JSON text of its values.
func (c *checker) listNode(t ParamType, n *node, at *place) (string, bool) {
	if n.kind != kindList {
		c.fail(n, at, "is "+n.kind.String()+" and must be a list", "write it as a list")
		return "", false
	}
	ok := true
	parts := make([]string, len(n.items))
	for i, item := range n.items {
		text, good := c.paramValue(t.Elem(), item, at.item(i))
		ok = ok && good
		parts[i] = jsonItem(t.Elem(), text)
	}
	return "[" + strings.Join(parts, ",") + "]", ok
}

// jsonItem writes an item of a list as JSON.
func jsonItem(t ParamType, text string) string {
	if t == TypeString || t == TypePath {
		data, _ := json.Marshal(text)
		return string(data)
	}
	if t == TypeFloat && !json.Valid([]byte(text)) { // as 1. and +2 are
		if f, err := parseFloat(text); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	return text
}

// listItems cuts the JSON text of a list in the texts of its items.
func listItems(t ParamType, text string) ([]string, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var raw []json.RawMessage
	if err := dec.Decode(&raw); err != nil || raw == nil || dec.More() {
		return nil, fmt.Errorf("%q is not a list as JSON writes it", clip(text))
	}
	items := make([]string, len(raw))
	for i, r := range raw {
		items[i] = string(r)
		if items[i] == "null" {
			return nil, fmt.Errorf("item %d is null", i)
		}
		if r[0] == '"' {
			if err := json.Unmarshal(r, &items[i]); err != nil {
				return nil, err
			}
		} else if e := t.Elem(); e == TypeString || e == TypePath {
			return nil, fmt.Errorf("item %d is %s and must be a string", i, clip(items[i]))
		}
	}
	return items, nil
}

// mapList changes each item of the JSON text of a list of strings.
func mapList(text string, change func(string) string) string {
	items, err := listItems(TypeListString, text)
	if err != nil {
		return text
	}
	for i, s := range items {
		items[i] = jsonItem(TypeString, change(s))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// givenText makes the text of a value canonical for its type; rule tells why it is
// none of the type. Relative paths are joined by join.
func givenText(t ParamType, v string, join func(string) string) (text, rule string) {
	switch t {
	case TypeInt:
		i, err := parseInt(v)
		if err != nil {
			return "", err.Error()
		}
		return strconv.FormatInt(i, 10), ""
	case TypeFloat:
		if _, err := parseFloat(v); err != nil {
			return "", err.Error()
		}
		return strings.TrimSpace(v), ""
	case TypeBool:
		text, ok := boolText(v)
		if !ok {
			return "", fmt.Sprintf("%q is not a boolean", clip(v))
		}
		return text, ""
	case TypeRange:
		if _, err := ParseRange(v); err != nil {
			return "", err.Error()
		}
		return v, ""
	case TypePath:
		return join(v), ""
	case TypeString:
		return v, ""
	}
	items, err := listItems(t, v)
	if err != nil {
		return "", err.Error()
	}
	for i, item := range items {
		text, rule := givenText(t.Elem(), item, join)
		if rule != "" {
			return "", fmt.Sprintf("item %d: %s", i, rule)
		}
		items[i] = jsonItem(t.Elem(), text)
	}
	return "[" + strings.Join(items, ",") + "]", ""
}

// outsideList tells which constraint a list breaks, or is empty.
func (d *ParameterDefinition) outsideList(v string) string {
	items, err := listItems(d.Type, v)
	if err != nil {
		return err.Error()
	}
	if d.MinLength != nil && len(items) < *d.MinLength {
		return fmt.Sprintf("has %d items, fewer than the minimum %d", len(items), *d.MinLength)
	}
	if d.MaxLength != nil && len(items) > *d.MaxLength {
		return fmt.Sprintf("has %d items, more than the maximum %d", len(items), *d.MaxLength)
	}
	for i, item := range items {
		if d.Item == nil {
			break
		}
		if rule := d.Item.refuses(item); rule != "" {
			return fmt.Sprintf("item %d %s", i, rule)
		}
	}
	return ""
}
