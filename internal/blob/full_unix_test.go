//go:build unix

package blob

import "syscall"

const fullErrno = syscall.ENOSPC
