// Package tus speaks HTTP for the store of files: resumable uploads by the
// protocol tus 1.0.0 (core, creation, creation-with-upload, expiration,
// termination; https://tus.io/protocols/resumable-upload) and downloads by
// range. It knows no users: the caller puts authentication around it.
package tus

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/blob"
)

const (
	version    = "1.0.0"
	extensions = "creation,creation-with-upload,expiration,termination"
	offsetType = "application/offset+octet-stream"

	defaultIdle = time.Minute
	// retryAfter is what a client is told to wait, in seconds, when something
	// is busy that soon will not be.
	retryAfter = "1"
)

// Options are the settings of a Handler; the zero value is good.
type Options struct {
	// Path is where the handler is mounted, as it sees it in requests; "/" if
	// empty. The uploads are below it.
	Path string
	// PublicPath is Path as clients see it, when something in front rewrites
	// it; Path if empty. Locations are paths and never name a host, so they
	// hold behind any proxy.
	PublicPath string
	// MaxSize is the longest upload accepted, in bytes; 0 is no limit.
	MaxSize int64
	// Expiry is after which time without bytes the caller lets uploads expire;
	// clients are told. 0 is not told.
	Expiry time.Duration
	// Idle is how long a client may send nothing in the middle of a request;
	// 0 means a minute. A dead connection blocks its upload for so long.
	Idle time.Duration
	// Owner says who makes a request. Uploads of others do not exist for it.
	// nil is the same owner for all.
	Owner func(*http.Request) string
	// Log gets the errors that are no fault of the client; nil is silence.
	Log *slog.Logger
}

// handler answers requests of tus.
type handler struct {
	u   blob.Uploads
	opt Options
	log *slog.Logger
}

// Handler makes a handler of tus for the uploads. A finished upload has the
// hash of its blob in the header Drover-Sha256 of every answer.
func Handler(u blob.Uploads, opt Options) http.Handler {
	opt.Path = withSlash(opt.Path)
	if opt.PublicPath == "" {
		opt.PublicPath = opt.Path
	}
	opt.PublicPath = withSlash(opt.PublicPath)
	if opt.Idle <= 0 {
		opt.Idle = defaultIdle
	}
	if opt.Owner == nil {
		opt.Owner = func(*http.Request) string { return "" }
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &handler{u: u, opt: opt, log: opt.Log}
}

func withSlash(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watch(w, r, h.opt.Idle)
	w.Header().Set("Tus-Resumable", version)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	id, ok := strings.CutPrefix(withSlash(r.URL.Path), h.opt.Path)
	if id = strings.TrimSuffix(id, "/"); !ok || id != "" && !blob.ValidUploadID(id) {
		h.fail(w, r, blob.ErrNotFound)
		return
	}
	method := r.Method
	if o := r.Header.Get("X-HTTP-Method-Override"); o != "" && method == http.MethodPost {
		method = o
	}
	if method != http.MethodOptions && r.Header.Get("Tus-Resumable") != version {
		w.Header().Set("Tus-Version", version)
		h.problem(w, http.StatusPreconditionFailed, "version", "this farm speaks tus "+version+": send the header Tus-Resumable: "+version)
		return
	}
	h.route(w, r, method, id)
}

func (h *handler) route(w http.ResponseWriter, r *http.Request, method, id string) {
	verbs := map[string]func(){
		http.MethodOptions: func() { h.options(w) },
		http.MethodPost:    func() { h.create(w, r) },
	}
	if id != "" {
		verbs = map[string]func(){
			http.MethodOptions: func() { h.options(w) },
			http.MethodHead:    func() { h.head(w, r, id) },
			http.MethodPatch:   func() { h.patch(w, r, id) },
			http.MethodDelete:  func() { h.delete(w, r, id) },
		}
	}
	if verb := verbs[method]; verb != nil {
		verb()
		return
	}
	var allow []string
	for m := range verbs {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	w.Header().Set("Allow", strings.Join(allow, ", "))
	h.problem(w, http.StatusMethodNotAllowed, "method", "this address takes "+strings.Join(allow, ", "))
}

func (h *handler) options(w http.ResponseWriter) {
	w.Header().Set("Tus-Version", version)
	w.Header().Set("Tus-Extension", extensions)
	if h.opt.MaxSize > 0 {
		w.Header().Set("Tus-Max-Size", strconv.FormatInt(h.opt.MaxSize, 10))
	}
	w.WriteHeader(http.StatusNoContent)
}

// create answers POST: creation, and creation-with-upload if it has a body.
func (h *handler) create(w http.ResponseWriter, r *http.Request) {
	what, err := h.parseCreation(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	withBody := r.ContentLength != 0 && r.Method == http.MethodPost
	if withBody && r.Header.Get("Content-Type") != offsetType {
		h.badType(w)
		return
	}
	if withBody && r.ContentLength > what.Size {
		h.fail(w, r, blob.ErrTooLarge)
		return
	}
	id, err := h.u.Create(r.Context(), what)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", h.opt.PublicPath+id)
	if withBody && !h.firstBytes(w, r, id) {
		return
	}
	p, err := h.u.Info(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.state(w, p)
	w.WriteHeader(http.StatusCreated)
}

// firstBytes takes the body of a creation. Where the bytes can never become a
// file, nothing is left of the upload; where the line broke, the client goes on
// with it.
func (h *handler) firstBytes(w http.ResponseWriter, r *http.Request, id string) bool {
	err := h.append(r, id, 0)
	if err == nil {
		return true
	}
	if isFinal(err) {
		w.Header().Del("Location")
		if err := h.u.Remove(r.Context(), id); err != nil && !isGone(err) {
			h.log.Warn("cannot remove an upload that failed at its creation", "upload", id, "error", err)
		}
	}
	h.fail(w, r, err)
	return false
}

// head says how far an upload is. One that is complete but not yet a blob, for
// want of a restart's time, is made one first: a client takes an offset at the
// end for success.
func (h *handler) head(w http.ResponseWriter, r *http.Request, id string) {
	p, err := h.find(r, id)
	if err == nil && p.Done == nil && p.Offset == p.Size {
		var done blob.Info
		if done, err = h.u.Finish(r.Context(), id); err == nil {
			p.Done = &done
		}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.state(w, p)
	w.Header().Set("Upload-Length", strconv.FormatInt(p.Size, 10))
	if len(p.Meta) > 0 {
		w.Header().Set("Upload-Metadata", formatMeta(p.Meta))
	}
	w.WriteHeader(http.StatusOK)
}

// patch appends the body.
func (h *handler) patch(w http.ResponseWriter, r *http.Request, id string) {
	if r.Header.Get("Content-Type") != offsetType {
		h.badType(w)
		return
	}
	offset, err := parseSize(r.Header, "Upload-Offset")
	if err != nil {
		h.fail(w, r, err)
		return
	}
	p, err := h.find(r, id)
	if err == nil && p.Offset != offset {
		err = &blob.OffsetError{Got: offset, Want: p.Offset}
	}
	if err == nil && r.ContentLength > p.Size-offset {
		err = blob.ErrTooLarge
	}
	if err == nil {
		err = h.append(r, id, offset)
	}
	if err == nil {
		p, err = h.u.Info(r.Context(), id)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.state(w, p)
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) append(r *http.Request, id string, offset int64) error {
	_, err := h.u.Append(r.Context(), id, offset, r.Body)
	return err
}

func (h *handler) delete(w http.ResponseWriter, r *http.Request, id string) {
	_, err := h.find(r, id)
	if err == nil {
		err = h.u.Remove(r.Context(), id)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// find gives an upload of the one who asks.
func (h *handler) find(r *http.Request, id string) (blob.Progress, error) {
	p, err := h.u.Info(r.Context(), id)
	if err == nil && p.Owner != h.opt.Owner(r) {
		err = blob.ErrNotFound
	}
	return p, err
}

// state puts what an upload is at into the header.
func (h *handler) state(w http.ResponseWriter, p blob.Progress) {
	w.Header().Set("Upload-Offset", strconv.FormatInt(p.Offset, 10))
	if p.Done != nil {
		w.Header().Set("Drover-Sha256", p.Done.SHA256.String())
	} else if h.opt.Expiry > 0 {
		w.Header().Set("Upload-Expires", p.Updated.Add(h.opt.Expiry).UTC().Format(http.TimeFormat))
	}
}
