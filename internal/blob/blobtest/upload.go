package blobtest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drover.farm/internal/blob"
)

var uploadCases = []testCase{
	{"comes in pieces", uploadInPieces},
	{"says what it is", uploadInfo},
	{"is finished when the last byte came", uploadFinishes},
	{"of no bytes is finished at once", uploadEmpty},
	{"goes on after a restart", uploadResumes},
	{"of content that is there", uploadOfKnown},
	{"several at once", uploadsAtOnce},
	{"is removed", uploadRemoved},
	{"expires", uploadExpires},
	{"refuses what cannot be", uploadRefused},
	{"ids from outside", uploadIDs},
}

func (e *env) create(u blob.Upload) string {
	e.Helper()
	id, err := e.Uploads.Create(e.ctx, u)
	e.ok(err)
	return id
}

func (e *env) append(id string, offset int, piece []byte) {
	e.Helper()
	at, err := e.Uploads.Append(e.ctx, id, int64(offset), bytes.NewReader(piece))
	e.ok(err)
	if want := int64(offset + len(piece)); at != want {
		e.Fatalf("at %d after an append, want %d", at, want)
	}
}

func (e *env) info(id string) blob.Progress {
	e.Helper()
	p, err := e.Uploads.Info(e.ctx, id)
	e.ok(err)
	return p
}

// at wants an unfinished upload to end at offset.
func (e *env) at(id string, offset int) {
	e.Helper()
	if p := e.info(id); p.Offset != int64(offset) || p.Done != nil {
		e.Errorf("the upload is at %d (done: %v), want %d", p.Offset, p.Done, offset)
	}
}

func uploadInPieces(e *env) {
	data := Content(1, 1_000_003)
	id := e.create(blob.Upload{Want: HashOf(data), Size: int64(len(data))})
	for from, step := 0, 1; from < len(data); step = step*3 + 1 {
		to := min(from+step, len(data))
		e.at(id, from)
		e.append(id, from, data[from:to])
		from = to
	}
	e.has(data)
	e.is(e.Janitor.Verify(e.ctx, HashOf(data)), nil)
}

func uploadInfo(e *env) {
	u := blob.Upload{
		Want: HashOf([]byte("x")), Size: 77, Owner: "ada",
		Meta: map[string]string{"filename": "scène\n.blend", "empty": "", "": "nameless"},
	}
	id := e.create(u)
	for range 2 {
		p := e.info(id)
		if p.Updated.IsZero() {
			e.Error("no time of update")
		}
		want := blob.Progress{Upload: u}
		if diff := cmp.Diff(want, p, cmpopts.IgnoreFields(blob.Progress{}, "Updated")); diff != "" {
			e.Errorf("wrong progress (-want +got):\n%s", diff)
		}
		p.Meta["filename"] = "changed by the caller"
		e.reopen()
	}
}

func uploadFinishes(e *env) {
	data := Content(1, 5000)
	id := e.create(blob.Upload{Size: 5000})
	e.append(id, 0, data[:4999])
	_, err := e.Uploads.Finish(e.ctx, id)
	e.is(err, blob.ErrIncomplete)
	e.hasNot(HashOf(data))
	e.append(id, 4999, data[4999:])
	e.has(data)
	for range 2 {
		info, err := e.Uploads.Finish(e.ctx, id)
		e.ok(err)
		e.same(info, data)
		p := e.info(id)
		if p.Done == nil || p.Offset != 5000 {
			e.Fatalf("after the end: %+v", p)
		}
		e.same(*p.Done, data)
		e.append(id, 5000, nil)
		at, err := e.Uploads.Append(e.ctx, id, 5000, strings.NewReader("x"))
		e.is(err, blob.ErrTooLarge)
		if at != 5000 {
			e.Errorf("at %d", at)
		}
		_, err = e.Uploads.Append(e.ctx, id, 4000, bytes.NewReader(data[4000:]))
		e.is(err, blob.ErrOffset)
		e.reopen()
	}
}

func uploadEmpty(e *env) {
	id := e.create(blob.Upload{Want: HashOf(nil), Size: 0})
	p := e.info(id)
	if p.Done == nil {
		e.Fatal("not finished")
	}
	e.same(*p.Done, nil)
	e.has(nil)
	_, err := e.Uploads.Create(e.ctx, blob.Upload{Want: HashOf([]byte("x")), Size: 0})
	e.is(err, blob.ErrMismatch)
}

func uploadResumes(e *env) {
	data := Content(1, 900_000)
	id := e.create(blob.Upload{Want: HashOf(data), Size: int64(len(data))})
	for from := 0; from < len(data); from += 300_000 {
		e.reopen()
		e.at(id, from)
		e.append(id, from, data[from:from+300_000])
	}
	e.reopen()
	e.has(data)
	if e.info(id).Done == nil {
		e.Error("not finished after a restart")
	}
}

func uploadOfKnown(e *env) {
	data := Content(1, 5000)
	e.put(data)
	id := e.create(blob.Upload{Want: HashOf(data), Size: 5000})
	e.append(id, 0, data)
	e.has(data)
	if got := e.all(); len(got) != 1 {
		e.Errorf("%d blobs of one content", len(got))
	}
}

func uploadsAtOnce(e *env) {
	const n = 12
	atOnce(e, n, func(i int) error {
		data := Content(uint64(i%4), 60_000)
		id, err := e.Uploads.Create(e.ctx, blob.Upload{Want: HashOf(data), Size: 60_000})
		if err != nil {
			return err
		}
		for from := 0; from < len(data); from += 20_000 {
			at, err := e.Uploads.Append(e.ctx, id, int64(from), bytes.NewReader(data[from:from+20_000]))
			if err != nil || at != int64(from+20_000) {
				return fmt.Errorf("append at %d: %d, %w", from, at, err)
			}
		}
		return nil
	})
	for i := range 4 {
		e.has(Content(uint64(i), 60_000))
	}
}

func uploadRemoved(e *env) {
	data := Content(1, 5000)
	id := e.create(blob.Upload{Size: 5000})
	e.append(id, 0, data[:1000])
	e.ok(e.Uploads.Remove(e.ctx, id))
	e.gone(id)
	// Removing a finished upload leaves its blob.
	id = e.create(blob.Upload{Size: 5000})
	e.append(id, 0, data)
	e.ok(e.Uploads.Remove(e.ctx, id))
	e.gone(id)
	e.has(data)
}

// gone wants every verb to know nothing of an upload.
func (e *env) gone(id string) {
	e.Helper()
	_, err := e.Uploads.Info(e.ctx, id)
	e.is(err, blob.ErrNotFound)
	_, err = e.Uploads.Append(e.ctx, id, 0, strings.NewReader("x"))
	e.is(err, blob.ErrNotFound)
	_, err = e.Uploads.Finish(e.ctx, id)
	e.is(err, blob.ErrNotFound)
	e.is(e.Uploads.Remove(e.ctx, id), blob.ErrNotFound)
}

func uploadExpires(e *env) {
	data := Content(1, 5000)
	done := e.create(blob.Upload{Size: 5000})
	e.append(done, 0, data)
	old := e.create(blob.Upload{Size: 5000})
	e.append(old, 0, data[:10])
	alive := e.create(blob.Upload{Size: 5000})
	e.append(alive, 0, data[:10])
	e.Advance(2 * grace)
	e.append(alive, 10, data[10:20])
	n, err := e.Uploads.Expire(e.ctx, e.info(alive).Updated.Add(-grace))
	e.ok(err)
	if n != 2 {
		e.Errorf("%d uploads expired, want 2", n)
	}
	e.gone(done)
	e.gone(old)
	e.at(alive, 20)
	e.has(data)
}

func uploadRefused(e *env) {
	long := strings.Repeat("x", 9<<10)
	many := make(map[string]string)
	for i := range 65 {
		many[fmt.Sprint(i)] = "x"
	}
	for _, u := range []blob.Upload{
		{Size: -1},
		{Size: math.MinInt64},
		{Size: 1, Meta: map[string]string{"k": long}},
		{Size: 1, Meta: map[string]string{long: "v"}},
		{Size: 1, Owner: long},
		{Size: 1, Meta: many},
	} {
		_, err := e.Uploads.Create(e.ctx, u)
		e.is(err, blob.ErrInvalid)
	}
	if _, err := e.Uploads.Create(e.ctx, blob.Upload{Size: math.MaxInt64}); err == nil {
		e.Error("an upload of 9 exabytes was accepted")
	}
}

func uploadIDs(e *env) {
	for _, id := range []string{
		"", ".", "..", "../../etc/passwd", "a/b", "\x00", strings.Repeat("a", 1<<20),
		strings.Repeat("A", 32), strings.Repeat("0", 31), strings.Repeat("0", 32), strings.Repeat("g", 32),
	} {
		e.gone(id)
	}
	seen := make(map[string]bool)
	for range 20 {
		id := e.create(blob.Upload{Size: 1})
		if !blob.ValidUploadID(id) || seen[id] {
			e.Errorf("id %q", id)
		}
		seen[id] = true
	}
}

// gate is a reader that says when it is read beyond its data, and then waits
// until it is opened.
type gate struct {
	data    io.Reader
	reached chan struct{}
	opened  chan struct{}
	open    func()
}

// newGate makes a gate that opens at the end of the test at the latest.
func newGate(e *env, data []byte) *gate {
	g := &gate{data: bytes.NewReader(data), reached: make(chan struct{}), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	e.Cleanup(g.open)
	return g
}

func (g *gate) Read(p []byte) (int, error) {
	n, err := g.data.Read(p)
	if err == io.EOF {
		close(g.reached)
		<-g.opened
	}
	return n, err
}
