package renderer

// Exit codes of the commands that render a task. A farm decides by them whom a
// failure counts against.
const (
	ExitOK     = 0  // the task is done
	ExitJob    = 1  // the job is at fault: it would fail on any worker
	ExitUsage  = 2  // the command line is wrong
	ExitWorker = 75 // the worker is at fault: try another (EX_TEMPFAIL of sysexits.h)
)

// Party is whom a failure counts against.
type Party string

// The parties of a Fault.
const (
	JobFault    Party = "job"
	WorkerFault Party = "worker"
)

// Fault is a failed render with its cause. Message is one sentence for people.
type Fault struct {
	Party   Party
	Message string
	Err     error // the cause, if an error led to it; may be nil
}

// Error returns the message.
func (f *Fault) Error() string { return f.Message }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// ExitCode is the exit code that tells the party: ExitJob or ExitWorker.
func (f *Fault) ExitCode() int {
	if f.Party == WorkerFault {
		return ExitWorker
	}
	return ExitJob
}
