package cli

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// help prints kong's help, then the examples of the command.
func help(o kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(o, ctx); err != nil {
		return err
	}
	n := ctx.Selected()
	if n == nil || !n.Target.IsValid() || !n.Target.CanAddr() {
		return nil
	}
	if e, ok := n.Target.Addr().Interface().(interface{ Examples() string }); ok {
		fmt.Fprintf(ctx.Stdout, "\nExamples:\n%s", e.Examples())
	}
	return nil
}
