package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// timelinePage shows who rendered what, when.
type timelinePage struct {
	jobHead
	Lanes  []lane
	Ticks  []tick
	Height int
	Cut    bool
}

// lane is a worker's row of the timeline.
type lane struct {
	Name  string
	Y     int
	Spans []span
	Done  int
	Busy  time.Duration
}

// span is an attempt; X and W are percentages of the width as text.
type span struct {
	X, W, Href, Title, Class string
}

type tick struct{ X, Label string }

const (
	laneHigh = 22
	maxSpans = 5000
)

func (v *visit) timeline() error {
	h, err := v.head("timeline")
	if err != nil {
		return err
	}
	ts, err := v.Farm.Tasks(v.ctx(), farm.TaskQuery{Job: h.ID, Step: -1, Limit: maxSpans + 1})
	if err != nil {
		return err
	}
	p := timelinePage{jobHead: h, Cut: len(ts) > maxSpans}
	if p.Cut {
		ts = ts[:maxSpans]
	}
	p.draw(ts, v.Farm.Now(), v.labels(h.Job))
	v.page(http.StatusOK, "timeline", "jobs", h.Spec.Name+": timeline", p)
	return nil
}

// draw lays the attempts out, a lane for each worker in the order in which they
// came.
func (p *timelinePage) draw(ts []*farm.Task, now time.Time, label func(farm.TaskKey) string) {
	type piece struct {
		farm.Attempt
		k farm.TaskKey
	}
	var all []piece
	for _, t := range ts {
		for _, a := range t.Attempts {
			if a.Ended.IsZero() {
				a.Ended = now
			}
			all = append(all, piece{a, t.TaskKey})
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b piece) int { return a.Started.Compare(b.Started) })
	from := all[0].Started
	to := slices.MaxFunc(all, func(a, b piece) int { return cmp.Compare(a.Ended.Sub(from), b.Ended.Sub(from)) }).Ended
	total := max(to.Sub(from), time.Second)
	lanes := map[int64]int{}
	for _, a := range all {
		at, known := lanes[a.Worker]
		if !known {
			at = len(p.Lanes)
			lanes[a.Worker] = at
			p.Lanes = append(p.Lanes, lane{Name: a.Name, Y: at * laneHigh})
		}
		l := &p.Lanes[at]
		took := a.Ended.Sub(a.Started)
		l.Busy += took
		state := string(a.Outcome)
		switch a.Outcome {
		case farm.OutcomeDone:
			l.Done++
		case "":
			state = "running"
		case farm.OutcomeLost:
			state = "failed"
		case farm.OutcomeReturned, farm.OutcomeLate:
			state = "canceled"
		}
		l.Spans = append(l.Spans, span{
			X: share(a.Started.Sub(from), total), W: share(max(took, total/1000), total), Class: "s-" + state, Href: taskLink(a.k),
			Title: fmt.Sprintf("%s on %s: %s, %s", label(a.k), a.Name, cmp.Or(string(a.Outcome), "running"), duration(took)),
		})
	}
	p.Height = len(p.Lanes) * laneHigh
	for i := range 5 {
		at := total / 4 * time.Duration(i)
		p.Ticks = append(p.Ticks, tick{share(at, total), duration(at)})
	}
}

func share(part, total time.Duration) string {
	return fmt.Sprintf("%.3f%%", 100*float64(part)/float64(total))
}
