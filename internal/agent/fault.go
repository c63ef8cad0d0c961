package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"drover.farm/openjd/session"
)

// The parties of api.Result.Cause.
const (
	causeJob    = "job"
	causeWorker = "worker"
)

// fault is why an attempt failed, and whose fault it is.
type fault struct {
	cause string
	text  string
	exit  int
	err   error
}

func (f *fault) Error() string { return f.text }

func (f *fault) Unwrap() error { return f.err }

// jobFault and workerFault make faults of what kept a task from being run.
func jobFault(err error) *fault {
	return &fault{cause: causeJob, text: err.Error(), exit: -1, err: err}
}
func workerFault(err error) *fault {
	return &fault{cause: causeWorker, text: err.Error(), exit: -1, err: err}
}

// localFault sorts an error of this machine's file system that met a task: folders
// that may not be read are what the task itself has made of them.
func localFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	if errors.Is(err, fs.ErrPermission) {
		return jobFault(err)
	}
	return workerFault(err)
}

// exitWorker is the exit code by which a program says that this machine is at
// fault and another may do better: EX_TEMPFAIL of sysexits.h. Drover's renderer
// commands use it.
const exitWorker = 75

// exitNotFound is a shell's exit code for a command that does not exist; the
// dynamic linker ends a program whose libraries are missing with it as well.
const exitNotFound = 127

// outsideSignals are those that somebody sends to a program that would go on by
// itself: the kernel for want of memory, an operator, a shut-down. A program that
// crashes is ended by other ones, and crashes on other machines as well.
var outsideSignals = map[string]bool{"SIGKILL": true, "SIGTERM": true, "SIGHUP": true, "SIGINT": true, "SIGQUIT": true, "SIGXCPU": true}

// shellSignals are the exit codes of shells whose command was ended by one of
// SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM.
var shellSignals = map[int]bool{129: true, 130: true, 131: true, 137: true, 143: true}

// machineTexts are what programs print when the machine, not the job, is at fault.
var machineTexts = []string{
	"no space left on device",
	"disk quota exceeded",
	"error while loading shared libraries",
	"cannot open shared object file",
	"there is not enough space on the disk",
}

// sortFailure decides whose fault a failed action is. tail is the end of its log,
// last the last line that it printed, own the worker's data folder. The order of
// the rules is that of their certainty.
func sortFailure(r session.Result, tail, last, own string) *fault {
	f := &fault{cause: causeJob, exit: r.ExitCode, err: r.Err}
	if r.Err != nil {
		f.text = r.Err.Error()
	}
	lower := strings.ToLower(f.text + "\n" + tail)
	switch {
	case r.State == session.TimedOut:
		return f
	case r.OutOfMemory, outsideSignals[r.Signal], r.ExitCode == exitWorker, r.ExitCode == exitNotFound, shellSignals[r.ExitCode]:
		f.cause = causeWorker
	case r.ExitCode == -1 && r.Signal == "" && missingProgram(f.text, own):
		f.cause = causeWorker
	default:
		for _, t := range machineTexts {
			if strings.Contains(lower, t) {
				f.cause = causeWorker
			}
		}
	}
	if last != "" && r.FailMessage == "" && r.ExitCode != -1 {
		f.text = fmt.Sprintf("%s; its last line: %s", f.text, last)
	}
	return f
}

// missingProgram reports that an action's command, or the interpreter that its
// script names, is not on this machine; package session says so in words only. A
// command in the worker's own folder came with the job.
func missingProgram(text, own string) bool {
	if strings.Contains(text, "start command ") {
		return strings.Contains(text, "no such file or directory") || strings.Contains(text, "exec format error")
	}
	return !strings.Contains(text, own) &&
		(strings.Contains(text, "was not found: install it on this host") ||
			strings.Contains(text, "is not an executable file on this host"))
}
