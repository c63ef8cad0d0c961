package server

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// trimProgram unmaps the program's own pages, code and constants, that a start
// has read once and whole neighbourhoods of which Linux counts as resident from
// then on. They stay in the page cache and come back when something in them
// runs. Nothing depends on it: what fails is left as it is.
func trimProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if from, to, ok := constant(sc.Text(), self); ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}

// constant reads a line of /proc/PID/maps (proc_pid_maps(5)); ok when it is of
// the file and cannot be written, so that its pages are those of the file.
func constant(line, file string) (from, to uintptr, ok bool) {
	var mode string
	if n, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n < 3 || err != nil || to <= from {
		return 0, 0, false
	}
	return from, to, strings.HasSuffix(line, " "+file) && !strings.Contains(mode, "w")
}
