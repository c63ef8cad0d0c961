package sheepit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

// What a client can render with (protocol.txt, "Job request").
const (
	methodBoth = "0"
	methodCPU  = "1"
	methodGPU  = "2"
)

// requestJob gives a session a frame: /server/request_job.php. Parameters are in
// the query; a body is the list of archives that the client has, whatever its
// content type says.
func (d *Door) requestJob(w http.ResponseWriter, r *http.Request, s *session) {
	cached, p, ok := d.cached(w, r)
	if !ok {
		return
	}
	if s != nil {
		s.mem.asking.Lock()
		defer s.mem.asking.Unlock()
	}
	a := &ask{d: d, s: s, p: p, ctx: patient(r)}
	o, err := a.work()
	if err != nil {
		code := requestStatus(err)
		if code == requestUnknown {
			d.Log.Error("a request for work failed", "worker", s.worker, "err", err)
		}
		d.Log.Debug("no work", "status", code, "reason", err)
		e := status("jobrequest", code)
		answer(w, e.add(d.deletions(a.ctx, s, cached)...))
		return
	}
	answer(w, o.document(r).add(d.deletions(a.ctx, s, cached)...))
}

// ask is a request for work on its way.
type ask struct {
	d       *Door
	s       *session
	p       params
	ctx     context.Context
	machine farm.Machine
	outlook *farm.Outlook
}

// work finds the frame for a session; the error says why there is none.
func (a *ask) work() (*offer, error) {
	d := a.d
	alive, err := d.keep(a.ctx, a.s)
	if err != nil {
		return nil, err
	}
	// Who asks for work renders nothing that was stopped any more.
	if stop := slices.Collect(maps.Keys(alive.Stop)); len(stop) > 0 {
		if err := d.Farm.Return(a.ctx, a.s.by, a.s.worker, stop, "the client asked for other work"); err != nil {
			return nil, err
		}
	}
	if err := a.describe(); err != nil {
		return nil, err
	}
	held, err := d.Farm.Held(a.ctx, a.s.by, a.s.worker)
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		a.s.mem.prune(nil)
		l, err := a.claim(nil)
		if err != nil {
			return nil, err
		}
		return a.give(l)
	}
	return a.further(held)
}

// describe refuses sessions that get nothing, and keeps what the request says of
// the machine.
func (a *ask) describe() error {
	d := a.d
	o, err := d.Farm.Outlook(a.ctx, a.s.worker)
	if err != nil {
		return err
	}
	a.outlook = o
	switch w := o.Worker; {
	case w.Disabled || w.Aside:
		return refused(requestDisabled, "the worker is "+string(w.State)+": "+w.Reason)
	case o.Maintenance:
		return refused(requestMaintenance, "maintenance")
	}
	a.machine = update(&o.Worker.Machine, a.p)
	if err := d.packer.able(a.ctx, &a.machine); err != nil {
		return err
	}
	if reflect.DeepEqual(&a.machine, &o.Worker.Machine) {
		return nil
	}
	w := o.Worker
	_, err = d.Farm.Register(a.ctx, farm.Registration{By: a.s.by, Key: w.Key, Name: w.Name, Door: w.Door, Machine: a.machine,
		Slots: w.Slots, Rules: w.Rules, Lease: d.Lease, Silence: d.SessionTimeout, News: true})
	return err
}

// further decides for a session that has frames already. Clients repeat requests
// by themselves, and forget frames without a word when something fails; others
// ask for more while a frame is on its way.
func (a *ask) further(held []*farm.Lease) (*offer, error) {
	d, m, now := a.d, a.s.mem, a.d.Farm.Now()
	m.prune(held)
	last := held[len(held)-1]
	g := m.know(last)
	if now.Sub(g.at) < d.Repeat {
		if g.quick++; g.quick > maxQuick {
			return nil, refused(requestNothing, "the same request again and again")
		}
		return a.give(last)
	}
	if !g.sync && len(held) < d.MaxHeld {
		l, err := a.claim(held)
		if err == nil {
			return a.give(l)
		}
		if requestStatus(err) != requestNothing || now.Sub(g.at) < d.Uploading {
			return nil, err
		}
	}
	if g.repeat++; g.repeat > d.Repeats {
		_, err := d.Farm.Fail(a.ctx, farm.Result{By: a.s.by, Worker: a.s.worker, Lease: last.ID, Task: last.Task},
			farm.Failure{Cause: farm.CauseWorker, Text: fmt.Sprintf("the client asked %d times for the frame and never delivered it", g.repeat)})
		if err != nil {
			return nil, err
		}
		return nil, refused(requestNothing, "a frame was given too often")
	}
	g.at, g.quick = now, 0
	return a.give(last)
}

// maxQuick is how many repetitions within Settings.Repeat are answered with the
// frame; beyond them the client is sent away for a while.
const maxQuick = 10

// claim gets a lease. What the session holds already counts as being uploaded.
func (a *ask) claim(held []*farm.Lease) (*farm.Lease, error) {
	d := a.d
	if err := d.packer.ready(a.ctx, &a.machine); err != nil {
		return nil, err
	}
	req := farm.ClaimRequest{By: a.s.by, Worker: a.s.worker, Warm: a.s.mem.warmJob(), Only: a.allow, Within: farm.Bounds{
		Seconds: a.p.real("rendertime_max"), Memory: a.p.kib("ram_max"),
		Bytes: int64(a.machine.Amounts[amountDownload] * d.DownloadTime.Seconds()),
	}}
	for _, l := range held {
		req.Uploading = append(req.Uploading, l.ID)
	}
	l, err := d.Farm.Claim(a.ctx, req)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return nil, refused(requestNothing, "nothing to do")
	}
	a.s.mem.note(l, d.Farm.Now(), l.Done < int64(d.TestFrames))
	return l, nil
}

// allow says whether a job may go to this session, beyond what the farm itself
// matches. The dispatcher calls it.
func (a *ask) allow(j *farm.Job) bool {
	device, method := j.Spec.Parameters["Device"], cmp.Or(a.p.Get("computemethod"), methodBoth)
	switch {
	case j.Spec.Password != "" && has(&a.machine, attrPlain),
		device == "CPU" && method == methodGPU,
		device == "GPU" && len(a.machine.GPUs) == 0,
		blender.NeedsDisplay(j.Spec.Parameters["Engine"]) && has(&a.machine, attrHeadless):
		return false
	}
	return true
}

// give makes the answer for a lease. A lease whose archives are not there yet
// goes back.
func (a *ask) give(l *farm.Lease) (*offer, error) {
	o, err := a.offer(l)
	if err == nil {
		a.s.mem.warmed(l.Task.Job)
		return o, nil
	}
	if rerr := a.d.Farm.Return(a.ctx, a.s.by, a.s.worker, []int64{l.ID}, "its archives were not ready"); rerr != nil {
		return nil, rerr
	}
	return nil, err
}

// know finds what is remembered of a lease, or begins to.
func (m *memory) know(l *farm.Lease) *given {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.given[l.ID]
	if g == nil {
		g = &given{at: l.Started}
		m.given[l.ID] = g
	}
	return g
}

func (m *memory) note(l *farm.Lease, at time.Time, sync bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given[l.ID] = &given{at: at, sync: sync}
}

// prune forgets leases that are over.
func (m *memory) prune(held []*farm.Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := make(map[int64]*given, len(held))
	for _, l := range held {
		if g := m.given[l.ID]; g != nil {
			kept[l.ID] = g
		}
	}
	m.given = kept
}

func (m *memory) warmJob() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.warm
}

func (m *memory) warmed(job int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warm = job
}
