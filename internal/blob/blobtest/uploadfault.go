package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"drover.farm/internal/blob"
)

var uploadFaultCases = []testCase{
	{"keeps what came before the line broke", uploadBroken},
	{"keeps what came before a cancel", uploadCancelled},
	{"refuses a wrong offset and names the right one", uploadOffset},
	{"refuses a second writer", uploadBusy},
	{"refuses more than was announced", uploadTooMuch},
	{"refuses other content", uploadMismatch},
}

func uploadBroken(e *env) {
	data := Content(1, 700_000)
	for _, cause := range []error{errReader, io.ErrUnexpectedEOF} {
		id := e.create(blob.Upload{Want: HashOf(data), Size: int64(len(data))})
		at, err := e.Uploads.Append(e.ctx, id, 0, after(data[:300_001], cause))
		e.is(err, cause)
		if at != 300_001 {
			e.Fatalf("at %d after the line broke, want 300001", at)
		}
		e.reopen()
		e.at(id, 300_001)
		at, err = e.Uploads.Append(e.ctx, id, 300_001, after(nil, cause))
		e.is(err, cause)
		if at != 300_001 {
			e.Fatalf("at %d, want 300001", at)
		}
		e.append(id, 300_001, data[300_001:])
		e.has(data)
		e.ok(e.Store.Delete(e.ctx, HashOf(data)))
	}
}

func uploadCancelled(e *env) {
	data := Content(1, 700_000)
	id := e.create(blob.Upload{Want: HashOf(data), Size: int64(len(data))})
	ctx, cancel := context.WithCancel(e.ctx)
	r := bytes.NewReader(data[:1000])
	at, err := e.Uploads.Append(ctx, id, 0, readFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if err == io.EOF {
			cancel()
			err = ctx.Err()
		}
		return n, err
	}))
	e.is(err, context.Canceled)
	if at != 1000 {
		e.Fatalf("at %d after a cancel, want 1000", at)
	}
	e.at(id, 1000)
	e.append(id, 1000, data[1000:])
	e.has(data)
}

func uploadOffset(e *env) {
	data := Content(1, 5000)
	id := e.create(blob.Upload{Size: 5000})
	e.append(id, 0, data[:100])
	for _, wrong := range []int64{0, 99, 101, 5000, -1, 1 << 62} {
		at, err := e.Uploads.Append(e.ctx, id, wrong, bytes.NewReader(data[100:]))
		e.is(err, blob.ErrOffset)
		var off *blob.OffsetError
		if !errors.As(err, &off) || off.Want != 100 || off.Got != wrong || at != 100 {
			e.Errorf("offset %d: got %v, at %d", wrong, err, at)
		}
	}
	e.at(id, 100)
}

func uploadBusy(e *env) {
	data := Content(1, 5000)
	id := e.create(blob.Upload{Want: HashOf(data), Size: 5000})
	g := newGate(e, data[:2000])
	first := make(chan error, 1)
	go func() {
		_, err := e.Uploads.Append(e.ctx, id, 0, g)
		first <- err
	}()
	<-g.reached
	_, err := e.Uploads.Append(e.ctx, id, 0, bytes.NewReader(data))
	e.is(err, blob.ErrBusy)
	_, err = e.Uploads.Finish(e.ctx, id)
	e.is(err, blob.ErrBusy)
	e.is(e.Uploads.Remove(e.ctx, id), blob.ErrBusy)
	n, err := e.Uploads.Expire(e.ctx, e.info(id).Updated.Add(grace))
	e.ok(err)
	if n != 0 {
		e.Error("an upload that is being written expired")
	}
	g.open()
	e.ok(<-first)
	e.at(id, 2000)
	e.append(id, 2000, data[2000:])
	e.has(data)
}

func uploadTooMuch(e *env) {
	data := Content(1, 5000)
	id := e.create(blob.Upload{Want: HashOf(data), Size: 5000})
	at, err := e.Uploads.Append(e.ctx, id, 0, bytes.NewReader(append(slices.Clone(data), 'x')))
	e.is(err, blob.ErrTooLarge)
	e.at(id, int(at))
	e.hasNot(HashOf(data))
	e.append(id, int(at), data[at:])
	e.has(data)
}

func uploadMismatch(e *env) {
	data, other := Content(1, 5000), Content(2, 5000)
	id := e.create(blob.Upload{Want: HashOf(data), Size: 5000})
	e.append(id, 0, other[:4000])
	_, err := e.Uploads.Append(e.ctx, id, 4000, bytes.NewReader(other[4000:]))
	e.is(err, blob.ErrMismatch)
	e.gone(id)
	e.hasNot(HashOf(data))
	e.hasNot(HashOf(other))
}
