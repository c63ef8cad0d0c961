package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// sessionMemory is the resident memory of all processes of an OpenJD session, in
// bytes. They are known by the variable DROVER_SESSION_ID at the beginning of
// their environment.
func sessionMemory(id string) int64 {
	mark := []byte("DROVER_SESSION_ID=" + id)
	dirs, err := filepath.Glob("/proc/[1-9]*")
	if err != nil {
		return 0
	}
	var sum int64
	for _, dir := range dirs {
		if beginsWith(filepath.Join(dir, "environ"), mark) {
			sum += resident(filepath.Join(dir, "statm"))
		}
	}
	return sum
}

// beginsWith reports whether one of the first variables is the mark.
func beginsWith(path string, mark []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := f.Read(head)
	for entry := range bytes.SplitSeq(head[:n], []byte{0}) {
		if bytes.Equal(entry, mark) {
			return true
		}
	}
	return false
}

// resident reads the second number of statm: resident pages (proc_pid_statm(5)).
func resident(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
