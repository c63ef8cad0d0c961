package blob

import "golang.org/x/sys/windows"

// fullErrno is what the system says when a disk is full.
const fullErrno = windows.ERROR_DISK_FULL
