//go:build unix

package blob

import (
	"errors"
	"syscall"
)

// systemFull tells whether the system refused a write for want of space.
func systemFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
