//go:build unix && !linux

package blender

import "syscall"

// dieWithParent does nothing here: the loop in Blender notices by itself that
// its standard input has ended.
func dieWithParent(*syscall.SysProcAttr) {}
