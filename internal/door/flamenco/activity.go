package flamenco

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"drover.farm/internal/renderer/blender"
)

// activity is what the parser blender_render makes of a log, in the form that
// workers send and dashboards read; and more, of which they know nothing.
type activity struct {
	Process   string  `json:"process"`
	Remaining *int64  `json:"remaining"` // seconds
	Thumbnail *string `json:"thumbnail"`
	Frame     *int64  `json:"current_frame"`

	Memory  int64          `json:"-"` // bytes
	Percent float64        `json:"-"` // of the frame
	Version string         `json:"-"` // of Blender
	Saved   []string       `json:"-"` // pictures, as Blender named them
	saved   map[int64]bool // frames of which a picture was written
	cause   string         // last line that speaks of an error
}

const (
	maxLine  = 4096
	maxSaved = 10_000
)

var (
	versionRE = regexp.MustCompile(`^Blender (\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)\b`)
	// Blender before 2.80 wrote names without quotes, and the time behind them.
	oldSavedRE = regexp.MustCompile(`^Saved: (.+?)(?: Time: .*)?$`)
	errorRE    = regexp.MustCompile(`(?i)^(error|exception|traceback)\b|: error\b|\bfatal\b`)
)

// maxRun is how many progress lines in a row are read of one frame: the last ones
// say all that the earlier did, and a long log has little else.
const maxRun = 8

// add reads further lines of a log.
func (a *activity) add(log string) {
	var run []string // progress lines of one frame
	for line := range strings.Lines(log) {
		if line = strings.TrimRight(line, "\r\n"); len(line) > maxLine {
			continue
		}
		if len(run) > 0 && frameWord(line) == frameWord(run[0]) {
			if len(run) == maxRun {
				run = append(run[:0], run[1:]...)
			}
			run = append(run, line)
			continue
		}
		a.lines(run)
		run = run[:0]
		if frameWord(line) != "" {
			run = append(run, line)
			continue
		}
		a.line(line)
	}
	a.lines(run)
}

// frameWord is what a progress line begins with, such as "Fra:12", else "".
func frameWord(line string) string {
	if !strings.HasPrefix(line, "Fra:") {
		return ""
	}
	word, _, _ := strings.Cut(line, " ")
	return word
}

func (a *activity) lines(list []string) {
	for _, line := range list {
		a.line(line)
	}
}

func (a *activity) line(line string) {
	if strings.HasPrefix(line, "Blender ") {
		if m := versionRE.FindStringSubmatch(line); m != nil {
			a.Version = strings.Clone(m[1]) // the log is large
			return
		}
	}
	if speaksOfError(line) {
		a.cause = clip(line, 300)
	}
	p, ok := blender.ParseLine(line)
	if p.Saved == "" && strings.HasPrefix(line, "Saved: ") {
		if m := oldSavedRE.FindStringSubmatch(line); m != nil {
			p.Saved, ok = strings.Trim(m[1], `'"`), true
		}
	}
	if !ok {
		return
	}
	if p.HasFrame && (a.Frame == nil || *a.Frame != p.Frame) {
		a.Frame, a.Percent, a.Remaining = &p.Frame, 0, nil
	}
	if p.Saved != "" {
		if a.saved == nil {
			a.saved = make(map[int64]bool)
		}
		if a.Frame != nil {
			a.saved[*a.Frame] = true
		}
		if len(a.Saved) < maxSaved {
			a.Saved = append(a.Saved, strings.Clone(p.Saved))
		}
		a.Percent = 100
		return
	}
	if p.Percent >= 0 {
		a.Percent = p.Percent
	}
	if p.Remaining > 0 {
		s := int64(p.Remaining.Seconds())
		a.Remaining = &s
	}
	a.Memory = max(a.Memory, p.Memory, p.Peak)
	if p.What != "" && p.What != "Finished" {
		a.Process = clip(p.What, 200)
	}
}

// speaksOfError looks before it matches: most lines of a long log do not.
func speaksOfError(line string) bool {
	for _, hint := range []string{"rror", "RROR", "xception", "XCEPTION", "raceback", "RACEBACK", "atal", "ATAL"} {
		if strings.Contains(line, hint) {
			return errorRE.MatchString(line)
		}
	}
	return false
}

// hear takes what a worker's own parser made of its log, where it says more.
func (a *activity) hear(text string) {
	var w struct {
		Process   *string  `json:"process"`
		Remaining *float64 `json:"remaining"`
		Frame     *int64   `json:"current_frame"`
	}
	if len(text) > 64<<10 || json.Unmarshal([]byte(text), &w) != nil {
		return
	}
	if w.Process != nil && *w.Process != "" && a.Process == "" {
		a.Process = clip(*w.Process, 200)
	}
	if w.Frame != nil && a.Frame == nil {
		a.Frame = w.Frame
	}
	if w.Remaining != nil && a.Remaining == nil && *w.Remaining >= 0 && *w.Remaining < 1e9 {
		s := int64(*w.Remaining)
		a.Remaining = &s
	}
}

func (a *activity) text() string {
	b, _ := json.Marshal(a) // nothing in it can fail
	return string(b)
}

// message is a line for people.
func (a *activity) message() string {
	var list []string
	if a.Frame != nil {
		list = append(list, fmt.Sprintf("frame %d", *a.Frame))
	}
	if a.Process != "" {
		list = append(list, a.Process)
	}
	if a.Remaining != nil {
		list = append(list, fmt.Sprintf("%d s left", *a.Remaining))
	}
	if a.Memory > 0 {
		list = append(list, fmt.Sprintf("%d MiB at most", a.Memory>>20))
	}
	return strings.Join(list, ", ")
}
