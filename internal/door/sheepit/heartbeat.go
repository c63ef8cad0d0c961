package sheepit

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"drover.farm/internal/farm"
)

// keepAlive takes a session's sign of life: /server/keepmealive.php. Clients send
// it with nonsense for numbers (2017), without a job (2022), or with job 0.
func (d *Door) keepAlive(w http.ResponseWriter, r *http.Request, s *session) {
	p, ok := d.formOf(w, r)
	if !ok {
		return
	}
	answer(w, status("keepmealive", d.alive(patient(r), s, p)))
}

func (d *Door) alive(ctx context.Context, s *session, p params) int {
	job, frame := p.integer("job"), p.integer("frame")
	if _, err := d.keep(ctx, s); err != nil {
		if job > 0 && requestStatus(err) != requestOverload {
			return aliveStop // it learns of the rest when it asks for work
		}
		return aliveOK
	}
	if job == 0 {
		return aliveOK
	}
	t, err := d.find(ctx, s, job, frame)
	switch {
	case farm.CodeOf(err) == farm.NotFound, err == nil && !t.wanted():
		s.mem.abort(job)
		return aliveStop
	case err != nil:
		return aliveOK
	case !t.running:
		return aliveOK // late, and still wanted
	}
	if _, err := d.keep(ctx, s, progressOf(t.lease, p)); err != nil {
		d.Log.Debug("progress was not kept", "worker", s.worker, "err", err)
	}
	return aliveOK
}

// progressOf is what a heartbeat says of a frame.
func progressOf(lease int64, p params) farm.Progress {
	g := farm.Progress{Lease: lease}
	spent, left := p.real("rendertime"), p.real("remainingtime")
	if spent+left > 0 && left > 0 {
		g.Percent = 100 * spent / (spent + left)
		g.Message = fmt.Sprintf("%s left", (time.Duration(left) * time.Second))
	}
	if v := p.text("paused", 10); v == "true" || v == "1" {
		g.Message = "paused by its owner"
	}
	return g
}
