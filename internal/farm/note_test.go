package farm_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
)

func TestNotesLiveWithTheirJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(ann, template("1"), func(s *farm.Submission) {
			s.Notes = func(job int64) []farm.Note { return []farm.Note{{Key: "d/task/6", Text: "six"}} }
		})
		b.check(b.f.PutNotes(t.Context(), []farm.Note{{Key: "d/set", Text: "x"}, {Key: "d/task/60", Job: j.ID}}))
		b.restart()
		n, err := b.f.Note(t.Context(), "d/task/6")
		b.check(err)
		if diff := cmp.Diff(&farm.Note{Key: "d/task/6", Job: j.ID, Text: "six"}, n); diff != "" {
			t.Error(diff)
		}
		if _, err := b.f.Note(t.Context(), "d/task"); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("the beginning of a key: %v", err)
		}
		if err := b.f.PutNotes(t.Context(), []farm.Note{{Key: "d/x"}, {Key: "d/y", Job: 7}}); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("a note of no job: %v", err)
		}
		if err := b.f.PutNotes(t.Context(), []farm.Note{{Key: "d/\x00"}}); farm.CodeOf(err) != farm.Invalid {
			t.Errorf("a NUL: %v", err)
		}
		b.check(errOf(b.f.Cancel(t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		b.check(b.f.Remove(t.Context(), farm.JobChange{By: ann, Job: j.ID}))
		b.check(b.f.PutNotes(t.Context(), []farm.Note{{Key: "d/z"}}, "d/set"))
		ns, err := b.f.Notes(t.Context(), farm.NoteQuery{Prefix: "d/"})
		b.check(err)
		if diff := cmp.Diff([]*farm.Note{{Key: "d/z"}}, ns); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAClaimTakesARunOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		first, second := b.submit(ann, template("1-5")), b.submit(ann, template("1-2"))
		w := b.worker("w")
		claim := func(also int, only int64) *farm.Lease {
			l, err := b.f.Claim(t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID, Also: func(*farm.Job) int { return also }, Only: func(j *farm.Job) bool { return j.ID == only }})
			b.check(err)
			return l
		}
		if claim(0, 7) != nil {
			t.Error("a task of a job that the worker cannot take")
		}
		l := claim(9, second.ID)
		if l == nil || l.Task.Job != second.ID || len(l.More) != 1 || l.More[0].Task == l.Task {
			t.Fatalf("the claim of a whole step got %+v", l)
		}
		if claim(0, first.ID) != nil {
			t.Error("a task for a worker that has its slot full")
		}
		for _, one := range append(l.More, l) {
			b.check(errOf(b.f.Complete(t.Context(), result(one))))
		}
		if l = claim(2, first.ID); l == nil || len(l.More) != 2 {
			t.Fatalf("a claim of three got %+v", l)
		}
		b.check(b.f.SignOff(t.Context(), ann, w.ID))
		if j, err := b.f.Job(t.Context(), first.ID); err != nil || j.Counts().Waiting != 5 {
			t.Errorf("after signing off %+v wait, %v", j.Counts(), err)
		}
	})
}
