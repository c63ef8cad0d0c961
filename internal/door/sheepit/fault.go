package sheepit

import (
	"errors"

	"drover.farm/internal/farm"
)

// Statuses of the answer to a request for work (protocol.txt, "Job request").
// 208 is never sent: clients before 2022 do not know it.
const (
	requestOK          = 0
	requestNothing     = 200
	requestNoRight     = 201
	requestDead        = 202
	requestDisabled    = 203
	requestNoRenderer  = 205
	requestMaintenance = 206
	requestOverload    = 207
	requestUnknown     = 299
)

// requestStatuses maps the farm's codes to the protocol's. A code that is not in
// it is requestUnknown.
var requestStatuses = map[farm.Code]int{
	farm.Gone:         requestDead,
	farm.Unauthorized: requestDead,
	farm.Forbidden:    requestNoRight,
	farm.Unavailable:  requestOverload,
	farm.Full:         requestOverload,
}

// Statuses of the answer to a frame (protocol.txt, "Job validation").
const (
	frameOK      = 0
	frameMissing = 300
	frameBroken  = 301
	frameNoImage = 302
	frameFailed  = 303
	frameDead    = 304
)

// frameStatuses maps the farm's codes to the protocol's. A code that is not in it
// is frameFailed, after which clients try again.
var frameStatuses = map[farm.Code]int{
	farm.Gone:         frameDead,
	farm.Unauthorized: frameDead,
	farm.Forbidden:    frameDead,
	farm.NotFound:     frameMissing,
	farm.Invalid:      frameMissing,
}

// Statuses of the answer to a heartbeat (protocol.txt, "Session heartbeat").
const (
	aliveOK   = 0
	aliveStop = 400
)

// refusal is a refusal with its status in the protocol.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func refused(status int, why string) error { return &refusal{status, why} }

// statusOf finds the status of an error.
func statusOf(err error, table map[farm.Code]int, other int) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	if s, ok := table[farm.CodeOf(err)]; ok {
		return s
	}
	return other
}

func requestStatus(err error) int { return statusOf(err, requestStatuses, requestUnknown) }

func frameStatus(err error) int { return statusOf(err, frameStatuses, frameFailed) }
