package blender

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"drover.farm/internal/renderer"
	"github.com/alecthomas/kong"
	"go.uber.org/goleak"
)

// asCommand makes this test binary act as `drover blender`.
const asCommand = "DROVER_TEST_AS_BLENDER_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(command())
	}
	// Every supervisor that a test starts is this binary again.
	os.Setenv(asCommand, "1")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(shared.dir)
		os.Exit(code)
	}))
}

func command() int {
	var c Cmd
	parser, err := kong.New(&c, kong.Name("blender"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return renderer.ExitUsage
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "blender" {
		args = args[1:]
	}
	ctx, err := parser.Parse(args)
	if err == nil {
		err = ctx.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
		return renderer.ExitUsage
	}
	if err == nil {
		return renderer.ExitOK
	}
	fmt.Fprintln(os.Stderr, err)
	var f *renderer.Fault
	if errors.As(err, &f) {
		return f.ExitCode()
	}
	return renderer.ExitJob
}

// serveArgs runs this binary as a supervisor.
func serveArgs(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "serve"}
}
