package blender

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"drover.farm/internal/renderer"
	"github.com/alecthomas/kong"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Called with a command instead of flags, as supervisors and sessions call
	// it, this test binary is `drover blender`.
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(command())
	}
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
