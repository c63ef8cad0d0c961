package agent

import (
	"context"
	"errors"

	"drover.farm/internal/api"
)

// Farm is the farm as a worker sees it: the worker's part of the native API.
//
// All methods may be called by several goroutines at once and return soon after
// ctx ends. An implementation may repeat a call by itself for some seconds; for
// minutes and hours the agent does it. An error that the farm itself answered
// with has a method ErrorCode() string in its chain, which returns
// api.Problem.Code; any other error means that the farm was not reached, or
// that its answer was lost.
type Farm interface {
	// Register makes the worker known; POST /workers.
	Register(ctx context.Context, r api.Registration) (*api.Worker, error)
	// Claim asks for a task and waits up to c.Wait seconds for one; nil without
	// an error when there was none. Repeats with one c.Key give one lease.
	Claim(ctx context.Context, worker int64, c api.Claim) (*api.Lease, error)
	// Heartbeat renews the leases that p names; held back up to p.Wait seconds.
	Heartbeat(ctx context.Context, worker int64, p api.Pulse) (*api.PulseReply, error)
	// Complete and Fail end an attempt. A repeat of a result that counted is
	// acknowledged again.
	Complete(ctx context.Context, lease int64, r api.Result) (*api.Verdict, error)
	Fail(ctx context.Context, lease int64, r api.Result) (*api.Verdict, error)
	// Return gives leases back untried.
	Return(ctx context.Context, worker int64, g api.GiveBack) error
	// SignOff ends the worker's session.
	SignOff(ctx context.Context, worker int64) error
	// Work returns what it takes to open a session of the lease's job.
	Work(ctx context.Context, worker, lease int64) (*api.Work, error)
	// Inputs returns a page of the outputs of the steps that the lease's step
	// depends on; after is Outputs.Next of the page before, "" for the first.
	Inputs(ctx context.Context, worker, lease int64, after string) (*api.Outputs, error)
	// AppendLog adds data at offset to the live log of a lease. Bytes below the
	// offset that the farm has already are passed over, so it can be repeated.
	AppendLog(ctx context.Context, worker, lease, offset int64, data []byte) error
}

// Files moves the content of files between this machine and the farm. Its
// methods may be called by several goroutines at once; errors are as those of
// Farm.
type Files interface {
	// Download writes the blob to path, which does not exist before: complete and
	// verified against sha256 (lower-case hex) and size, or not at all. It may
	// leave path+".part" behind for a later call to go on from.
	Download(ctx context.Context, sha256 string, size int64, path string) error
	// Upload sends the file unless the farm has its content already, and returns
	// its SHA256 and Size as they were sent; the other fields are not filled in.
	// The file does not change meanwhile.
	Upload(ctx context.Context, path string) (api.File, error)
}

// The codes of api.Problem that the agent acts upon.
const (
	codeInvalid      = "invalid"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNotFound     = "not_found"
	codeConflict     = "conflict"
	codeGone         = "gone"
)

// codeOf is the farm's code for err, "" when the farm was not reached.
func codeOf(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

// final reports an error that a repeat of the same request would meet again.
func final(err error) bool {
	switch codeOf(err) {
	case codeInvalid, codeUnauthorized, codeForbidden, codeNotFound, codeConflict, codeGone:
		return true
	}
	return false
}
