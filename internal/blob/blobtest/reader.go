package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing/iotest"

	"drover.farm/internal/blob"
)

var readerCases = []testCase{
	{"a reader that fails leaves nothing", failingReader},
	{"a stream that was cut is no end", cutStream},
	{"a reader that counts wrongly", badReaders},
	{"slow and odd readers are read to the end", oddReaders},
	{"a cancelled put leaves nothing", cancelledPut},
	{"an announced length is held", sizedReaders},
}

var errReader = errors.New("the line is dead")

// after gives data and then err.
func after(data []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(err))
}

func failingReader(e *env) {
	for _, n := range []int{0, 100, 256 << 10, 2 << 20} {
		data := Content(uint64(n), n)
		_, err := e.Store.Put(e.ctx, after(data, errReader), nil)
		e.is(err, errReader)
		e.hasNot(HashOf(data))
	}
}

func cutStream(e *env) {
	for _, n := range []int{1, 256 << 10, 300_000} {
		data := Content(uint64(n), n)
		_, err := e.Store.Put(e.ctx, after(data, io.ErrUnexpectedEOF), nil)
		e.is(err, io.ErrUnexpectedEOF)
		e.hasNot(HashOf(data))
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func badReaders(e *env) {
	for _, n := range []int{-1, 1} {
		_, err := e.Store.Put(e.ctx, readFunc(func(p []byte) (int, error) {
			if n < 0 {
				return -1, nil
			}
			return len(p) + 1, nil
		}), nil)
		e.is(err, blob.ErrInvalid)
	}
	_, err := e.Store.Put(e.ctx, readFunc(func([]byte) (int, error) { return 0, nil }), nil)
	e.is(err, io.ErrNoProgress)
	if got := e.all(); len(got) != 0 {
		e.Errorf("the store keeps %v", got)
	}
}

func oddReaders(e *env) {
	data := Content(1, 20_000)
	for _, r := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(data)),
		iotest.HalfReader(bytes.NewReader(data)),
		iotest.DataErrReader(bytes.NewReader(data)),
	} {
		info, err := e.Store.Put(e.ctx, r, nil)
		e.ok(err)
		e.same(info, data)
	}
	e.has(data)
}

func cancelledPut(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	data := Content(1, 3<<20)
	first := true
	r := bytes.NewReader(data)
	_, err := e.Store.Put(ctx, readFunc(func(p []byte) (int, error) {
		if !first {
			cancel()
		}
		first = false
		return r.Read(p)
	}), nil)
	e.is(err, context.Canceled)
	e.hasNot(HashOf(data))
}

func sizedReaders(e *env) {
	data := Content(1, 700_000)
	n := int64(len(data))
	_, err := e.Store.Put(e.ctx, blob.WithSize(bytes.NewReader(data), n+1), nil)
	e.is(err, blob.ErrIncomplete)
	_, err = e.Store.Put(e.ctx, blob.WithSize(bytes.NewReader(data), n-1), nil)
	e.is(err, blob.ErrTooLarge)
	_, err = e.Store.Put(e.ctx, blob.WithSize(bytes.NewReader(data), -1), nil)
	e.is(err, blob.ErrInvalid)
	_, err = e.Store.Put(e.ctx, blob.WithSize(bytes.NewReader(data), 0), nil)
	e.is(err, blob.ErrTooLarge)
	if got := e.all(); len(got) != 0 {
		e.Errorf("the store keeps %v", got)
	}
	info, err := e.Store.Put(e.ctx, blob.WithSize(bytes.NewReader(data), n), nil)
	e.ok(err)
	e.same(info, data)
	e.has(data)
}
