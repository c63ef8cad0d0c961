package rayserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

var errLong = fmt.Errorf("a line is longer than %d bytes", maxLine)

// lines is a connection as lines, with bounds in size and time. One goroutine
// reads; any may write.
type lines struct {
	c    net.Conn
	r    *bufio.Reader
	in   *seal
	time time.Duration // for a line to arrive or to be taken

	mu  sync.Mutex
	out *seal
}

func newLines(c net.Conn, within time.Duration) *lines {
	return &lines{c: c, r: bufio.NewReaderSize(c, 4096), time: within}
}

// read returns the next line. It may wait idle for its first byte; the rest must
// come within the line's time.
func (l *lines) read(idle time.Duration) ([]byte, error) {
	if err := l.c.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return nil, err
	}
	if _, err := l.r.Peek(1); err != nil {
		return nil, err
	}
	if err := l.c.SetReadDeadline(time.Now().Add(l.time)); err != nil {
		return nil, err
	}
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine+macLen+2 {
			return nil, errLong
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	text, err := l.in.open(bytes.TrimRight(line, "\r\n"))
	if err == nil && len(text) > maxLine {
		err = errLong
	}
	return text, err
}

// write sends a line.
func (l *lines) write(v any) error { return l.writeLine(encode(v)) }

func (l *lines) writeLine(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.c.SetWriteDeadline(time.Now().Add(l.time)); err != nil {
		return err
	}
	_, err := l.c.Write(append(l.out.put(line), '\n'))
	return err
}

// secure signs all that follows, in both directions, by the connection's key.
func (l *lines) secure(key []byte, own, other byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = &seal{key: key, direction: own}
	l.in = &seal{key: key, direction: other}
}
