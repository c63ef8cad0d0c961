package flamenco

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"drover.farm/internal/farm"
)

// tend looks after a worker in a goroutine of its own, so that one which hangs
// delays nobody else.
func (d *Door) tend(m *member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.tended || d.ctx.Err() != nil {
		return
	}
	m.tended = true
	d.jobs.Go(func() { d.attend(m) })
}

// attend is the loop of a worker: how it does, what it is at, what it gets next.
func (d *Door) attend(m *member) {
	misses, quiet := 0, d.set.Tick
	for d.sleep(0, nil) {
		select {
		case <-m.left:
			return
		default:
		}
		if d.kindOf(m) == pull {
			d.checkPull(m)
			d.sleep(d.set.Tick, m.wake)
			continue
		}
		w, i, err := d.current(m), (*info)(nil), error(nil)
		if i, err = d.info(m); errors.Is(err, errTooLong) && w != nil {
			d.kill(m)
			d.overflow(w.id)
			d.sleep(d.set.Tick, w.done)
			continue
		} else if err != nil {
			misses++
			d.missed(m, w, misses)
			// Who has been away for long is asked less often.
			quiet = min(max(quiet, d.set.Tick)*3/2, max(d.set.Tick, time.Minute))
			d.sleep(quiet, m.wake)
			continue
		}
		misses, quiet = 0, d.set.Tick
		d.greet(m)
		switch {
		case w != nil:
			d.follow(m, w, i)
		case i.Status == statusRendering:
			d.sleep(d.set.Tick, m.wake) // at something that is not the farm's
		case !d.offer(m):
			d.sleep(d.set.Tick, m.wake)
		}
	}
}

// info is what a worker of 2015 says at /info.
type info struct {
	Host     *string      `json:"hostname"`
	Status   string       `json:"status"`
	Activity *string      `json:"activity"`
	Log      *string      `json:"log"`
	TimeCost *json.Number `json:"time_cost"`
}

// Statuses of a worker.
const (
	statusEnabled   = "enabled"
	statusAvailable = "available" // the document's word for it
	statusRendering = "rendering"
	statusDisabled  = "disabled"
)

var errTooLong = errors.New("the answer is longer than flamenco.log_limit allows")

var errNotWorker = errors.New("what answers there is no Flamenco worker of this name")

// info asks the worker how it does.
func (d *Door) info(m *member) (*info, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.set.Probe)
	defer cancel()
	status, body, err := d.call(ctx, http.MethodGet, m.url("/info"), nil, int64(d.set.LogLimit)<<20)
	if err != nil {
		return nil, err
	}
	var i info
	if status != http.StatusOK || json.Unmarshal(body, &i) != nil || i.Status == "" || i.Host != nil && *i.Host != m.host && m.host != "" {
		return nil, errNotWorker
	}
	return &i, nil
}

// call speaks to a worker. Answers longer than limit are an error.
func (d *Door) call(ctx context.Context, method, to string, form url.Values, limit int64) (int, []byte, error) {
	var body io.Reader
	if form != nil {
		body = newForm(form)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return 0, nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := d.dial.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	var p place
	if limit > smallBody {
		p.places = d.big
	}
	defer p.free()
	text, err := p.readAll(ctx, io.LimitReader(res.Body, limit+1), res.ContentLength)
	if err == nil && int64(len(text)) > limit {
		err = errTooLong
	}
	return res.StatusCode, text, err
}

// greet notes that the worker was heard of.
func (d *Door) greet(m *member) {
	d.mu.Lock()
	fresh := m.kind == unknown
	if fresh {
		m.kind = push
	}
	d.mu.Unlock()
	if fresh {
		d.examine(m)
		d.log.Info("a worker of 2015 is there", "worker", m.id, "name", m.host, "address", m.address)
	}
}

// examine asks the worker once about its machine.
func (d *Door) examine(m *member) {
	ctx, cancel := context.WithTimeout(d.ctx, 5*d.set.Probe)
	defer cancel()
	var machine struct {
		Less struct {
			Cores json.Number `json:"worker_num_cpus"`
			Arch  string      `json:"worker_architecture"`
		} `json:"update_less_frequent"`
	}
	status, body, err := d.call(ctx, http.MethodGet, m.url("/run_info"), nil, 64<<10)
	if err == nil && status == http.StatusOK && json.Unmarshal(body, &machine) == nil {
		d.mu.Lock()
		if n, err := machine.Less.Cores.Int64(); err == nil && n > 0 && n < 1<<16 {
			m.cores = int(n)
		}
		switch machine.Less.Arch {
		case "arm64", "aarch64":
			m.arch = "arm64"
		}
		d.mu.Unlock()
	}
	d.describe(m)
}

// missed is a worker that does not answer. What it was at goes back when its
// lease ends; idle, it is offline at the second miss.
func (d *Door) missed(m *member, w *work, misses int) {
	if w != nil {
		d.checkLeases(w)
		return
	}
	if d.kindOf(m) == push && misses == 2 {
		err := d.farm.SignOff(d.ctx, d.by, m.id)
		if farm.CodeOf(err) == farm.Gone {
			d.dismiss(m)
		}
		d.log.Info("a worker does not answer", "worker", m.id, "name", m.host)
	}
}

// checkLeases drops work whose leases the farm has ended.
func (d *Door) checkLeases(w *work) {
	f, err := d.farm.Farmhand(d.ctx, w.m.id)
	if farm.CodeOf(err) == farm.NotFound {
		d.dismiss(w.m)
		return
	}
	if err == nil && len(f.Leases) == 0 {
		d.release(w)
	}
}

// follow renews what the worker is at, tells how far it is, and ends it when the
// farm or the worker has.
func (d *Door) follow(m *member, w *work, i *info) {
	d.mu.Lock()
	if w.over { // its end is on its way to the farm
		d.mu.Unlock()
		d.sleep(d.set.Tick, w.done)
		return
	}
	if i.Log != nil {
		d.hearLog(w, *i.Log)
	}
	if i.Activity != nil {
		w.now.hear(*i.Activity)
	}
	if i.TimeCost != nil {
		if n, err := i.TimeCost.Int64(); err == nil {
			m.timeCost = &n
		}
	}
	if w.idle++; i.Status == statusRendering || w.words > 0 {
		w.idle, m.anew = 0, false
	}
	idle, anew := w.idle, m.anew
	m.anew = false
	ps := w.progress()
	d.mu.Unlock()
	if anew || idle > 2 {
		d.lost(w) // its last word was lost, or it was started again
		return
	}
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	go func() { // a last word ends the wait
		select {
		case <-w.done:
			cancel()
		case <-m.wake:
			cancel()
		case <-ctx.Done():
		}
	}()
	wait := d.set.Tick
	if idle > 0 {
		wait = min(wait, time.Second)
	}
	r, err := d.farm.Heartbeat(ctx, farm.Pulse{By: d.by, Worker: m.id, Leases: ps, Wait: wait})
	switch {
	case err != nil && gone(err) && d.ctx.Err() == nil && ctx.Err() == nil:
		d.kill(m)
		d.dismiss(m)
	case err != nil || len(r.Stop) < len(w.leases):
	default:
		d.stop(w)
	}
}

// stop ends a render that nobody wants any more. The worker says afterwards that
// it was aborted; if it does not, that is told to the farm for it.
func (d *Door) stop(w *work) {
	d.mu.Lock()
	again := w.killed
	w.killed = true
	d.mu.Unlock()
	d.kill(w.m)
	if again {
		d.conclude(w, news{state: stateAborted})
		return
	}
	d.sleep(min(d.set.Tick, time.Second), w.done)
}

func (d *Door) kill(m *member) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), d.set.Probe)
	defer cancel()
	if _, _, err := d.call(ctx, http.MethodDelete, m.url("/kill"), nil, 64<<10); err != nil {
		d.log.Warn("a worker cannot be told to stop", "worker", m.id, "err", err)
	}
}

// offer claims work for an idle worker and hands it over; false when there was
// none, or it came to nothing.
func (d *Door) offer(m *member) bool {
	select {
	case <-m.wake: // what it was for is looked at now
	default:
	}
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	go func() {
		select {
		case <-m.wake:
			cancel()
		case <-ctx.Done():
		}
	}()
	w := d.claim(ctx, m, d.set.Tick)
	if w == nil {
		return ctx.Err() != nil && d.ctx.Err() == nil
	}
	argv, err := d.prepare(m, w)
	if err != nil {
		d.log.Warn("a task cannot be given to a worker", "task", w.id, "job", w.job.ID, "worker", m.id, "err", err)
		d.giveBack(w, "this worker cannot do it: "+err.Error())
		return false
	}
	if err := d.execute(m, w, argv); err != nil {
		d.log.Warn("a worker did not take its task", "task", w.id, "job", w.job.ID, "worker", m.id, "err", err)
		d.giveBack(w, "the worker did not take it: "+clip(err.Error(), 300))
		return false
	}
	return true
}

// execute hands a command to a worker of 2015.
func (d *Door) execute(m *member, w *work, argv []string) error {
	command, err := json.Marshal(argv)
	if err != nil {
		return err
	}
	form := url.Values{"task_id": {num(w.id)}, "task_parser": {"blender_render"}, "settings": {"{}"}, "task_command": {string(command)}}
	if w.post != nil {
		form.Set("task_parser", w.post.Parser)
		form.Set("settings", string(w.post.Settings))
	}
	ctx, cancel := context.WithTimeout(d.ctx, 5*d.set.Probe)
	defer cancel()
	status, body, err := d.call(ctx, http.MethodPost, m.url("/execute_task"), form, 64<<10)
	if err == nil && status != http.StatusOK {
		err = errors.New(http.StatusText(status) + ": " + clip(string(body), 200))
	}
	return err
}
