package web

import (
	"context"
	"fmt"
	"time"

	"drover.farm/internal/farm"
)

// day is the farm's throughput of the last 24 hours, a bar for each ten minutes.
type day struct {
	Bars         []dayBar
	Line         string // of waiting tasks, as points of a polyline in a box of 145 by 60
	Most         int64  // tasks done in the best ten minutes
	MostWaiting  int64
	Done, Failed int64
	Seconds      float64 // of rendering
}

// dayBar is ten minutes: done from below, failed attempts on top.
type dayBar struct {
	X, Y, H, FY, FH string
	Title           string
}

const (
	dayBars = 145
	dayHigh = 60.0
)

func (s *site) day(ctx context.Context) (day, error) {
	samples, err := s.Farm.Samples(ctx)
	if err != nil {
		return day{}, err
	}
	return drawDay(samples, s.Farm.Now()), nil
}

func drawDay(samples []farm.Sample, now time.Time) day {
	var d day
	var seconds float64
	first := now.UTC().Truncate(farm.SampleSpan).Add(-(dayBars - 1) * farm.SampleSpan)
	for _, s := range samples {
		d.Most = max(d.Most, s.Done+s.Failed)
		d.MostWaiting = max(d.MostWaiting, s.Waiting)
		d.Done += s.Done
		d.Failed += s.Failed
		seconds += s.Seconds
	}
	d.Seconds = seconds
	for _, s := range samples {
		x := int(s.Time.Sub(first) / farm.SampleSpan)
		if x < 0 || x >= dayBars {
			continue
		}
		if d.MostWaiting > 0 {
			d.Line += fmt.Sprintf("%.1f,%.1f ", float64(x)+.5, dayHigh-dayHigh*float64(s.Waiting)/float64(d.MostWaiting))
		}
		if s.Done+s.Failed == 0 {
			continue
		}
		high := func(n int64) float64 { return dayHigh * float64(n) / float64(d.Most) }
		d.Bars = append(d.Bars, dayBar{
			X: fmt.Sprint(x), Y: px(dayHigh - high(s.Done)), H: px(high(s.Done)), FY: px(dayHigh - high(s.Done+s.Failed)), FH: px(high(s.Failed)),
			Title: fmt.Sprintf("%s: %d done, %d failed, %d waiting", s.Time.UTC().Format("15:04"), s.Done, s.Failed, s.Waiting),
		})
	}
	return d
}

func px(v float64) string { return fmt.Sprintf("%.1f", v) }
