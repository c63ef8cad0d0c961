package openjd

import "fmt"

// environments reads a list of environments under key; names are unique over the
// whole template, which seen holds.
func (o object) environments(key string, s scope, seen map[string]*place) []envTemplate {
	n, at := o.get(key), o.at.field(key)
	if n == nil {
		return nil
	}
	items := o.c.list(n, at, 1, 0)
	envs := make([]envTemplate, 0, len(items))
	for i, item := range items {
		e := o.c.environment(item, at.item(i), s)
		o.c.unique(seen, item, at.item(i).field("name"), e.name, "the environment name")
		envs = append(envs, e)
	}
	return envs
}

func (c *checker) environment(n *node, at *place, s scope) (e envTemplate) {
	o, ok := c.object(n, at, "name", "description", "script", "variables")
	if !ok {
		return e
	}
	if n := o.need("name"); n != nil {
		e.name = c.name(n, at.field("name"), c.lim.envName)
	}
	e.expr, e.description = c.expr, o.description()
	script, variables := o.get("script"), o.get("variables")
	if script == nil && variables == nil {
		c.fail(n, at, "has neither script nor variables", "add one of them")
	}
	host := s.onHost(PrefixEnvFile, nil)
	if script != nil {
		e.script, host = c.envScript(script, at.field("script"), s)
	}
	if variables != nil {
		e.variables = c.variables(variables, at.field("variables"), host)
	}
	return e
}

func (c *checker) envScript(n *node, at *place, s scope) (*envScript, scope) {
	host := s.onHost(PrefixEnvFile, nil)
	o, ok := c.object(n, at, "let", "actions", "embeddedFiles")
	if !ok {
		return nil, host
	}
	script := &envScript{files: o.embeddedFiles()}
	outer := s.onHost(PrefixEnvFile, script.files)
	script.lets, host = o.lets(outer)
	o.data(script.files, host)
	n = o.need("actions")
	if n == nil {
		return script, outer
	}
	at = at.field("actions")
	a, ok := c.object(n, at, "onEnter", "onExit")
	if !ok {
		return script, outer
	}
	enter, exit := a.get("onEnter"), a.get("onExit")
	if enter == nil && exit == nil {
		c.fail(n, at, "has neither onEnter nor onExit", "add one of them")
	}
	if enter != nil {
		script.onEnter = c.action(enter, at.field("onEnter"), s, host)
	}
	if exit != nil {
		script.onExit = c.action(exit, at.field("onExit"), s, host)
	}
	return script, outer
}

// variables reads environment variables (section 4.4).
func (c *checker) variables(n *node, at *place, host scope) []Variable {
	if n.kind != kindMap {
		c.fail(n, at, "is "+n.kind.String()+" and must be an object", "write variables as NAME: value")
		return nil
	}
	if len(n.keys) == 0 {
		c.fail(n, at, "has no variables", "add one, or leave the key out")
	}
	vars := make([]Variable, 0, len(n.keys))
	for i, name := range n.keys {
		at := at.field(name)
		if len(name) > 256 || !isIdentifier(name) {
			c.fail(n.items[i], at, fmt.Sprintf("%q is not the name of an environment variable", clip(name)),
				"use at most 256 letters A-Z a-z, digits and _, and do not begin with a digit")
		}
		if f, ok := c.format(n.items[i], at, host); ok && c.sized(n.items[i], at, f.raw, 0, 2048) {
			vars = append(vars, Variable{Name: name, Value: f})
		}
	}
	return vars
}
