package radiance

import (
	"regexp"
	"strconv"
	"strings"

	"drover.farm/internal/renderer"
)

// Report is a line in which a program says how far it is.
type Report struct {
	Program string
	Rays    int64
	Percent float64
	PID     int
}

var reportLine = regexp.MustCompile(`^(\w+): (\d+) rays, ([\d.]+)% after ([\d.]+)u ([\d.]+)s ([\d.]+)r hours on (\S+) \(PID (\d+)\)$`)

// ParseReport reads a report line (rpict -t). Percent is of the picture's lines,
// not of the time.
func ParseReport(line string) (Report, bool) {
	m := reportLine.FindStringSubmatch(line)
	if m == nil {
		return Report{}, false
	}
	rays, err1 := strconv.ParseInt(m[2], 10, 64)
	percent, err2 := strconv.ParseFloat(m[3], 64)
	pid, err3 := strconv.Atoi(m[8])
	return Report{m[1], rays, percent, pid}, err1 == nil && err2 == nil && err3 == nil && percent <= 100
}

// words collects what a program says on standard error.
type words struct {
	fatal string   // the last line that says why it ended
	last  string   // the last line that is no report
	warns []string // warnings, a few
}

const maxWarnings = 20

func (w *words) add(line string) {
	if line = clip(strings.TrimSpace(line)); line == "" {
		return
	}
	if _, report := ParseReport(line); report {
		return
	}
	w.last = line
	switch {
	case strings.Contains(line, ": fatal - "), strings.Contains(line, ": system - "), strings.Contains(line, ": signal - "), strings.Contains(line, ": internal - "):
		w.fatal = line
	case strings.Contains(line, ": warning - ") && len(w.warns) < maxWarnings:
		w.warns = append(w.warns, line)
	}
}

func clip(s string) string {
	if len(s) > 500 {
		return strings.ToValidUTF8(s[:500], "") + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// machine is what programs say when this machine is at fault, not the scene.
var machine = []string{"No space left on device", "Disk quota exceeded", "Cannot allocate memory", "out of memory", startFile, "Input/output error", "Read-only file system", "Too many open files", "error while loading shared libraries"}

// partyOf says whom a failure counts against by its words.
func partyOf(text string) renderer.Party {
	for _, m := range machine {
		if strings.Contains(text, m) {
			return renderer.WorkerFault
		}
	}
	return renderer.JobFault
}
