package radiance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// Runner runs Radiance's programs in a folder, one after the other. Its hooks
// may be nil. They are called by one goroutine at a time.
type Runner struct {
	Tools Tools
	Dir   string
	Log   io.Writer // what the programs say
	// Started is told the command line and the process of each program.
	Started func(command string, pid int)
	// Report is told how far rpict is.
	Report func(Report)
}

// Step is one run of a program. In and Out are files for standard input and
// output, "" for none; OutFlags how Out is opened. Input goes before In.
type Step struct {
	Program string
	Args    []string
	In      io.Reader
	Out     io.Writer
}

// String is the step as one would type it.
func (s Step) String() string { return strings.Join(append([]string{s.Program}, s.Args...), " ") }

// Killed is the failure of a program that a signal from outside ended.
type Killed struct{ Signal string }

func (k *Killed) Error() string { return "it was ended by the signal " + k.Signal }

// Run runs a step and returns the warnings that it gave. A failure is a
// *renderer.Fault with Radiance's own words; one that a signal ended wraps
// *Killed.
func (r *Runner) Run(ctx context.Context, s Step) (warnings []string, err error) {
	cmd := r.Tools.Command(ctx, r.Dir, s.Program, s.Args...)
	cmd.Stdin, cmd.Stdout = s.In, s.Out
	cmd.WaitDelay = 5 * time.Second
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", s.Program, err)
	}
	r.log("$ " + s.String())
	if err := cmd.Start(); err != nil {
		return nil, &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("%s cannot be started: %v", s.Program, err), Err: err}
	}
	if r.Started != nil {
		r.Started(s.String(), cmd.Process.Pid)
	}
	var w words
	r.listen(pipe, &w)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return w.warns, context.Cause(ctx)
	}
	return w.warns, r.failure(s, &w, err)
}

// listen follows what a program says until it has nothing more to say.
func (r *Runner) listen(pipe io.Reader, w *words) {
	lines := bufio.NewReaderSize(pipe, 8<<10)
	for {
		part, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		line := string(part)
		r.log(line)
		w.add(line)
		if report, ok := ParseReport(line); ok && r.Report != nil {
			r.Report(report)
		}
	}
}

func (r *Runner) log(line string) {
	if r.Log != nil {
		_, _ = io.WriteString(r.Log, line+"\n") // a full disk is the program's to meet
	}
}

// failure explains how a program ended; nil for success.
func (r *Runner) failure(s Step, w *words, err error) error {
	if err == nil {
		return nil
	}
	text := w.fatal
	if text == "" {
		text = w.last
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return &renderer.Fault{Party: partyOf(err.Error()), Message: fmt.Sprintf("%s: %v", s.Program, err), Err: err}
	}
	if sig := signalOf(exit.ProcessState); sig != "" {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("%s was ended by the signal %s", s.Program, sig), Err: &Killed{sig}}
	}
	if strings.Contains(text, ": signal - ") {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: text, Err: &Killed{text[strings.Index(text, "signal - ")+9:]}}
	}
	if text == "" {
		text = fmt.Sprintf("%s ended with exit code %d and said nothing", s.Program, exit.ExitCode())
	}
	return &renderer.Fault{Party: partyOf(text), Message: text, Err: err}
}

// toFile runs a step whose output becomes a file: written beside it, seen to be
// whole by check, and only then under its name.
func (r *Runner) toFile(ctx context.Context, s Step, name string, check func(path string) error) ([]string, error) {
	temp := name + ".part"
	f, err := os.Create(filepath.Join(r.Dir, temp))
	if err != nil {
		return nil, writeFault(name, err)
	}
	defer os.Remove(filepath.Join(r.Dir, temp))
	s.Out = f
	warnings, err := r.Run(ctx, s)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = writeFault(name, closeErr)
	}
	if err == nil && check != nil {
		err = check(filepath.Join(r.Dir, temp))
	}
	if err == nil {
		if err = os.Rename(filepath.Join(r.Dir, temp), filepath.Join(r.Dir, name)); err != nil {
			err = writeFault(name, err)
		}
	}
	return warnings, err
}

func writeFault(name string, err error) error {
	return &renderer.Fault{Party: partyOf(err.Error()), Message: fmt.Sprintf("write %s: %v", name, err), Err: err}
}

func jobFaultf(format string, args ...any) error {
	return &renderer.Fault{Party: renderer.JobFault, Message: fmt.Sprintf(format, args...)}
}
