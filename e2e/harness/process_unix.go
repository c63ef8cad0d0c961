//go:build unix

package harness

import (
	"os"
	"syscall"
)

const exeSuffix = ""

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
