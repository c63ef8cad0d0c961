package storetest

import (
	"testing"

	"drover.farm/internal/farm"
)

// OlderWorkers are rows (id, body) of the table of workers as it was while their
// tallies were part of the body.
const OlderWorkers = `(3, '{"ID":3,"Name":"a\u0000b","Done":7,"Power":1.25,"Earned":1500,"Failed":2}'), (4, '{"ID":4,"Name":"new"}')`

// OlderTallies checks that a store which was brought forward from then has the
// workers whole, and writes over their tallies.
func OlderTallies(t *testing.T, s farm.Store) {
	t.Helper()
	b := &bundle{t: t, s: s}
	want := []*farm.Worker{{ID: 3, Name: "a\x00b", Done: 7, Power: 1.25, Earned: 1500, Failed: 2}, {ID: 4, Name: "new"}}
	b.same("workers", b.load().Workers, want)
	b.epoch = must[int64](t)(s.Acquire(t.Context()))
	want[1].Done, want[1].Power, want[1].Earned = 1, 0.5, 10
	b.commit(&farm.Batch{Tallies: want[1:]})
	b.same("workers after a success", b.load().Workers, want)
}
