package openjd

import (
	"errors"
	"fmt"
	"strings"
)

const maxCombination = 1280

// combination is a node of a combination expression (section 3.4.3): a parameter,
// or the product or association of parts.
type combination struct {
	param int
	parts []*combination
	// assoc tells an association from a product; both have parts.
	assoc bool
}

// parseCombination reads an expression over the given parameter names, each of
// which must occur once.
func parseCombination(s string, names []string) (*combination, error) {
	if len(s) > maxCombination {
		return nil, fmt.Errorf("has %d characters, and at most %d are allowed", len(s), maxCombination)
	}
	p := combinationParser{text: s, names: make(map[string]int, len(names)), used: make([]bool, len(names))}
	for i, name := range names {
		p.names[name] = i
	}
	root, err := p.product()
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.at < len(s) {
		return nil, fmt.Errorf("%q cannot stand there", clip(s[p.at:]))
	}
	for i, used := range p.used {
		if !used {
			return nil, fmt.Errorf("leaves out the parameter %s", clip(names[i]))
		}
	}
	return root, nil
}

type combinationParser struct {
	text  string
	at    int
	names map[string]int
	used  []bool
}

func (p *combinationParser) blanks() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

func (p *combinationParser) take(c byte) bool {
	if p.blanks(); p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *combinationParser) product() (*combination, error) {
	return p.sequence('*', p.element)
}

// sequence reads parts that a separator joins; one part stands for itself.
func (p *combinationParser) sequence(sep byte, part func() (*combination, error)) (*combination, error) {
	var parts []*combination
	for {
		c, err := part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
		if !p.take(sep) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return &combination{parts: parts, assoc: sep == ','}, nil
}

func (p *combinationParser) element() (*combination, error) {
	if p.take('(') {
		c, err := p.sequence(',', p.product)
		if err != nil {
			return nil, err
		}
		if !p.take(')') {
			return nil, errors.New("has an opening parenthesis that nothing closes")
		}
		return c, nil
	}
	start := p.at
	for p.at < len(p.text) && isIdentifier("_"+p.text[p.at:p.at+1]) {
		p.at++
	}
	name := p.text[start:p.at]
	if name == "" {
		if rest := p.text[p.at:]; rest != "" {
			return nil, fmt.Errorf("has %q where a parameter's name must stand", clip(rest))
		}
		return nil, errors.New("ends where a parameter's name must stand")
	}
	i, ok := p.names[name]
	if !ok {
		return nil, fmt.Errorf("%s is no task parameter of this step", clip(name))
	}
	if p.used[i] {
		return nil, fmt.Errorf("names the parameter %s twice", clip(name))
	}
	p.used[i] = true
	return &combination{param: i}, nil
}

// productOf combines n parameters in their order.
func productOf(n int) *combination {
	c := &combination{}
	for i := range n {
		c.parts = append(c.parts, &combination{param: i})
	}
	if n == 1 {
		return c.parts[0]
	}
	return c
}

// associates reports whether param stands within an association.
func (c *combination) associates(param int) bool {
	for _, part := range c.parts {
		if c.assoc && part.holds(param) || part.associates(param) {
			return true
		}
	}
	return false
}

func (c *combination) holds(param int) bool {
	if c.parts == nil {
		return c.param == param
	}
	for _, part := range c.parts {
		if part.holds(param) {
			return true
		}
	}
	return false
}

var errTooMany = errors.New("has more than 2^62 tasks")

// length counts the combinations, given the count of each parameter; -1 stands for
// a count that is not known yet, and comes back when it matters. Parts of an
// association must have one length.
func (c *combination) length(counts []int64, names []string) (int64, error) {
	if c.parts == nil {
		return counts[c.param], nil
	}
	total := int64(1)
	known := int64(-1)
	for _, part := range c.parts {
		n, err := part.length(counts, names)
		if err != nil {
			return 0, err
		}
		switch {
		case c.assoc && n >= 0 && known >= 0 && n != known:
			return 0, fmt.Errorf("associates %d values with %d values at (%s)", known, n, c.write(names))
		case c.assoc:
			known = max(known, n)
		case n < 0 || total < 0:
			total = -1
		case n > 0 && total > maxRangeValue/n:
			return 0, errTooMany
		default:
			total *= n
		}
	}
	if c.assoc {
		return known, nil
	}
	return total, nil
}

// write names the parameters of c in an error.
func (c *combination) write(names []string) string {
	if c.parts == nil {
		return clip(names[c.param])
	}
	parts := make([]string, len(c.parts))
	for i, part := range c.parts {
		parts[i] = part.write(names)
	}
	if c.assoc {
		return clip(strings.Join(parts, ", "))
	}
	return clip(strings.Join(parts, " * "))
}
