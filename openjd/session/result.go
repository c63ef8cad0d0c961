package session

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// State is how an action ended.
type State string

// The states of an action that has ended. Only Succeeded lets the session go on.
const (
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled"
	TimedOut  State = "timed out"
)

// Result is what became of an action.
type Result struct {
	State State
	// ExitCode of the process; the negative number of the signal that ended it,
	// on POSIX systems; -1 when none was started.
	ExitCode int
	// Signal is the name of the signal that ended the process, as in SIGKILL;
	// empty when it exited.
	Signal string
	// OutOfMemory says that the kernel killed a process for want of memory while
	// this one was killed.
	OutOfMemory bool
	// FailMessage is that of the last openjd_fail line, with secrets hidden; it
	// does not by itself make an action fail.
	FailMessage string
	// Started is when the process was started, Elapsed how long it ran until its
	// end and that of its output.
	Started time.Time
	Elapsed time.Duration
	// MaxRSS is the peak of resident memory in bytes: the greatest of what the
	// kernel counted for one process and of the sum over the action's processes,
	// sampled once a second; 0 when unknown.
	MaxRSS int64
	// UserTime and SystemTime are those of the process and of the descendants that
	// it waited for.
	UserTime, SystemTime time.Duration
	// Err says what went wrong, unless State is Succeeded.
	Err error
}

// ActionError is the error of an action of an environment.
type ActionError struct {
	// Action is onEnter or onExit, Environment the environment's name.
	Action, Environment string
	Result              Result
}

func (e *ActionError) Error() string {
	return fmt.Sprintf("%s of environment %q: %v", e.Action, e.Environment, e.Result.Err)
}

// Unwrap gives the reason.
func (e *ActionError) Unwrap() error { return e.Result.Err }

// The reasons for which a session refuses an action.
var (
	// ErrEnded means that an action did not succeed, after which a session only
	// exits its environments (How-Jobs-Are-Run, Sessions).
	ErrEnded = errors.New("the session has ended: an earlier action in it did not succeed")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("the session is closed")
	// ErrBusy means that another action is running.
	ErrBusy = errors.New("another action of the session is running")
)

// refused is the result of an action that was not started.
func refused(err error) Result {
	return Result{State: Failed, ExitCode: -1, Err: err}
}

// explain sets Err from the other fields. why is the reason of an abort, if any.
func (r *Result) explain(why error, timeout time.Duration) {
	switch {
	case r.State == Succeeded:
	case r.State == TimedOut:
		r.Err = fmt.Errorf("it took longer than its timeout of %v and was ended", timeout)
	case r.State == Canceled:
		r.Err = fmt.Errorf("it was canceled: %w", why)
	case why != nil:
		r.Err = why
	default:
		r.Err = errors.New(r.exitText())
	}
	if r.FailMessage != "" && r.State != Succeeded {
		r.Err = fmt.Errorf("%w: %s", r.Err, r.FailMessage)
	}
}

// exitText says how the process ended.
func (r *Result) exitText() string {
	text := fmt.Sprintf("exited with code: %d", r.ExitCode)
	var notes []string
	if r.Signal != "" {
		notes = append(notes, "ended by "+r.Signal)
	}
	if r.OutOfMemory {
		notes = append(notes, "the machine ran out of memory")
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, "; ") + ")"
	}
	return text
}

// plural counts things in words.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
