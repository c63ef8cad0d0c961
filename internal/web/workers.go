package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

type workersPage struct {
	Rows   []workerRow
	State  string
	Counts map[farm.WorkerState]int
	States []farm.WorkerState
	All    int
}

func (workersPage) topics() string { return "workers" }

// workerRow is a worker in a list.
type workerRow struct {
	*farm.Worker
	Jobs bool // who looks may look at jobs
}

var workerStates = []farm.WorkerState{farm.WorkerRendering, farm.WorkerIdle, farm.WorkerAside, farm.WorkerDisabled, farm.WorkerOffline}

// lender is the viewer's account if it only lends machines: it sees those of its
// own, and no jobs. "" for who sees more.
func (v *visit) lender() string {
	if v.anonymous || v.by.Is(farm.RoleSubmitter) {
		return ""
	}
	return v.by.Login
}

// sees reports whether the viewer may look at a worker.
func (v *visit) sees(w *farm.Worker) bool { return belongs(w, v.lender()) }

// belongs reports whether a worker is of an account; all are of "".
func belongs(w *farm.Worker, of string) bool { return of == "" || w.User == of }

func (v *visit) workers() error {
	ws, err := (&seen{s: v.site}).workersOf(v.ctx(), v.lender())
	if err != nil {
		return err
	}
	p := workersPage{State: v.r.URL.Query().Get("state"), Counts: map[farm.WorkerState]int{}, States: workerStates}
	if p.State != "" && !slices.Contains(workerStates, farm.WorkerState(p.State)) {
		return farm.Errorf(farm.Invalid, "there is no worker state %q", clip(p.State, 30))
	}
	for _, w := range ws {
		p.All++
		p.Counts[w.State]++
		if p.State == "" || w.State == farm.WorkerState(p.State) {
			p.Rows = append(p.Rows, workerRow{w, v.lender() == ""})
		}
	}
	v.page(http.StatusOK, "workers", "workers", "Workers", p)
	return nil
}

type workerPage struct {
	workerRow
	May     bool
	History historyPart
	Held    []string // builds of the library that it has fetched
}

func (p workerPage) topics() string { return fmt.Sprintf("worker/%d", p.ID) }

// GPUText names the graphics processors.
func (p workerPage) GPUText() string { return gpuText(p.Worker) }

func gpuText(w *farm.Worker) string {
	var out []string
	for _, g := range w.Machine.GPUs {
		s := g.Name
		if g.Memory > 0 {
			s += " (" + size(g.Memory) + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (v *visit) worker() error {
	id, err := v.number("worker")
	if err != nil {
		return err
	}
	w, err := v.Farm.Farmhand(v.ctx(), id)
	if err != nil {
		return err
	}
	if !v.sees(w) {
		return farm.Errorf(farm.Forbidden, "worker %d belongs to another account; looking at it takes the role submitter", id)
	}
	p := workerPage{workerRow: workerRow{w, v.lender() == ""}, May: !v.anonymous && (v.by.Login == w.User || v.by.Is(farm.RoleOperator))}
	h, err := v.Farm.History(v.ctx(), id)
	if err != nil {
		return err
	}
	p.History = v.historyOf(w, h, p.Jobs)
	if p.Held, err = v.heldBuilds(v.ctx(), w); err != nil {
		return err
	}
	v.page(http.StatusOK, "worker", "workers", w.Name, p)
	return nil
}
