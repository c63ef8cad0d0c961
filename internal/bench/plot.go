package bench

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// colours that people who see few colours can tell apart (Okabe and Ito).
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7"}

// The size of a panel of the plot, and its margins.
const (
	panelW, panelH           = 640, 360
	left, right, top, bottom = 70, 130, 34, 50
)

// plot draws the sweep: a panel for each store with cycles a second over waiting
// tasks, a line for each number of workers.
func plot(points []Point) []byte {
	stores := (&Report{Sweep: points}).sweptStores()
	var b bytes.Buffer
	h := panelH * len(stores)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", panelW, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", panelW, h)
	for i, store := range stores {
		fmt.Fprintf(&b, `<g transform="translate(0,%d)"><text x="%d" y="18" font-size="14">Durable complete-and-claim cycles a second, %s</text>`+"\n", i*panelH, left, store)
		panel(&b, slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Store != store }))
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// scale is where values lie on a panel.
type scale struct{ least, most, high, step float64 }

func scaleOf(points []Point) scale {
	s := scale{least: math.Inf(1)}
	highest := 1.0
	for _, p := range points {
		highest = max(highest, p.Rate)
		s.least, s.most = min(s.least, float64(p.Waiting)), max(s.most, float64(p.Waiting))
	}
	s.step = math.Pow(10, math.Floor(math.Log10(highest)))
	if highest/s.step < 3 {
		s.step /= 2
	}
	s.high = math.Ceil(highest/s.step) * s.step
	return s
}

func (s scale) x(waiting float64) float64 {
	return left + (math.Log10(waiting)-math.Log10(s.least))/max(math.Log10(s.most)-math.Log10(s.least), 1e-9)*(panelW-left-right)
}

func (s scale) y(rate float64) float64 {
	return panelH - bottom - rate/s.high*(panelH-bottom-top)
}

func panel(b *bytes.Buffer, points []Point) {
	s := scaleOf(points)
	for v := 0.0; v <= s.high; v += s.step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, panelW-right, s.y(v), s.y(v), left-8, s.y(v)+4, v)
	}
	for n := s.least; n <= s.most; n *= 10 {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", s.x(n), panelH-bottom+20, thousands(int64(n)))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">tasks waiting</text>`+"\n", left+(panelW-left-right)/2, panelH-10)
	var workers []int
	for _, p := range points {
		if !slices.Contains(workers, p.Workers) {
			workers = append(workers, p.Workers)
		}
	}
	labels := make([]float64, 0, len(workers))
	for i, n := range workers {
		c := colours[i%len(colours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, c)
		var endX, endY float64
		for _, p := range points {
			if p.Workers == n {
				endX, endY = s.x(float64(p.Waiting)), s.y(p.Rate)
				fmt.Fprintf(b, "%.1f,%.1f ", endX, endY)
			}
		}
		labels = append(labels, free(labels, endY))
		fmt.Fprintf(b, `"/><text x="%.1f" y="%.1f" fill="%s">%d workers</text>`+"\n", endX+8, labels[i]+4, c, n)
	}
}

// lineHeight is how far labels must be apart.
const lineHeight = 14

// free is a height near y that no label has yet.
func free(labels []float64, y float64) float64 {
	for d := 0.0; ; d += lineHeight / 2 {
		for _, at := range []float64{y - d, y + d} {
			if !slices.ContainsFunc(labels, func(l float64) bool { return math.Abs(l-at) < lineHeight }) {
				return at
			}
		}
	}
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
