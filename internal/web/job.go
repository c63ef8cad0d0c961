package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"drover.farm/internal/farm"
)

// jobHead is what every page about a job begins with.
type jobHead struct {
	*farm.Job
	Tab     string
	Counts  farm.Counts
	ETA     string
	May     bool // the viewer may act on it
	Reads   bool // the viewer may read its files and logs
	Pending *farm.Pending
}

func (h jobHead) topics() string { return fmt.Sprintf("job/%d", h.ID) }

// jobPage is the grid of a job's tasks.
type jobPage struct {
	jobHead
	Running []runningTask
	Step    int
	By      string
	Only    string
	Modes   []mode
	Parts   []section  // of the grid, loaded when they come into sight
	Cells   *cellsPart // when only tasks of one state are shown
	From    int64      // first task of the grid on this page
	Prev    string
	Next    string
	Scale   []scaleStep
}

// mode is a way to colour the grid.
type mode struct{ Name, Label string }

var modes = []mode{{"state", "State"}, {"time", "Time"}, {"memory", "Memory"}, {"worker", "Worker"}, {"picture", "Pictures"}}

// section is a part of the grid that is loaded as a whole.
type section struct {
	Src     string
	From, N int64
}

const (
	cellsASection = 400
	cellsAPage    = 100_000
	picturesASect = 60
)

// head reads the job that the path names.
func (v *visit) head(tab string) (jobHead, error) {
	id, err := v.number("job")
	if err != nil {
		return jobHead{}, err
	}
	j, err := v.Farm.Job(v.ctx(), id)
	if err != nil {
		return jobHead{}, err
	}
	return v.headOf(v.ctx(), j, tab, v.by)
}

func (s *site) headOf(ctx context.Context, j *farm.Job, tab string, by farm.Principal) (jobHead, error) {
	var err error
	h := jobHead{Reads: by.Is(farm.RoleSubmitter), Job: j, Tab: tab, Counts: j.Counts(), May: by.Is(farm.RoleOperator) || by.Login == j.Owner && by.Is(farm.RoleSubmitter)}
	if h.Pending, err = s.Farm.Pending(ctx, j.ID); err != nil {
		return h, err
	}
	if j.State == farm.JobRunning {
		e, err := s.Farm.Estimate(ctx, j.ID)
		if err != nil {
			return h, err
		}
		h.ETA = etaText(e)
	}
	return h, nil
}

func (v *visit) job() error {
	h, err := v.head("frames")
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	p := jobPage{jobHead: h, Only: q.Get("state"), Modes: modes}
	if by := q.Get("by"); by != "" {
		if !slices.ContainsFunc(modes, func(m mode) bool { return m.Name == by }) {
			return farm.Errorf(farm.Invalid, "the grid cannot be coloured by %q", clip(by, 30))
		}
		p.By = by
	}
	if p.Step, err = stepOf(h.Job, q.Get("step")); err != nil {
		return err
	}
	if p.From, err = offset(q.Get("from")); err != nil {
		return err
	}
	if p.By == "" {
		if p.By, err = v.bestMode(h.Job, p.Step); err != nil {
			return err
		}
	}
	if p.Running, err = v.running(v.ctx(), h.Job, v.anonymous); err != nil {
		return err
	}
	if p.Only != "" {
		if p.Cells, err = v.cellsPart(h.Job, p.Step, p.From, p.By, p.Only, 500); err != nil {
			return err
		}
	} else if len(h.Steps) > 0 {
		p.layOut()
	}
	p.Scale = scaleOf(p.By)
	v.page(http.StatusOK, "job", "jobs", h.Spec.Name, p)
	return nil
}

// fewFrames is up to how many frames a grid is one of pictures unless asked
// otherwise.
const fewFrames = 200

// bestMode is how a step's grid is shown unless somebody asks otherwise: as
// pictures when there are some, and few enough to look at one by one.
func (v *visit) bestMode(j *farm.Job, step int) (string, error) {
	if len(j.Steps) == 0 || j.Steps[step].Tasks > fewFrames || j.Steps[step].Done == 0 {
		return "state", nil
	}
	ts, err := v.Farm.Tasks(v.ctx(), farm.TaskQuery{Job: j.ID, Step: step, FromStep: step, States: []farm.TaskState{farm.TaskDone}, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(ts) == 1 && pictureOf(ts[0]) >= 0 {
		return "picture", nil
	}
	return "state", nil
}

// layOut cuts the grid into sections.
func (p *jobPage) layOut() {
	total := p.Steps[p.Step].Tasks
	n := int64(cellsASection)
	if p.By == "picture" {
		n = picturesASect
	}
	end := min(p.From+cellsAPage, total)
	for from := p.From; from < end; from += n {
		m := min(n, end-from)
		p.Parts = append(p.Parts, section{fmt.Sprintf("/ui/jobs/%d/cells?step=%d&from=%d&n=%d&by=%s", p.ID, p.Step, from, m, p.By), from, m})
	}
	at := func(from int64) string {
		return fmt.Sprintf("/ui/jobs/%d?step=%d&by=%s&from=%d", p.ID, p.Step, p.By, from)
	}
	if p.From > 0 {
		p.Prev = at(max(0, p.From-cellsAPage))
	}
	if end < total {
		p.Next = at(end)
	}
}

// stepOf finds a step by its number.
func stepOf(j *farm.Job, s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseNumber(s)
	if err != nil || n >= int64(len(j.Steps)) {
		return 0, farm.Errorf(farm.NotFound, "job %d has no step %q", j.ID, clip(s, 50))
	}
	return int(n), nil
}

func offset(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseNumber(s)
	if err != nil {
		return 0, farm.Errorf(farm.Invalid, "%q is not the number of a task", clip(s, 30))
	}
	return n, nil
}

// runningTask is a task under way.
type runningTask struct {
	farm.TaskKey
	Label    string
	Worker   string
	Started  any // time.Time
	Progress float64
	Message  string
	Memory   int64
}

// maxRunning is how many running tasks a job's page lists.
const maxRunning = 24

// running lists what of a job is rendered now.
func (s *site) running(ctx context.Context, j *farm.Job, anonymous bool) ([]runningTask, error) {
	if j.State.Ended() || j.Counts().Running == 0 {
		return nil, nil
	}
	ls, err := s.Farm.Leases(ctx, j.ID)
	if err != nil {
		return nil, err
	}
	ls = ls[:min(len(ls), maxRunning)]
	ids := make([]int64, len(ls))
	for i, l := range ls {
		ids[i] = l.Worker
	}
	names, err := s.Farm.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	labels := s.labels(j)
	var out []runningTask
	for _, l := range ls {
		out = append(out, runningTask{TaskKey: l.TaskKey, Label: labels(l.TaskKey), Worker: names[l.Worker], Started: l.Started, Progress: l.Progress, Message: l.Message, Memory: l.Memory})
	}
	return out, nil
}

// labels gives tasks the names that people know them by: the frame number where
// there is one.
func (s *site) labels(j *farm.Job) func(farm.TaskKey) string {
	built, err := s.Farm.Instantiate(j)
	return func(k farm.TaskKey) string {
		if err == nil && k.Step < len(built.Steps) {
			if ps, err := built.Steps[k.Step].Space.At(k.Index); err == nil {
				return taskLabel(k.Index, ps)
			}
		}
		return "#" + strconv.FormatInt(k.Index, 10)
	}
}

type whyPage struct {
	jobHead
	Why      *farm.Explanation
	Versions []string
}

// versions are those that the viewer may move the job to.
func (v *visit) versions(h jobHead) ([]string, error) {
	if !h.May || h.Spec.Renderer == "" || h.Build == "" {
		return nil, nil
	}
	vs, err := v.Farm.Versions(v.ctx(), h.Spec.Renderer)
	return slices.DeleteFunc(vs, func(s string) bool { return s == h.Build }), err
}

func (v *visit) why() error {
	h, err := v.head("why")
	if err != nil {
		return err
	}
	e, err := v.Farm.Why(v.ctx(), h.ID)
	if err != nil {
		return err
	}
	vs, err := v.versions(h)
	if err != nil {
		return err
	}
	v.page(http.StatusOK, "why", "jobs", h.Spec.Name+": why", whyPage{h, e, vs})
	return nil
}

type detailsPage struct {
	jobHead
	Bytes    int64
	More     int // files beyond those shown
	Versions []string
}

// maxFiles is how many files of a job its page lists.
const maxFiles = 500

func (v *visit) details() error {
	h, err := v.head("details")
	if err != nil {
		return err
	}
	p := detailsPage{jobHead: h}
	if p.Versions, err = v.versions(h); err != nil {
		return err
	}
	for _, f := range h.Spec.Files {
		p.Bytes += f.Size
	}
	if n := len(h.Spec.Files); n > maxFiles {
		p.More = n - maxFiles
		h.Spec.Files = h.Spec.Files[:maxFiles]
	}
	v.page(http.StatusOK, "details", "jobs", h.Spec.Name+": details", p)
	return nil
}

// Chooses reports whether tasks of the list can be chosen for something.
func (p jobPage) Chooses() bool {
	switch farm.TaskState(p.Only) {
	case farm.TaskFailed, farm.TaskCanceled:
		return p.May
	case farm.TaskDone:
		return p.Reads
	}
	return false
}
