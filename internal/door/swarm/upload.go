package swarm

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/library"
)

// form is what an upload's parts say, in any order.
type form struct {
	queued *bool
	file   *os.File // nil: it did not come
	name   string
	size   int64
}

// tmp is the path that answers name.
func (f *form) tmp() string {
	if f.file == nil {
		return ""
	}
	return f.file.Name()
}

// upload takes a build: rapid within the request, or queued for the import
// folder. However it ends, the temporary file is gone or has become the queued
// one.
func (d *door) upload(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	if err := d.admit(r); err != nil {
		d.fail(w, "", err)
		return
	}
	defer func() { <-d.places }()
	f := &form{}
	defer f.discard()
	if err := d.read(w, r, f); err != nil {
		d.fail(w, f.tmp(), err)
		return
	}
	switch {
	case f.queued == nil:
		d.fail(w, "", undecodable("Field queued not found"))
	case f.file == nil:
		d.fail(w, "", undecodable("File file not found"))
	case *f.queued:
		d.queue(w, f)
	default:
		d.take(w, r, f, begun)
	}
}

// admit applies the limits that need no byte of the body; a client that waits
// for "100 Continue" has sent none.
func (d *door) admit(r *http.Request) error {
	const form = 1 << 20 // what lies around the file
	if r.ContentLength > d.MaxUpload+form {
		return tooLarge(d.MaxUpload)
	}
	if !d.rate.Allow() {
		return &fault{http.StatusTooManyRequests, fmt.Sprintf("more than %d uploads a minute; try again later", d.PerMinute)}
	}
	select {
	case d.places <- struct{}{}:
		return nil
	default:
		return &fault{http.StatusServiceUnavailable, fmt.Sprintf("%d uploads are under way; try again later", d.AtOnce)}
	}
}

func tooLarge(limit int64) error {
	return &fault{http.StatusRequestEntityTooLarge, fmt.Sprintf("the file is larger than the %d bytes that are taken here", limit)}
}

// undecodable is an answer to a form that lacks something, in the words of the
// framework that Swarm's answers point to.
func undecodable(why string) error {
	return &fault{http.StatusBadRequest, "Could not decode multipart mime body: " + why}
}

// read reads the form, the file straight to the disk.
func (d *door) read(w http.ResponseWriter, r *http.Request, f *form) error {
	r.Body = &patient{ReadCloser: r.Body, ctl: http.NewResponseController(w), idle: d.Idle}
	parts, err := r.MultipartReader()
	if err != nil {
		return undecodable(err.Error())
	}
	for range 16 { // more parts than any script sends
		p, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return undecodable(err.Error())
		}
		switch p.FormName() {
		case "queued":
			err = f.readQueued(p)
		case "file":
			err = d.readFile(p, f)
		default:
			if _, err = io.Copy(io.Discard, io.LimitReader(p, 1<<20)); err != nil {
				err = undecodable(err.Error())
			}
		}
		if err != nil {
			return err
		}
	}
	return undecodable("too many parts")
}

// readQueued reads the flag, in JSON.
func (f *form) readQueued(p *multipart.Part) error {
	text, err := io.ReadAll(io.LimitReader(p, 16))
	if err != nil {
		return undecodable(err.Error())
	}
	v, err := strconv.ParseBool(strings.TrimSpace(string(text)))
	if s := strings.TrimSpace(string(text)); err != nil || s != "true" && s != "false" {
		return undecodable(fmt.Sprintf("queued is %q, not true or false", s))
	}
	f.queued = &v
	return nil
}

// readFile writes the file to a temporary one.
func (d *door) readFile(p *multipart.Part, f *form) (err error) {
	if f.file != nil {
		return undecodable("there are two files")
	}
	if f.file, err = d.Depot.Temp(); err != nil {
		return fmt.Errorf("make a file for an upload: %w", err)
	}
	f.name = path.Base(strings.ReplaceAll(p.FileName(), "\\", "/"))
	from := &remote{r: p}
	f.size, err = io.Copy(f.file, io.LimitReader(from, d.MaxUpload+1))
	switch {
	case from.err != nil:
		return undecodable(from.err.Error())
	case err != nil:
		return fmt.Errorf("write an upload: %w", err)
	case f.size > d.MaxUpload:
		return tooLarge(d.MaxUpload)
	}
	return nil
}

// remote tells the sender's faults from the disk's.
type remote struct {
	r   io.Reader
	err error
}

func (r *remote) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// patient reads a body that may take long as a whole, but not between two reads.
type patient struct {
	io.ReadCloser
	ctl  *http.ResponseController
	idle time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(p.idle)) // where it is not supported there is none
	n, err := p.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		_ = p.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// discard removes the temporary file, unless it was queued.
func (f *form) discard() {
	if f.file != nil {
		f.file.Close()
		os.Remove(f.file.Name())
	}
}

// take deploys the build within the request.
func (d *door) take(w http.ResponseWriter, r *http.Request, f *form, begun time.Time) {
	got, err := d.Depot.Take(r.Context(), f.file, f.name)
	var exists *library.Exists
	f.discard() // before the answer says that it is gone
	switch {
	case errors.As(err, &exists):
		reply(w, http.StatusOK, map[string]any{tagExisting: existing{messageExisting, f.tmp(), versionOf(exists.Version)}})
	case err != nil:
		d.fail(w, f.tmp(), err)
	default:
		reply(w, http.StatusOK, map[string]any{tagRapid: rapid{got.Dir, f.size, f.tmp(), int64(time.Since(begun).Seconds()), versionOf(got.Version)}})
	}
}

// queue puts the file into the import folder.
func (d *door) queue(w http.ResponseWriter, f *form) {
	err := errors.Join(f.file.Sync(), f.file.Close())
	as := ""
	if err == nil {
		as, err = d.Queue.Queue(f.file.Name(), f.name)
	}
	if err != nil {
		d.fail(w, f.tmp(), err)
		return
	}
	reply(w, http.StatusOK, map[string]any{tagQueued: queued{as, f.size, f.tmp()}})
}

// fail answers an upload that failed.
func (d *door) fail(w http.ResponseWriter, tmp string, err error) {
	status, message := refusal(err)
	d.Log.Warn("an upload of V-Ray failed", "status", status, "err", err)
	w.Header().Set("Connection", "close") // the rest of the body is not read
	if status == http.StatusBadRequest {
		http.Error(w, message, status)
		return
	}
	reply(w, status, map[string]any{tagFailed: failed{message, tmp}})
}
