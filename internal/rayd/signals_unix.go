//go:build unix

package rayd

import (
	"os"
	"syscall"
)

// endSignals are those that end a process and can be caught.
var endSignals = []os.Signal{
	os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGXCPU,
}
