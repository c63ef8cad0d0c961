package flamenco

import (
	"context"
	"encoding/json"
	"net/http"
)

// checkPull drops what a silent worker of 2016 was at once its leases are over.
func (d *Door) checkPull(m *member) {
	if w := d.current(m); w != nil {
		d.checkLeases(w)
	}
}

// compiled gives a worker of 2016 its next task: 200 with it, 400 for none, 403
// for one that may not have any.
func (d *Door) compiled(w http.ResponseWriter, r *http.Request) error {
	if _, err := number(r); err != nil {
		return err
	}
	host := r.URL.Query().Get("worker")
	m := d.find(addressOf(r), host)
	if m == nil {
		send(w, http.StatusForbidden, "Worker is not registered")
		return nil
	}
	d.setKind(m, pull)
	if old := d.current(m); old != nil { // it asks, so it is not at that
		d.lost(old)
	}
	f, err := d.farm.Farmhand(r.Context(), m.id)
	if err != nil {
		return err
	}
	if f.Disabled || f.Aside {
		send(w, http.StatusForbidden, "Worker is disabled")
		return nil
	}
	work := d.claim(r.Context(), m, 0)
	if work == nil {
		d.up.rouse()
		send(w, http.StatusBadRequest, "")
		return nil
	}
	answer, err := d.order(m, work)
	if err != nil || r.Context().Err() != nil {
		d.giveBack(work, "it could not be handed over")
		return err
	}
	send(w, http.StatusOK, answer)
	return nil
}

// order is the task as a worker of 2016 reads it.
func (d *Door) order(m *member, w *work) (map[string]any, error) {
	argv, err := d.prepare(m, w)
	if err != nil {
		return nil, err
	}
	command, err := json.Marshal(argv)
	if err != nil {
		return nil, err
	}
	options := map[string]any{
		"task_id": w.id, "job_id": d.workerJob(w), "task_parser": "blender_render", "settings": map[string]any{}, "type": typeFrames, "task_command": string(command),
	}
	if w.post != nil {
		options["task_parser"], options["type"], options["settings"] = w.post.Parser, w.post.Type, w.post.Settings
	}
	return map[string]any{"options": options, "files": map[string]any{
		"jobfiles": [][]string{{"jobfile", "jobfile.zip"}, {"jobsupportfile", "jobsupportfile.zip"}},
	}}, nil
}

// workerJob is the job's number as a worker of 2016 knows it: the poster's, or
// one that no poster gives.
func (d *Door) workerJob(w *work) int64 {
	if w.post != nil && w.post.JobID != 0 {
		return w.post.JobID
	}
	return firstForeign + w.job.ID
}

// farmJob is the job of the farm whose files are meant, 0 for none.
func (d *Door) farmJob(ctx context.Context, id int64) (int64, error) {
	if id >= firstForeign {
		return id - firstForeign, nil
	}
	j, err := d.filesJob(ctx, id)
	if err != nil || j == nil {
		return 0, err
	}
	return j.ID, nil
}

// hasFile says whether the files of a poster's job are here.
func (d *Door) hasFile(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	job, err := d.farmJob(r.Context(), id)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, map[string]bool{"file": job != 0 && id < firstForeign})
	return nil
}
