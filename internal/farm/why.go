package farm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/sched"
)

// Explanation says why a job is where it is.
type Explanation struct {
	Job     int64
	State   JobState
	Summary string // one sentence
	Steps   []StepExplanation
	ETA     *ETA
}

// StepExplanation says why the tasks of a step wait.
type StepExplanation struct {
	Step    string
	State   StepState
	Waiting int64
	Text    string // one sentence
	Classes []WorkerClass
	Failed  []string // errors of its failed tasks, each once, at most ten
}

// WorkerClass are workers that are refused, or would be taken, alike.
type WorkerClass struct {
	Workers int
	Names   []string // at most five of them
	Fits    bool     // only waiting is needed
	Reasons []sched.Reason
	Change  string // what would change it, in words
}

// ETA is when a job should be done if nothing changes, with a range.
type ETA struct{ Likely, Earliest, Latest time.Duration }

// Why explains a job.
func (f *Farm) Why(ctx context.Context, id int64) (*Explanation, error) {
	q, err := f.inquire(ctx, id)
	if err != nil {
		return nil, err
	}
	out := q.explain()
	for i := range out.Steps {
		if out.Steps[i].Failed, err = f.errors(ctx, id, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// errors lists the different errors of a step's failed tasks.
func (f *Farm) errors(ctx context.Context, job int64, step int) ([]string, error) {
	rows, err := f.Tasks(ctx, TaskQuery{Job: job, Step: step, FromStep: step, States: []TaskState{TaskFailed}, Limit: 200})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range rows {
		for _, a := range t.Attempts[min(t.Since, len(t.Attempts)):] {
			if text := strings.TrimSpace(a.Error); text != "" && !slices.Contains(out, text) && len(out) < 10 {
				out = append(out, text)
			}
		}
	}
	return out, nil
}

func (q *inquiry) explain() *Explanation {
	j := q.job
	out := &Explanation{Job: j.ID, State: j.State, ETA: j.eta()}
	lost := q.stranded()
	for i := range j.Steps {
		out.Steps = append(out.Steps, q.explainStep(&j.Steps[i], lost))
	}
	c := j.Counts()
	switch {
	case j.State == JobDone:
		out.Summary = "the job is done: all of " + num(c.Total, "task")
	case j.State == JobFailed:
		out.Summary = "the job failed: " + j.Reason
	case j.State == JobCanceled:
		out.Summary = "the job was canceled" + because(j.Reason)
	case j.State == JobPaused:
		out.Summary = fmt.Sprintf("the job is paused%s; \"drover job resume %d\" lets it go on", because(j.Reason), j.ID)
	case q.maintenance:
		out.Summary = "the farm is in maintenance: no work is handed out until \"drover maintenance off\""
	case c.Waiting == 0:
		out.Summary = "nothing of it waits; running: " + num(c.Running, "task")
	default:
		out.Summary = fmt.Sprintf("%s waiting, %d running", num(c.Waiting, "task"), c.Running)
		for _, s := range out.Steps {
			if s.Waiting > 0 && s.State == StepReady {
				out.Summary += ": " + s.Text
				break
			}
		}
	}
	return out
}

func (q *inquiry) explainStep(s *Step, lost string) StepExplanation {
	out := StepExplanation{Step: s.Name, State: s.State, Waiting: s.Counts().Waiting}
	switch {
	case s.State == StepBlocked:
		var names []string
		for _, d := range s.DependsOn {
			if q.job.Steps[d].State != StepDone {
				names = append(names, q.job.Steps[d].Name)
			}
		}
		out.Text = "it waits until these steps are done: " + strings.Join(names, ", ")
		return out
	case s.State.Ended():
		out.Text = fmt.Sprintf("it is %s", s.State)
		return out
	case out.Waiting == 0:
		out.Text = "none of its tasks waits"
		return out
	}
	in := q.steps[s.Index]
	if in == nil {
		out.Text = "its tasks have just begun to wait"
		return out
	}
	out.Classes = in.byCount()
	if out.Text = lost; out.Text == "" {
		out.Text = q.sum(in, out.Classes)
	}
	return out
}

// byCount lists the classes, those of most workers first.
func (g *group) byCount() []WorkerClass {
	out := make([]WorkerClass, 0, len(g.classes))
	for _, k := range slices.Sorted(maps.Keys(g.classes)) {
		out = append(out, *g.classes[k])
	}
	slices.SortStableFunc(out, func(a, b WorkerClass) int { return cmp.Compare(b.Workers, a.Workers) })
	return out
}

// reasons are why the worker does not get the steps of the group.
func (q *inquiry) reasons(g *group, h *hand) []sched.Reason {
	s := &sched.Step{Job: q.job.ID, Index: g.step, Owner: q.job.Owner, Needs: g.needs, Takes: func(id int64) bool { return !g.avoided[id] }}
	rs := append(q.f.unreached(q.job, &h.row), sched.Explain(s, &h.info, q.limits)...)
	for i := range rs {
		if obstacle := q.f.obstacles[rs[i].Have]; rs[i].Code == "form" && obstacle != nil {
			rs[i].Want = obstacle(&q.job.Spec)
		}
		q.unbuilt(&rs[i], h)
	}
	return rs
}

// appendReasons adds what tells reasons apart.
func appendReasons(b []byte, rs []sched.Reason) []byte {
	for i := range rs {
		r := &rs[i]
		for _, text := range []string{r.Code, r.Name, r.Want, r.Have} {
			b = append(append(b, text...), 0)
		}
		b = strconv.AppendBool(b, r.Passing)
	}
	return b
}

// ReachFunc says why a worker of a door cannot do a job although the farm's own
// conditions let it, and what would change that; "" when it can. Several
// goroutines may call it at once, for each worker of the door: it must be quick,
// and change and keep nothing of the two.
type ReachFunc func(*Job, *Worker) (why, change string)

// Reach lets a door that refuses jobs in its claims (ClaimRequest.Only) say so to
// people.
func (f *Farm) Reach(door string, fn ReachFunc) { f.reach.Store(door, fn) }

// unreached is what the worker's door has against the job.
func (f *Farm) unreached(j *Job, w *Worker) []sched.Reason {
	fn, ok := f.reach.Load(w.Door)
	if !ok {
		return nil
	}
	why, change := fn.(ReachFunc)(j, w)
	if why == "" {
		return nil
	}
	return []sched.Reason{{Code: "reach", Have: why, Want: change}}
}

// unbuilt adds to the lack of a renderer for which system the library has none.
func (q *inquiry) unbuilt(r *sched.Reason, h *hand) {
	product, ok := strings.CutPrefix(r.Name, BuildAttribute(""))
	if !ok {
		product, ok = strings.CutPrefix(r.Name, RendererAttribute(""))
	}
	if !ok || r.Code != "attribute" || len(h.info.Attributes[r.Name]) > 0 || !h.row.Machine.fetches(product) {
		return
	}
	for _, b := range q.builds {
		if b.Product == product && b.State != BuildAside && b.Runs(&h.row.Machine) {
			return
		}
	}
	r.Have += fmt.Sprintf("; the library has no build of it for %s %s", h.row.Machine.OS, h.row.Machine.Arch)
}

// sum says in one sentence what keeps a step's tasks waiting.
func (q *inquiry) sum(a *asked, classes []WorkerClass) string {
	fit, free, all := 0, 0, 0
	for _, c := range classes {
		all += c.Workers
		if c.Fits {
			fit += c.Workers
		}
		if len(c.Reasons) == 0 {
			free += c.Workers
		}
	}
	switch {
	case all == 0:
		return "the farm has no workers; start one with \"drover work\""
	case fit == 0:
		return fmt.Sprintf("of %s none fits: %s", num(int64(all), "worker"), classes[0].Reasons[0])
	case free > 0:
		return fmt.Sprintf("free and fitting: %s; tasks start as they ask", num(int64(free), "worker"))
	}
	text := fmt.Sprintf("every worker that fits is busy (%d)", fit)
	if a.higher > 0 {
		text += "; ahead by priority: " + num(int64(a.higher), "step")
	}
	if a.older > 0 {
		text += fmt.Sprintf("; ahead by age: %s of %s", num(int64(a.older), "step"), q.job.Owner)
	}
	return text
}

// changeFor says what would let workers in that are refused for these reasons.
func changeFor(rs []sched.Reason) string {
	if len(rs) == 0 {
		return ""
	}
	r := rs[0]
	switch r.Code {
	case "closed":
		return "enable the worker (\"drover worker enable ID\"), start it, or wait for its hours"
	case "door":
		return "submit with --doors that name its door"
	case "tags":
		return fmt.Sprintf("give the worker the tag %s, or submit without it", r.Want)
	case "owner", "job":
		return "the worker's own rules would have to change"
	case "amount", "attribute":
		for _, prefix := range []string{RendererAttribute(""), BuildAttribute("")} {
			if product, ok := strings.CutPrefix(r.Name, prefix); ok {
				return fmt.Sprintf("install %s on the worker, or put it into the library for the worker's system (\"drover renderer add\"), or move the job to a version that there is (\"drover job build\")", strings.TrimSpace(product+" "+strings.TrimPrefix(r.Want, "present")))
			}
		}
		return "a worker that has it, or a job that asks for less"
	case "limit":
		return "wait until it is given back, or raise the limit (\"drover limit set\")"
	case "reach":
		return r.Want
	case "busy":
		return "wait until the worker's running tasks end"
	case "avoided":
		return "wait for another worker, or end those that fail"
	}
	return ""
}

// eta estimates when the job is done from the times of its finished tasks and
// the number of tasks that run now: as many as now run until then, step by step.
func (j *Job) eta() *ETA {
	if j.State != JobRunning {
		return nil
	}
	var likely, best, worst, spread float64
	for i := range j.Steps {
		s := &j.Steps[i]
		c := s.Counts()
		if c.Waiting+c.Running == 0 {
			continue
		}
		if s.Done == 0 || c.Running == 0 {
			return nil // nothing to go by
		}
		at, done := float64(c.Running), float64(s.Done)
		left := float64(c.Waiting) + at/2 // what runs is half done, on average
		mean := s.Seconds / done
		likely += left / at * mean
		best += left / at * s.Fastest
		worst = max(worst, s.Slowest-mean)
		// Frame times lie within about four standard deviations; both the sum of
		// those to come and the mean of those seen stray by that.
		dev := (s.Slowest - s.Fastest) / 4 / at
		spread += dev * dev * (left + left*left/done)
	}
	sec := func(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
	stray := 2 * math.Sqrt(spread)
	// The very last frame may be one of the slow ones.
	return &ETA{Likely: sec(likely), Earliest: sec(max(likely-stray, best)), Latest: sec(likely + stray + worst)}
}

// Estimate returns when a job should be done, nil when that cannot be told.
func (f *Farm) Estimate(ctx context.Context, id int64) (*ETA, error) {
	var out *ETA
	err := f.do(ctx, func(st *state) error {
		if j := st.jobs[id]; j != nil {
			out = j.eta()
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// num is a number of things.
func num(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
