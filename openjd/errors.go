package openjd

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with a document or with the values given to it.
type Error struct {
	// Path leads to the place, as in steps[0].script.actions.onRun.command; empty
	// for the document as a whole.
	Path string
	// Rule is what the place breaks, with what was found.
	Rule string
	// Hint is what to do.
	Hint string
	// Line and Column count from 1; 0 when the place has none.
	Line, Column int
}

// Error gives the place, the rule and the hint in one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path)
	} else {
		b.WriteString("document")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", e.Line)
	}
	b.WriteString(": ")
	b.WriteString(e.Rule)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Errors is all that is wrong, in the order of the document. It is never empty
// when returned as an error.
type Errors []*Error

// Error gives one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the errors to errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}
