//go:build unix

package cli

import (
	"os"
	"syscall"
)

// endSignals tell a command to end.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// keepPrivate makes every file that the process makes from now on its user's
// alone: the database holds credentials, the store other people's work.
func keepPrivate() { syscall.Umask(0o077) }
