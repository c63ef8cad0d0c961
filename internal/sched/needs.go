// Package sched decides which worker gets which step: pure matching and
// ranking, with reasons. It knows no clock, does no I/O and starts no
// goroutine; a Queue belongs to one goroutine.
//
// Ranking: priority first; among equal priorities the owner with the smallest
// share (tasks running, divided by the owner's weight); among an owner's steps
// the oldest. A worker that is warm for a step (it has the job's session open),
// or else holds its files, stays with it as long as that costs another owner no
// more than one task.
package sched

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Amount is a demand for a quantity, by OpenJD's full name of it
// ("amount.worker.vcpu", "amount.worker.memory" in MiB). Min is taken from the
// worker, or from a farm limit of that name, while a task runs. A Max above 0
// refuses workers that have more.
type Amount struct {
	Name string  `json:"name"`
	Min  float64 `json:"min,omitempty"`
	Max  float64 `json:"max,omitempty"`
}

// Attribute is a demand for a property ("attr.worker.os.family"). The worker
// must have one of AnyOf and each of AllOf, and any value at all when both are
// empty; values compare without case.
type Attribute struct {
	Name  string   `json:"name"`
	AnyOf []string `json:"any_of,omitempty"`
	AllOf []string `json:"all_of,omitempty"`
}

// Needs is what a step asks of a worker, beside one of its slots. Doors, when
// not empty, names the doors it may come through; NotDoors those that cannot
// speak of such a job. Nil asks nothing.
// Needs is never changed once a Queue has seen it.
type Needs struct {
	Amounts    []Amount    `json:"amounts,omitempty"`
	Attributes []Attribute `json:"attributes,omitempty"`
	Doors      []string    `json:"doors,omitempty"`
	NotDoors   []string    `json:"not_doors,omitempty"`
	Tags       []string    `json:"tags,omitempty"`
}

// Empty reports whether n asks nothing.
func (n *Needs) Empty() bool {
	return n == nil || len(n.Amounts)+len(n.Attributes)+len(n.Doors)+len(n.NotDoors)+len(n.Tags) == 0
}

// Key is equal for equal needs.
func (n *Needs) Key() string {
	if n.Empty() {
		return ""
	}
	b, err := json.Marshal(n)
	if err != nil { // NaN or an infinity, which no template can say
		return fmt.Sprintf("%p", n)
	}
	return string(b)
}

// Worker is what a Queue needs to know of a worker that asks.
type Worker struct {
	ID         int64
	Door       string
	Tags       []string
	Owners     []string // only these owners' jobs; empty: all
	Jobs       []int64  // only these jobs; empty: all
	Closed     string   // why it takes nothing at all just now; empty: it does
	Slots      int      // free
	AllSlots   int
	Amounts    map[string]float64 // as it is when nothing runs
	Used       map[string]float64 // taken by running tasks
	Attributes map[string][]string
	Warm       int64    // the job whose session it holds, 0 for none
	Scenes     []uint64 // of steps whose files it holds, the last used first
	MaxBytes   int64    // steps with more files are passed over, except Warm's; 0: none are
}

func (w *Worker) free(name string) float64 { return w.Amounts[name] - w.Used[name] }

// Reason says why a worker does not get a step, and what would change it.
type Reason struct {
	Code string `json:"code"` // closed, door, form, tags, owner, job, amount, attribute, reach, busy, limit, avoided
	Name string `json:"name,omitempty"`
	Want string `json:"want,omitempty"`
	Have string `json:"have,omitempty"`
	// Passing is true when waiting will help: the worker is only busy now.
	Passing bool `json:"passing,omitempty"`
}

// Fits says why the worker could not run a task with these needs even with
// nothing else to do; nil when it could. limits names the amounts that are
// drawn from the farm and not from the worker.
func (n *Needs) Fits(w *Worker, limits map[string]*Limit) []Reason {
	var rs []Reason
	if w.Closed != "" {
		rs = append(rs, Reason{Code: "closed", Have: w.Closed})
	}
	if n == nil {
		return rs
	}
	if len(n.Doors) > 0 && !slices.Contains(n.Doors, w.Door) {
		rs = append(rs, Reason{Code: "door", Want: strings.Join(n.Doors, " or "), Have: w.Door})
	}
	if slices.Contains(n.NotDoors, w.Door) {
		rs = append(rs, Reason{Code: "form", Have: w.Door})
	}
	for _, t := range n.Tags {
		if !w.tagged(t) {
			rs = append(rs, Reason{Code: "tags", Want: t, Have: strings.Join(w.Tags, ", ")})
		}
	}
	for _, a := range n.Amounts {
		if l, ok := limits[a.Name]; ok {
			if l.Total < a.Min {
				rs = append(rs, Reason{Code: "limit", Name: a.Name, Want: num(a.Min), Have: num(l.Total)})
			}
			continue
		}
		have, known := w.Amounts[a.Name]
		if !a.met(have, known) {
			rs = append(rs, Reason{Code: "amount", Name: a.Name, Want: a.want(), Have: haveNum(have, known)})
		}
	}
	for _, a := range n.Attributes {
		if !a.met(w.Attributes[a.Name]) {
			rs = append(rs, Reason{Code: "attribute", Name: a.Name, Want: a.want(), Have: orNothing(w.Attributes[a.Name])})
		}
	}
	return rs
}

// Fit reports whether Fits would find no reason; it builds none.
func (n *Needs) Fit(w *Worker, limits map[string]*Limit) bool {
	if w.Closed != "" {
		return false
	}
	if n == nil {
		return true
	}
	if len(n.Doors) > 0 && !slices.Contains(n.Doors, w.Door) || slices.Contains(n.NotDoors, w.Door) {
		return false
	}
	for _, t := range n.Tags {
		if !w.tagged(t) {
			return false
		}
	}
	for _, a := range n.Amounts {
		if l, ok := limits[a.Name]; ok {
			if l.Total < a.Min {
				return false
			}
		} else if have, known := w.Amounts[a.Name]; !a.met(have, known) {
			return false
		}
	}
	for _, a := range n.Attributes {
		if !a.met(w.Attributes[a.Name]) {
			return false
		}
	}
	return true
}

func (w *Worker) tagged(tag string) bool {
	return slices.ContainsFunc(w.Tags, func(h string) bool { return strings.EqualFold(h, tag) })
}

func (a Amount) met(have float64, known bool) bool {
	return (known || a.Min <= 0 && a.Max <= 0) && have >= a.Min && (a.Max <= 0 || have <= a.Max)
}

// now says why a worker that fits cannot start a task at this moment.
func (n *Needs) now(w *Worker, limits map[string]*Limit) []Reason {
	var rs []Reason
	if w.Slots < 1 {
		rs = append(rs, Reason{Code: "busy", Name: "slots", Want: "1", Have: "0", Passing: true})
	}
	if n == nil {
		return rs
	}
	for _, a := range n.Amounts {
		if l, ok := limits[a.Name]; ok {
			if l.Total-l.Used < a.Min {
				rs = append(rs, Reason{Code: "limit", Name: a.Name, Want: num(a.Min), Have: num(l.Total - l.Used), Passing: true})
			}
		} else if w.free(a.Name) < a.Min {
			rs = append(rs, Reason{Code: "busy", Name: a.Name, Want: num(a.Min), Have: num(w.free(a.Name)), Passing: true})
		}
	}
	return rs
}

func (a Amount) want() string {
	switch {
	case a.Max > 0 && a.Min > 0:
		return num(a.Min) + " to " + num(a.Max)
	case a.Max > 0:
		return "at most " + num(a.Max)
	}
	return "at least " + num(a.Min)
}

func (a Attribute) want() string {
	if len(a.AnyOf)+len(a.AllOf) == 0 {
		return "present"
	}
	var parts []string
	if len(a.AnyOf) > 0 {
		parts = append(parts, strings.Join(a.AnyOf, " or "))
	}
	if len(a.AllOf) > 0 {
		parts = append(parts, strings.Join(a.AllOf, " and "))
	}
	return strings.Join(parts, "; ")
}

func (a Attribute) met(have []string) bool {
	if len(a.AnyOf)+len(a.AllOf) == 0 {
		return len(have) > 0
	}
	has := func(v string) bool {
		return slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, v) })
	}
	if len(a.AnyOf) > 0 && !slices.ContainsFunc(a.AnyOf, has) {
		return false
	}
	for _, v := range a.AllOf {
		if !has(v) {
			return false
		}
	}
	return true
}

func num(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func haveNum(f float64, known bool) string {
	if !known {
		return "none"
	}
	return num(f)
}

func orNothing(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

func joinStrings(s []string) string { return strings.Join(s, ", ") }

func joinInts(ids []int64) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(parts, ", ")
}
