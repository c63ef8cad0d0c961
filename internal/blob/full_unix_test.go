//go:build unix

package blob

import "syscall"

// fullErrno is what the system says when a disk is full.
const fullErrno = syscall.ENOSPC
