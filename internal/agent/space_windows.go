package agent

import (
	"errors"

	"golang.org/x/sys/windows"
)

// noSpace reports an error of a full disk or quota of this machine.
func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
