package session

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the lock of an open file unless someone holds it. The system
// releases it when the program ends, however it does. It is a lock on a byte far
// beyond the end, since locked bytes cannot be read by others.
func lockFile(f *os.File) bool {
	at := windows.Overlapped{OffsetHigh: 1 << 20}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &at) == nil
}
