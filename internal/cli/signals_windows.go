package cli

import (
	"os"
	"syscall"
)

// endSignals tell a command to end.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
