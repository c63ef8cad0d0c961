package web

import (
	"fmt"
	"math"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/openjd"
)

// cellsPart is a part of the grid.
type cellsPart struct {
	By    string
	Cells []cell
	Next  string // address of the page that goes on, when only some states are shown
}

// cell is a task in the grid.
type cell struct {
	Href  string
	ID    string // "STEP-INDEX"
	Key   string // "STEP/INDEX"
	Class string
	Title string
	Label string
	Thumb string
	State farm.TaskState
}

// cells answers with a section of the grid.
func (v *visit) cells() error {
	id, err := v.number("job")
	if err != nil {
		return err
	}
	j, err := v.Farm.Job(v.ctx(), id)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	step, err := stepOf(j, q.Get("step"))
	if err != nil {
		return err
	}
	from, err := offset(q.Get("from"))
	if err != nil {
		return err
	}
	n, err := offset(q.Get("n"))
	if err != nil || n < 1 || n > cellsASection {
		n = cellsASection
	}
	p, err := v.cellsPart(j, step, from, q.Get("by"), "", int(n))
	if err != nil {
		return err
	}
	v.render(http.StatusOK, "cells", p)
	return nil
}

// cellsPart reads n tasks of a step from an index on, those in a state if it is
// not "".
func (v *visit) cellsPart(j *farm.Job, step int, from int64, by, state string, n int) (*cellsPart, error) {
	q := farm.TaskPageQuery{Job: j.ID, Step: step, Limit: n}
	if from > 0 {
		q.After = fmt.Sprintf("%d/%d", step, from-1)
	}
	if state != "" {
		q.States = []farm.TaskState{farm.TaskState(state)}
		if !slices.Contains(legend, state) {
			return nil, farm.Errorf(farm.Invalid, "there is no task state %q", clip(state, 30))
		}
	}
	views, next, err := v.Farm.TaskPage(v.ctx(), q)
	if err != nil {
		return nil, err
	}
	p := &cellsPart{By: by, Cells: make([]cell, 0, len(views))}
	for i := range views {
		p.Cells = append(p.Cells, cellOf(&views[i], &j.Steps[step], by))
	}
	if state != "" && next != "" {
		last := views[len(views)-1].Index
		p.Next = fmt.Sprintf("/ui/jobs/%d?step=%d&by=%s&state=%s&from=%d", j.ID, step, by, state, last+1)
	}
	return p, nil
}

// cellOf draws a task.
func cellOf(t *farm.TaskView, s *farm.Step, by string) cell {
	c := cell{
		Href: taskLink(t.TaskKey), ID: fmt.Sprintf("%d-%d", t.Step, t.Index), Key: fmt.Sprintf("%d/%d", t.Step, t.Index), State: t.State,
		Label: taskLabel(t.Index, t.Parameters), Class: "s-" + string(t.State),
	}
	title := []string{c.Label + ": " + string(t.State)}
	var a *farm.Attempt
	if n := len(t.Attempts); n > 0 {
		a = counted(t.Attempts)
		title = append(title, "on "+a.Name)
		if a.Seconds > 0 && t.State == farm.TaskDone {
			title = append(title, duration(a.Seconds))
		}
		if a.Memory > 0 {
			title = append(title, size(a.Memory))
		}
		if n > 1 {
			title = append(title, count(n, "attempt"))
		}
	}
	if t.Live != nil {
		title = append(title, fmt.Sprintf("%.0f %%", t.Live.Progress))
	}
	if t.State == farm.TaskFailed && a != nil {
		title = append(title, clip(a.Error, 120))
	}
	c.Title = strings.Join(title, ", ")
	if a == nil {
		return c
	}
	switch {
	case by == "worker":
		c.Class = fmt.Sprintf("w%d s-%s", a.Worker%12, t.State)
	case by == "time" && t.State == farm.TaskDone:
		c.Class = fmt.Sprintf("h%d", heat(a.Seconds, s.Fastest, s.Slowest))
	case by == "memory" && a.Memory > 0:
		c.Class = fmt.Sprintf("h%d", memoryHeat(a.Memory))
	case by == "picture":
		if p := pictureOf(&t.Task); p >= 0 {
			c.Thumb = fmt.Sprintf("%s/out/%d?thumb=%s", c.Href, p, t.Outputs[p].Thumb[:12])
		}
	}
	return c
}

// counted is the attempt that did the task, else the last one.
func counted(as []farm.Attempt) *farm.Attempt {
	for i := range as {
		if as[i].Outcome == farm.OutcomeDone {
			return &as[i]
		}
	}
	return &as[len(as)-1]
}

// pictureOf is the first output that has a thumbnail and counts, -1 for none.
func pictureOf(t *farm.Task) int {
	for i := range t.Outputs {
		if len(t.Outputs[i].Thumb) == 64 && !renderer.HandedOn(t.Outputs[i].Name) {
			return i
		}
	}
	return -1
}

func taskLink(k farm.TaskKey) string {
	return fmt.Sprintf("/ui/jobs/%d/tasks/%d/%d", k.Job, k.Step, k.Index)
}

// taskLabel is the name that people know a task by: its frame, or what else its
// parameters say.
func taskLabel(index int64, ps openjd.TaskParameters) string {
	var parts []string
	for _, p := range ps {
		if strings.EqualFold(p.Name, "frame") {
			parts = append([]string{p.Value}, parts...)
			continue
		}
		parts = append(parts, p.Name+" "+clip(p.Value, 24))
	}
	if len(parts) == 0 {
		return "#" + strconv.FormatInt(index, 10)
	}
	return strings.Join(parts, ", ")
}

// heat is a place on the scale of ten steps between low and high.
func heat(v, low, high float64) int {
	if !(high > low) {
		return 4
	}
	return int(math.Round(9 * math.Min(1, math.Max(0, (v-low)/(high-low)))))
}

// memoryHeat is a place on the fixed scale of memory: 128 MiB and below, then a
// step for each power of two, up to 64 GiB and above.
func memoryHeat(n int64) int {
	if n <= 128<<20 {
		return 0
	}
	return min(9, bits.Len64(uint64(n-1)>>27))
}

// scaleStep is a step of the scale under the grid.
type scaleStep struct {
	Class, Label string
}

func scaleOf(by string) []scaleStep {
	var out []scaleStep
	switch by {
	case "memory":
		for i := range 10 {
			out = append(out, scaleStep{fmt.Sprintf("h%d", i), "≤ " + size(int64(128<<20)<<i)})
		}
		out[9].Label = "more"
	case "time":
		out = []scaleStep{{"h0", "fastest"}, {"h3", ""}, {"h5", ""}, {"h7", ""}, {"h9", "slowest"}}
	case "state", "picture":
		for _, s := range legend {
			out = append(out, scaleStep{"s-" + s, s})
		}
	}
	return out
}
