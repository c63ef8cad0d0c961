package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

// The functions of this file put numbers and times in words.

// count is a number with its noun: "1 worker", "1,200 workers".
func count(n any, noun string) string {
	i := whole(n)
	if i == 1 {
		return "1 " + noun
	}
	return thousands(i) + " " + noun + "s"
}

// plain leaves out of a message what is advice for the command line: the page has
// a button or a link for it.
func plain(s string) string {
	s, _, _ = strings.Cut(s, `; "drover `)
	return s
}

func whole(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case farm.Points:
		return n.Whole()
	}
	return 0
}

// thousands writes a number with commas.
func thousands(v any) string {
	s := strconv.FormatInt(whole(v), 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "−" + s
	}
	return s
}

// size writes bytes in the powers of two that file managers show.
func size(v any) string {
	n := float64(whole(v))
	if n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		n /= 1024
		if n < 1024 || unit == "TiB" {
			if n < 10 {
				return fmt.Sprintf("%.1f %s", n, unit)
			}
			return fmt.Sprintf("%.0f %s", n, unit)
		}
	}
	return ""
}

// duration writes a time span with two units at most. A number counts seconds.
func duration(v any) string {
	var d time.Duration
	switch v := v.(type) {
	case time.Duration:
		d = v
	case float64:
		if math.IsNaN(v) || math.Abs(v) > 1e9 {
			return "–"
		}
		d = time.Duration(v * float64(time.Second))
	}
	switch {
	case d < 0:
		return "–"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return two(int(d.Hours())/24, "days", int(d.Hours())%24, "h")
}

func two(a int, ua string, b int, ub string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, ua)
	}
	return fmt.Sprintf("%d %s %d %s", a, ua, b, ub)
}

// seconds is a whole number of them, at least 1, for Retry-After.
func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }

// ago says how long ago something was, with the exact time to be read.
func ago(now time.Time, v any) template.HTML {
	t, ok := v.(time.Time)
	if !ok || t.IsZero() {
		return "–"
	}
	t = t.Round(0).UTC()
	text := since(now.Sub(t))
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006 15:04:05"), text))
}

func since(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours())/24)
}

// percent is a part of a whole, rounded so that only all of it is 100.
func percent(part, total int64) string {
	if total <= 0 {
		return "0"
	}
	p := 100 * float64(part) / float64(total)
	switch {
	case p > 99 && part < total:
		p = 99
	case p > 0 && p < 1:
		p = 1
	}
	return strconv.Itoa(int(math.Round(p)))
}

// mark is the shape of a state.
func mark(state any) string {
	switch fmt.Sprint(state) {
	case "running", "rendering":
		return "▶"
	case "done":
		return "✓"
	case "failed", "aside":
		return "✕"
	case "paused":
		return "‖"
	case "canceled", "disabled":
		return "–"
	case "offline":
		return "·"
	}
	return "○"
}

// legend is the order in which states are shown.
var legend = []string{"done", "running", "failed", "canceled", "waiting"}

// Bar is a bar of a job's tasks by state.
type Bar struct {
	Label string
	Parts []BarPart
}

// BarPart is one state's share of a Bar; X and W are percentages as text.
type BarPart struct {
	State string
	X, W  string
	N     int64
}

// bar draws counts. A state with any task has at least half a percent, so that
// one failed frame of a hundred thousand is seen.
func bar(c farm.Counts) Bar {
	ns := []int64{c.Done, c.Running, c.Failed, c.Canceled, c.Waiting}
	var b Bar
	var words []string
	if c.Total <= 0 {
		return Bar{Label: "no tasks"}
	}
	const least = 0.5
	widths, sum := make([]float64, len(ns)), 0.0
	for i, n := range ns {
		if n > 0 {
			widths[i] = max(least, 100*float64(n)/float64(c.Total))
			sum += widths[i]
			words = append(words, thousands(n)+" "+legend[i])
		}
	}
	x := 0.0
	for i, n := range ns {
		if n == 0 {
			continue
		}
		w := widths[i] * 100 / sum
		b.Parts = append(b.Parts, BarPart{legend[i], fmt.Sprintf("%.2f%%", x), fmt.Sprintf("%.2f%%", w), n})
		x += w
	}
	b.Label = strings.Join(words, ", ")
	return b
}

// Eta is when a job should be done, in words.
func etaText(e *farm.ETA) string {
	if e == nil {
		return ""
	}
	if e.Latest-e.Earliest < e.Likely/10 || e.Latest < 30*time.Second {
		return "done in about " + duration(e.Likely.Round(time.Second))
	}
	return fmt.Sprintf("done in about %s (%s to %s)", duration(e.Likely.Round(time.Second)), duration(e.Earliest.Round(time.Second)), duration(e.Latest.Round(time.Second)))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
