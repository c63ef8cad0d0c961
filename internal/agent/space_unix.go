//go:build unix

package agent

import (
	"errors"
	"syscall"
)

// noSpace reports an error of a full disk or quota of this machine.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
