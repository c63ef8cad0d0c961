package farm_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// files gives a job a scene of its own.
func files(name string) func(*farm.Submission) {
	return func(s *farm.Submission) {
		s.Spec.Roots = []farm.Root{{Path: "/film", Format: "POSIX"}}
		s.Spec.Files = []farm.File{{Name: name, SHA256: fmt.Sprintf("%064x", len(name))}}
	}
}

// requiring is a template whose step has host requirements.
func requiring(frames, needs string) string {
	return strings.Replace(template(frames), "  script:", "  hostRequirements: {amounts: ["+needs+"]}\n  script:", 1)
}

func TestTheWorkerWithTheFilesGoesFirst(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		one, two := b.worker("one"), b.worker("two")
		first := b.submit(ann, template("1"), files("scene"))
		b.complete(b.mustClaim(two))
		b.want(first.ID, farm.JobDone, farm.Counts{Total: 1, Done: 1})
		waits, holds := b.wait(one, time.Minute), b.wait(two, time.Minute)
		b.submit(ann, template("1"), files("scene"))
		synctest.Wait()
		select {
		case l := <-holds:
			if l == nil {
				b.t.Error("the worker that has the scene got nothing")
			}
		default:
			b.t.Error("the scene's next job went to the worker that asked first, not to the one that has it")
		}
		b.submit(ann, template("1"), files("other"))
		<-waits
	})
}

func TestPreferenceForFilesEndsAfterAWhile(t *testing.T) {
	bubble(t, farm.Settings{Stick: time.Minute}, func(b *bundle) {
		w := b.worker("w")
		b.submit(ann, template("1"), files("scene"))
		b.complete(b.mustClaim(w))
		old := b.submit(ann, template("1-9"))
		same := b.submit(ann, template("1-99"), files("scene"))
		for range 5 {
			l := b.mustClaim(w)
			if l.Task.Job != same.ID {
				b.t.Errorf("the worker that has the scene got job %d", l.Task.Job)
			}
			time.Sleep(14 * time.Second)
			b.complete(l)
		}
		if l := b.mustClaim(w); l.Task.Job != old.ID {
			b.t.Errorf("after more than a minute the older job was passed over again, for %d", l.Task.Job)
		}
	})
}

func TestSeveralTasksAWorkerByAmounts(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w", slots(8)) // 8 cores, 16 GiB
		b.submit(ann, requiring("1-9", "{name: amount.worker.vcpu, min: 3}, {name: amount.worker.memory, min: 4096}"))
		held := []*farm.Lease{b.mustClaim(w), b.mustClaim(w)}
		if l := b.claim(w); l != nil {
			b.t.Error("a third task of 3 cores runs on 8")
		}
		b.complete(held[0])
		b.mustClaim(w)
		b.submit(ann, template("1-9"))
		for range 6 {
			b.mustClaim(w) // tasks that ask for nothing take the slots that are left
		}
		if l := b.claim(w); l != nil {
			b.t.Error("nine tasks run in eight slots")
		}
	})
}

func TestAWorkersOwnRules(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w", func(r *farm.Registration) { r.Rules = farm.Rules{LeaveFree: 3} })
		big := b.submit(ann, requiring("1", "{name: amount.worker.vcpu, min: 6}"))
		if l := b.claim(w); l != nil {
			b.t.Error("a task of 6 cores runs on 8 of which 3 are left free")
		}
		fits := b.submit(ann, requiring("1-9", "{name: amount.worker.vcpu, min: 5}"))
		l := b.mustClaim(w)
		if l.Task.Job != fits.ID {
			b.t.Errorf("got job %d", l.Task.Job)
		}
		b.complete(l)
		rules := func(r farm.Rules) {
			b.check(errOf(b.f.ChangeWorker(b.t.Context(), ann, w.ID, farm.WorkerChange{Rules: &r})))
		}
		rules(farm.Rules{Jobs: []int64{big.ID}})
		l = b.mustClaim(w)
		if l.Task.Job != big.ID {
			b.t.Errorf("only job %d is allowed, got %d", big.ID, l.Task.Job)
		}
		b.complete(l)
		rules(farm.Rules{Owners: []string{"bob"}})
		if l := b.claim(w); l != nil {
			b.t.Errorf("only bob's jobs are allowed, got one of ann")
		}
		// The bubble's clock begins at midnight.
		rules(farm.Rules{Hours: "01:00-02:00"})
		if l := b.claim(w); l != nil {
			b.t.Error("a task before the worker's hours")
		}
		got := b.wait(w, 3*time.Hour)
		time.Sleep(time.Hour + b.f.Settings().Scan)
		synctest.Wait()
		select {
		case l := <-got:
			b.complete(l)
		default:
			b.t.Fatal("the waiting worker got nothing when its hours began")
		}
		time.Sleep(time.Hour)
		if l := b.claim(w); l != nil {
			b.t.Error("a task after the worker's hours")
		}
	})
}

func (b *bundle) beat(w *farm.Worker, l *farm.Lease) {
	b.t.Helper()
	b.check(errOf(b.f.Heartbeat(b.t.Context(), farm.Pulse{By: ann, Worker: w.ID, Leases: []farm.Progress{{Lease: l.ID}}})))
}

func TestAStragglerIsNotGivenToASlowerMachine(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		fast, slow, stuck := b.worker("fast"), b.worker("slow"), b.worker("stuck")
		b.submit(ann, template("1-60"))
		for range 25 { // the slow machine takes eight times as long
			f, s := b.mustClaim(fast), b.mustClaim(slow)
			time.Sleep(10 * time.Second)
			r := result(f)
			r.Seconds = 10
			b.check(errOf(b.f.Complete(b.t.Context(), r)))
			b.beat(slow, s)
			time.Sleep(50 * time.Second)
			b.beat(slow, s)
			time.Sleep(20 * time.Second)
			r = result(s)
			r.Seconds = 80
			b.check(errOf(b.f.Complete(b.t.Context(), r)))
		}
		last := b.submit(ann, template("1-5"))
		held := b.mustClaim(stuck)
		for held.Task.Job != last.ID {
			b.complete(held)
			held = b.mustClaim(stuck)
		}
		for range 4 {
			l := b.mustClaim(fast)
			time.Sleep(10 * time.Second)
			r := result(l)
			r.Seconds = 10
			b.check(errOf(b.f.Complete(b.t.Context(), r)))
			b.beat(stuck, held)
		}
		if l := b.claim(slow); l != nil {
			b.t.Errorf("a machine that would take longer than the task has run got a second attempt of %v", l.Task)
		}
		if l := b.claim(fast); l == nil || l.Task != held.Task {
			b.t.Errorf("the fast machine got %+v, want the task that is stuck", l)
		}
	})
}

func TestAnOverloadedFarmTurnsAway(t *testing.T) {
	bubble(t, farm.Settings{Queue: 4}, func(b *bundle) {
		w := b.worker("w")
		b.submit(ann, template("1-9"))
		gate := make(chan struct{})
		b.store.Fault = func(*farm.Batch) (error, bool) { <-gate; return nil, true }
		errs := make([]error, 12)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = b.f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: w.ID})
			})
		}
		synctest.Wait() // one batch is at the store, four requests wait, the rest was answered
		shed := b.f.Metrics().Shed
		if m := b.f.Metrics(); m.Queued > 4 || shed == 0 {
			b.t.Errorf("%d requests wait and %d were turned away", m.Queued, shed)
		}
		close(gate)
		wg.Wait()
		refused := int64(0)
		for _, err := range errs {
			if farm.CodeOf(err) == farm.Unavailable {
				refused++
			} else if err != nil {
				b.t.Error(err)
			}
		}
		if refused != shed {
			b.t.Errorf("%d requests were refused, the farm counted %d", refused, shed)
		}
		if err := b.f.Return(context.Background(), ann, w.ID, nil, ""); err != nil {
			b.t.Errorf("the farm does not recover: %v", err)
		}
	})
}

func TestTheETAHasARange(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-100"))
		w := b.worker("w")
		eta := func() *farm.ETA {
			e, err := b.f.Estimate(b.t.Context(), j.ID)
			b.check(err)
			return e
		}
		if e := eta(); e != nil {
			b.t.Errorf("before any frame the end is guessed as %+v", e)
		}
		for _, seconds := range []float64{8, 12, 10, 10} {
			l := b.mustClaim(w)
			time.Sleep(time.Duration(seconds) * time.Second)
			r := result(l)
			r.Seconds = seconds
			b.check(errOf(b.f.Complete(b.t.Context(), r)))
		}
		b.mustClaim(w)
		e := eta()
		if e == nil || e.Likely != 955*time.Second { // 95 waiting and half of the one that runs, 10 s each
			b.t.Fatalf("the end is guessed as %+v, want 955 s", e)
		}
		if !(e.Earliest < e.Likely && e.Likely < e.Latest) || e.Earliest < 764*time.Second || e.Latest > 1146*time.Second+2*time.Second {
			b.t.Errorf("the range %v to %v does not lie between all fast and all slow", e.Earliest, e.Latest)
		}
	})
}

func TestOperatorsSetWeights(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		op := farm.Principal{Login: "op", Roles: []farm.Role{farm.RoleOperator}}
		three := 3.0
		b.check(b.f.ChangeUser(b.t.Context(), op, "bob", farm.UserChange{Weight: &three}))
		if err := b.f.ChangeUser(b.t.Context(), ann, "ann", farm.UserChange{Weight: &three}); farm.CodeOf(err) != farm.Forbidden {
			b.t.Errorf("ann gives herself weight: %v", err)
		}
		roles := []farm.Role{farm.RoleAdmin}
		if err := b.f.ChangeUser(b.t.Context(), op, "bob", farm.UserChange{Weight: &three, Roles: &roles}); farm.CodeOf(err) != farm.Forbidden {
			b.t.Errorf("an operator makes administrators: %v", err)
		}
		b.submit(ann, template("1-99"))
		b.submit(bob, template("1-99"))
		got := map[string]int{}
		w := b.worker("w", slots(40))
		for range 40 {
			got[b.mustClaim(w).Job.Owner]++
		}
		if got["bob"] != 30 {
			b.t.Errorf("40 tasks went %v, want 30 to bob", got)
		}
	})
}

func TestALimitIsWhatWasSaidLastInABatch(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		gate := make(chan struct{})
		b.store.Fault = func(*farm.Batch) (error, bool) { <-gate; return nil, true }
		var wg sync.WaitGroup
		say := func(name string, total float64) {
			wg.Go(func() {
				if err := b.f.SetLimit(context.Background(), admin, name, total); err != nil {
					b.t.Error(err)
				}
			})
			synctest.Wait()
		}
		say("amount.one", 1) // is at the store; the others meet in one batch
		say("amount.one", 5)
		say("amount.one", -1)
		say("amount.two", -1)
		say("amount.two", 7)
		close(gate)
		wg.Wait()
		b.store.Fault = nil
		b.restart()
		s, err := b.f.Status(b.t.Context())
		b.check(err)
		if len(s.Limits) != 1 || s.Limits[0].Name != "amount.two" || s.Limits[0].Total != 7 {
			b.t.Errorf("after the start there is %+v, want only amount.two", s.Limits)
		}
	})
}

// TestATaskThatWaitsAgainWakesWhoDidNotTryIt has a worker wait beside a task that
// failed on it. Another of the step joins that one: it is for this worker.
func TestATaskThatWaitsAgainWakesWhoDidNotTryIt(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		one, two := b.worker("one"), b.worker("two")
		b.submit(ann, template("1-2"))
		first, second := b.mustClaim(one), b.mustClaim(two)
		b.fail(second, farm.CauseJob)
		got := b.wait(two, time.Minute)
		if len(got) > 0 {
			b.t.Fatalf("%+v was given again to the worker that it failed on, though the other fits", <-got)
		}
		b.fail(first, farm.CauseJob)
		synctest.Wait()
		select {
		case l := <-got:
			if l.Task != first.Task {
				b.t.Errorf("the worker that waits was given %v, want %v, which failed on the other", l.Task, first.Task)
			}
		default:
			b.t.Error("the worker waits while a task waits that it did not try")
		}
		if l := b.mustClaim(one); l.Task != second.Task {
			b.t.Errorf("the other worker was given %v, want %v", l.Task, second.Task)
		}
	})
}
