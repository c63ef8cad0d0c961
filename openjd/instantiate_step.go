package openjd

import (
	"fmt"
	"strconv"
	"strings"

	"drover.farm/openjd/expr"
)

// host resolves requirements and checks what the template could not: names and
// values that come from parameters.
func (m *maker) host(h *hostTemplate) *HostRequirements {
	out := &HostRequirements{}
	seen := map[string]*place{}
	for _, a := range h.amounts {
		name, ok := m.capability("amount", a.name, a.at, seen)
		if !ok {
			continue
		}
		r := AmountRequirement{Name: name, Min: amountMinimum[name]}
		m.amount(&r, a)
		out.Amounts = append(out.Amounts, r)
	}
	for _, a := range h.attributes {
		name, ok := m.capability("attr", a.name, a.at, seen)
		if !ok {
			continue
		}
		r := AttributeRequirement{Name: name}
		r.AnyOf = m.attributeValues(name, a.anyOf, a.at.field("anyOf"))
		r.AllOf = m.attributeValues(name, a.allOf, a.at.field("allOf"))
		if rule := checkAllOf(name, len(r.AllOf)); rule != "" {
			m.c.fail(nil, a.at.field("allOf"), rule, "give one value, or use anyOf")
		}
		out.Attributes = append(out.Attributes, r)
	}
	return out
}

func (m *maker) capability(kind string, f FormatString, at *place, seen map[string]*place) (string, bool) {
	at = at.field("name")
	name, ok := m.resolve(f, at)
	if !ok {
		return "", false
	}
	if rule := checkCapability(kind, name); rule != "" {
		m.c.fail(nil, at, rule, capabilityHint(kind))
		return "", false
	}
	name = strings.ToLower(name)
	m.c.unique(seen, nil, at, name, "the capability")
	return name, true
}

func (m *maker) amount(r *AmountRequirement, a amountTemplate) {
	low, high := "", ""
	ok := true
	if m.given(a.min) {
		low, ok = m.number(a.min, checkMin)
		r.Min, _ = parseFloat(low)
	}
	if m.given(a.max) && ok {
		high, ok = m.number(a.max, checkMax)
		r.Max, _ = parseFloat(high)
		r.HasMax = true
	}
	if low == "" && r.HasMax && r.Min > r.Max {
		// The default minimum gives way to a maximum below it.
		r.Min = r.Max
	}
	if low != "" && high != "" && ok {
		if rule := checkOrder(low, high); rule != "" {
			m.c.fail(nil, a.at, rule, "raise max or lower min")
		}
	}
}

func (m *maker) attributeValues(name string, list []FormatString, at *place) []string {
	var values []string
	for i, f := range list {
		for _, v := range m.resolveItem(f, at.item(i)) {
			if rule := checkAttributeValue(name, v); rule != "" {
				m.c.fail(nil, at.item(i), rule, "change the value")
			}
			values = append(values, v)
		}
	}
	return values
}

// space resolves a parameter space.
func (m *maker) space(t *spaceTemplate) *Space {
	before := m.c.failures()
	params := make([]spaceParam, len(t.params))
	var chunking *Chunking
	for i, p := range t.params {
		params[i] = m.taskParam(p)
		if p.chunks != nil {
			chunking = m.chunking(p)
		}
	}
	if m.c.failures() > before {
		return nil
	}
	s, err := newSpace(params, t.combination, chunking)
	if err != nil {
		m.c.fail(nil, t.at.field("combination"), err.Error(), "give associated parameters the same number of values, and fewer in all")
		return nil
	}
	return s
}

func (m *maker) taskParam(t taskParamTemplate) spaceParam {
	p := spaceParam{name: t.name, typ: t.typ}
	at := t.at.field("range")
	texts, listed := m.rangeList(t.expr, at)
	if t.values == nil && !listed {
		s, ok := m.resolve(t.expr, at)
		if !ok {
			return p
		}
		r, err := ParseRange(s)
		if err != nil {
			m.c.fail(nil, at, err.Error(), "write integers and ranges as in 1-10:2,20, without overlaps")
		}
		p.ints = r
		return p
	}
	for i, f := range t.values {
		texts = append(texts, m.resolveItem(f, at.item(i))...)
	}
	p.texts = make([]string, 0, len(texts))
	for i, s := range texts {
		v, rule := taskValue(t.typ, s)
		if rule != "" {
			m.c.fail(nil, at.item(i), rule, "give a value of the type "+string(t.typ))
			continue
		}
		p.texts = append(p.texts, v)
	}
	if len(texts) == 0 || len(texts) > maxRangeList {
		m.c.fail(nil, at, fmt.Sprintf("has %d values, and 1 to %d are allowed", len(texts), maxRangeList), "give other values")
	}
	if t.typ == TypeChunkInt {
		// Chunks are sets of integers; a list's order and repeats have no place.
		ints := make([]int64, len(p.texts))
		for i, v := range p.texts {
			ints[i], _ = strconv.ParseInt(v, 10, 64)
		}
		p.ints, p.texts = rangeOf(ints), nil
	}
	return p
}

// rangeList is the values of a range that is one expression giving a list.
func (m *maker) rangeList(f FormatString, at *place) (texts []string, listed bool) {
	if !f.whole() {
		return nil, false
	}
	v, err := f.parts[0].value(m.symbols, m.budget)
	if err != nil || !v.Known() || v.Type().Kind != expr.KindList {
		return nil, false
	}
	return m.resolveItem(f, at), true
}

func (m *maker) chunking(p taskParamTemplate) *Chunking {
	out := &Chunking{Parameter: p.name, Constraint: p.chunks.constraint}
	if s, ok := m.number(p.chunks.count, checkTaskCount); ok {
		i, _ := parseInt(s)
		out.DefaultTaskCount = int(i)
	}
	if m.given(p.chunks.target) {
		if s, ok := m.number(p.chunks.target, checkTargetRuntime); ok {
			i, _ := parseInt(s)
			out.TargetRuntimeSeconds = int(i)
		}
	}
	return out
}
