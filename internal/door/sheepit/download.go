package sheepit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// archive serves both kinds of archives by the parameters type and job, as all
// clients until 2022 ask for them.
func (d *Door) archive(w http.ResponseWriter, r *http.Request, s *session) {
	p, ok := d.formOf(w, r)
	if !ok {
		return
	}
	switch p.Get("type") {
	case "binary":
		d.sendRenderer(w, r, s, p.integer("job"))
	case "job":
		d.sendProject(w, r, s, p.integer("job"))
	default:
		notFound(w)
	}
}

// binary serves the renderer's archive, as clients of 2024 ask for it.
func (d *Door) binary(w http.ResponseWriter, r *http.Request, s *session) {
	d.sendRenderer(w, r, s, queryOf(r).integer("job"))
}

// notFound is the documents' answer to everyone who gets no file.
func notFound(w http.ResponseWriter) { http.Error(w, "not found", http.StatusNotFound) }

// lease finds the session's lease of a job; nil for none. Nobody else gets files
// of it.
func (d *Door) lease(r *http.Request, s *session, job int64) (*farm.Lease, error) {
	if _, err := d.keep(r.Context(), s); err != nil {
		return nil, err
	}
	held, err := d.Farm.Held(r.Context(), s.by, s.worker)
	if err != nil {
		return nil, err
	}
	for i := len(held) - 1; i >= 0; i-- {
		if held[i].Task.Job == job {
			return held[i], nil
		}
	}
	return nil, errDead
}

func (d *Door) sendRenderer(w http.ResponseWriter, r *http.Request, s *session, job int64) {
	l, err := d.lease(r, s, job)
	if err != nil {
		d.noFile(w, err)
		return
	}
	hand, err := d.Farm.Farmhand(r.Context(), s.worker)
	if err == nil {
		var pack *farm.Pack
		if pack, err = d.packer.renderer(r.Context(), hand, l.Task.Job); err == nil {
			d.sendPack(w, r, pack)
			return
		}
	}
	d.noFile(w, err)
}

func (d *Door) sendProject(w http.ResponseWriter, r *http.Request, s *session, job int64) {
	l, err := d.lease(r, s, job)
	if err == nil {
		var pack *farm.Pack
		if pack, err = d.packer.project(r.Context(), l.Job); err == nil {
			d.sendPack(w, r, pack)
			return
		}
	}
	d.noFile(w, err)
}

// noFile answers who gets no file. Clients try again at once after a 404, so an
// overload is told as what it is.
func (d *Door) noFile(w http.ResponseWriter, err error) {
	switch requestStatus(err) {
	case requestOverload:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the farm is overloaded", http.StatusServiceUnavailable)
	case requestUnknown:
		d.Log.Error("an archive cannot be sent", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		notFound(w)
	}
}

// sendPack streams an archive, whole or in ranges.
func (d *Door) sendPack(w http.ResponseWriter, r *http.Request, pack *farm.Pack) {
	file, err := d.open1(r, pack)
	if err != nil {
		d.noFile(w, err)
		return
	}
	defer file.Close()
	serve(w, r, &steady{ReadSeeker: file, ctl: http.NewResponseController(w), idle: d.Idle}, pack.MD5)
}

func (d *Door) open1(r *http.Request, pack *farm.Pack) (blob.File, error) {
	h, err := blob.ParseHash(pack.SHA256)
	if err != nil {
		return nil, err
	}
	return d.Blobs.Open(r.Context(), h)
}

func serve(w http.ResponseWriter, r *http.Request, content readSeeker, tag string) {
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("ETag", strconv.Quote(tag))
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, content)
}

// chunk serves a piece of a job's archive by its id, which has the job in it:
// clients of 2024 say nothing else.
func (d *Door) chunk(w http.ResponseWriter, r *http.Request, s *session) {
	parts := strings.Split(queryOf(r).Get("chunk"), "-")
	if len(parts) != 3 {
		notFound(w)
		return
	}
	job, err1 := strconv.ParseInt(parts[0], 10, 64)
	i, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil || i < 0 {
		notFound(w)
		return
	}
	l, err := d.lease(r, s, job)
	if err != nil {
		d.noFile(w, err)
		return
	}
	pack, err := d.packer.project(r.Context(), l.Job)
	if err != nil {
		d.noFile(w, err)
		return
	}
	if i >= len(pack.Parts) || pack.Parts[i] != parts[2] {
		notFound(w)
		return
	}
	file, err := d.open1(r, pack)
	if err != nil {
		d.noFile(w, err)
		return
	}
	defer file.Close()
	from := int64(i) * pack.Piece
	piece := section(file, from, min(pack.Piece, pack.Size-from))
	serve(w, r, &steady{ReadSeeker: piece, ctl: http.NewResponseController(w), idle: d.Idle}, pack.Parts[i])
}
