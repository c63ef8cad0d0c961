package farm

import (
	"errors"
	"fmt"
)

// Code says what kind of thing went wrong, so that each door can map it to its
// own numbers in one table.
type Code string

// The codes of an Error. Anything that is not an *Error counts as Internal.
const (
	Invalid      Code = "invalid"      // the request is at fault and would fail again
	Unauthorized Code = "unauthorized" // who asks is not known
	Forbidden    Code = "forbidden"    // who asks may not
	NotFound     Code = "not_found"    // the thing named does not exist
	Conflict     Code = "conflict"     // the thing is in a state that does not allow it
	Gone         Code = "gone"         // the lease or session has ended
	Full         Code = "full"         // no room for files
	Unavailable  Code = "unavailable"  // try again later: overload, shut-down, no durable store
	Internal     Code = "internal"     // a fault of Drover
)

// Error is the error of every verb. Message is written for people and names
// what to do; Err is the cause, for logs only.
type Error struct {
	Code    Code
	Message string
	Err     error
}

// Error returns the message, followed by the cause if there is one.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose message is formatted; a %w operand becomes its
// cause and part of its message.
func Errorf(c Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: c, Message: err.Error(), Err: nil}
}

// CodeOf returns the code of the first *Error in err's chain, Internal when
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// MessageOf returns what may be shown to a user: the message of the first
// *Error in err's chain, and a fixed sentence for any other error.
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "internal error; the farm's log has the details"
}
