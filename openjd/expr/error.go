package expr

import (
	"errors"
	"fmt"
)

// Error says what is wrong with an expression.
type Error struct {
	Message string
	// At is where in the text, in bytes from its beginning.
	At int
	// cause tells an evaluation that reached a limit from one that is wrong.
	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives ErrLimit for what reached a limit.
func (e *Error) Unwrap() error { return e.cause }

// ErrLimit is in the errors of an evaluation that took too many operations or too
// much memory: with larger limits it might succeed.
var ErrLimit = errors.New("limit reached")

func failf(format string, args ...any) *Error { return &Error{Message: fmt.Sprintf(format, args...)} }

// clip shortens text from an expression for a message.
func clip(s string) string {
	const most = 60
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
