package openjd

import (
	"fmt"
	"slices"
	"strconv"
)

// MergeDefinitions merges the definitions of environment templates, in their
// order, and of the job template (section 1.2.1); job may be nil. A parameter of
// several templates keeps the meet of their constraints, the last default, and the
// description and hints of the last. The error is Errors.
func MergeDefinitions(envs []*EnvironmentTemplate, job *JobTemplate) ([]ParameterDefinition, error) {
	m := merger{index: map[string]int{}, c: newChecker()}
	for _, e := range envs {
		for _, d := range e.params {
			m.add(d)
		}
	}
	if job != nil {
		for _, d := range job.params {
			m.add(d)
		}
	}
	m.check()
	return m.defs, m.c.err()
}

type merger struct {
	defs  []ParameterDefinition
	index map[string]int
	// merged tells which definitions come from several templates, broken which of
	// them are in conflict.
	merged, broken []bool
	c              *checker
}

func (m *merger) add(d ParameterDefinition) {
	i, known := m.index[d.Name]
	if !known {
		m.index[d.Name] = len(m.defs)
		m.defs = append(m.defs, d)
		m.merged, m.broken = append(m.merged, false), append(m.broken, false)
		return
	}
	if rule := conflict(m.defs[i], d); rule != "" {
		m.fail(i, rule, "make the templates agree, or rename the parameter in one of them")
		return
	}
	m.merged[i] = true
	limited := len(m.defs[i].AllowedValues) > 0 && len(d.AllowedValues) > 0
	m.defs[i] = meet(m.defs[i], d)
	if limited && len(m.defs[i].AllowedValues) == 0 {
		m.fail(i, "has no value that all templates allow", "give the templates an allowed value in common")
	}
}

func (m *merger) fail(i int, rule, hint string) {
	m.broken[i] = true
	m.c.fail(nil, definitionPlace(m.defs[i].Name), rule, hint)
}

func definitionPlace(name string) *place {
	return (*place)(nil).field("parameterDefinitions").field(name)
}

// check finds definitions that no longer agree with themselves.
func (m *merger) check() {
	for i := range m.defs {
		d := &m.defs[i]
		if !m.merged[i] || m.broken[i] {
			continue
		}
		if rule := d.contradiction(); rule != "" {
			m.fail(i, rule+" once the templates are merged", "make the templates agree")
		} else if d.HasDefault {
			if rule := d.refuses(d.Default); rule != "" {
				m.fail(i, "has a default that the merged templates refuse: "+rule, "change the default")
			}
		}
	}
}

// conflict tells why two definitions cannot be merged, or is empty.
func conflict(a, b ParameterDefinition) string {
	switch {
	case a.Type != b.Type:
		return fmt.Sprintf("is of type %s in one template and %s in another", a.Type, b.Type)
	case a.ObjectType != "" && b.ObjectType != "" && a.ObjectType != b.ObjectType:
		return fmt.Sprintf("has the objectType %s in one template and %s in another", a.ObjectType, b.ObjectType)
	case a.DataFlow != "" && b.DataFlow != "" && a.DataFlow != b.DataFlow:
		return fmt.Sprintf("has the dataFlow %s in one template and %s in another", a.DataFlow, b.DataFlow)
	}
	return ""
}

// meet is b with what a adds to it.
func meet(a, b ParameterDefinition) ParameterDefinition {
	if !b.HasDefault {
		b.Default, b.HasDefault = a.Default, a.HasDefault
	}
	if b.Description == "" {
		b.Description = a.Description
	}
	if b.ObjectType == "" {
		b.ObjectType = a.ObjectType
	}
	if b.DataFlow == "" {
		b.DataFlow = a.DataFlow
	}
	b.MinLength = tighter(a.MinLength, b.MinLength, func(x, y int) bool { return x > y })
	b.MaxLength = tighter(a.MaxLength, b.MaxLength, func(x, y int) bool { return x < y })
	if b.MinValue == "" || a.MinValue != "" && compareNumbers(b.Type, a.MinValue, b.MinValue) > 0 {
		b.MinValue = a.MinValue
	}
	if b.MaxValue == "" || a.MaxValue != "" && compareNumbers(b.Type, a.MaxValue, b.MaxValue) < 0 {
		b.MaxValue = a.MaxValue
	}
	switch {
	case b.Item == nil:
		b.Item = a.Item
	case a.Item != nil:
		item := meet(*a.Item, *b.Item)
		b.Item = &item
	}
	b.AllowedValues = common(b.Type, a.AllowedValues, b.AllowedValues)
	return b
}

func tighter(a, b *int, wins func(x, y int) bool) *int {
	if b == nil || a != nil && wins(*a, *b) {
		return a
	}
	return b
}

// common is the values of b that are in a too; an empty list allows all.
func common(t ParamType, a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	in := make(map[string]bool, len(a))
	for _, v := range a {
		in[valueKey(t, v)] = true
	}
	return slices.DeleteFunc(slices.Clone(b), func(v string) bool { return !in[valueKey(t, v)] })
}

// valueKey is the same for values of the type that are the same.
func valueKey(t ParamType, v string) string {
	if t == TypeInt || t == TypeFloat {
		if f, err := parseFloat(v); err == nil && t == TypeFloat {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	return v
}
