package blender

import (
	"fmt"
	"io"
	"iter"
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

// Blender prints a line for each sample, so these expressions are only asked where
// a line may fit them; on whole lines they took most of a reporter's time.
var (
	remainingRE = regexp.MustCompile(`^ ?((?:\d{1,4}:)?\d{1,2}:\d{2}(?:\.\d{1,6})?)`)
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
	if strings.Contains(line, "Saved: ") {
		if m := savedRE.FindStringSubmatch(line); m != nil {
			p.Saved = m[1]
			return p, true
		}
	}
	p.Frame, p.HasFrame = frame(line)
	if !p.HasFrame && !strings.Contains(line, " | ") {
		return p, false
	}
	p.Percent = percent(line)
	p.Memory, _ = size(line, "Mem:")
	p.Peak, _ = size(line, "Peak")
	for rest := range after(line, "Remaining:") {
		if m := remainingRE.FindStringSubmatch(rest); m != nil {
			p.Remaining = clock(m[1])
			break
		}
	}
	p.What = what(line)
	return p, p.HasFrame || p.Percent >= 0
}

// after goes through what follows a word, wherever that does not end a longer one.
func after(line, word string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := 0; ; {
			i := strings.Index(line[at:], word)
			if i < 0 {
				return
			}
			begin := at + i
			at = begin + len(word)
			if (begin == 0 || !wordly(line[begin-1])) && !yield(line[at:]) {
				return
			}
		}
	}
}

func wordly(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// digits is how many digits a text begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// frame reads "Fra:12".
func frame(line string) (int64, bool) {
	for rest := range after(line, "Fra:") {
		rest = strings.TrimPrefix(rest, " ")
		bare := strings.TrimPrefix(rest, "-")
		if n := digits(bare); 1 <= n && n <= 10 && (n == len(bare) || !wordly(bare[n])) {
			v, _ := strconv.ParseInt(rest[:len(rest)-len(bare)+n], 10, 64) // ten digits fit
			return v, true
		}
	}
	return 0, false
}

// what is the step of a line between its numbers and its details, such as
// "Sample 3/128" or "Updating Objects".
func what(line string) string {
	first := ""
	for part := range strings.SplitSeq(line, " | ") {
		part = strings.TrimSpace(part)
		if part == "" || numbers(part) {
			continue
		}
		if first == "" && strings.Contains(part, ", ") {
			first = part // the scene and its view layer, unless nothing follows
			continue
		}
		return part
	}
	return first
}

// numbers reports whether a part of a line tells times, memory or the frame.
func numbers(part string) bool {
	if strings.HasPrefix(part, "Time:") || strings.HasPrefix(part, "Remaining:") || digits(part) > 0 && clockRE.MatchString(part) {
		return true
	}
	if _, ok := frame(part); ok {
		return true
	}
	_, ok := size(part, "Mem:")
	return ok
}

// percent joins tiles and samples. Where both are told, samples are of all
// tiles since Blender 3, and of one tile before.
func percent(line string) float64 {
	tiles, samples, all := -1.0, -1.0, 0.0
	for at := range len(line) {
		if line[at] != '/' {
			continue
		}
		done, of, tile, ok := ratio(line, at)
		switch {
		case !ok:
		case tile && all == 0:
			tiles, all = done/of, of
		case !tile && samples < 0:
			samples = min(done/of, 1)
		}
	}
	switch {
	case tiles < 0 && samples < 0:
		return -1
	case tiles < 0:
		return 100 * samples
	case samples < 0 || tiles > 0:
		return 100 * min(tiles, 1)
	}
	return 100 * samples / all
}

// ratio reads "Sample 3/128", "Rendering 3 / 128 samples" or "Rendered 3/40
// Tiles" around a slash.
func ratio(line string, slash int) (done, all float64, tile, ok bool) {
	from := slash
	if from > 0 && line[from-1] == ' ' {
		from--
	}
	to := from
	for from > 0 && '0' <= line[from-1] && line[from-1] <= '9' {
		from--
	}
	rest := line[slash+1:]
	tight := to == slash && !strings.HasPrefix(rest, " ")
	rest = strings.TrimPrefix(rest, " ")
	n := min(digits(rest), 9)
	if to == from || to-from > 9 || n == 0 {
		return 0, 0, false, false
	}
	word := line[:from]
	tile = strings.HasSuffix(word, "Rendered ")
	if !tile && !strings.HasSuffix(word, "Sample ") && !strings.HasSuffix(word, "Rendering ") {
		return 0, 0, false, false
	}
	done, _ = strconv.ParseFloat(line[from:to], 64)
	all, _ = strconv.ParseFloat(rest[:n], 64)
	return done, all, tile && tight && strings.HasPrefix(rest[n:], " Tile"), all > 0
}

var units = map[string]float64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// size reads "Mem:15.50M" or "Peak 2G", as bytes.
func size(line, word string) (int64, bool) {
	for rest := range after(line, word) {
		if word == "Peak" {
			rest = strings.TrimPrefix(rest, ":")
		}
		rest = strings.TrimPrefix(rest, " ")
		n := digits(rest)
		if n == 0 || n > 15 {
			continue
		}
		if n < len(rest) && rest[n] == '.' {
			if f := min(digits(rest[n+1:]), 9); f > 0 {
				n += 1 + f
			}
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if rest = strings.TrimPrefix(rest[n:], " "); rest != "" && units[rest[:1]] > 0 {
			v *= units[rest[:1]]
		}
		if err != nil || v > math.MaxInt64/2 {
			return 0, true
		}
		return int64(v), true
	}
	return 0, false
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
