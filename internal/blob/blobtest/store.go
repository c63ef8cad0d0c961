package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/blob"
)

var storeCases = []testCase{
	{"keeps content of any length", keepsAnyLength},
	{"accepts the announced hash", acceptsWant},
	{"refuses another hash", refusesOtherHash},
	{"knows nothing of what it was not given", knowsNothing},
	{"stores one content once", storesOnce},
	{"one content from many at once", oneContentAtOnce},
	{"many contents from many at once", manyContentsAtOnce},
	{"put and delete of one content at once", putAndDeleteAtOnce},
	{"deletes", deletes},
	{"walks over all", walksAll},
	{"a walk ends when told", walkEnds},
	{"keeps content over a restart", keepsOverRestart},
}

func keepsAnyLength(e *env) {
	for _, n := range []int{0, 1, 4095, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 - 1, 1<<20 + 1, 17<<20 + 3} {
		data := Content(uint64(n), n)
		e.put(data)
		e.has(data)
	}
}

func acceptsWant(e *env) {
	data := Content(1, 5000)
	h := HashOf(data)
	info, err := e.Store.Put(e.ctx, bytes.NewReader(data), &h)
	e.ok(err)
	e.same(info, data)
	zero := blob.Hash{} // no announcement
	_, err = e.Store.Put(e.ctx, bytes.NewReader(data), &zero)
	e.ok(err)
	e.has(data)
}

func refusesOtherHash(e *env) {
	for _, n := range []int{0, 5000, 3 << 20} {
		data, other := Content(1, n), HashOf([]byte("other"))
		_, err := e.Store.Put(e.ctx, bytes.NewReader(data), &other)
		e.is(err, blob.ErrMismatch)
		e.hasNot(HashOf(data))
		e.hasNot(other)
	}
	if got := e.all(); len(got) != 0 {
		e.Errorf("the store keeps %v", got)
	}
}

func knowsNothing(e *env) {
	h := HashOf([]byte("nothing"))
	e.hasNot(h)
	_, err := e.Store.Open(e.ctx, h)
	e.is(err, blob.ErrNotFound)
	e.ok(e.Store.Delete(e.ctx, h))
	_, err = e.Janitor.Touch(e.ctx, h)
	e.is(err, blob.ErrNotFound)
	e.is(e.Janitor.Verify(e.ctx, h), blob.ErrNotFound)
	gone, err := e.Janitor.Prune(e.ctx, h, time.Now().Add(time.Hour))
	e.ok(err)
	if gone {
		e.Error("pruned what is not there")
	}
	if got := e.all(); len(got) != 0 {
		e.Errorf("an empty store lists %v", got)
	}
}

func storesOnce(e *env) {
	data := Content(1, 100_000)
	first := e.put(data)
	e.Advance(time.Minute)
	second := e.put(data)
	if !second.Stored.After(first.Stored) {
		e.Errorf("stored again at %v, first at %v: the time was not renewed", second.Stored, first.Stored)
	}
	if diff := cmp.Diff(hashes(data), e.all()); diff != "" {
		e.Errorf("the store lists otherwise (-want +got):\n%s", diff)
	}
	e.has(data)
}

// atOnce runs f n times side by side and reports its errors.
func atOnce(e *env, n int, f func(i int) error) {
	e.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		e.Error(err)
	}
}

func oneContentAtOnce(e *env) {
	data := Content(1, 600_000)
	atOnce(e, 16, func(int) error {
		info, err := e.Store.Put(e.ctx, bytes.NewReader(data), nil)
		if err == nil && info.SHA256 != HashOf(data) {
			err = fmt.Errorf("got %s", info.SHA256)
		}
		return err
	})
	if got := e.all(); len(got) != 1 {
		e.Errorf("%d blobs of one content", len(got))
	}
	e.has(data)
}

func manyContentsAtOnce(e *env) {
	const n = 48
	var contents [][]byte
	for i := range n {
		contents = append(contents, Content(uint64(i), 10_000+i))
	}
	atOnce(e, n, func(i int) error {
		_, err := e.Store.Put(e.ctx, bytes.NewReader(contents[i]), nil)
		return err
	})
	if diff := cmp.Diff(hashes(contents...), e.all()); diff != "" {
		e.Errorf("the store lists otherwise (-want +got):\n%s", diff)
	}
	for _, c := range contents {
		e.has(c)
	}
}

func putAndDeleteAtOnce(e *env) {
	data := Content(1, 50_000)
	atOnce(e, 12, func(i int) error {
		if i%3 == 0 {
			return e.Store.Delete(e.ctx, HashOf(data))
		}
		_, err := e.Store.Put(e.ctx, bytes.NewReader(data), nil)
		return err
	})
	if _, err := e.Store.Stat(e.ctx, HashOf(data)); err == nil {
		e.has(data)
	} else {
		e.is(err, blob.ErrNotFound)
	}
	e.put(data)
	e.has(data)
}

func deletes(e *env) {
	a, b := Content(1, 1000), Content(2, 1000)
	e.put(a)
	e.put(b)
	e.ok(e.Store.Delete(e.ctx, HashOf(a)))
	e.hasNot(HashOf(a))
	_, err := e.Store.Open(e.ctx, HashOf(a))
	e.is(err, blob.ErrNotFound)
	e.has(b)
	e.put(a)
	e.has(a)
}

func walksAll(e *env) {
	sizes := make(map[blob.Hash]int64)
	for i := range 25 {
		c := Content(uint64(i), i*37)
		sizes[HashOf(c)] = int64(len(c))
		e.put(c)
	}
	got := make(map[blob.Hash]int64)
	e.ok(e.Store.Walk(e.ctx, func(i blob.Info) error {
		if _, twice := got[i.SHA256]; twice || i.Stored.IsZero() || i.MD5 != [16]byte{} {
			e.Errorf("walk gave %+v", i)
		}
		got[i.SHA256] = i.Size
		return nil
	}))
	if diff := cmp.Diff(sizes, got); diff != "" {
		e.Errorf("walk gave otherwise (-want +got):\n%s", diff)
	}
}

func walkEnds(e *env) {
	for i := range 5 {
		e.put(Content(uint64(i), 10))
	}
	stop, calls := errors.New("enough"), 0
	err := e.Store.Walk(e.ctx, func(blob.Info) error { calls++; return stop })
	if err != stop || calls != 1 {
		e.Errorf("walk ended with %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	err = e.Store.Walk(ctx, func(blob.Info) error { cancel(); return nil })
	e.is(err, context.Canceled)
}

func keepsOverRestart(e *env) {
	a, b := Content(1, 300_000), Content(2, 0)
	first := e.put(a)
	e.put(b)
	e.reopen()
	e.has(a)
	e.has(b)
	info, err := e.Store.Stat(e.ctx, first.SHA256)
	e.ok(err)
	if d := info.Stored.Sub(first.Stored); d > time.Second || d < -time.Second {
		e.Errorf("stored at %v, after a restart at %v", first.Stored, info.Stored)
	}
}
