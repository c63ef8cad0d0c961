package rayserver

import (
	"errors"

	"drover.farm/internal/simulation"
)

// The codes of refused requests.
const (
	codeBadRequest   = "bad-request"
	codeAuthRequired = "auth-required"
	codeDenied       = "denied"
	codeInternal     = "internal"
	codeBusy         = "busy"
)

// codes are the wire's words for what is wrong with a request.
var codes = map[simulation.Kind]string{
	simulation.Invalid:         codeBadRequest,
	simulation.NoLocation:      "unknown-location",
	simulation.NotFound:        "not-found",
	simulation.NoPermission:    "no-permission",
	simulation.Exists:          "exists",
	simulation.Conflict:        "conflict",
	simulation.PreviewIsLocal:  "preview-not-remote",
	simulation.Busy:            codeBusy,
	simulation.NotOnThisSystem: "conflict",
}

// refusal is an answer of the wire's own.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.text }

// fail makes the answer to a request that failed. What is no Fault is not shown.
func fail(id int64, err error) Answer {
	var r *refusal
	var f *simulation.Fault
	switch {
	case errors.As(err, &r):
		return Answer{ID: id, Code: r.code, Error: r.text}
	case errors.As(err, &f) && codes[f.Kind] != "":
		return Answer{ID: id, Code: codes[f.Kind], Error: f.Message}
	}
	return Answer{ID: id, Code: codeInternal, Error: "a fault of the server; its log says more"}
}
