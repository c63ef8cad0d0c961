package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover.farm/internal/farm"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 64 << 10

func release(b *bytes.Buffer) {
	if b.Cap() <= keepBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// read decodes the JSON body into v: bounded, complete, of known fields only.
func (c *call) read(v any) error {
	done, err := c.room()
	if err != nil {
		return err
	}
	defer done()
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	if err := c.gather(buf); err != nil {
		return err
	}
	if buf.Len() == 0 && c.rt.noBody {
		return nil
	}
	if said := c.r.Header.Get("Content-Type"); !isJSON(said) {
		return &fault{status: http.StatusUnsupportedMediaType, code: farm.Invalid,
			detail: fmt.Sprintf("the body must be JSON, with the header \"Content-Type: application/json\"; it was said to be %q", clip(said, 100))}
	}
	return decode(buf.Bytes(), v)
}

// decoder is used for one document after another: making one takes as much
// memory as all else that a small request does.
type decoder struct {
	src bytes.Reader
	*json.Decoder
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.Decoder = json.NewDecoder(&d.src)
	d.DisallowUnknownFields()
	return d
}}

// decode reads one document, and nothing after it, of known fields only.
func decode(doc []byte, v any) error {
	if len(doc) > freeBody && values(doc) > maxValues {
		return farm.Errorf(farm.Invalid, "the document has more than the %d values that are read at once", maxValues)
	}
	d := decoders.Get().(*decoder)
	d.src.Reset(doc)
	before := d.InputOffset()
	if err := d.Decode(v); err != nil { // the decoder is not used again
		return badJSON(err, before)
	}
	end := d.InputOffset() - before
	if end == int64(len(doc)) && end <= keepBuffer {
		decoders.Put(d) // it has nothing left of this document
	}
	if rest := bytes.TrimSpace(doc[end:]); len(rest) > 0 {
		return farm.Errorf(farm.Invalid, "the body goes on after the JSON document, at byte %d", end)
	}
	return nil
}

// Bounds of documents beyond those of their routes: what many small values take
// in memory is a hundred times their text.
const (
	freeBody  = 1 << 20   // bytes of a body that needs no leave
	allBodies = 256 << 20 // bytes of larger ones that are read at once
	maxValues = 1_000_000 // of one document
)

// values counts what may be values of a JSON document; it need not be well-formed.
func values(doc []byte) (n int) {
	text := false
	for i := 0; i < len(doc); i++ {
		switch b := doc[i]; {
		case text && b == '\\':
			i++
		case b == '"':
			text = !text
		case !text && (b == ',' || b == '[' || b == '{'):
			n++
		}
	}
	return n
}

// room waits until a large body may be read; the caller calls the function that
// it gets when the document is decoded.
func (c *call) room() (done func(), err error) {
	n := c.r.ContentLength
	if n < 0 {
		n = c.limit()
	}
	if n <= freeBody || n > c.limit() { // what is too large is not read
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(c.ctx(), c.d.BodyTime)
	defer cancel()
	if c.d.bodies.Acquire(ctx, n) != nil {
		return nil, farm.Errorf(farm.Unavailable, "the farm is reading as many large documents as it can; try again in a few seconds")
	}
	return func() { c.d.bodies.Release(n) }, nil
}

// limit is how many bytes the body may have.
func (c *call) limit() int64 {
	if c.rt.maxBody == 0 {
		return smallBody
	}
	return c.rt.maxBody
}

const jsonType = "application/json"

func isJSON(contentType string) bool {
	if contentType == jsonType {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == jsonType
}

// gather reads the whole body within its bounds of size and time.
func (c *call) gather(buf *bytes.Buffer) error {
	limit := c.limit()
	if c.r.ContentLength > limit {
		return tooLarge(limit)
	}
	if c.r.ContentLength == 0 {
		return nil
	}
	ctl := http.NewResponseController(c.w)
	timed := ctl.SetReadDeadline(time.Now().Add(c.d.BodyTime)) == nil
	_, err := buf.ReadFrom(http.MaxBytesReader(c.w, c.r.Body, limit))
	if timed {
		// Left in place it would later count as the client's going away.
		_ = ctl.SetReadDeadline(time.Time{})
	}
	return bodyError(err, limit)
}

func tooLarge(limit int64) error {
	return &fault{status: http.StatusRequestEntityTooLarge, code: farm.Invalid, close: true,
		detail: fmt.Sprintf("the body is larger than the %d bytes that this call takes", limit)}
}

// bodyError says what was wrong with the sending of a body.
func bodyError(err error, limit int64) error {
	if err == nil {
		return nil
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &fault{status: http.StatusRequestTimeout, code: farm.Invalid, close: true, detail: "the body did not arrive in time"}
	}
	return &fault{status: http.StatusBadRequest, code: farm.Invalid, close: true, detail: "the body was cut off"}
}

// badJSON says in words what is wrong with a document, and where. The decoder
// has read so many bytes of other documents before.
func badJSON(err error, before int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		field := kind.Field
		if field == "" {
			field = "the document"
		}
		return farm.Errorf(farm.Invalid, "%s must be %s, not %s", field, kindName(kind.Type), valueName(kind.Value))
	case errors.As(err, &syntax):
		return farm.Errorf(farm.Invalid, "the body is not JSON: %v, at byte %d", syntax, syntax.Offset-before)
	case errors.Is(err, io.EOF):
		return farm.Errorf(farm.Invalid, "the body is empty; this call takes a JSON document")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return farm.Errorf(farm.Invalid, "the body is not JSON: it ends within the document")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return farm.Errorf(farm.Invalid, "the field %s is not known here; %s/openapi.json lists the fields", clip(name, 100), Prefix)
	}
	return farm.Errorf(farm.Invalid, "the body is not what this call takes: %s", clip(strings.TrimPrefix(err.Error(), "json: "), 300))
}

// valueName turns encoding/json's "number 12.5" into words.
func valueName(v string) string {
	word, rest, _ := strings.Cut(v, " ")
	switch word {
	case "number":
		if rest != "" {
			return "the number " + clip(rest, 40)
		}
		return "a number"
	case "array", "object":
		return "an " + word
	case "bool":
		return "true or false"
	}
	return "a " + word
}

func kindName(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		if t == reflect.TypeFor[time.Time]() {
			return "a time like 2026-01-31T12:00:00Z"
		}
		return "an object"
	}
	return "a string"
}

// Headers of every answer, made once.
var noStore, noSniff, typeJSON = []string{"no-store"}, []string{"nosniff"}, []string{jsonType}

// saysLength is the size up to which net/http gives an answer its length by
// itself: "under a few KB" (documentation of http.ResponseWriter).
const saysLength = 1 << 10

// reply answers with a JSON document, or with 204 for none.
func (c *call) reply(status int, v any) error {
	h := c.w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	if _, none := v.(nothing); none || isNil(v) {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	if err := encode(buf, v); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	h["Content-Type"] = typeJSON
	if buf.Len() > saysLength {
		h.Set("Content-Length", strconv.Itoa(buf.Len()))
	}
	c.w.WriteHeader(status)
	c.send(int64(buf.Len()), func() { _, _ = c.w.Write(buf.Bytes()) }) // a client that went away misses it
	return nil
}

// encode writes a document and a line's end.
func encode(buf *bytes.Buffer, v any) error {
	a, ok := v.(interface {
		AppendJSON([]byte) ([]byte, error)
	})
	if !ok {
		return json.NewEncoder(buf).Encode(v)
	}
	b, err := a.AppendJSON(buf.AvailableBuffer())
	buf.Write(append(b, '\n'))
	return err
}

func isNil(v any) bool {
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}

const (
	// fitsBuffers is what a connection takes without the client reading.
	fitsBuffers = 8 << 10
	// slowest is the rate in bytes a second below which a client is given up.
	slowest = 16 << 10
)

// send writes an answer of size bytes under a deadline that a client which
// reads at all can keep.
func (c *call) send(size int64, write func()) {
	if size <= fitsBuffers {
		write()
		return
	}
	ctl := http.NewResponseController(c.w)
	if ctl.SetWriteDeadline(time.Now().Add(c.d.Idle+time.Duration(size/slowest)*time.Second)) != nil {
		write()
		return
	}
	write()
	// What is still buffered belongs to this answer; the next one on the
	// connection must not find its deadline.
	_ = ctl.Flush()
	_ = ctl.SetWriteDeadline(time.Time{})
}
