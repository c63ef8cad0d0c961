package rayd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Diary is where the server says what happens: the file srvlogs/HOSTNAME of the
// installation and, in the foreground, the terminal. Safe for concurrent use.
type Diary struct {
	now func() time.Time

	mu       sync.Mutex
	file     *os.File
	terminal io.Writer // nil in daemon mode
}

// OpenDiary opens the log of the installation in home for a host. terminal may
// be nil. Beside an error there still is a diary, of the terminal alone.
func OpenDiary(home, host string, terminal io.Writer, now func() time.Time) (*Diary, error) {
	d := &Diary{terminal: terminal, now: now}
	path := LogFile(home, host)
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		d.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	}
	if err != nil {
		return d, fmt.Errorf("write the log: %w", err)
	}
	return d, nil
}

// LogFile is the log of an installation for a host.
func LogFile(home, host string) string { return filepath.Join(home, "srvlogs", filepath.Base(host)) }

// Say writes lines to the terminal as they are, and to the log with the time
// before each that is not empty.
func (d *Diary) Say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.terminal != nil {
		fmt.Fprintln(d.terminal, text)
	}
	d.log(text)
}

// Note writes to the log alone.
func (d *Diary) Note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log(text)
}

func (d *Diary) log(text string) {
	if d.file == nil {
		return
	}
	stamp := d.now().UTC().Format("2006-01-02 15:04:05 ")
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			b.WriteString(stamp + line + "\n")
		}
	}
	_, _ = d.file.WriteString(b.String()) // a full disk must not stop the server
}

// Close closes the log.
func (d *Diary) Close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
