package farm_test

import (
	"testing"

	"drover.farm/internal/farm"
)

// failAll makes every task of a job fail on one worker.
func (b *bundle) failAll(w *farm.Worker) {
	b.t.Helper()
	for l := b.claim(w); l != nil; l = b.claim(w) {
		b.fail(l, farm.CauseJob)
	}
}

// hardy are settings under which one worker may fail a whole job.
var hardy = farm.Settings{Tries: 1, AsideJobs: 1000, AsideFaults: 1000}

func TestRetryOfManyTasksGoesByPages(t *testing.T) {
	bubble(t, hardy, func(b *bundle) {
		const n = 2500 // more than two pages
		j := b.submit(ann, template("1-2500"))
		w := b.worker("w")
		b.failAll(w)
		b.want(j.ID, farm.JobFailed, farm.Counts{Total: n, Failed: n})
		before := b.f.Metrics().Batches
		_, got, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil)
		b.check(err)
		if got != n {
			b.t.Errorf("%d tasks wait again, want %d", got, n)
		}
		if pages := b.f.Metrics().Batches - before; pages < 3 {
			b.t.Errorf("they came back in %d batches: one that large holds the others up", pages)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: n, Waiting: n})
		b.restart()
		for i := range int64(n) {
			l := b.mustClaim(w)
			if l.Task.Index != i || l.Attempt != 2 {
				b.t.Fatalf("the %d. task is index %d, attempt %d", i, l.Task.Index, l.Attempt)
			}
			b.complete(l)
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: n, Done: n})
		if _, _, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("a job that is done is retried: %v", err)
		}
	})
}

func TestRetryOfNamedTasks(t *testing.T) {
	bubble(t, hardy, func(b *bundle) {
		j := b.submit(ann, template("1-6"))
		w := b.worker("w")
		b.complete(b.mustClaim(w))
		b.fail(b.mustClaim(w), farm.CauseJob)
		b.fail(b.mustClaim(w), farm.CauseJob)
		retry := func(index int64) (int64, error) {
			_, n, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, []farm.TaskKey{{Index: index}})
			return n, err
		}
		if n, err := retry(1); n != 1 || err != nil {
			b.t.Errorf("a failed task: %d, %v", n, err)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 6, Waiting: 4, Done: 1, Failed: 1})
		for index, code := range map[int64]farm.Code{0: farm.Conflict, 1: farm.Conflict, 5: farm.Conflict, 6: farm.NotFound, -1: farm.NotFound} {
			if _, err := retry(index); farm.CodeOf(err) != code {
				b.t.Errorf("task %d, which has not failed: %v", index, err)
			}
		}
		b.check(errOf(b.f.Cancel(b.t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		if _, err := retry(0); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("a task that is done brings a canceled job back: %v", err)
		}
		b.want(j.ID, farm.JobCanceled, farm.Counts{Total: 6, Done: 1, Failed: 1, Canceled: 4})
		if n, err := retry(4); n != 4 || err != nil {
			b.t.Errorf("a task that was never leased: %d, %v", n, err)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 6, Waiting: 4, Done: 1, Failed: 1})
	})
}

// TestRetryAfterARestartFindsWhatWaited: rows of tasks that wait again keep
// their state when their job is canceled; a retry must find them in the store.
func TestRetryAfterARestartFindsWhatWaited(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		w := b.worker("w")
		b.worker("other")
		b.fail(b.mustClaim(w), farm.CauseJob)
		b.check(errOf(b.f.Cancel(b.t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		b.restart()
		_, n, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil)
		b.check(err)
		if n != 2 {
			b.t.Errorf("%d tasks wait again, want 2", n)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 2, Waiting: 2})
		b.complete(b.mustClaim(w))
		b.complete(b.mustClaim(b.worker("other")))
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 2, Done: 2})
	})
}

// TestARetryEndsAttemptsThatTheFarmForgot: what was told to stop has no lease
// after a restart, but its attempt is open in the row. When the task is tried
// again and the farm starts once more, only the new attempt runs.
func TestARetryEndsAttemptsThatTheFarmForgot(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		one, two := b.worker("one"), b.worker("two")
		old := b.mustClaim(one)
		b.check(errOf(b.f.Cancel(b.t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		b.restart()
		_, _, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil)
		b.check(err)
		l := b.mustClaim(two)
		b.restart()
		leases, err := b.f.Leases(b.t.Context(), j.ID)
		b.check(err)
		if len(leases) != 1 || leases[0].ID != l.ID {
			b.t.Errorf("the leases are %+v, want only %d", leases, l.ID)
		}
		if v := b.complete(old); v.Accepted {
			b.t.Error("the canceled attempt counts")
		}
		if v := b.complete(l); !v.Accepted {
			b.t.Errorf("the new attempt: %+v", v)
		}
	})
}
