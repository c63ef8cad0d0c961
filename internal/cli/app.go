// Package cli is Drover's command line: the commands, their flags and help, and
// how they print. What a command does beyond that is done by the packages it
// calls; commands that act on a farm do so over its native API, as anybody else.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"drover.farm/internal/rayd"
	"drover.farm/internal/renderer/blender"
)

// Version of the program; set when it is built.
var Version = "dev"

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// App is the world that the commands act in.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) (string, bool)
	// Terminal reports whether a stream is one that people look at.
	Terminal func(stream any) bool

	ctx context.Context
}

// System is the App of this process.
func System() *App {
	return &App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv, Terminal: isTerminal}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// usageError is a mistake in how a command was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
func (usageError) ExitCode() int   { return exitUsage }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSilent is a failure about which everything was said.
var errSilent = errors.New("failed")

// Main runs the program with the arguments of its process and returns its exit
// code. Interrupts end the command.
func Main() int {
	if role, body, ok := rayd.Taken(os.Args); ok {
		return System().rayRole(role, body)
	}
	if len(os.Args) > 0 && blender.CalledRend(os.Args[0]) {
		if self, err := os.Executable(); err == nil {
			return blender.Launch(self, os.Args[1:], os.Stdout)
		}
	}
	args := os.Args[1:]
	if len(os.Args) > 0 && calledRayserver(os.Args[0]) {
		args = append([]string{"rayserver"}, args...)
	}
	return System().Main(args)
}

// Main runs one command and returns the exit code: 0 for success, 1 for a
// failure, 2 for wrong usage. Commands that are part of a renderer's job have
// codes of their own.
func (a *App) Main(args []string) int {
	if len(args) > 0 && args[0] == "rayserver" {
		return a.rayserver(args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	return a.run(ctx, args)
}

func (a *App) run(ctx context.Context, args []string) int {
	a.ctx = ctx
	exited, code := false, 0
	root, err := newRoot(args)
	if err != nil {
		return a.complain(err)
	}
	parser, err := kong.New(root, kong.Name("drover"), kong.Description(about), kong.Writers(a.Out, a.Err),
		kong.Exit(func(c int) { exited, code = true, c }), kong.Bind(a), kong.Help(help), kong.ShortHelp(help),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(groups))
	if err != nil {
		return a.complain(err)
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help": // as other programs have it: drover help job ls
		args = append(slices.Clone(args[1:]), "--help")
	}
	k, err := parser.Parse(joinOptions(args))
	if exited {
		return code
	}
	if err != nil {
		return a.misused(err)
	}
	return a.complain(k.Run())
}

// misused explains a command line that was not understood.
func (a *App) misused(err error) int {
	where := "drover"
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil && p.Context.Selected() != nil {
		where = p.Context.Selected().FullPath()
	}
	fmt.Fprintf(a.Err, "drover: %s\nRun \"%s --help\" for how it is used.\n", clean(err.Error()), where)
	return exitUsage
}

// complain prints an error, if there is one, and returns the exit code.
func (a *App) complain(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		code = coded.ExitCode()
	}
	switch {
	case errors.Is(err, errSilent):
	case a.ctx != nil && a.ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(a.Err, "drover: interrupted")
	default:
		fmt.Fprintf(a.Err, "drover: %s\n", cleanLines(err.Error()))
	}
	return code
}

// say prints a message for people, which is no part of the command's output.
func (a *App) say(format string, args ...any) {
	fmt.Fprintln(a.Err, cleanLines(fmt.Sprintf(format, args...)))
}

// joinOptions lets the value of a flag that is itself a list of a renderer's
// options begin with a dash: --options "-ab 2" becomes --options=-ab 2.
func joinOptions(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if (args[i] == "--options" || args[i] == "--rtrace") && i+1 < len(args) {
			out = append(out, args[i]+"="+args[i+1])
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}
