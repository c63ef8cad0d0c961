package cli

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// when writes a time for people: the clock's for today, else the day's.
func when(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	l := t.In(now.Location())
	if l.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return l.Format("15:04:05")
	}
	return l.Format("2006-01-02 15:04")
}

// span writes a time span with its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	h, m, s := rest/time.Hour, rest%time.Hour/time.Minute, rest%time.Minute/time.Second
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%02dh", days, h)
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

func seconds(s float64) string {
	switch {
	case s <= 0 || math.IsNaN(s) || math.IsInf(s, 0):
		return ""
	case s < 60:
		return strconv.FormatFloat(s, 'f', 1, 64) + "s"
	}
	return span(time.Duration(min(s, 1e9) * float64(time.Second)))
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x, unit := float64(n), 0
	for x >= 999.5 && unit < 6 {
		x, unit = x/1000, unit+1
	}
	digits := 0
	if x < 99.5 {
		digits = 1
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + " " + string(" kMGTPE"[unit]) + "B"
}

// count writes a number with the right form of what is counted.
func count[N ~int | ~int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + one + "s"
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func itoa[N ~int | ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }
