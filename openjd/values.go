package openjd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ParameterValues reads a JSON or YAML object of parameter values by name, with
// strings, numbers, booleans and lists of these, into the text form that
// Instantiate takes. The error is Errors.
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
		if item.kind == kindList {
			values[name] = jsonText(item)
			continue
		}
		if item.kind == kindNull || item.kind == kindMap {
			c.fail(item, (*place)(nil).field(name), "is "+item.kind.String()+" and must be a string or a number", "give the value itself")
		}
		values[name] = item.text
	}
	return values, c.err()
}

// jsonText writes a value of a document as JSON.
func jsonText(n *node) string {
	switch n.kind {
	case kindList:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = jsonText(item)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case kindInt, kindFloat, kindBool:
		return jsonItem(TypeFloat, n.text)
	case kindNull, kindMap:
		return "null" // no list has such items, which whoever reads it finds
	}
	return jsonItem(TypeString, n.text)
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
		if d.Type == TypePath || d.Type == TypeListPath {
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
	if !utf8.ValidString(v) {
		c.fail(nil, at, "is not UTF-8", "give text in UTF-8")
		return ""
	}
	if n := utf8.RuneCountInString(v); n > maxText && (d.Type == TypeString || d.Type == TypePath) {
		c.fail(nil, at, fmt.Sprintf("has %d characters, and at most %d are allowed", n, maxText), "shorten it")
		return ""
	}
	v, rule := givenText(d.Type, v, c.joiner(o.WorkingDir))
	if rule != "" {
		c.fail(nil, at, rule, "give a value of the type "+string(d.Type))
		return ""
	}
	if rule := d.refuses(v); rule != "" {
		c.fail(nil, at, rule, "give another value")
	}
	return v
}

// byDefault is the default, of a PATH joined to the template's directory.
func (c *checker) byDefault(d *ParameterDefinition, o Options) string {
	paths := []string{d.Default}
	switch d.Type {
	case TypePath:
	case TypeListPath:
		paths, _ = listItems(d.Type, d.Default)
	default:
		return d.Default
	}
	at := definitionPlace(d.Name).field("default")
	for _, p := range paths {
		if rule := badDefaultPath(o.TemplateDir, p); rule != "" && !(c.expr && isURI(p)) {
			c.fail(nil, at, rule, "give a path relative to the template's directory, within it")
			return ""
		}
	}
	v, _ := givenText(d.Type, d.Default, c.joiner(o.TemplateDir))
	if rule := d.refuses(v); rule != "" {
		c.fail(nil, at, rule, "give the parameter a value, or loosen the constraint")
	}
	return v
}

// joiner joins relative paths to dir; with the extension EXPR a URI is none.
func (c *checker) joiner(dir string) func(string) string {
	return func(p string) string {
		if c.expr && isURI(p) {
			return p
		}
		return joinPath(dir, p)
	}
}
