package farm_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// failNext lets the next commit fail without having written.
func (b *bundle) failNext() {
	failed := false // read and written by the dispatcher alone
	b.store.Fault = func(*farm.Batch) (error, bool) {
		if failed {
			return nil, false
		}
		failed = true
		return errors.New("disk on fire"), false
	}
}

func TestLeaseNumbersOutlastAFailedCommit(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-4"))
		w := b.worker("w1", slots(4))
		first := b.mustClaim(w)
		b.failNext()
		if _, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID}); farm.CodeOf(err) != farm.Unavailable {
			b.t.Fatalf("a claim that is not written: %v", err)
		}
		if next := b.mustClaim(w); next.ID <= first.ID {
			b.t.Errorf("after a failed commit lease %d follows lease %d", next.ID, first.ID)
		}
		if n := len(b.leases()); n != 2 {
			b.t.Errorf("%d leases are out, want 2", n)
		}
	})
}

func (b *bundle) leases() []farm.LeaseInfo {
	b.t.Helper()
	ls, err := b.f.Leases(b.t.Context(), 0)
	b.check(err)
	return ls
}

func TestAResultIsForItsLeasesTaskOnly(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		l := b.mustClaim(b.worker("w1"))
		r := result(l)
		r.Task.Index = 1
		if _, err := b.f.Complete(b.t.Context(), r); farm.CodeOf(err) != farm.Invalid {
			b.t.Errorf("a result for another task: %v, want it refused", err)
		}
		for _, k := range []farm.TaskKey{{Job: j.ID, Step: -1 << 62}, {Job: j.ID, Step: 7}, {Job: j.ID, Index: -1}, {Job: 1}, {}} {
			r := result(l)
			r.Lease, r.Task = 7, k
			if _, err := b.f.Complete(b.t.Context(), r); farm.CodeOf(err) != farm.Gone {
				b.t.Errorf("a result of no lease for %+v: %v", k, err)
			}
		}
		r = result(l)
		r.Seconds = math.NaN()
		b.check(errOf(b.f.Complete(b.t.Context(), r)))
		row, err := b.f.Task(b.t.Context(), l.Task)
		b.check(err)
		if s := row.Attempts[0].Seconds; !(s >= 0) {
			b.t.Errorf("an attempt took %v seconds", s)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 2, Waiting: 1, Done: 1})
	})
}

func TestALateResultIsCreditedToItsWorker(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1"))
		w := b.worker("w1")
		l := b.mustClaim(w)
		time.Sleep(5 * time.Minute)
		if v := b.complete(l); !v.Accepted {
			b.t.Fatal(v.Reason)
		}
		got, err := b.f.Farmhand(b.t.Context(), w.ID)
		b.check(err)
		if got.Done != 1 {
			b.t.Errorf("the worker has done %d tasks, want 1", got.Done)
		}
	})
}

func TestCancelingSparesWhatIsDone(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Minute}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		w1, w2 := b.worker("w1"), b.worker("w2")
		late := b.mustClaim(w1)
		if again := <-b.wait(w2, 5*time.Minute); again.Task != late.Task { // the other task comes first
			<-b.wait(b.worker("w3"), 5*time.Minute)
		}
		b.complete(late) // while the second attempt is still running
		b.check(errOf(b.f.Cancel(b.t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		if c := b.job(j.ID).Counts(); c.Done != 1 || c.Running != 0 || c.Canceled != 1 {
			b.t.Errorf("after the cancel: %+v, want one task done and one canceled", c)
		}
	})
}

func TestARemovedWorkerIsToldAtOnce(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w1")
		told := make(chan error)
		go func() {
			_, err := b.f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: w.ID, Wait: time.Hour})
			told <- err
		}()
		synctest.Wait()
		b.check(b.f.RemoveWorker(b.t.Context(), admin, w.ID))
		if err := <-told; farm.CodeOf(err) != farm.Gone {
			b.t.Errorf("its waiting claim is answered with %v", err)
		}
		j := b.submit(ann, template("1"))
		b.want(j.ID, farm.JobWaiting, farm.Counts{Total: 1, Waiting: 1})
	})
}

// TestSuccessesAreCountedAtOnce holds a worker's count of done tasks to the
// store, also when nobody pays for them.
func TestSuccessesAreCountedAtOnce(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-3"))
		w := b.worker("w")
		for want := int64(1); want <= 3; want++ {
			b.complete(b.mustClaim(w))
			ws, err := b.store.Workers(b.t.Context())
			b.check(err)
			if ws[0].Done != want || ws[0].Name != "w" {
				b.t.Errorf("after %d tasks the store has %+v", want, ws[0])
			}
		}
	})
}

// TestLeasesTellTheJobAsItIs holds the job that a lease carries, one for all
// while nothing changes, to what it is then.
func TestLeasesTellTheJobAsItIs(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-9"))
		w := b.worker("w", func(r *farm.Registration) { r.Slots = 9 })
		b.mustClaim(w) // the job runs from here on
		before, same := b.mustClaim(w), b.mustClaim(w)
		_, err := b.f.SetPriority(b.t.Context(), farm.JobChange{By: admin, Job: j.ID}, 77)
		b.check(err)
		after := b.mustClaim(w)
		if before.Job != same.Job || before.Job.Priority == 77 || after.Job.Priority != 77 || after.Job.State != farm.JobRunning {
			b.t.Errorf("leases tell of %+v, %+v and then %+v", before.Job, same.Job, after.Job)
		}
	})
}
