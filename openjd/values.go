package openjd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParameterValues reads a JSON or YAML object of parameter values by name, with
// strings, numbers and booleans, into the text form that Instantiate takes. The
// error is Errors.
func ParameterValues(data []byte) (map[string]string, error) {
	n, err := parseDocument(data)
	if err != nil {
		return nil, asErrors(err)
	}
	c := newChecker()
	if n.kind != kindMap {
		c.fail(n, nil, "is "+n.kind.String()+" and must be an object", "write parameter values as names and values")
		return nil, c.err()
	}
	values := make(map[string]string, len(n.keys))
	for i, name := range n.keys {
		item := n.items[i]
		if item.kind == kindNull || item.kind == kindList || item.kind == kindMap {
			c.fail(item, (*place)(nil).field(name), "is "+item.kind.String()+" and must be a string or a number", "give the value itself")
		}
		values[name] = item.text
	}
	return values, c.err()
}

// valuePlace is where errors of a parameter's value point to.
func valuePlace(name string) *place { return (*place)(nil).field("parameters").field(name) }

// bind gives each definition its value, or its default.
func (c *checker) bind(defs []ParameterDefinition, values map[string]string, o Options) []JobParameter {
	known := make(map[string]bool, len(defs))
	params := make([]JobParameter, 0, len(defs))
	for i := range defs {
		d := &defs[i]
		known[d.Name] = true
		p := JobParameter{Name: d.Name, Type: d.Type, ObjectType: d.ObjectType, DataFlow: d.DataFlow}
		if d.Type == TypePath {
			p.fillPathKinds()
		}
		given, ok := values[d.Name]
		switch {
		case ok:
			p.Value = c.given(d, given, o)
		case d.HasDefault:
			p.Value = c.byDefault(d, o)
		default:
			c.fail(nil, valuePlace(d.Name), "has no value and no default", "give the parameter "+clip(d.Name)+" a value")
		}
		params = append(params, p)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !known[name] {
			c.fail(nil, valuePlace(name), "is no parameter of the templates", oneOf("leave it out", known))
		}
	}
	return params
}

func (p *JobParameter) fillPathKinds() {
	if p.ObjectType == "" {
		p.ObjectType = "DIRECTORY"
	}
	if p.DataFlow == "" {
		p.DataFlow = "NONE"
	}
}

// given checks a value of a submission and returns its canonical form.
func (c *checker) given(d *ParameterDefinition, v string, o Options) string {
	at := valuePlace(d.Name)
	switch d.Type {
	case TypeInt:
		i, err := parseInt(v)
		if err != nil {
			c.fail(nil, at, err.Error(), "give a whole number")
			return ""
		}
		v = strconv.FormatInt(i, 10)
	case TypeFloat:
		if _, err := parseFloat(v); err != nil {
			c.fail(nil, at, err.Error(), "give a number")
			return ""
		}
		v = strings.TrimSpace(v)
	default:
		if !utf8.ValidString(v) {
			c.fail(nil, at, "is not UTF-8", "give text in UTF-8")
			return ""
		}
		if n := utf8.RuneCountInString(v); n > maxText {
			c.fail(nil, at, fmt.Sprintf("has %d characters, and at most %d are allowed", n, maxText), "shorten it")
			return ""
		}
		if d.Type == TypePath {
			v = joinPath(o.WorkingDir, v)
		}
	}
	if rule := d.refuses(v); rule != "" {
		c.fail(nil, at, rule, "give another value")
	}
	return v
}

// byDefault is the default, of a PATH joined to the template's directory.
func (c *checker) byDefault(d *ParameterDefinition, o Options) string {
	if d.Type != TypePath {
		return d.Default
	}
	at := definitionPlace(d.Name).field("default")
	if rule := badDefaultPath(o.TemplateDir, d.Default); rule != "" {
		c.fail(nil, at, rule, "give a path relative to the template's directory, within it")
		return ""
	}
	v := joinPath(o.TemplateDir, d.Default)
	if rule := d.refuses(v); rule != "" {
		c.fail(nil, at, rule, "give the parameter a value, or loosen the constraint")
	}
	return v
}
