package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"drover.farm/openjd/session"
)

func TestSortFailure(t *testing.T) {
	t.Parallel()
	exit := func(code int) session.Result {
		return session.Result{State: session.Failed, ExitCode: code, Err: fmt.Errorf("exited with code: %d", code)}
	}
	signal := func(name string) session.Result {
		r := exit(-1)
		r.Signal = name
		return r
	}
	refused := func(text string) session.Result {
		return session.Result{State: session.Failed, ExitCode: -1, Err: errors.New(text)}
	}
	for name, c := range map[string]struct {
		r    session.Result
		tail string
		want string
	}{
		"exit 1":        {exit(1), "", causeJob},
		"exit 2":        {exit(2), "", causeJob},
		"exit 75":       {exit(75), "", causeWorker},
		"exit 126":      {exit(126), "", causeJob},
		"exit 127":      {exit(127), "", causeWorker},
		"shell killed":  {exit(137), "", causeWorker},
		"shell crashed": {exit(139), "", causeJob},
		"out of memory": {session.Result{State: session.Failed, ExitCode: 1, OutOfMemory: true}, "", causeWorker},
		"SIGKILL":       {signal("SIGKILL"), "", causeWorker},
		"SIGTERM":       {signal("SIGTERM"), "", causeWorker},
		"SIGSEGV":       {signal("SIGSEGV"), "", causeJob},
		"SIGABRT":       {signal("SIGABRT"), "", causeJob},
		"timeout": {session.Result{State: session.TimedOut, ExitCode: -9, Signal: "SIGKILL", Err: errors.New("it took longer")},
			"No space left on device", causeJob},
		"disk full in the log":   {exit(1), "Error: No space left on device\n", causeWorker},
		"quota in the log":       {exit(1), "write: Disk quota exceeded", causeWorker},
		"disk full of a session": {refused("write embedded file run: open /x: no space left on device"), "", causeWorker},
		"not on the path":        {refused(`command "blender" was not found: install it on this host, or set PATH in an environment`), "", causeWorker},
		"not installed":          {refused(`command "/opt/x" is not an executable file on this host`), "", causeWorker},
		"of the job":             {refused(`command "/data/w/files/1/0/x" is not an executable file on this host`), "", causeJob},
		"no interpreter":         {refused(`start command "run": fork/exec /data/w/sessions/x/run: no such file or directory`), "", causeWorker},
		"not permitted":          {refused(`start command "run": fork/exec /data/w/sessions/x/run: permission denied`), "", causeJob},
		"bad argument":           {refused("argument 1 holds a NUL character, which no command line can"), "", causeJob},
		"output too odd":         {refused("the environment sets more than 4096 variables"), "", causeJob},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if f := sortFailure(c.r, c.tail, "", "/data/w"); f.cause != c.want || f.exit != c.r.ExitCode {
				t.Errorf("cause %s of %q, exit %d", f.cause, f.text, f.exit)
			}
		})
	}
}

func TestFaultText(t *testing.T) {
	t.Parallel()
	r := session.Result{State: session.Failed, ExitCode: 1, Err: errors.New("exited with code: 1")}
	if f := sortFailure(r, "", "no camera", "/data"); f.Error() != "exited with code: 1; its last line: no camera" {
		t.Error(f.Error())
	}
	r.FailMessage, r.Err = "sorry", errors.New("exited with code: 1: sorry")
	if f := sortFailure(r, "", "no camera", "/data"); f.Error() != "exited with code: 1: sorry" {
		t.Error(f.Error())
	}
}

func TestLocalFault(t *testing.T) {
	t.Parallel()
	if f := localFault(fmt.Errorf("walk: %w", fs.ErrPermission)); f.cause != causeJob {
		t.Errorf("a folder that may not be read: %s", f.cause)
	}
	if f := localFault(fmt.Errorf("write: %w", errFullDisk)); f.cause != causeWorker {
		t.Errorf("a full disk: %s", f.cause)
	}
	if f := localFault(fmt.Errorf("x: %w", jobFault(errors.New("y")))); f.cause != causeJob || f.text != "y" {
		t.Errorf("a fault within: %+v", f)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"invalid": true, "unauthorized": true, "forbidden": true, "not_found": true, "conflict": true, "gone": true,
		"full": false, "unavailable": false, "internal": false, "new one": false,
	} {
		if got := final(fmt.Errorf("x: %w", &farmError{code, "y"})); got != want {
			t.Errorf("%s: final is %v", code, got)
		}
	}
	if final(errDown) || final(nil) || codeOf(errDown) != "" {
		t.Error("an error that is not the farm's counts as its answer")
	}
}
