package flamenco

import (
	"context"
	"net/http"

	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
)

// news is what a worker says of its task.
type news struct {
	state    string // in the words of 2015
	log      string
	activity string
	cost     *int64  // seconds
	file     *upload // an archive of what was rendered
	lost     bool    // it said nothing: what became of it is not known
	fault    string  // found here
}

// listen notes that a word on the work with an id is on its way, which may take
// long: the worker is not asked meanwhile whether it is at it still. The function
// that it returns ends that.
func (d *Door) listen(id int64) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.work[id]
	if w == nil {
		return func() {}
	}
	w.words++
	return func() {
		d.mu.Lock()
		w.words--
		d.mu.Unlock()
	}
}

// hear takes a worker's word on its work. It fails with 403 when the worker is to
// stop: that is how a worker of 2016 is told.
func (d *Door) hear(w *work, n news) error {
	if n.state != stateRunning && n.state != stateReady {
		return d.conclude(w, n)
	}
	d.mu.Lock()
	if n.log != "" {
		// Of a running task only the end of the log comes, again and again.
		w.now.add(fresh(w.tail, n.log))
		w.tail = tail(n.log, maxTail)
	}
	w.now.hear(n.activity)
	w.m.timeCost = n.cost
	ps, killed := w.progress(), w.killed
	d.mu.Unlock()
	if killed {
		return &fault{http.StatusForbidden, "Task cancelled"}
	}
	r, err := d.farm.Keep(d.ctx, d.by, w.m.id, ps)
	if gone(err) {
		d.release(w)
		return &fault{http.StatusForbidden, "Worker is not registered"}
	} else if err != nil {
		return err
	}
	stopped := 0
	for _, l := range w.leases {
		if _, ok := r.Stop[l.ID]; ok {
			stopped++
		}
	}
	if stopped == len(w.leases) || !d.holds(w) {
		d.mu.Lock()
		w.killed = true
		d.mu.Unlock()
		return &fault{http.StatusForbidden, "Task cancelled"}
	}
	return nil
}

// holds reports whether the farm still has a lease of the work.
func (d *Door) holds(w *work) bool {
	f, err := d.farm.Farmhand(d.ctx, w.m.id)
	if err != nil {
		return farm.CodeOf(err) != farm.NotFound
	}
	for _, l := range f.Leases {
		for _, mine := range w.leases {
			if l.ID == mine.ID {
				return true
			}
		}
	}
	return false
}

// fresh is what of a log's end was not in the end that came before.
func fresh(before, now string) string {
	for n := min(len(before), len(now)); n > 0; n-- {
		if before[len(before)-n:] == now[:n] {
			return now[n:]
		}
	}
	return now
}

// hearLog takes the whole log so far. The caller holds d.mu.
func (d *Door) hearLog(w *work, log string) {
	from := w.logged
	if from > int64(len(log)) {
		from, w.now, w.logged = 0, activity{}, 0 // it began anew
	}
	part := log[from:]
	if part == "" {
		return
	}
	w.now.add(part)
	w.tail = tail(log, maxTail)
	d.live(w, part)
}

// live adds to the live logs of the work's leases. The caller holds d.mu.
func (d *Door) live(w *work, part string) {
	for len(part) > 0 {
		piece := part[:min(len(part), livelog.MaxAppend)]
		for _, l := range w.leases[:min(len(w.leases), 16)] {
			if _, err := d.cfg.Logs.Append(l.ID, w.logged, []byte(piece)); err != nil {
				d.log.Debug("a live log cannot be written", "lease", l.ID, "err", err)
			}
		}
		w.logged += int64(len(piece))
		part = part[len(piece):]
	}
}

// maxTail is how much of a log's end is kept in memory.
const maxTail = 4096

// overflow ends the work with an id whose worker sent more than it may: it would
// do so again.
func (d *Door) overflow(id int64) {
	if w := d.at(id); w != nil {
		d.spawn(func() {
			_ = d.conclude(w, news{state: stateFailed, fault: "what the worker sent of this task, its log, is larger than flamenco.log_limit allows"})
		})
	}
}

// lost ends work of which the worker has told no end.
func (d *Door) lost(w *work) {
	d.log.Info("a worker is not at its task any more", "task", w.id, "job", w.job.ID, "worker", w.m.id)
	_ = d.conclude(w, news{state: stateFailed, lost: true, fault: "the worker is not at this task any more and has not told how it ended"})
}

// learn notes the Blender that a log tells of.
func (d *Door) learn(m *member, version string) {
	if version == "" {
		return
	}
	d.mu.Lock()
	known := m.version == version || d.set.Blender != ""
	if !known {
		m.version = version
	}
	d.mu.Unlock()
	if !known {
		d.describe(m)
	}
}

// stopping are the leases of the work's worker that the farm has told to stop.
func (d *Door) stopping(ctx context.Context, w *work) map[int64]bool {
	out := make(map[int64]bool)
	f, err := d.farm.Farmhand(ctx, w.m.id)
	if err != nil {
		return out
	}
	for _, l := range f.Leases {
		if l.Stopping {
			out[l.ID] = true
		}
	}
	return out
}
