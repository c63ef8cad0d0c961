// Package sandbox runs a program that is not trusted: without network, with the
// system's folders to read and one folder to write to, as nobody in particular,
// for a bounded time and with bounded output. What it starts ends with it.
//
// It works on Linux, where user namespaces are allowed; elsewhere every program
// is refused.
package sandbox

import (
	"bytes"
	"errors"
	"time"
)

// ErrUnsupported means that this system has no sandbox.
var ErrUnsupported = errors.New("this system has no sandbox to run it in")

// Spec says what is run.
type Spec struct {
	Program string // absolute path
	Args    []string
	Write   string        // the one folder that it may write to; "" for none
	Read    []string      // further folders that it may read
	Time    time.Duration // that it may take; 1 min
}

// maxOutput is how many bytes of a program's output are kept.
const maxOutput = 64 << 10

// limited keeps the first bytes of an output and drops the rest.
type limited struct {
	buf bytes.Buffer // not embedded: its ReadFrom has no limit
}

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
