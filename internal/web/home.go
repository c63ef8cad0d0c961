package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

// homePage is the first screen: what the farm does, and whether it needs a
// person.
type homePage struct {
	*glance
	Mine mine
}

func (homePage) topics() string { return "farm" }

// glance is the part of the first screen that is the same for everybody who may
// see jobs, or for one account that only lends machines.
type glance struct {
	Sees     bool // who looks may look at jobs and their frames
	Sentence string
	Tone     string // "good", "busy", "bad": how the sentence is drawn
	Idle     string // why workers that could work do not, "" when none
	Status   *farm.FarmStatus
	Heat     []heatCell
	Hidden   int // workers beyond those of Heat
	Recent   []picture
	Needs    []need
	Day      day
}

// heatCell is a worker in the grid of workers.
type heatCell struct {
	ID    int64
	State farm.WorkerState
	Title string
}

// need is something that waits for a person.
type need struct {
	Bad  bool
	Text string
	Link string
	Do   string // what the link offers
}

// mine is the viewer's own jobs, or all that go on when they have none.
type mine struct {
	Title string
	Rows  []jobRow
}

func (v *visit) home() error {
	g, err := (&seen{s: v.site}).glance(v.ctx(), v.lender())
	if err != nil {
		return err
	}
	p := homePage{glance: g}
	if p.Mine, err = v.mine(v.ctx(), v.by, v.anonymous); err != nil {
		return err
	}
	v.page(http.StatusOK, "home", "farm", "Farm", p)
	return nil
}

// maxHeat is how many workers the first screen shows one by one.
const maxHeat = 1000

// glance sums up what was seen for who may see jobs, or for the account of that
// lends machines and sees those.
func (n *seen) glance(ctx context.Context, of string) (*glance, error) {
	if err := n.look(ctx); err != nil {
		return nil, err
	}
	ws, err := n.workersOf(ctx, of)
	if err != nil {
		return nil, err
	}
	g := &glance{Status: n.status, Sees: of == "", Idle: idleReason(n.status, n.stuck, n.misfit), Day: n.day}
	g.Sentence, g.Tone = farmSentence(n.status, len(n.workers), pausedTasks(n.live))
	if g.Sees {
		g.Recent = n.s.recent.pictures(ctx, n.s.Farm)
		g.Needs = n.s.needs(ctx, n.status, ws, n.live, n.stuck)
	} else {
		g.Needs = workerNeeds(ws)
	}
	for i, w := range ws {
		if i == maxHeat {
			g.Hidden = len(ws) - maxHeat
			break
		}
		g.Heat = append(g.Heat, heatCell{w.ID, w.State, workerTitle(w)})
	}
	return g, nil
}

func workerTitle(w *farm.Worker) string {
	text := w.Name + ": " + workerWord(w.State)
	if len(w.Leases) > 0 {
		text += fmt.Sprintf(", job %d", w.Leases[0].Job)
	}
	if w.Reason != "" {
		text += ", " + w.Reason
	}
	return text
}

// workerWord is a worker's state in words of people.
func workerWord(s farm.WorkerState) string {
	if s == farm.WorkerAside {
		return "set aside"
	}
	return string(s)
}

// pausedTasks counts the tasks that wait in paused jobs.
func pausedTasks(live []*farm.Job) (n int64) {
	for _, j := range live {
		if j.State == farm.JobPaused {
			n += j.Counts().Waiting
		}
	}
	return n
}

// farmSentence says in one sentence how the farm is. paused is how many of the
// waiting tasks are of paused jobs.
func farmSentence(st *farm.FarmStatus, workers int, paused int64) (text, tone string) {
	busy, idle := st.Workers[farm.WorkerRendering], st.Workers[farm.WorkerIdle]
	switch {
	case st.Maintenance:
		return fmt.Sprintf("Maintenance: no new work is handed out, %s finish.", count(st.Running, "running task")), "bad"
	case workers == 0:
		return "The farm has no workers yet.", "bad"
	case busy+idle == 0:
		return fmt.Sprintf("None of the %s can work.", count(workers, "worker")), "bad"
	case busy == 0 && st.Waiting == 0 && st.Running == 0:
		return fmt.Sprintf("All quiet: %s ready, nothing waits.", are(idle, "worker")), "good"
	case busy == 0 && st.Waiting > 0 && paused >= st.Waiting:
		return fmt.Sprintf("%s ready: all that waits is paused, %s.", are(idle, "worker"), count(st.Waiting, "task")), "good"
	case busy == 0 && st.Waiting > 0:
		return fmt.Sprintf("%s waiting, %s idle.", countOf(st.Waiting, "task"), count(idle, "worker")), "bad"
	}
	text = count(busy, "worker") + " rendering"
	if idle > 0 {
		text += ", " + thousands(idle) + " idle"
	}
	if st.Waiting > 0 {
		text += ", " + count(st.Waiting, "task") + " waiting"
	}
	return text + ".", "busy"
}

func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return thousands(n) + " " + noun + "s are"
}

func countOf(n int64, noun string) string {
	s := count(n, noun)
	if n == 1 {
		return s + " is"
	}
	return s + " are"
}

// stuckJob is a job with tasks that no worker fits.
type stuckJob struct {
	job  *farm.Job
	text string
}

// maxExplained is how many jobs are explained for one first screen.
const maxExplained = 3

// stuck finds jobs that nobody fits, and says why workers that are there are not
// let at a job that others fit, "" when there are none.
func (s *site) stuck(ctx context.Context, st *farm.FarmStatus, live []*farm.Job) (out []stuckJob, misfit string) {
	if st.Maintenance || st.Waiting == 0 {
		return nil, ""
	}
	asked := 0
	for _, j := range live {
		if j.State != farm.JobWaiting && j.State != farm.JobRunning || j.Counts().Waiting == 0 || asked == maxExplained {
			continue
		}
		asked++
		why, err := s.Farm.Why(ctx, j.ID)
		if err != nil {
			continue // it has just ended
		}
		for _, step := range why.Steps {
			if step.State != farm.StepReady || step.Waiting == 0 {
				continue
			}
			for _, c := range step.Classes {
				if !c.Fits && len(c.Reasons) > 0 && c.Reasons[0].Code != "closed" && misfit == "" {
					misfit = fmt.Sprintf("for job %d, %s", j.ID, c.Reasons[0])
				}
			}
			if !slices.ContainsFunc(step.Classes, func(c farm.WorkerClass) bool { return c.Fits }) {
				out = append(out, stuckJob{j, step.Text})
				break
			}
		}
	}
	return out, misfit
}

// idleReason says why idle workers are idle while work waits.
func idleReason(st *farm.FarmStatus, stuck []stuckJob, misfit string) string {
	idle := st.Workers[farm.WorkerIdle]
	switch {
	case idle == 0 || st.Waiting == 0:
		return ""
	case len(stuck) == 0 && misfit == "":
		return ""
	case len(stuck) == 0:
		return fmt.Sprintf("%s idle although work waits: %s.", are(idle, "worker"), misfit)
	}
	return fmt.Sprintf("%s idle although work waits: job %d, %s.", are(idle, "worker"), stuck[0].job.ID, stuck[0].text)
}

// needs lists what waits for a person, the worst first.
func (s *site) needs(ctx context.Context, st *farm.FarmStatus, ws []*farm.Worker, live []*farm.Job, stuck []stuckJob) []need {
	var out []need
	add := func(bad bool, link, do, format string, args ...any) {
		out = append(out, need{bad, fmt.Sprintf(format, args...), link, do})
	}
	for _, x := range stuck {
		add(true, fmt.Sprintf("/ui/jobs/%d/why", x.job.ID), "See why", "Job %d %s cannot run: %s", x.job.ID, quoted(x.job.Spec.Name), x.text)
	}
	day := s.Farm.Now().Add(-24 * time.Hour)
	for _, j := range live {
		if c := j.Counts(); c.Failed > 0 && (j.State != farm.JobFailed || j.Finished.After(day)) {
			add(true, fmt.Sprintf("/ui/jobs/%d?state=failed", j.ID), "See them", "%s of job %d %s failed", countOf0(c.Failed, "task"), j.ID, quoted(j.Spec.Name))
		}
	}
	out = append(out, workerNeeds(ws)...)
	for _, l := range st.Limits {
		if l.Total >= 0 && l.InUse >= l.Total {
			add(false, "/ui/settings", "Limits", "The limit %s is used up (%g of %g)", strings.TrimPrefix(l.Name, "amount."), l.InUse, l.Total)
		}
	}
	if s.Usage != nil {
		if u, err := s.Usage(ctx); err == nil {
			if u.Limit > 0 && u.Bytes > u.Limit/10*9 {
				add(true, "/ui/settings", "Storage", "The store of files is nearly full: %s of %s", size(u.Bytes), size(u.Limit))
			} else if u.Free > 0 && u.Free < 5<<30 {
				add(true, "/ui/settings", "Storage", "The disk of the farm is nearly full: %s are free", size(u.Free))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b need) int { return cmp.Compare(flag(b.Bad), flag(a.Bad)) })
	if len(out) > 12 {
		out = append(out[:11], need{Text: fmt.Sprintf("and %d more", len(out)-11), Link: "/ui/jobs?state=failed", Do: "Failed jobs"})
	}
	return out
}

// workerNeeds lists the workers that wait for a person.
func workerNeeds(ws []*farm.Worker) (out []need) {
	for _, w := range ws {
		if w.State == farm.WorkerAside {
			out = append(out, need{true, fmt.Sprintf("Worker %s was set aside: %s", w.Name, w.Reason), fmt.Sprintf("/ui/workers/%d", w.ID), "Look at it"})
		}
	}
	return out
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func countOf0(n int64, noun string) string { return count(n, noun) }

// quoted is a job's name in a sentence.
func quoted(s string) string { return "“" + clip(s, 60) + "”" }

// mine lists the viewer's jobs that go on or ended lately.
func (s *site) mine(ctx context.Context, by farm.Principal, anonymous bool) (mine, error) {
	m := mine{Title: "Your jobs"}
	if !anonymous && !by.Is(farm.RoleSubmitter) {
		return mine{}, nil
	}
	var js []*farm.Job
	var err error
	if !anonymous {
		if js, err = s.Farm.Jobs(ctx, farm.JobQuery{Owner: by.Login, Limit: 8}); err != nil {
			return m, err
		}
	}
	if len(js) == 0 {
		m.Title = "Jobs under way"
		if js, err = s.Farm.Jobs(ctx, farm.JobQuery{States: []farm.JobState{farm.JobRunning, farm.JobWaiting}, Limit: 8}); err != nil {
			return m, err
		}
	}
	m.Rows, err = s.rows(ctx, js)
	return m, err
}

// In is how many workers are in a state.
func (g *glance) In(state string) int { return g.Status.Workers[farm.WorkerState(state)] }
