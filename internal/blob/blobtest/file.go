package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing/iotest"

	"drover.farm/internal/blob"
)

var fileCases = []testCase{
	{"reads as a file does", readsAsFile},
	{"seeks", seeks},
	{"reads at offsets from many at once", readsAtOnce},
	{"many read one blob at once", manyReaders},
	{"a closed context opens nothing", closedContext},
}

func (e *env) open(data []byte) blob.File {
	e.Helper()
	e.put(data)
	f, err := e.Store.Open(e.ctx, HashOf(data))
	e.ok(err)
	e.Cleanup(func() { _ = f.Close() })
	return f
}

func readsAsFile(e *env) {
	for _, n := range []int{0, 1, 1000, 70_000} {
		data := Content(uint64(n), n)
		f := e.open(data)
		if f.Size() != int64(n) {
			e.Errorf("size %d of %d bytes", f.Size(), n)
		}
		if err := iotest.TestReader(f, data); err != nil {
			e.Errorf("%d bytes: %v", n, err)
		}
		e.ok(f.Close())
	}
}

func seeks(e *env) {
	data := Content(1, 3<<20)
	f := e.open(data)
	for _, step := range []struct {
		offset int64
		whence int
		want   int64
	}{
		{0, io.SeekEnd, 3 << 20},
		{-10, io.SeekEnd, 3<<20 - 10},
		{100, io.SeekStart, 100},
		{2 << 20, io.SeekCurrent, 100 + 2<<20 + 10},
		{-20, io.SeekCurrent, 100 + 2<<20},
		{5, io.SeekStart, 5},
	} {
		at, err := f.Seek(step.offset, step.whence)
		e.ok(err)
		if at != step.want {
			e.Fatalf("seek %d, %d: at %d, want %d", step.offset, step.whence, at, step.want)
		}
		want := data[at:min(int(at)+10, len(data))]
		got, err := io.ReadAll(io.LimitReader(f, 10))
		e.ok(err)
		if !bytes.Equal(got, want) {
			e.Errorf("after seek to %d: other bytes", at)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		e.Error("a seek before the begin succeeded")
	}
	if _, err := f.Seek(0, 42); err == nil {
		e.Error("a seek of an unknown kind succeeded")
	}
	at, err := f.Seek(10, io.SeekEnd)
	e.ok(err)
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF || at != 10+3<<20 {
		e.Errorf("behind the end (%d): read %d, %v", at, n, err)
	}
}

func readsAtOnce(e *env) {
	data := Content(1, 2<<20)
	f := e.open(data)
	atOnce(e, 16, func(i int) error {
		for j := range 8 {
			off, n := (i*977_777+j*131_071)%len(data), 1<<(2*j%19)
			buf := make([]byte, n)
			got, err := f.ReadAt(buf, int64(off))
			want := data[off:min(off+n, len(data))]
			if err != nil && (err != io.EOF || off+n <= len(data)) || !bytes.Equal(buf[:got], want) {
				return fmt.Errorf("%d bytes at %d: got %d, %v", n, off, got, err)
			}
		}
		return nil
	})
	if n, err := f.ReadAt(make([]byte, 1), int64(len(data))); n != 0 || err != io.EOF {
		e.Errorf("at the end: %d, %v", n, err)
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
		e.Error("read before the begin")
	}
}

func manyReaders(e *env) {
	data := Content(1, 1<<20)
	e.put(data)
	atOnce(e, 8, func(int) error {
		f, err := e.Store.Open(e.ctx, HashOf(data))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(f)
		if err == nil && !bytes.Equal(got, data) {
			err = fmt.Errorf("other content")
		}
		_ = f.Close()
		return err
	})
}

func closedContext(e *env) {
	data := Content(1, 10)
	e.put(data)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Store.Open(ctx, HashOf(data))
	e.is(err, context.Canceled)
	_, err = e.Store.Stat(ctx, HashOf(data))
	e.is(err, context.Canceled)
}
