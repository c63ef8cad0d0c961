package sim

import (
	"fmt"
	"io"
	"time"
)

// journal is the log of a simulation, of which only the hash is kept.
type journal struct {
	hash  uint64
	trace io.Writer
	start time.Time
}

// note adds a line. Its kind must be a constant.
func (l *journal) note(kind string, values ...int64) {
	h := l.hash
	for i := range len(kind) {
		h = (h ^ uint64(kind[i])) * 1099511628211
	}
	for _, v := range values {
		h = (h ^ uint64(v)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	l.hash = h
	if l.trace != nil {
		fmt.Fprintf(l.trace, "%12.3f %s %v\n", time.Since(l.start).Seconds(), kind, values)
	}
}
