package simulation

import "fmt"

// Kind says what is wrong with a request.
type Kind string

// The kinds of Fault.
const (
	Invalid         Kind = "invalid"
	NoLocation      Kind = "no-location"
	NotFound        Kind = "not-found"
	NoPermission    Kind = "no-permission"
	Exists          Kind = "exists"
	Conflict        Kind = "conflict"
	PreviewIsLocal  Kind = "preview"
	Busy            Kind = "busy"
	NotOnThisSystem Kind = "platform"
)

// Fault is a request that is refused, with a sentence for people.
type Fault struct {
	Kind    Kind
	Message string
}

// Error returns the message.
func (f *Fault) Error() string { return f.Message }

func faultf(k Kind, format string, args ...any) error {
	return &Fault{Kind: k, Message: fmt.Sprintf(format, args...)}
}
