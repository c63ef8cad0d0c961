package blender

import "syscall"

// dieWithParent has the kernel kill Blender when the supervisor is gone,
// however it went.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
