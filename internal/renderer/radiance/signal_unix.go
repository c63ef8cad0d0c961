//go:build unix

package radiance

import (
	"os"
	"syscall"
)

// signalOf names the signal that ended a process, "" if none did.
func signalOf(s *os.ProcessState) string {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return w.Signal().String()
	}
	return ""
}
