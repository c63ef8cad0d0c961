package sheepit

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"

	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
	"drover.farm/internal/renderer/blender"
)

// sendFrame takes a rendered frame: /server/send_frame.php, by the path that
// clients of 2016 have from their login, or by the job's validation_url.
func (d *Door) sendFrame(w http.ResponseWriter, r *http.Request, s *session) {
	u := &upload{d: d, s: s, p: queryOf(r), w: w, r: r}
	code, err := u.take()
	if err != nil {
		if code == frameFailed {
			d.Log.Warn("a frame could not be taken", "worker", s.workerID(), "err", err)
		} else {
			d.Log.Debug("a frame was not taken", "worker", s.workerID(), "status", code, "err", err)
		}
	}
	u.drain()
	if u.tooLarge {
		w.Header().Set("Connection", "close")
		answerStatus(w, http.StatusRequestEntityTooLarge, status("jobvalidate", code))
		return
	}
	answer(w, status("jobvalidate", code))
}

func (s *session) workerID() int64 {
	if s == nil {
		return 0
	}
	return s.worker
}

// upload is a frame on its way in.
type upload struct {
	d        *Door
	s        *session
	p        params
	w        http.ResponseWriter
	r        *http.Request
	tooLarge bool
}

// maxDrain is how much of a body is read though nobody wants it: a client whose
// connection is cut while it sends does not see the answer.
const maxDrain = 64 << 20

func (u *upload) drain() {
	if !u.tooLarge {
		_, _ = io.Copy(io.Discard, io.LimitReader(u.steady(u.r.Body), maxDrain)) // what breaks here is over anyway
	}
}

func (u *upload) steady(r io.Reader) io.Reader {
	return &patientBody{r, http.NewResponseController(u.w), u.d.Idle}
}

// take stores the frame and tells the farm. The error is for the log; the status
// is for the client.
func (u *upload) take() (int, error) {
	d, ctx := u.d, patient(u.r)
	if _, err := d.keep(ctx, u.s); err != nil {
		return frameStatus(err), err
	}
	if u.r.ContentLength > d.FrameLimit+maxParts*maxField {
		u.tooLarge = true
		return frameFailed, errTooLarge
	}
	u.r.Body = io.NopCloser(u.steady(u.r.Body))
	part, err := u.file()
	if err != nil {
		return frameMissing, err
	}
	t, err := d.find(ctx, u.s, u.p.integer("job"), u.p.integer("frame"))
	if err != nil {
		return frameStatus(err), err
	}
	if !t.wanted() {
		return frameOK, nil // it was taken before, or nobody wants it any more
	}
	return u.store(ctx, t, part)
}

var errNoFrame = errors.New("the parameters job and frame, or the file, are missing")

// maxParts bounds the fields of a form; maxField the bytes of one.
const (
	maxParts = 50
	maxField = 4 << 10
)

// file finds the part with the frame. Fields before it are parameters, as the
// documents allow.
func (u *upload) file() (*multipart.Part, error) {
	if u.r.Method != http.MethodPost {
		return nil, errNoFrame
	}
	mr, err := u.r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for range maxParts {
		part, err := mr.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FormName() == "file" {
			if !number0(u.p.Get("job")) || !number0(u.p.Get("frame")) {
				return nil, errNoFrame
			}
			return part, nil
		}
		text, err := io.ReadAll(io.LimitReader(part, maxField))
		if err != nil {
			return nil, err
		}
		u.p.Values[part.FormName()] = append(u.p.Values[part.FormName()], string(text))
	}
	return nil, errNoFrame
}

func number0(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n >= 0
}

// errTooLarge ends the reading of a frame that is too large.
var errTooLarge = errors.New("the frame is larger than sheepit.frame_limit")

// capped fails once more than its limit was read.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// store keeps the frame's bytes as they came and ends the attempt with them.
func (u *upload) store(ctx context.Context, t *attempt, part io.Reader) (int, error) {
	d := u.d
	br := bufio.NewReaderSize(part, 64<<10)
	head, err := br.Peek(frame.HeadLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return frameFailed, err
	}
	format, code := pictureOf(t.spec, head)
	if code != frameOK {
		u.s.mem.again(t.lease)
		return code, errors.New("what was sent is no picture")
	}
	info, err := d.Blobs.Put(u.r.Context(), &capped{br, d.FrameLimit}, nil)
	if errors.Is(err, errTooLarge) {
		u.tooLarge = true
	}
	if err != nil {
		return frameFailed, err
	}
	out := outputOf(t.spec, u.p.integer("frame"), blender.Extension(format))
	out.SHA256, out.Size = info.SHA256.String(), info.Size
	v, err := d.Farm.Complete(ctx, farm.Result{By: u.s.by, Worker: u.s.worker, Lease: t.lease, Task: t.task, Outputs: []farm.File{out},
		Seconds: u.p.real("rendertime"), Memory: u.p.kib("memoryused")})
	switch {
	case err != nil:
		return frameStatus(err), err
	case v.Fault == nil:
		u.s.mem.cleared(t.task.Job)
		return frameOK, nil
	}
	return pictureStatus(v.Fault), v.Fault
}

// pictureOf is the format that a frame of the job is in. Its first bytes must be
// those of a picture, where the job's format is one that can be read.
func pictureOf(s *farm.Spec, head []byte) (format string, code int) {
	format = s.Parameters["Format"]
	if s.Check != nil && s.Check.Format != "" {
		format = s.Check.Format
	}
	if _, known := frame.Format(format).Family(); format != "" && !known {
		return format, frameOK
	}
	seen, ok := frame.Looks(head)
	if !ok {
		return "", frameNoImage
	}
	if format == "" {
		format = string(seen)
	}
	return format, frameOK
}

// pictureStatus is the status of a picture that the farm refused.
func pictureStatus(fault error) int {
	switch frame.KindOf(fault) {
	case frame.NotAPicture, frame.WrongFormat, frame.Unsupported:
		return frameNoImage
	}
	return frameBroken
}

// again has a lease given once more at the session's next request: what came of
// it was useless.
func (m *memory) again(lease int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.given[lease]; g != nil {
		g.sync = true
	}
}

// abort notes that a frame of the job was stopped: the client's copy of the scene
// is broken until it has failed once more.
func (m *memory) abort(job int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.aborted = job
}

// cleared ends an abort, and reports whether there was one of the job.
func (m *memory) cleared(job int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.aborted == job && job != 0
	if was {
		m.aborted = 0
	}
	return was
}
