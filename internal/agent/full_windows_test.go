package agent

import "golang.org/x/sys/windows"

// errFullDisk is what a full disk answers.
const errFullDisk = windows.ERROR_DISK_FULL
