package farm_test

import (
	"crypto/sha256"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// TestUndo takes a cancel back within its window: what ran goes on.
func TestUndo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j, w := b.submit(ann, template("1-5")), b.worker("w")
		l := b.claim(w)
		p, err := b.f.Later(t.Context(), farm.JobChange{By: ann, Job: j.ID}, farm.PendingCancel, 10*time.Second)
		b.check(err)
		if got := p.At.Sub(b.f.Now()); got != 10*time.Second {
			t.Errorf("it is done in %v", got)
		}
		if got, err := b.f.Job(t.Context(), j.ID); err != nil || got.State != farm.JobPaused {
			t.Errorf("while a cancel is pending the job is %v, %v", got.State, err)
		}
		for name, err := range map[string]error{
			"twice":   errOf(b.f.Later(t.Context(), farm.JobChange{By: ann, Job: j.ID}, farm.PendingCancel, time.Second)),
			"resumed": errOf(b.f.Resume(t.Context(), farm.JobChange{By: ann, Job: j.ID})),
		} {
			if farm.CodeOf(err) != farm.Conflict {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := errOf(b.f.Undo(t.Context(), farm.JobChange{By: bob, Job: j.ID})); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("undone by another: %v", err)
		}
		back, err := b.f.Undo(t.Context(), farm.JobChange{By: ann, Job: j.ID})
		b.check(err)
		if back.State != farm.JobRunning {
			t.Errorf("after the undo the job is %s", back.State)
		}
		time.Sleep(time.Minute) // of the bubble's clock
		if err := errOf(b.f.Complete(t.Context(), result(l))); farm.CodeOf(err) == farm.Gone {
			t.Errorf("what ran was lost: %v", err)
		}
		if got, _ := b.f.Job(t.Context(), j.ID); got.State == farm.JobCanceled {
			t.Error("it was canceled although that was undone")
		}
		if err := errOf(b.f.Undo(t.Context(), farm.JobChange{By: ann, Job: j.ID})); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("undone twice: %v", err)
		}
	})
}

// TestPendingOutlastsARestart carries out after a restart what was to be done,
// first a cancel, then the removal.
func TestPendingOutlastsARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(ann, template("1-5"))
		change := farm.JobChange{By: ann, Job: j.ID}
		if err := errOf(b.f.Later(t.Context(), change, farm.PendingRemove, time.Second)); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("removing a job that goes on: %v", err)
		}
		if err := errOf(b.f.Later(t.Context(), change, "burn", time.Second)); farm.CodeOf(err) != farm.Invalid {
			t.Errorf("doing what there is not: %v", err)
		}
		b.check(errOf(b.f.Later(t.Context(), change, farm.PendingCancel, 10*time.Second)))
		b.restart()
		if p, err := b.f.Pending(t.Context(), j.ID); err != nil || p == nil || p.What != farm.PendingCancel || p.By.Login != "ann" {
			t.Fatalf("after a restart %+v is pending, %v", p, err)
		}
		time.Sleep(12 * time.Second)
		got, err := b.f.Job(t.Context(), j.ID)
		b.check(err)
		if got.State != farm.JobCanceled || got.Reason != "canceled by ann" {
			t.Errorf("the job is %s: %s", got.State, got.Reason)
		}
		b.check(errOf(b.f.Later(t.Context(), change, farm.PendingRemove, time.Second)))
		time.Sleep(3 * time.Second)
		if _, err := b.f.Job(t.Context(), j.ID); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("the removed job: %v", err)
		}
		if ns, err := b.f.Notes(t.Context(), farm.NoteQuery{Prefix: "undo/"}); err != nil || len(ns) != 0 {
			t.Errorf("%d notes are left, %v", len(ns), err)
		}
	})
}

func TestSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{WorkerTimeout: 48 * time.Hour, Lease: 48 * time.Hour})
		b.submit(ann, template("1-5"))
		w := b.worker("w")
		l := b.claim(w)
		r := result(l)
		r.Seconds = 3
		b.check(errOf(b.f.Complete(t.Context(), r)))
		time.Sleep(90 * time.Second)
		b.restart()
		time.Sleep(90 * time.Second)
		ss, err := b.f.Samples(t.Context())
		b.check(err)
		var done, failed int64
		for _, s := range ss {
			done, failed = done+s.Done, failed+s.Failed
		}
		if len(ss) == 0 || done != 1 || failed != 0 || ss[len(ss)-1].Waiting != 4 {
			t.Errorf("samples: %+v", ss)
		}
		time.Sleep(30 * time.Hour)
		ns, err := b.f.Notes(t.Context(), farm.NoteQuery{Prefix: "sample/"})
		b.check(err)
		if len(ns) < 100 || len(ns) > 170 {
			t.Errorf("%d samples are kept after 30 hours", len(ns))
		}
		if ss, err = b.f.Samples(t.Context()); err != nil || len(ss) < 143 || len(ss) > 145 {
			t.Errorf("%d samples of the last day, %v", len(ss), err)
		}
	})
}

func TestAudit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.check(b.f.SetLimit(t.Context(), admin, "amount.licence.nuke", 5))
		b.check(b.f.SetMaintenance(t.Context(), admin, true))
		hash := "secret hash"
		b.check(b.f.ChangeUser(t.Context(), admin, "bob", farm.UserChange{Password: &hash}))
		b.restart()
		w := b.worker("w")
		off := false
		b.check(errOf(b.f.ChangeWorker(t.Context(), admin, w.ID, farm.WorkerChange{Enabled: &off, Reason: "noisy"})))
		want := []string{"disabled worker 1 w: noisy", "changed the account bob: a new password", "turned maintenance on", "set the limit amount.licence.nuke to 5",
			"added the account bob with the roles [submitter]", "added the account ann with the roles [submitter renderer]"}
		var got []string
		for after, more := "", true; more; more = after != "" {
			ds, next, err := b.f.Audit(t.Context(), admin, after, 2)
			b.check(err)
			for _, d := range ds {
				got = append(got, d.Text)
				if d.By != "admin" || d.Time.IsZero() {
					t.Errorf("%+v does not say who and when", d)
				}
			}
			after = next
		}
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("the audit list is %q, want %q", got, want)
			}
		}
		if _, _, err := b.f.Audit(t.Context(), ann, "", 2); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("the list for a submitter: %v", err)
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		sum := func(s string) [32]byte { return sha256.Sum256([]byte(s)) }
		once := func(name string, d time.Duration) {
			b.check(b.f.AddToken(t.Context(), ann, farm.Token{Hash: sum(name), Login: "ann", Kind: farm.KindJoin, Expires: b.f.Now().Add(d)}))
		}
		once("once", time.Hour)
		once("old", time.Minute)
		if _, err := b.f.Authenticate("once"); err == nil {
			t.Error("a one-time token is good for everything")
		}
		time.Sleep(2 * time.Minute)
		p, err := b.f.Join(t.Context(), "once", sum("lasting"), "node7")
		b.check(err)
		if p.Login != "ann" {
			t.Errorf("joined as %q", p.Login)
		}
		b.restart()
		for _, bad := range []string{"once", "old", "never", "lasting"} {
			if _, err := b.f.Join(t.Context(), bad, sum("x"), ""); farm.CodeOf(err) != farm.Unauthorized {
				t.Errorf("joining with %q: %v", bad, err)
			}
		}
		if p, err := b.f.Authenticate("lasting"); err != nil || p.Login != "ann" {
			t.Errorf("the lasting token: %v, %v", p, err)
		}
	})
}
