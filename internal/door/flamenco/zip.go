package flamenco

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// jobZip streams the files of a job as a zip. The same job always gives the same
// bytes.
func (d *Door) jobZip(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r)
	if err != nil {
		return err
	}
	job, err := d.farmJob(r.Context(), id)
	if err != nil {
		return err
	}
	j, err := d.farm.Job(r.Context(), job)
	if err != nil && farm.CodeOf(err) != farm.NotFound {
		return err
	}
	if err != nil || len(j.Spec.Files) == 0 || Obstacle(&j.Spec) != "" {
		return &fault{http.StatusNotFound, "this job has no files here"}
	}
	w.Header().Set("Content-Type", "application/zip")
	if err := d.writeZip(r.Context(), &steady{w: w, ctl: http.NewResponseController(w)}, j.Spec.Files); err != nil {
		d.log.Warn("an archive was cut off", "job", j.ID, "err", err)
		panic(http.ErrAbortHandler) // the client must not take what it got for whole
	}
	return nil
}

func (d *Door) writeZip(ctx context.Context, w io.Writer, files []farm.File) error {
	z := archive.NewZipWriter(w, "")
	for _, f := range files {
		entry, err := z.File(f.Name, false, f.Mode&0o111 != 0)
		if err != nil {
			return err
		}
		if err := d.copyBlob(ctx, entry, f); err != nil {
			return err
		}
	}
	return z.Close()
}

func (d *Door) copyBlob(ctx context.Context, w io.Writer, f farm.File) error {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return err
	}
	b, err := d.cfg.Blobs.Open(ctx, h)
	if err != nil {
		return fmt.Errorf("open %s: %w", f.Name, err)
	}
	defer b.Close()
	_, err = io.Copy(w, b)
	return err
}

// steady gives each write of a long answer its own time.
type steady struct {
	w   io.Writer
	ctl *http.ResponseController
}

func (s *steady) Write(p []byte) (int, error) {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(uploadIdle))
	return s.w.Write(p)
}

// supportZip is the archive of helper scripts. Ours travel in the command, so it
// is empty; a worker drops a task whose archive does not unpack.
func (d *Door) supportZip(w http.ResponseWriter, r *http.Request) error {
	if _, err := number(r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	return archive.NewZipWriter(w, "").Close()
}

// dependencies are the files that other tasks left for this one
// (dependencies_<task_id>.zip), such as the strips of a picture.
func (d *Door) dependencies(w http.ResponseWriter, r *http.Request) error {
	text, prefix := strings.CutPrefix(r.PathValue("name"), "dependencies_")
	text, suffix := strings.CutSuffix(text, ".zip")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !prefix || !suffix {
		return notFound()
	}
	if x := d.at(id); x != nil && x.post != nil {
		id = x.post.ID // a later try has another id
	}
	var files []farm.File
	if id > 0 && id < firstForeign {
		if files, err = d.left(r.Context(), id); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		return d.noZip(w, r)
	}
	w.Header().Set("Content-Type", "application/zip")
	if err := d.writeZip(r.Context(), &steady{w: w, ctl: http.NewResponseController(w)}, files); err != nil {
		d.log.Warn("an archive was cut off", "task", id, "err", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// left are the pictures of the tasks that name a task as their child.
func (d *Door) left(ctx context.Context, task int64) ([]farm.File, error) {
	ns, err := d.farm.Notes(ctx, farm.NoteQuery{Prefix: prefixChild(task)})
	if err != nil {
		return nil, err
	}
	var out []farm.File
	for _, n := range ns {
		files, err := d.pictures(ctx, n.Job)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return out, nil
}

// noZip is what other tasks would have left for this one: nothing.
func (d *Door) noZip(http.ResponseWriter, *http.Request) error {
	return &fault{http.StatusNotFound, "there are no such files"}
}
