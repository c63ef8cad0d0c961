package blobtest

import (
	"bytes"
	"slices"
	"time"

	"drover.farm/internal/blob"
)

var janitorCases = []testCase{
	{"prunes old blobs only", prunesOld},
	{"a touch spares", touchSpares},
	{"a put spares", putSpares},
	{"prunes and puts at once lose nothing", pruneAndPut},
	{"finds bit rot", findsRot},
	{"mends a copy that is too short", mendsShort},
}

// grace is well over the second to which a store may round its times.
const grace = time.Hour

func prunesOld(e *env) {
	old, young := Content(1, 100), Content(2, 100)
	e.put(old)
	e.Advance(2 * grace)
	info := e.put(young)
	before := info.Stored.Add(-grace)
	for _, c := range []struct {
		data []byte
		want bool
	}{{old, true}, {young, false}, {old, false}} {
		gone, err := e.Janitor.Prune(e.ctx, HashOf(c.data), before)
		e.ok(err)
		if gone != c.want {
			e.Errorf("pruned: %v, want %v", gone, c.want)
		}
	}
	e.hasNot(HashOf(old))
	e.has(young)
}

func touchSpares(e *env) {
	data := Content(1, 100)
	first := e.put(data)
	e.Advance(2 * grace)
	info, err := e.Janitor.Touch(e.ctx, HashOf(data))
	e.ok(err)
	e.same(info, data)
	gone, err := e.Janitor.Prune(e.ctx, HashOf(data), first.Stored.Add(grace))
	e.ok(err)
	if gone {
		e.Error("pruned what was touched")
	}
	e.has(data)
}

func putSpares(e *env) {
	data := Content(1, 100)
	first := e.put(data)
	e.Advance(2 * grace)
	e.put(data)
	gone, err := e.Janitor.Prune(e.ctx, HashOf(data), first.Stored.Add(grace))
	e.ok(err)
	if gone {
		e.Error("pruned what was put again")
	}
	e.has(data)
}

// pruneAndPut lets both race over old blobs: each blob must be there after its
// Put, whoever came first.
func pruneAndPut(e *env) {
	const n = 12
	var before time.Time
	for i := range n {
		before = e.put(Content(uint64(i), 500)).Stored.Add(grace)
	}
	e.Advance(2 * grace)
	atOnce(e, 2*n, func(i int) error {
		data := Content(uint64(i/2), 500)
		if i%2 == 0 {
			_, err := e.Janitor.Prune(e.ctx, HashOf(data), before)
			return err
		}
		_, err := e.Store.Put(e.ctx, bytes.NewReader(data), nil)
		return err
	})
	for i := range n {
		e.has(Content(uint64(i), 500))
	}
}

func findsRot(e *env) {
	data := Content(1, 400_000)
	e.put(data)
	e.ok(e.Janitor.Verify(e.ctx, HashOf(data)))
	bad := slices.Clone(data)
	bad[333_333] ^= 1
	e.Replace(e, HashOf(data), bad)
	e.is(e.Janitor.Verify(e.ctx, HashOf(data)), blob.ErrCorrupt)
	e.ok(e.Store.Delete(e.ctx, HashOf(data)))
	e.put(data)
	e.ok(e.Janitor.Verify(e.ctx, HashOf(data)))
	e.has(data)
}

func mendsShort(e *env) {
	data := Content(1, 400_000)
	e.put(data)
	e.Replace(e, HashOf(data), data[:1000])
	e.is(e.Janitor.Verify(e.ctx, HashOf(data)), blob.ErrCorrupt)
	e.put(data)
	e.ok(e.Janitor.Verify(e.ctx, HashOf(data)))
	e.has(data)
}
