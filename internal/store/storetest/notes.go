package storetest

import (
	"testing"

	"drover.farm/internal/farm"
)

func testNotes(t *testing.T, open Factory) {
	b := setup(t, open)
	note := func(key, text string, job int64) *farm.Note { return &farm.Note{Key: key, Job: job, Text: text} }
	set, six, sixty, gone := note("d/set/x", "ä\n", 0), note("d/task/6", "six", 1000), note("d/task/60", "sixty", 1001), note("d/task/7", "", 0)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000), sample(1001)}, Notes: []*farm.Note{sixty, six, set, gone, note("e/other", "", 0)}})
	six = note("d/task/6", "6", 1000)
	b.commit(&farm.Batch{Notes: []*farm.Note{six}, DropNotes: []string{gone.Key, "not there"}})
	b.reopen()
	list := func(q farm.NoteQuery) []*farm.Note { return must[[]*farm.Note](t)(b.s.Notes(t.Context(), q)) }
	b.same("all of a door", list(farm.NoteQuery{Prefix: "d/"}), []*farm.Note{set, six, sixty})
	b.same("a page", list(farm.NoteQuery{Prefix: "d/", Limit: 1}), []*farm.Note{set})
	b.same("the next page", list(farm.NoteQuery{Prefix: "d/", After: set.Key, Limit: 1}), []*farm.Note{six})
	b.same("nothing behind the last", list(farm.NoteQuery{Prefix: "d/", After: sixty.Key}), []*farm.Note(nil))
	b.same("a prefix is no pattern", list(farm.NoteQuery{Prefix: "d_"}), []*farm.Note(nil))
	b.commit(&farm.Batch{DropJobs: []int64{1000}})
	b.same("notes of a removed job", list(farm.NoteQuery{Prefix: "d/"}), []*farm.Note{set, sixty})
}
