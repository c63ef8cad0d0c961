//go:build unix

package session

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock of an open file unless someone holds it. The system
// releases it when the program ends, however it does.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
