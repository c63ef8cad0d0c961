package openjd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxRequirements   = 50
	maxCapabilityName = 100
	maxCapabilityText = 100
)

// amountMinimum lists the amounts that the specification defines, with the least
// that is reserved when a requirement does not say (section 3.3.1.1).
var amountMinimum = map[string]float64{
	"amount.worker.vcpu":         1,
	"amount.worker.memory":       0,
	"amount.worker.gpu":          0,
	"amount.worker.gpu.memory":   0,
	"amount.worker.disk.scratch": 0,
}

// attributeValues lists the attributes that the specification defines, with their
// values (section 3.3.2.1). A host has one value of each.
var attributeValues = map[string][]string{
	"attr.worker.os.family": {"linux", "windows", "macos"},
	"attr.worker.cpu.arch":  {"x86_64", "arm64"},
}

// reservedScopes may begin the names of the specification's capabilities only.
var reservedScopes = []string{"worker", "job", "step", "task"}

var capabilityValue = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// host reads hostRequirements (section 3.3).
func (c *checker) host(n *node, at *place, s scope) *hostTemplate {
	o, ok := c.object(n, at, "amounts", "attributes")
	if !ok {
		return nil
	}
	h := &hostTemplate{at: at}
	amounts, attributes := o.get("amounts"), o.get("attributes")
	count := 0
	if amounts != nil {
		for i, item := range c.list(amounts, at.field("amounts"), 1, 0) {
			h.amounts = append(h.amounts, c.amount(item, at.field("amounts").item(i), s))
		}
		count += len(h.amounts)
	}
	if attributes != nil {
		for i, item := range c.list(attributes, at.field("attributes"), 1, 0) {
			h.attributes = append(h.attributes, c.attribute(item, at.field("attributes").item(i), s))
		}
		count += len(h.attributes)
	}
	if amounts == nil && attributes == nil {
		c.fail(n, at, "has neither amounts nor attributes", "add one of them, or leave hostRequirements out")
	}
	if count > maxRequirements {
		c.fail(n, at, fmt.Sprintf("has %d requirements, and at most %d are allowed", count, maxRequirements), "use fewer")
	}
	c.literalNames(n, h)
	return h
}

// literalNames finds repeated names among those that are known already.
func (c *checker) literalNames(n *node, h *hostTemplate) {
	seen := map[string]*place{}
	for _, a := range h.amounts {
		if a.name.literal() {
			c.unique(seen, n, a.at.field("name"), strings.ToLower(a.name.raw), "the capability")
		}
	}
	for _, a := range h.attributes {
		if a.name.literal() {
			c.unique(seen, n, a.at.field("name"), strings.ToLower(a.name.raw), "the capability")
		}
	}
}

// capability reads the name of a capability, which may be a format string.
func (o object) capability(kind string, s scope) FormatString {
	n := o.need("name")
	if n == nil {
		return FormatString{}
	}
	at := o.at.field("name")
	f, ok := o.c.format(n, at, s)
	if ok && f.literal() {
		if rule := checkCapability(kind, f.raw); rule != "" {
			o.c.fail(n, at, rule, capabilityHint(kind))
		}
	}
	return f
}

func capabilityHint(kind string) string {
	return fmt.Sprintf("name it %s.worker.… as the specification does, or %s.<name> of your own", kind, kind)
}

// checkCapability tells why name is not a capability of the kind amount or attr, or
// is empty.
func checkCapability(kind, name string) string {
	if n := utf8.RuneCountInString(name); n > maxCapabilityName {
		return fmt.Sprintf("has %d characters, and at most %d are allowed", n, maxCapabilityName)
	}
	lower := strings.ToLower(name)
	vendor, rest, prefixed := strings.Cut(lower, ":")
	if !prefixed {
		rest = lower
	}
	parts := strings.Split(rest, ".")
	bad := prefixed && !isIdentifier(vendor) || len(parts) < 2 || parts[0] != kind ||
		slices.ContainsFunc(parts, func(p string) bool { return !isIdentifier(p) })
	if bad {
		return fmt.Sprintf("%q is not a name of the form [vendor:]%s.<name>[.<name>…]", clip(name), kind)
	}
	_, amount := amountMinimum[lower]
	_, attr := attributeValues[lower]
	if !amount && !attr && slices.Contains(reservedScopes, parts[1]) {
		return fmt.Sprintf("%q uses the reserved word %s and is none of the specification's capabilities", clip(name), parts[1])
	}
	return ""
}

func (c *checker) amount(n *node, at *place, s scope) (a amountTemplate) {
	a.at = at
	o, ok := c.object(n, at, "name", "min", "max")
	if !ok {
		return a
	}
	a.name = o.capability("amount", s)
	low, high := o.get("min"), o.get("max")
	if low == nil && high == nil {
		c.fail(n, at, "has neither min nor max", "add one of them")
	}
	if low != nil {
		a.min = c.amountBound(low, at.field("min"), s, checkMin)
	}
	if high != nil {
		a.max = c.amountBound(high, at.field("max"), s, checkMax)
	}
	if a.min != nil && a.max != nil && a.min.text.literal() && a.max.text.literal() {
		if rule := checkOrder(a.min.text.raw, a.max.text.raw); rule != "" {
			c.fail(n, at, rule, "raise max or lower min")
		}
	}
	return a
}

func (c *checker) amountBound(n *node, at *place, s scope, check func(string) string) *numberTemplate {
	if n.kind == kindString && !c.bundle1 {
		c.fail(n, at, "is a string and must be a number", "write a number, or name the extension FEATURE_BUNDLE_1")
		return nil
	}
	return c.numberText(n, at, s, check)
}

func checkMin(text string) string {
	f, err := parseFloat(text)
	if err != nil {
		return err.Error()
	}
	if f < 0 {
		return clip(text) + " is negative"
	}
	return ""
}

func checkMax(text string) string {
	f, err := parseFloat(text)
	if err != nil {
		return err.Error()
	}
	if f <= 0 {
		return clip(text) + " is not positive"
	}
	return ""
}

func checkOrder(low, high string) string {
	if compareNumbers(TypeFloat, low, high) > 0 {
		return fmt.Sprintf("has min %s above max %s", clip(low), clip(high))
	}
	return ""
}

func (c *checker) attribute(n *node, at *place, s scope) (a attributeTemplate) {
	a.at = at
	o, ok := c.object(n, at, "name", "anyOf", "allOf")
	if !ok {
		return a
	}
	a.name = o.capability("attr", s)
	anyOf, allOf := o.get("anyOf"), o.get("allOf")
	if anyOf == nil && allOf == nil {
		c.fail(n, at, "has neither anyOf nor allOf", "add one of them")
	}
	if anyOf != nil {
		a.anyOf = c.attributeList(anyOf, at.field("anyOf"), a.name, s)
	}
	if allOf != nil {
		a.allOf = c.attributeList(allOf, at.field("allOf"), a.name, s)
		if a.name.literal() {
			if rule := checkAllOf(a.name.raw, len(a.allOf)); rule != "" {
				c.fail(allOf, at.field("allOf"), rule, "give one value, or use anyOf")
			}
		}
	}
	return a
}

func (c *checker) attributeList(n *node, at *place, name FormatString, s scope) []FormatString {
	var list []FormatString
	for i, item := range c.list(n, at, 1, maxRequirements) {
		f, ok := c.formatItem(item, at.item(i), s)
		if !ok {
			continue
		}
		list = append(list, f)
		if !f.literal() {
			continue
		}
		known := ""
		if name.literal() {
			known = name.raw
		}
		if rule := checkAttributeValue(known, f.raw); rule != "" {
			c.fail(item, at.item(i), rule, "change the value")
		}
	}
	return list
}

// checkAttributeValue tells why value is none of the attribute name, or is empty.
func checkAttributeValue(name, value string) string {
	if n := utf8.RuneCountInString(value); n > maxCapabilityText {
		return fmt.Sprintf("has %d characters, and at most %d are allowed", n, maxCapabilityText)
	}
	if !capabilityValue.MatchString(value) {
		return fmt.Sprintf("%q is not a value of letters A-Z a-z, digits, _ and -, beginning with a letter or _", clip(value))
	}
	known := attributeValues[strings.ToLower(name)]
	if known != nil && !slices.Contains(known, strings.ToLower(value)) {
		return fmt.Sprintf("%q is not one of %s", clip(value), strings.Join(known, ", "))
	}
	return ""
}

// checkAllOf refuses to ask for several values of what a host has one of.
func checkAllOf(name string, count int) string {
	if attributeValues[strings.ToLower(name)] != nil && count > 1 {
		return fmt.Sprintf("asks for %d values at once of %s, of which a host has one", count, name)
	}
	return ""
}
