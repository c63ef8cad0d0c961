package flamenco

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"drover.farm/internal/blob"
)

// args are the arguments of a request, wherever it has them: in the query, in a
// form, in a multipart form or in a JSON document. The body goes before the
// query.
type args struct {
	values map[string][]string
	files  map[string]*upload
	place  place
}

// close gives back the place of large arguments. Whoever reads with a limit above
// smallBody calls it when they are not needed any more.
func (a *args) close() { a.place.free() }

// upload is a file of a multipart form, in the farm's store.
type upload struct {
	name string // as the client calls it
	blob blob.Info
}

const (
	smallBody  = 1 << 20     // of a request without logs and files
	maxParts   = 64          // of a multipart form
	bodyTime   = time.Minute // to send a small body in
	uploadIdle = time.Minute // with nothing in the middle of a file
)

// read takes the arguments of a request whose values have at most limit bytes.
// Files named in takes go to the store, up to the setting upload.
func (d *Door) read(w http.ResponseWriter, r *http.Request, limit int64, takes ...string) (*args, error) {
	a := &args{values: make(map[string][]string), files: make(map[string]*upload)}
	ctl := http.NewResponseController(w)
	if limit > smallBody {
		a.place = place{places: d.big, then: func() { _ = ctl.SetReadDeadline(time.Now().Add(bodyTime)) }}
	}
	if len(r.URL.RawQuery) > 8<<10 {
		return a, &fault{http.StatusRequestURITooLong, "the query of the URL is too long; send a form"}
	}
	for k, v := range r.URL.Query() {
		a.values[k] = v
	}
	if r.ContentLength == 0 {
		return a, nil
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	defer ctl.SetReadDeadline(time.Time{}) // left in place it would count as the client's going away
	_ = ctl.SetReadDeadline(time.Now().Add(bodyTime))
	if kind == "multipart/form-data" {
		body := &patient{r: r.Body, ctl: ctl}
		return a, a.multipart(r.Context(), d, multipart.NewReader(body, params["boundary"]), limit, takes)
	}
	if r.ContentLength > limit {
		return a, tooLarge(limit)
	}
	body, err := a.place.readAll(r.Context(), http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if err != nil {
		return a, bodyError(err, limit)
	}
	if kind == "application/json" || kind == "text/json" {
		return a, a.document(body)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return a, &fault{http.StatusBadRequest, "the body is no form: " + clip(err.Error(), 200)}
	}
	for k, v := range form {
		a.values[k] = v
	}
	return a, nil
}

// document takes the members of a JSON object; what is no text or number stays
// the JSON text that it is.
func (a *args) document(body []byte) error {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(body, &doc); err != nil {
		return &fault{http.StatusBadRequest, "the body is no JSON object: " + clip(err.Error(), 200)}
	}
	for k, raw := range doc {
		var text string
		switch {
		case bytes.Equal(raw, []byte("null")):
			continue
		case json.Unmarshal(raw, &text) == nil:
		default:
			text = string(raw)
		}
		a.values[k] = []string{text}
	}
	return nil
}

// multipart takes the fields of a form in order, and streams its files away.
func (a *args) multipart(ctx context.Context, d *Door, m *multipart.Reader, limit int64, takes []string) error {
	fields := make(map[string][]string)
	left := limit
	for n := 0; ; n++ {
		part, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return bodyError(err, limit)
		}
		if n == maxParts {
			return &fault{http.StatusBadRequest, fmt.Sprintf("the form has more than %d parts", maxParts)}
		}
		name := part.FormName()
		if part.FileName() == "" {
			text, err := a.place.readAll(ctx, io.LimitReader(part, left+1), left)
			if err != nil {
				return bodyError(err, limit)
			}
			if left -= int64(len(text)); left < 0 {
				return tooLarge(limit)
			}
			fields[name] = append(fields[name], string(text))
			continue
		}
		if err := a.file(ctx, d, part, takes); err != nil {
			return err
		}
	}
	for k, v := range fields {
		a.values[k] = v
	}
	return nil
}

func (a *args) file(ctx context.Context, d *Door, part *multipart.Part, takes []string) error {
	name := part.FormName()
	for _, t := range takes {
		if t != name {
			continue
		}
		max := int64(d.set.Upload) << 20
		info, err := d.cfg.Blobs.Put(ctx, &bounded{r: part, left: max}, nil)
		if errors.Is(err, blob.ErrTooLarge) {
			return tooLarge(max)
		} else if err != nil {
			return bodyError(blob.AsFull(err), max)
		}
		a.files[name] = &upload{part.FileName(), info}
		return nil
	}
	return wrong(name, "this call takes no file of that name")
}

// bounded fails when more than left bytes come.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, blob.ErrTooLarge
	}
	return n, err
}

// patient moves the deadline of a body on as long as something comes.
type patient struct {
	r   io.Reader
	ctl *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(uploadIdle))
	return p.r.Read(b)
}

func tooLarge(limit int64) error {
	return &fault{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than the %d bytes that this call takes", limit)}
}

// bodyError says what was wrong with the sending of a body.
func bodyError(err error, limit int64) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &fault{http.StatusRequestTimeout, "the body did not arrive in time"}
	case errors.Is(err, blob.ErrFull):
		return &fault{http.StatusInsufficientStorage, "the farm has no room for files"}
	}
	return &fault{http.StatusBadRequest, "the body was cut off, or is no valid form"}
}

// missing is the original's sentence.
const missing = "Missing required parameter in the JSON body or the post body or the query string"

// text is an argument, and whether it was sent.
func (a *args) text(name string) (string, bool) {
	v := a.values[name]
	if len(v) == 0 {
		return "", false
	}
	return v[0], true
}

// name is a short text for people: valid, without control characters.
func (a *args) name(name string, max int) (string, error) {
	s, _ := a.text(name)
	if len(s) > max || !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return "", wrong(name, fmt.Sprintf("it must be UTF-8 text of at most %d bytes without control characters", max))
	}
	return s, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// integer is a whole number, nil when it was not sent.
func (a *args) integer(name string, min, max int64) (*int64, error) {
	s, ok := a.text(name)
	if !ok || s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < min || n > max {
		return nil, wrong(name, fmt.Sprintf("%q is no whole number from %d to %d", clip(s, 50), min, max))
	}
	return &n, nil
}

// clip shortens s to at most n bytes, at a rune's start. It keeps nothing else of
// what s is a part of.
func clip(s string, n int) string {
	if len(s) <= n {
		return strings.Clone(s)
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// tail is the end of s, at most n bytes, in memory of its own.
func tail(s string, n int) string {
	if len(s) <= n {
		return strings.Clone(s)
	}
	return strings.Clone(strings.ToValidUTF8(s[len(s)-n:], ""))
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
