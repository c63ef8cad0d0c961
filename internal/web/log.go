package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
)

// logPart is an excerpt of a log: around the line of the error, else its end.
type logPart struct {
	Lines   []logLine
	Error   int  // number of the line of the error, 0 for none
	Cut     bool // lines before or after those shown are left out
	Missing bool // there is no log
}

type logLine struct {
	N    int // from 1; of the part that was read
	Text string
	Bad  bool
}

const (
	logRead  = 1 << 20 // bytes of the end of a log that are looked at
	logShown = 300     // lines
	lineLong = 2000    // bytes of a line that are shown
)

// troubles are what a line of an error looks like, the most telling first.
var troubles = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^\s*(traceback \(most recent call last\)|fatal|panic:|error:)`),
	regexp.MustCompile(`(?i)\b(error|fatal|exception|segmentation fault|out of memory|cannot|could not|failed|killed)\b`),
}

// excerpt reads the part of an attempt's log that people look for.
func (s *site) excerpt(ctx context.Context, a *farm.Attempt) (*logPart, error) {
	text, cut, err := s.readLog(ctx, a)
	switch {
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, livelog.ErrNotFound):
		return &logPart{Missing: true}, nil
	case err != nil:
		return nil, err
	}
	p := excerptOf(text, a.Error, a.Outcome == farm.OutcomeFailed)
	p.Cut = p.Cut || cut
	return p, nil
}

// excerptOf cuts a log down to the lines around the error, if there is one.
func excerptOf(text []byte, message string, failed bool) *logPart {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	p := &logPart{}
	bad := -1
	if failed {
		bad = errorLine(lines, message)
	}
	from := max(0, len(lines)-logShown)
	if bad >= 0 {
		from = min(from, max(0, bad-logShown/3))
	}
	to := min(len(lines), from+logShown)
	p.Cut = from > 0 || to < len(lines)
	for i := from; i < to; i++ {
		p.Lines = append(p.Lines, logLine{i + 1, printable(lines[i]), i == bad})
	}
	if bad >= 0 {
		p.Error = bad + 1
	}
	return p
}

// errorLine finds the line that tells what went wrong: the one that the message
// quotes if it looks like an error, else the last that begins like one, else the
// one quoted, which may be no more than the last that was written, else the last
// that has a word of trouble; -1 for none.
func errorLine(lines []string, message string) int {
	quoted := -1
	message, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	if len(message) >= 8 {
		quoted = lastLine(lines, func(l string) bool {
			l = strings.TrimSpace(l)
			return len(l) >= 8 && (strings.Contains(l, message) || strings.Contains(message, l))
		})
	}
	if quoted >= 0 && troubles[1].MatchString(lines[quoted]) {
		return quoted
	}
	if i := lastLine(lines, troubles[0].MatchString); i >= 0 {
		return i
	}
	if quoted >= 0 {
		return quoted
	}
	return lastLine(lines, troubles[1].MatchString)
}

// lastLine is the last line that is so, -1 for none.
func lastLine(lines []string, is func(string) bool) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if is(lines[i]) {
			return i
		}
	}
	return -1
}

// printable makes a line of a stranger's log harmless to look at: no control
// characters, which terminals and screen readers obey, and no endless lines.
func printable(s string) string {
	if i := strings.LastIndexByte(strings.TrimRight(s, "\r"), '\r'); i >= 0 {
		s = s[i+1:] // what a terminal would show of a line that overwrites itself
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return clip(s, lineLong)
}

// readLog reads the end of an attempt's log, uploaded or live. cut means that
// there is more before it.
func (s *site) readLog(ctx context.Context, a *farm.Attempt) (text []byte, cut bool, err error) {
	if a.Log != "" {
		h, err := blob.ParseHash(a.Log)
		if err != nil {
			return nil, false, fmt.Errorf("the log of lease %d: %w", a.Lease, err)
		}
		f, err := s.Blobs.Open(ctx, h)
		if err != nil {
			return nil, false, err
		}
		defer func() { _ = f.Close() }()
		from := max(0, f.Size()-logRead)
		text, err = io.ReadAll(io.NewSectionReader(f, from, logRead))
		return text, from > 0, err
	}
	end, err := s.Logs.Size(a.Lease)
	if err != nil {
		return nil, false, err
	}
	from := max(0, end-logRead)
	var b bytes.Buffer
	buf := make([]byte, 64<<10)
	for pos := from; pos < end; {
		at, n, err := s.Logs.ReadAt(a.Lease, pos, buf)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, false, err
		}
		b.Write(buf[:n])
		pos = at + int64(n)
	}
	return b.Bytes(), from > 0, nil
}

// log answers with a whole log as plain text; with ?follow=1 from ?after= on, as
// it grows, until the attempt has ended.
func (v *visit) log() error {
	_, t, err := v.taskOf()
	if err != nil {
		return err
	}
	n, err := v.chosen(t)
	if err != nil {
		return err
	}
	if n == 0 {
		return farm.Errorf(farm.NotFound, "the task has not started, so it has no log yet")
	}
	a := &t.Attempts[n-1]
	h := v.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	out := &steady{w: v.w, ctl: http.NewResponseController(v.w), idle: v.Idle}
	if a.Log != "" {
		return v.copyBlobLog(out, a)
	}
	if _, err := v.Logs.Size(a.Lease); err != nil && v.r.URL.Query().Get("follow") == "" {
		return err
	}
	return v.copyLiveLog(out, t.TaskKey, a)
}

func (v *visit) copyBlobLog(out io.Writer, a *farm.Attempt) error {
	h, err := blob.ParseHash(a.Log)
	if err != nil {
		return fmt.Errorf("the log of lease %d: %w", a.Lease, err)
	}
	f, err := v.Blobs.Open(v.ctx(), h)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	from, _ := offset(v.r.URL.Query().Get("after"))
	_, _ = io.Copy(out, io.NewSectionReader(f, min(from, f.Size()), f.Size()))
	return nil
}

// copyLiveLog sends what is there of a live log, and with follow what comes.
func (v *visit) copyLiveLog(out *steady, k farm.TaskKey, a *farm.Attempt) error {
	pos, _ := offset(v.r.URL.Query().Get("after"))
	follow := v.r.URL.Query().Get("follow") != ""
	buf := make([]byte, 32<<10)
	poll := time.NewTicker(v.Fresh)
	defer poll.Stop()
	for {
		changed := v.Logs.Changed(a.Lease)
		at, n, err := v.Logs.ReadAt(a.Lease, pos, buf)
		if err == nil {
			if _, err := out.Write(buf[:n]); err != nil {
				return nil
			}
			pos = at + int64(n)
			continue
		}
		if !follow || v.attemptEnded(k, a.Lease) {
			return nil
		}
		if out.ctl.Flush() != nil {
			return nil
		}
		select {
		case <-changed:
		case <-poll.C:
		case <-v.ctx().Done():
			return nil
		case <-v.Farm.Done():
			return nil
		}
	}
}

func (v *visit) attemptEnded(k farm.TaskKey, lease int64) bool {
	t, err := v.Farm.Task(v.ctx(), k)
	if err != nil {
		return true
	}
	for i := range t.Attempts {
		if t.Attempts[i].Lease == lease {
			return !t.Attempts[i].Ended.IsZero()
		}
	}
	return true
}

// steady writes to a client that may take long as a whole but not between two
// writes.
type steady struct {
	w    io.Writer
	ctl  *http.ResponseController
	idle time.Duration
}

func (s *steady) Write(p []byte) (int, error) {
	timed := s.ctl.SetWriteDeadline(time.Now().Add(s.idle)) == nil
	n, err := s.w.Write(p)
	if timed {
		_ = s.ctl.SetWriteDeadline(time.Time{}) // the next answer on the connection must not find it
	}
	return n, err
}
