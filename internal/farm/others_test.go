package farm_test

import (
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// TestFailuresCostNoLookAtAllWorkers has a step fail again and again on the one
// worker that fits: whether others do is not asked of all workers each time.
func TestFailuresCostNoLookAtAllWorkers(t *testing.T) {
	t.Parallel()
	set := long
	set.Tries, set.AvoidAfter, set.AsideJobs = 1<<30, 1, 1<<30
	for name, frames := range map[string]string{"a task that waits again": "1", "tasks that wait": "1-99"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const many = 5_000
			b := &bundle{t: t, f: host(t, many, set, nil)}
			big := func(r *farm.Registration) { r.Machine.Cores = 64 }
			bad := b.worker("bad", big)
			b.submit(ann, requiring(frames, "{name: amount.worker.vcpu, min: 32}"))
			b.f.Walked()
			for range 100 {
				b.fail(b.mustClaim(bad), farm.CauseJob)
			}
			if all, _ := b.f.Walked(); all > 2*(many+1)+100 {
				t.Errorf("100 failures went through %d workers of %d", all, many)
			}
			good := b.worker("good", big)
			for range 100 {
				if l := b.claim(bad); l != nil {
					t.Fatalf("%v was given to the worker that it failed on, while another waits", l.Task)
				}
			}
			if all, _ := b.f.Walked(); all > many {
				t.Errorf("100 refusals went through %d workers of %d", all, many)
			}
			b.mustClaim(good)
		})
	}
}

// TestOthersAreThoseThatFitNow has a worker come to fit and cease to, and asks
// each time whether another, on which the step fails, is given its tasks.
func TestOthersAreThoseThatFitNow(t *testing.T) {
	for name, frames := range map[string]string{"a task that waits again": "1", "tasks that wait": "1-99"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, farm.Settings{Tries: 1 << 30, AvoidAfter: 1, AsideJobs: 1 << 30, Lease: time.Hour, WorkerTimeout: 48 * time.Hour, Scan: time.Second}, func(b *bundle) {
				bad := b.worker("bad")
				for range 5 {
					b.worker("small", func(r *farm.Registration) { r.Another, r.Machine.Cores = true, 2 })
				}
				j := b.submit(ann, requiring(frames, "{name: amount.worker.vcpu, min: 4}"))
				b.fail(b.mustClaim(bad), farm.CauseJob)
				given := func(want bool, when string) {
					b.t.Helper()
					for range 2 {
						l := b.claim(bad)
						if (l != nil) != want {
							b.t.Errorf("%s: the worker on which it failed was given %+v", when, l)
						}
						if l != nil {
							b.check(b.f.Return(b.t.Context(), ann, bad.ID, []int64{l.ID}, ""))
						}
					}
				}
				change := func(w *farm.Worker, c farm.WorkerChange) {
					b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, w.ID, c)))
				}
				off, on := false, true
				given(true, "nobody else fits")
				good := b.worker("good")
				given(false, "another has come")
				change(good, farm.WorkerChange{Enabled: &off})
				given(true, "it was disabled")
				change(good, farm.WorkerChange{Enabled: &on})
				given(false, "it was enabled")
				change(good, farm.WorkerChange{Rules: &farm.Rules{Jobs: []int64{j.ID + 1}}})
				given(true, "it takes another job only")
				change(good, farm.WorkerChange{Rules: &farm.Rules{Owners: []string{"ann"}}})
				given(false, "it takes ann's jobs")
				change(good, farm.WorkerChange{Rules: &farm.Rules{Hours: "06:00-07:00"}})
				given(true, "it is not its hours")
				at := b.f.Now()
				time.Sleep(time.Date(at.Year(), at.Month(), at.Day()+1, 6, 0, 2, 0, at.Location()).Sub(at))
				given(false, "its hours have come")
				time.Sleep(time.Hour)
				given(true, "they are over")
				b.worker("good", func(r *farm.Registration) { r.Machine.Cores = 2 })
				given(true, "it has lost cores")
				b.worker("good")
				given(false, "it has them again")
				b.check(b.f.SignOff(b.t.Context(), ann, good.ID))
				given(true, "it has left")
				b.worker("good")
				given(false, "it is back")
				b.check(b.f.RemoveWorker(b.t.Context(), admin, good.ID))
				given(true, "it was removed")
				good = b.worker("good")
				given(false, "it came anew")
				b.check(b.f.SetLimit(b.t.Context(), admin, "amount.worker.vcpu", 2))
				given(false, "nobody fits")
				b.check(b.f.SetLimit(b.t.Context(), admin, "amount.worker.vcpu", 40))
				given(false, "the limit fits all, small ones too")
				b.check(b.f.SetLimit(b.t.Context(), admin, "amount.worker.vcpu", -1))
				if frames == "1" { // failures in a row are counted anew at a start
					b.restart()
					given(false, "the farm was started anew")
				}
				b.fail(b.mustClaim(good), farm.CauseJob)
				given(true, "it failed there, too")
			})
		})
	}
}

func TestASuccessMakesAWorkerOneOfTheOthersAgain(t *testing.T) {
	bubble(t, farm.Settings{Tries: 1 << 30, AvoidAfter: 1, AsideJobs: 1 << 30}, func(b *bundle) {
		one, two := b.worker("one"), b.worker("two")
		b.submit(ann, template("1-99"))
		b.fail(b.mustClaim(one), farm.CauseJob)
		b.fail(b.mustClaim(two), farm.CauseJob)
		held := b.mustClaim(one) // both have failed, so neither is better
		b.complete(b.mustClaim(two))
		b.fail(held, farm.CauseJob)
		if l := b.claim(one); l != nil {
			b.t.Errorf("%v was given to the worker that failed last, not to the one that has done one since", l.Task)
		}
		b.mustClaim(two)
	})
}
