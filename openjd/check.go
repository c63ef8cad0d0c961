package openjd

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"drover.farm/openjd/expr"
)

// What the expressions of a document may take while it is checked, so that no
// document takes long. What takes more is left to be found when a job is made.
const (
	checkOps   = 150_000
	checkBytes = 16_000_000
)

// maxErrors bounds how many errors of one document are told.
const maxErrors = 100

// limits are the numbers that FEATURE_BUNDLE_1 raises.
type limits struct {
	identifier, jobName, stepName, envName, parameters, filename int
}

// checker gathers the errors of a document.
type checker struct {
	errs Errors
	// more counts the errors beyond maxErrors.
	more int
	lim  limits
	// bundle1 and chunking tell which extensions the document names.
	bundle1, chunking, expr bool
	// budget is what evaluating the document's expressions may take, to know their
	// types.
	budget expr.Budget
	// exprText is how many bytes of expressions are left to the document.
	exprText int
}

func newChecker() *checker {
	return &checker{exprText: maxExprText, budget: expr.Budget{Ops: checkOps, Bytes: checkBytes}, lim: limits{identifier: 64, jobName: 128, stepName: 64, envName: 64, parameters: 50, filename: 64}}
}

func (c *checker) fail(n *node, at *place, rule, hint string) {
	if len(c.errs) >= maxErrors {
		c.more++
		return
	}
	e := &Error{Path: at.String(), Rule: rule, Hint: hint}
	if n != nil {
		e.Line, e.Column = int(n.line), int(n.col)
	}
	c.errs = append(c.errs, e)
}

// failures counts the errors so far, with those that are not told.
func (c *checker) failures() int { return len(c.errs) + c.more }

// err is what was gathered, as an error.
func (c *checker) err() error {
	if len(c.errs) == 0 {
		return nil
	}
	if c.more > 0 {
		c.errs = append(c.errs, &Error{Rule: fmt.Sprintf("has %d more errors", c.more), Hint: "mend those above first"})
	}
	return c.errs
}

// object is a mapping whose keys were checked.
type object struct {
	c  *checker
	n  *node
	at *place
}

// object checks that n is a mapping of known keys only. What is wrong with the
// keys is told, and does not hinder the use of the others.
func (c *checker) object(n *node, at *place, known ...string) (object, bool) {
	if n.kind != kindMap {
		c.fail(n, at, "is "+n.kind.String()+" and must be an object", "write it as keys and values: "+strings.Join(known, ", "))
		return object{}, false
	}
	for i, key := range n.keys {
		if !slices.Contains(known, key) {
			rule, hint := unknownKey(key, known)
			c.fail(n.items[i], at.field(key), rule, hint)
		}
	}
	return object{c: c, n: n, at: at}, true
}

func unknownKey(key string, known []string) (rule, hint string) {
	switch key {
	case "let":
		return "belongs to the extension EXPR", "add EXPR to extensions"
	case "onWrapEnvEnter", "onWrapTaskRun", "onWrapEnvExit":
		return "belongs to the extension WRAP_ACTIONS, which is not supported", "remove it"
	case "<<":
		return "is a merge key, which YAML 1.2 does not have", "repeat the keys"
	}
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return "is not a known key", "write it as " + k
		}
	}
	return "is not a known key", "remove it; known here: " + strings.Join(known, ", ")
}

// get is the value of a key, nil when it is absent. An explicit null counts as
// absent, as in the reference implementations.
func (o object) get(key string) *node {
	n := o.raw(key)
	if n == nil || n.kind == kindNull {
		return nil
	}
	return n
}

func (o object) raw(key string) *node {
	if i := slices.Index(o.n.keys, key); i >= 0 {
		return o.n.items[i]
	}
	return nil
}

// need is get for a key that must be there.
func (o object) need(key string) *node {
	n := o.get(key)
	if n == nil {
		o.c.fail(o.n, o.at, "has no "+key, "add the key "+key)
	}
	return n
}

// text is the string of n; ok is false, and the error told, when it is none.
func (c *checker) text(n *node, at *place) (string, bool) {
	if n.kind == kindString {
		return n.text, true
	}
	hint := "write it as a string"
	if n.text != "" {
		hint = fmt.Sprintf("put it in quotes: %q", clip(n.text))
	}
	c.fail(n, at, "is "+n.kind.String()+" and must be a string", hint)
	return "", false
}

// list checks that n is a list of least to most items (no bound where most is 0).
func (c *checker) list(n *node, at *place, least, most int) []*node {
	if n.kind != kindList {
		c.fail(n, at, "is "+n.kind.String()+" and must be a list", "write it as a list")
		return nil
	}
	if len(n.items) < least {
		c.fail(n, at, fmt.Sprintf("has %d items and needs at least %d", len(n.items), least), "add one, or leave the key out")
	}
	if most > 0 && len(n.items) > most {
		c.fail(n, at, fmt.Sprintf("has %d items, and at most %d are allowed", len(n.items), most), "use fewer")
	}
	return n.items
}

// sized checks the length of a string in characters; most is no bound when 0.
func (c *checker) sized(n *node, at *place, s string, least, most int) bool {
	count := utf8.RuneCountInString(s)
	switch {
	case count < least:
		c.fail(n, at, "is empty", "give at least one character")
	case most > 0 && count > most:
		hint := "shorten it"
		if raised := map[int]int{64: 512, 128: 512}[most]; raised > 0 && !c.bundle1 {
			hint = "shorten it, or name the extension FEATURE_BUNDLE_1, which allows more for most names"
		}
		c.fail(n, at, fmt.Sprintf("has %d characters, and at most %d are allowed", count, most), hint)
	default:
		return true
	}
	return false
}

// printable checks that s has no control characters but those in except.
func (c *checker) printable(n *node, at *place, s, except string) bool {
	r, found := controlIn(s, except)
	if found {
		c.fail(n, at, fmt.Sprintf("has the control character U+%04X", r), "remove it")
	}
	return !found
}

func controlIn(s, except string) (rune, bool) {
	for _, r := range s {
		if unicode.Is(unicode.Cc, r) && !strings.ContainsRune(except, r) {
			return r, true
		}
	}
	return 0, false
}

// name reads a string of 1 to most characters without control characters.
func (c *checker) name(n *node, at *place, most int) string {
	s, ok := c.text(n, at)
	if !ok || !c.sized(n, at, s, 1, most) || !c.printable(n, at, s, "") {
		return ""
	}
	return s
}

// identifier reads an identifier (section 7.1), empty when it is none.
func (c *checker) identifier(n *node, at *place) string {
	s, ok := c.text(n, at)
	if !ok || !c.sized(n, at, s, 1, c.lim.identifier) {
		return ""
	}
	if !isIdentifier(s) {
		c.fail(n, at, fmt.Sprintf("%q is not an identifier", clip(s)), "use letters A-Z a-z, digits and _, and do not begin with a digit")
		return ""
	}
	return s
}

// description reads the optional key description (section 7.2).
func (o object) description() string {
	n, at := o.get("description"), o.at.field("description")
	if n == nil {
		return ""
	}
	s, ok := o.c.text(n, at)
	if ok && o.c.sized(n, at, s, 1, 2048) {
		o.c.printable(n, at, s, "\n\r\t")
	}
	return s
}

// choice reads a string that must be one of the given.
func (c *checker) choice(n *node, at *place, of ...string) string {
	s, ok := c.text(n, at)
	if !ok {
		return ""
	}
	if !slices.Contains(of, s) {
		c.fail(n, at, fmt.Sprintf("%q is not allowed", clip(s)), "use one of "+strings.Join(of, ", "))
		return ""
	}
	return s
}

// flag reads a boolean.
func (c *checker) flag(n *node, at *place) bool {
	if n.kind != kindBool {
		c.fail(n, at, "is "+n.kind.String()+" and must be a boolean", "write true or false")
	}
	return n.text == "true"
}

// unique tells repeated names; seen maps a name to where it stood first.
func (c *checker) unique(seen map[string]*place, n *node, at *place, name, what string) {
	if name == "" {
		return
	}
	if first := seen[name]; first != nil {
		c.fail(n, at, fmt.Sprintf("%s %q is already used at %s", what, clip(name), first), "give it another name")
		return
	}
	seen[name] = at
}
