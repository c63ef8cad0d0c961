package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// median is the middle value; of an even number, the upper one.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// middle is what loads came to in the middle, figure by figure.
func middle(ls []load) load {
	var rates, cpus, allocs []float64
	for _, l := range ls {
		rates, cpus, allocs = append(rates, l.rate), append(cpus, float64(l.cpu)), append(allocs, l.allocs)
	}
	return load{median(rates), time.Duration(median(cpus)), median(allocs)}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// String is for whoever looks on.
func (l load) String() string {
	return fmt.Sprintf("%.0f/s at %.0f µs and %.0f allocations", l.rate, micro(l.cpu), l.allocs)
}

// colours that people who see few colours can tell apart (Okabe and Ito).
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7"}

// plot draws the sweep: cycles a second over waiting tasks, a line for each
// number of workers.
func plot(points []Point) []byte {
	const w, h, left, bottom, top = 640, 380, 70, 50, 30
	var workers []int
	top1, least, most := 0.0, math.Inf(1), 0.0
	for _, p := range points {
		if !slices.Contains(workers, p.Workers) {
			workers = append(workers, p.Workers)
		}
		top1 = max(top1, p.Rate)
		least, most = min(least, float64(p.Waiting)), max(most, float64(p.Waiting))
	}
	step := math.Pow(10, math.Floor(math.Log10(max(top1, 1))))
	if top1/step < 3 {
		step /= 2
	}
	high := math.Ceil(top1/step) * step
	x := func(n float64) float64 {
		return left + (math.Log10(n)-math.Log10(least))/max(math.Log10(most)-math.Log10(least), 1e-9)*(w-left-130)
	}
	y := func(v float64) float64 { return h - bottom - v/high*(h-bottom-top) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="18" font-size="14">Durable complete-and-claim cycles a second, %s</text>`+"\n", w, h, left, points[0].Store)
	for v := 0.0; v <= high; v += step {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, w-130, y(v), y(v), left-8, y(v)+4, v)
	}
	for n := least; n <= most; n *= 10 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(n), h-bottom+20, thousands(int64(n)))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">tasks waiting</text>`+"\n", left+(w-left-130)/2, h-10)
	for i, n := range workers {
		c := colours[i%len(colours)]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, c)
		var lastX, lastY float64
		for _, p := range points {
			if p.Workers == n {
				lastX, lastY = x(float64(p.Waiting)), y(p.Rate)
				fmt.Fprintf(&b, "%.1f,%.1f ", lastX, lastY)
			}
		}
		fmt.Fprintf(&b, `"/><text x="%.1f" y="%.1f" fill="%s">%d workers</text>`+"\n", lastX+8, lastY+4, c, n)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func thousands(n int64) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1_000:
		return fmt.Sprintf("%dk", n/1_000)
	}
	return fmt.Sprint(n)
}
