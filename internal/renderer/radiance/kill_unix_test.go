//go:build unix

package radiance_test

import (
	"syscall"
	"testing"
)

func kill(t *testing.T, pid int) {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
