//go:build unix

package disk

import "syscall"

const fullErrno = syscall.ENOSPC
