//go:build unix

package agent

import "syscall"

// errFullDisk is what a full disk answers.
const errFullDisk = syscall.ENOSPC
