package blender

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Progress is what one line of Blender's output says of a render. Fields that
// the line does not speak of are zero, Percent is -1 then.
type Progress struct {
	Frame     int64
	HasFrame  bool
	Percent   float64       // 0 to 100, -1 when the line does not say
	Memory    int64         // bytes in use
	Peak      int64         // bytes at most
	Remaining time.Duration // Blender's own guess
	Saved     string        // path of a picture that was written
	What      string        // the step: "Sample 3/128", "Compositing"
}

var (
	frameRE     = regexp.MustCompile(`\bFra: ?(-?\d{1,10})\b`)
	sampleRE    = regexp.MustCompile(`(?:Sample|Path Tracing Sample|Rendering|Rendered|Render Sample) (\d{1,9}) ?/ ?(\d{1,9})`)
	tileRE      = regexp.MustCompile(`Rendered (\d{1,9})/(\d{1,9}) Tiles?`)
	memoryRE    = regexp.MustCompile(`\bMem: ?(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?)`)
	peakRE      = regexp.MustCompile(`\bPeak:? ?(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?)`)
	remainingRE = regexp.MustCompile(`\bRemaining: ?((?:\d{1,4}:)?\d{1,2}:\d{2}(?:\.\d{1,6})?)`)
	clockRE     = regexp.MustCompile(`^\d+:\d+\.\d+ `) // Blender 5 begins its lines with the time
	savedRE     = regexp.MustCompile(`\bSaved: ['"](.+)['"]\s*$`)
)

// ParseLine reads a line that Blender 2.80 to 5 prints while it renders. ok is
// false for a line that says nothing about a render.
func ParseLine(line string) (p Progress, ok bool) {
	p.Percent = -1
	if len(line) > maxLine {
		return p, false
	}
	if m := savedRE.FindStringSubmatch(line); m != nil {
		p.Saved = m[1]
		return p, true
	}
	m := frameRE.FindStringSubmatch(line)
	if m != nil {
		p.Frame, _ = strconv.ParseInt(m[1], 10, 64) // ten digits fit
		p.HasFrame = true
	}
	if !p.HasFrame && !strings.Contains(line, " | ") {
		return p, false
	}
	p.Percent = percent(line)
	p.Memory, p.Peak = size(memoryRE, line), size(peakRE, line)
	if m := remainingRE.FindStringSubmatch(line); m != nil {
		p.Remaining = clock(m[1])
	}
	p.What = what(line)
	return p, p.HasFrame || p.Percent >= 0
}

// what is the step of a line between its numbers and its details, such as
// "Sample 3/128" or "Updating Objects".
func what(line string) string {
	var steps []string
	for part := range strings.SplitSeq(line, " | ") {
		part = strings.TrimSpace(part)
		switch {
		case part == "", clockRE.MatchString(part), frameRE.MatchString(part), memoryRE.MatchString(part), strings.HasPrefix(part, "Time:"), strings.HasPrefix(part, "Remaining:"):
		default:
			steps = append(steps, part)
		}
	}
	if len(steps) > 1 && strings.Contains(steps[0], ", ") {
		steps = steps[1:] // the scene and its view layer
	}
	if len(steps) == 0 {
		return ""
	}
	return steps[0]
}

// percent joins tiles and samples. Where both are told, samples are of all
// tiles since Blender 3, and of one tile before.
func percent(line string) float64 {
	tiles := ratio(tileRE, line)
	rest := tileRE.ReplaceAllString(line, "")
	samples := ratio(sampleRE, rest)
	switch {
	case tiles < 0 && samples < 0:
		return -1
	case tiles < 0:
		return 100 * samples
	case samples < 0 || tiles > 0:
		return 100 * max(tiles, 0)
	}
	n, _ := strconv.ParseFloat(tileRE.FindStringSubmatch(line)[2], 64)
	return 100 * samples / max(n, 1)
}

func ratio(re *regexp.Regexp, line string) float64 {
	m := re.FindStringSubmatch(line)
	if m == nil {
		return -1
	}
	done, _ := strconv.ParseFloat(m[1], 64)
	all, _ := strconv.ParseFloat(m[2], 64)
	if all <= 0 {
		return -1
	}
	return min(done/all, 1)
}

var units = map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

func size(re *regexp.Regexp, line string) int64 {
	m := re.FindStringSubmatch(line)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if n *= units[m[2]]; err != nil || n > math.MaxInt64/2 {
		return 0
	}
	return int64(n)
}

// clock reads [h:]mm:ss[.ss].
func clock(s string) time.Duration {
	total := 0.0
	for part := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0
		}
		total = total*60 + n
	}
	return time.Duration(total * float64(time.Second))
}

// How often a reporter speaks.
const (
	progressEvery = 200 * time.Millisecond
	statusEvery   = time.Second
)

// reporter writes Blender's lines on and adds OpenJD's directives to them (How
// Jobs Are Run of OpenJD 2023-09, "Action Progress and Status Messages").
type reporter struct {
	out      io.Writer
	write    func(string) error
	now      func() time.Time
	peak     int64
	percent  int // the last that was told
	told     time.Time
	statusAt time.Time
}

func newReporter(out io.Writer) *reporter {
	return &reporter{out: out, write: lineWriter(out), now: time.Now, percent: -1}
}

func (r *reporter) line(line string) error {
	if err := r.write(line); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	p, ok := ParseLine(line)
	if !ok {
		return nil
	}
	r.peak = max(r.peak, p.Peak)
	now := r.now()
	// Denoising and compositing come after the last sample.
	if n := int(min(p.Percent, 99)); n > r.percent && now.Sub(r.told) >= progressEvery {
		r.percent, r.told = n, now
		fmt.Fprintf(r.out, "openjd_progress: %d\n", n)
	}
	if p.HasFrame && now.Sub(r.statusAt) >= statusEvery {
		r.statusAt = now
		fmt.Fprintf(r.out, "openjd_status: %s\n", p.status(r.peak))
	}
	return nil
}

func (r *reporter) done() { fmt.Fprintln(r.out, "openjd_progress: 100") }

// status is a line for people.
func (p *Progress) status(peak int64) string {
	parts := []string{fmt.Sprintf("frame %d", p.Frame)}
	if p.What != "" {
		parts = append(parts, clip(p.What))
	}
	if p.Remaining > 0 {
		parts = append(parts, p.Remaining.Round(time.Second).String()+" left")
	}
	if peak > 0 {
		parts = append(parts, fmt.Sprintf("%d MiB at most", peak>>20))
	}
	return strings.Join(parts, ", ")
}
