package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

type workersPage struct {
	Rows   []*farm.Worker
	State  string
	Counts map[farm.WorkerState]int
	States []farm.WorkerState
	All    int
	follow string // the topic of all workers, for those who may see them all
}

func (p workersPage) topics() string { return p.follow }

var workerStates = []farm.WorkerState{farm.WorkerRendering, farm.WorkerIdle, farm.WorkerAside, farm.WorkerDisabled, farm.WorkerOffline}

// sees reports whether the viewer may look at a worker: who only lends machines
// sees those of their own.
func (v *visit) sees(w *farm.Worker) bool {
	return v.anonymous || w.User == v.by.Login || v.by.Is(farm.RoleSubmitter)
}

func (v *visit) workers() error {
	ws, err := v.Farm.Farmhands(v.ctx())
	if err != nil {
		return err
	}
	p := workersPage{State: v.r.URL.Query().Get("state"), Counts: map[farm.WorkerState]int{}, States: workerStates}
	if p.State != "" && !slices.Contains(workerStates, farm.WorkerState(p.State)) {
		return farm.Errorf(farm.Invalid, "there is no worker state %q", clip(p.State, 30))
	}
	for _, w := range ws {
		if !v.sees(w) {
			continue
		}
		p.All++
		p.Counts[w.State]++
		if p.State == "" || w.State == farm.WorkerState(p.State) {
			p.Rows = append(p.Rows, w)
		}
	}
	if v.mayFollow(workersKind{}) == nil {
		p.follow = "workers"
	}
	v.page(http.StatusOK, "workers", "workers", "Workers", p)
	return nil
}

type workerPage struct {
	*farm.Worker
	May     bool
	Reads   bool // the viewer may look at jobs
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
	p := workerPage{Worker: w, May: !v.anonymous && (v.by.Login == w.User || v.by.Is(farm.RoleOperator)), Reads: v.by.Is(farm.RoleSubmitter)}
	h, err := v.Farm.History(v.ctx(), id)
	if err != nil {
		return err
	}
	p.History = v.historyOf(w, h)
	if p.Held, err = v.heldBuilds(v.ctx(), w); err != nil {
		return err
	}
	v.page(http.StatusOK, "worker", "workers", w.Name, p)
	return nil
}
