package farm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"drover.farm/internal/sched"
)

// Any is the system or architecture of a build that runs on all.
const Any = "any"

// BuildAttribute is the name of the attribute whose values are the versions of a
// renderer that a worker can go on with: those of RendererAttribute and retired
// ones. Jobs that are pinned to a version ask for it.
func BuildAttribute(product string) string { return "attr.build." + product }

// offer is a version of a renderer that a worker may fetch.
type offer struct {
	product, version string
	retired          bool // only for jobs that are pinned to it
}

// fetches reports whether the worker fetches builds of the product.
func (m *Machine) fetches(product string) bool {
	return slices.Contains(m.Fetches, product) || slices.Contains(m.Fetches, Any)
}

// Runs reports whether the machine can run the build: it is for its system, and
// for its architecture or one that it emulates.
func (b *Build) Runs(m *Machine) bool {
	return (b.OS == m.OS || b.OS == Any) && (b.native(m) || slices.Contains(m.Emulates, b.Arch))
}

func (b *Build) native(m *Machine) bool { return b.Arch == m.Arch || b.Arch == Any }

// before reports whether the machine is given b rather than c, of one version:
// first what is for its own architecture, then what is newer.
func (b *Build) before(c *Build, m *Machine) bool {
	if c == nil || b.native(m) != c.native(m) {
		return c == nil || b.native(m)
	}
	return b.ID > c.ID
}

// offered reports whether the worker may be given the build.
func (b *Build) offered(w *worker) bool {
	return b.State != BuildAside && w.Machine.fetches(b.Product) && b.Runs(&w.Machine) && (b.Trial == 0 || slices.Contains(b.TrialWorkers, w.ID))
}

// equip works out anew what the worker can render with.
func (st *state) equip(w *worker) {
	w.offers = w.offers[:0]
	for _, b := range st.builds {
		st.admitToTrial(b, w)
		if b = st.builds[b.ID]; b.offered(w) {
			w.offers = append(w.offers, offer{b.Product, b.Version, b.State == BuildRetired})
		}
	}
	slices.SortFunc(w.offers, func(a, b offer) int { return strings.Compare(a.product+"\x00"+a.version, b.product+"\x00"+b.version) })
	w.describe()
	if delete(st.houred, w.ID); w.Rules.Hours != "" {
		st.houred[w.ID] = w
	}
	st.stirred(w)
	st.renewed(w)
}

// equipAll does so for all workers, after the library has changed.
func (st *state) equipAll() {
	for w := range st.everybody { // the first ones try what is on trial
		st.equip(w)
	}
	st.queue.Touch()
}

// renderers adds the attributes of what the worker has or can fetch.
func (w *worker) renderers(attrs map[string][]string) {
	add := func(name, version string) {
		if !slices.Contains(attrs[name], version) {
			attrs[name] = append(attrs[name], version)
		}
	}
	for _, r := range w.Machine.Renderers {
		add(RendererAttribute(r.Product), r.Version)
		add(BuildAttribute(r.Product), r.Version)
	}
	for _, o := range w.offers {
		add(BuildAttribute(o.product), o.version)
		if !o.retired {
			add(RendererAttribute(o.product), o.version)
		}
	}
}

// pinned is n with the renderer's version fixed.
func pinned(n *sched.Needs, product, version string) *sched.Needs {
	var c sched.Needs
	if n != nil {
		c = *n
	}
	names := []string{RendererAttribute(product), BuildAttribute(product)}
	c.Attributes = slices.DeleteFunc(slices.Clone(c.Attributes), func(a sched.Attribute) bool { return slices.Contains(names, a.Name) })
	c.Attributes = append(c.Attributes, sched.Attribute{Name: names[1], AnyOf: []string{version}})
	return &c
}

// version is the newest version of the product that the worker can begin a step
// with; "" when there is none.
func (w *worker) version(product string, n *sched.Needs) string {
	best := ""
	take := func(v string) {
		if (best == "" || compareVersions(v, best) > 0) && allowed(n, product, v) {
			best = v
		}
	}
	for _, r := range w.Machine.Renderers {
		if r.Product == product {
			take(r.Version)
		}
	}
	for _, o := range w.offers {
		if o.product == product && !o.retired {
			take(o.version)
		}
	}
	return best
}

// allowed reports whether needs let a step be rendered with the version.
func allowed(n *sched.Needs, product, version string) bool {
	if n == nil {
		return true
	}
	for _, a := range n.Attributes {
		if (a.Name == RendererAttribute(product) || a.Name == BuildAttribute(product)) && len(a.AnyOf) > 0 &&
			!slices.ContainsFunc(a.AnyOf, func(v string) bool { return strings.EqualFold(v, version) }) {
			return false
		}
	}
	return true
}

// pin fixes the version that a job is rendered with; "" frees it again.
func (st *state) pin(j *job, version string) {
	j.Build = version
	st.changed(j)
	for _, s := range j.steps {
		if s.Needs = s.asked; version != "" {
			s.Needs = pinned(s.asked, j.Spec.Renderer, version)
		}
		st.changedStep(s)
		st.replace(s)
	}
}

// unpin frees the jobs that were to be rendered with a build that was set aside
// and have no frame of it yet: they begin with another version.
func (st *state) unpin(b *Build) {
	if st.twin(b) {
		return
	}
	for _, j := range st.jobs {
		if !j.State.Ended() && j.Spec.Renderer == b.Product && j.Build == b.Version && j.Counts().Done == 0 {
			st.pin(j, "")
		}
	}
}

// BuildFor is the build of the library that a worker needs for a job's tasks:
// nil when its machine has the job's version itself, or the job is not pinned to
// a version. It fails with NotFound when the library lacks it, too.
func (f *Farm) BuildFor(ctx context.Context, workerID, jobID int64) (*Build, error) {
	var out *Build
	err := f.do(ctx, func(st *state) error {
		w := st.workers[workerID]
		if w == nil {
			return noWorker(workerID)
		}
		j, err := st.job(jobID)
		if err != nil || j.Build == "" {
			return err
		}
		for _, r := range w.Machine.Renderers {
			if r.Product == j.Spec.Renderer && r.Version == j.Build {
				return nil
			}
		}
		for _, b := range st.builds {
			if b.Product == j.Spec.Renderer && b.Version == j.Build && b.offered(w) && b.before(out, &w.Machine) {
				out = b
			}
		}
		if out == nil {
			return Errorf(NotFound, "the library has no %s %s for worker %s any more", j.Spec.Renderer, j.Build, quote(w.Name))
		}
		c := *out
		out = &c
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// TryBuild lets only the first n workers that fit have a build until each of
// them has done a task with it; then all have it. It is set aside when too many
// tasks fail meanwhile. Zero ends the trial: all have it.
func (f *Farm) TryBuild(ctx context.Context, by Principal, id int64, n int) (*Build, error) {
	if !by.Is(RoleOperator) {
		return nil, Errorf(Forbidden, "renderer builds take the role operator")
	}
	if n < 0 || n > 10_000 {
		return nil, Errorf(Invalid, "a trial takes 1 to 10000 workers, not %d", n)
	}
	var out Build
	err := f.do(ctx, func(st *state) error {
		b := st.builds[id]
		if b == nil {
			return noBuild(id)
		}
		if n > 0 && b.State != BuildUsable {
			return Errorf(Conflict, "build %d is %s; make it usable first", id, b.State)
		}
		c := *b
		c.Trial, c.TrialWorkers, c.Proved, c.Failures = n, nil, nil, 0
		st.putBuild(&c)
		st.emit(Event{Type: "build.state", State: string(c.State), Text: fmt.Sprintf("%s: on trial with %d workers", b, n)})
		if n > 0 {
			st.audit(by, "put the build %d, %s, on trial with %s", id, b, num(int64(n), "worker"))
		} else if b.Trial > 0 {
			st.audit(by, "ended the trial of the build %d, %s", id, b)
		}
		st.equipAll()
		out = *st.builds[id]
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return &out, nil
}

// admitToTrial gives a build on trial to the worker if it is one of the first.
func (st *state) admitToTrial(b *Build, w *worker) {
	if b.Trial <= len(b.TrialWorkers) || !w.Online || slices.Contains(b.TrialWorkers, w.ID) || !w.Machine.fetches(b.Product) || !b.Runs(&w.Machine) {
		return
	}
	c := *b
	c.TrialWorkers = append(slices.Clone(b.TrialWorkers), w.ID)
	st.putBuild(&c)
}

// tryOut counts how an attempt ended for or against a build on trial.
func (st *state) tryOut(w *worker, j *job, e ending) {
	if j.Build == "" || e.outcome != OutcomeDone && e.outcome != OutcomeFailed {
		return
	}
	for _, b := range st.builds {
		if b.Trial == 0 || b.Product != j.Spec.Renderer || b.Version != j.Build || !slices.Contains(b.TrialWorkers, w.ID) {
			continue
		}
		c := *b
		if e.outcome == OutcomeFailed {
			c.Failures++
		} else if !slices.Contains(c.Proved, w.ID) {
			c.Proved = append(slices.Clone(c.Proved), w.ID)
		} else {
			continue
		}
		switch {
		case c.Failures >= st.f.settings.TrialFailures:
			c.Trial, c.TrialWorkers, c.Proved = 0, nil, nil
			st.putBuild(&c)
			st.setBuild(&c, BuildAside, fmt.Sprintf("%d tasks failed while it was on trial; the last error: %s", c.Failures, clip(e.text, 300)))
		case len(c.Proved) >= c.Trial:
			c.Trial, c.TrialWorkers, c.Proved, c.Failures = 0, nil, nil, 0
			st.putBuild(&c)
			st.emit(Event{Type: "build.state", State: string(c.State), Text: c.String() + ": the trial is passed, all workers have it"})
			st.equipAll()
		default:
			st.putBuild(&c)
		}
	}
}
