package blob

import (
	"errors"

	"golang.org/x/sys/windows"
)

// systemFull tells whether the system refused a write for want of space.
func systemFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
