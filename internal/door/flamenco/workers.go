package flamenco

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

const maxCrew = 10_000

// addressOf is the address that a request comes from.
func addressOf(r *http.Request) string {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().String()
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// postWorker registers a worker. One of 2015 does so at its start, one of 2016
// whenever it is about to ask for work.
func (d *Door) postWorker(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	port, err := a.integer("port", 1, 65535)
	if err != nil {
		return err
	}
	if port == nil {
		five := int64(5000) // where workers listen by convention
		port = &five
	}
	address := addressOf(r)
	host, err := a.name("hostname", 120)
	if err != nil {
		return err
	}
	system, err := a.name("system", 200)
	if err != nil {
		return err
	}
	if host = strings.TrimSpace(host); host == "" {
		host = address
	}
	if err := d.enroll(r.Context(), address, int(*port), host, system); err != nil {
		return err
	}
	send(w, http.StatusNoContent, nil)
	return nil
}

// enroll makes the worker the farm's.
func (d *Door) enroll(ctx context.Context, address string, port int, host, system string) error {
	k := key(address, port, host)
	d.mu.Lock()
	var m *member
	for _, o := range d.crew {
		if key(o.address, o.port, o.host) == k {
			m = o
		}
	}
	full := m == nil && len(d.crew) >= maxCrew
	var old *work
	if m != nil {
		old = m.work
		if m.anew = true; m.kind == push {
			old = nil // it may be at it still: it is asked
		}
	}
	d.mu.Unlock()
	if full {
		return farm.Errorf(farm.Unavailable, "there are %d Flamenco workers already; remove some with \"drover worker rm\"", maxCrew)
	}
	if old != nil {
		d.lost(old)
	}
	reg := d.registration(address, port, host, system, m)
	reg.News = m != nil
	fw, err := d.farm.Register(ctx, reg)
	if err != nil {
		return err
	}
	if m == nil || m.id != fw.ID || m.sysText != system {
		if m != nil {
			d.dismiss(m)
		}
		m = d.enlist(fw)
	}
	d.tend(m)
	m.rouse()
	return nil
}

// workerView is a worker as this API shows it. activity is the text of a JSON
// object, current_task a text.
type workerView struct {
	ID         int64   `json:"id"`
	Hostname   string  `json:"hostname"`
	Status     string  `json:"status"`
	Activity   *string `json:"activity"`
	Log        *string `json:"log"`
	TimeCost   *int64  `json:"time_cost"`
	Connection string  `json:"connection"`
	System     string  `json:"system"`
	Port       int     `json:"port"`
	Address    string  `json:"ip_address"`
	Task       *string `json:"current_task"`
}

func (d *Door) workerView(f *farm.Worker, m *member) *workerView {
	v := &workerView{ID: f.ID, Hostname: m.host, Status: statusEnabled, Connection: "online", System: m.sysText, Port: m.port, Address: m.address}
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := m.work; w != nil {
		task, activity, log := num(w.id), w.now.text(), w.tail
		v.Status, v.Task, v.Activity, v.Log, v.TimeCost = statusRendering, &task, &activity, &log, m.timeCost
	}
	if f.Disabled || f.Aside {
		v.Status = statusDisabled
	}
	if !f.Online {
		v.Connection = "offline"
	}
	return v
}

// listWorkers shows the workers by their names; of several with one name, all but
// one have their address behind it.
func (d *Door) listWorkers(w http.ResponseWriter, r *http.Request) error {
	all, err := d.farm.Farmhands(r.Context())
	if err != nil {
		return err
	}
	out := make(map[string]*workerView)
	for _, f := range all {
		m := d.member(f.ID)
		if m == nil {
			continue
		}
		name := m.host
		if out[name] != nil {
			name = fmt.Sprintf("%s (%s)", name, net.JoinHostPort(m.address, fmt.Sprint(m.port)))
		}
		out[name] = d.workerView(f, m)
	}
	send(w, http.StatusOK, out)
	return nil
}

// theWorker is the worker of the path.
func (d *Door) theWorker(r *http.Request) (*member, error) {
	id, err := number(r)
	if err != nil {
		return nil, err
	}
	if m := d.member(id); m != nil {
		return m, nil
	}
	return nil, &fault{http.StatusNotFound, "there is no Flamenco worker with this id"}
}

// getWorker passes on what the worker says of its machine.
func (d *Door) getWorker(w http.ResponseWriter, r *http.Request) error {
	m, err := d.theWorker(r)
	if err != nil {
		return err
	}
	if d.kindOf(m) == pull { // it serves nothing
		f, err := d.farm.Farmhand(r.Context(), m.id)
		if err != nil {
			return err
		}
		send(w, http.StatusOK, map[string]any{"hostname": m.host, "system": m.sysText, "mac_address": nil, "update_frequent": map[string]any{},
			"update_less_frequent": map[string]any{}, "connection": d.workerView(f, m).Connection})
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), max(5*d.set.Probe, 5*time.Second)) // its look takes a second
	defer cancel()
	status, body, err := d.call(ctx, http.MethodGet, m.url("/run_info"), nil, 64<<10)
	var info map[string]json.RawMessage
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &info) != nil || info == nil {
		send(w, http.StatusOK, map[string]string{"connection": "offline"})
		return nil
	}
	send(w, http.StatusOK, info)
	return nil
}

// patchWorker is what a worker says of itself. A disabled one cannot enable
// itself.
func (d *Door) patchWorker(w http.ResponseWriter, r *http.Request) error {
	m, err := d.theWorker(r)
	if err != nil {
		return err
	}
	a, err := d.read(w, r, int64(d.set.LogLimit)<<20)
	defer a.close()
	if err != nil {
		return err
	}
	cost, err := a.integer("time_cost", -1<<31, 1<<31-1)
	if err != nil {
		return err
	}
	f, err := d.farm.Farmhand(r.Context(), m.id)
	if err != nil {
		return err
	}
	if status, ok := a.text("status"); ok {
		disable, err := statusWord(status)
		if err != nil {
			return err
		}
		if disable && !f.Disabled {
			if f, err = d.enable(r.Context(), m, false); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	var task *int64
	if x := m.work; x != nil {
		task = &x.id
		if log, ok := a.text("log"); ok && !f.Disabled {
			x.tail = tail(log, maxTail)
		}
		if activity, ok := a.text("activity"); ok && !f.Disabled {
			x.now.hear(activity)
		}
		if cost != nil && !f.Disabled {
			m.timeCost = cost
		}
	}
	d.mu.Unlock()
	send(w, http.StatusOK, map[string]any{"status": d.workerView(f, m).Status, "task_id": task})
	return nil
}

// patchStatus is what somebody makes of a worker: it alone can enable it again.
// What a disabled worker is at, it finishes.
func (d *Door) patchStatus(w http.ResponseWriter, r *http.Request) error {
	m, err := d.theWorker(r)
	if err != nil {
		return err
	}
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	status, ok := a.text("status")
	if !ok {
		return wrong("status", missing)
	}
	disable, err := statusWord(status)
	if err != nil {
		return err
	}
	if strings.ToLower(status) != statusRendering {
		if _, err := d.enable(r.Context(), m, !disable); err != nil {
			return err
		}
	}
	d.mu.Lock()
	var task *string
	if m.work != nil {
		id := num(m.work.id)
		task = &id
	}
	d.mu.Unlock()
	send(w, http.StatusOK, map[string]any{"task_id": task})
	return nil
}

// statusWord reads the status of a worker.
func statusWord(s string) (disable bool, err error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case statusDisabled:
		return true, nil
	case statusEnabled, statusAvailable, statusRendering:
		return false, nil
	}
	return false, wrong("status", "a worker is enabled (available), rendering or disabled")
}

func (d *Door) enable(ctx context.Context, m *member, on bool) (*farm.Worker, error) {
	f, err := d.farm.ChangeWorker(ctx, d.by, m.id, farm.WorkerChange{Enabled: &on, Reason: map[bool]string{false: "by the Manager API"}[on]})
	if err == nil {
		m.rouse()
	}
	return f, err
}
