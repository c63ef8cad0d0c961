package farm_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// crowd is a farm with many workers that wait for work, each a machine of its
// own, of three kinds that steps tell apart; and one worker that is busy.
type crowd struct {
	*bundle
	busy *farm.Worker
	next func() *farm.Lease // the lease that some waiting worker got
}

func newCrowd(t *testing.T, n int) *crowd {
	c := &crowd{bundle: setup(t, farm.Settings{Scan: time.Hour, WorkerTimeout: 1000 * time.Hour, Lease: 1000 * time.Hour, Tries: 1 << 30, AvoidAfter: 1 << 30, AsideJobs: 1 << 30})}
	c.check(c.f.SetLimit(t.Context(), admin, "amount.licence", 1))
	got := make(chan *farm.Lease, n)
	ask := func(worker, warm int64) {
		go func() {
			l, err := c.f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: worker, Warm: warm, Wait: 1000 * time.Hour})
			if err == nil {
				got <- l
			}
		}()
		synctest.Wait()
	}
	for i := range n {
		w := c.worker(fmt.Sprint("w", i), func(r *farm.Registration) {
			r.Machine.Cores = []int{4, 8, 16}[i%3]
			r.Machine.Memory += int64(i) << 20
		})
		ask(w.ID, 0)
	}
	c.next = func() *farm.Lease {
		synctest.Wait()
		select {
		case l := <-got:
			ask(l.Worker, l.Task.Job)
			return l
		default:
			return nil
		}
	}
	c.busy = c.worker("busy", slots(9))
	return c
}

// events are what happens on a farm, each once.
var events = []struct {
	name string
	do   func(c *crowd) // what waiting workers get of it is completed
}{
	{"a job for one of those that wait", func(c *crowd) {
		c.submit(ann, template("1"))
		c.complete(c.next())
	}},
	{"a job for machines of one kind", func(c *crowd) {
		c.submit(ann, requiring("1-3", "{name: amount.worker.vcpu, min: 12}"))
		for range 3 {
			c.complete(c.next())
		}
	}},
	{"a job that fits nobody", func(c *crowd) {
		j := c.submit(ann, template("1-100000"), func(s *farm.Submission) { s.Spec.Tags = []string{"gpu"} })
		c.check(errOf(c.f.Cancel(c.t.Context(), farm.JobChange{By: admin, Job: j.ID})))
	}},
	{"a failure that another tries again", func(c *crowd) {
		c.submit(ann, template("1"))
		c.fail(c.next(), farm.CauseJob)
		c.complete(c.next())
	}},
	{"a licence that is given back", func(c *crowd) {
		c.submit(ann, requiring("1-2", "{name: amount.licence, min: 1}"))
		first := c.next()
		c.check(errOf(c.f.Job(c.t.Context(), first.Task.Job)))
		c.complete(first)
		c.complete(c.next())
	}},
	{"a worker that is looked at", func(c *crowd) {
		off, on := false, true
		c.check(errOf(c.f.ChangeWorker(c.t.Context(), admin, c.busy.ID, farm.WorkerChange{Enabled: &off})))
		c.check(errOf(c.f.ChangeWorker(c.t.Context(), admin, c.busy.ID, farm.WorkerChange{Enabled: &on})))
	}},
}

// TestIdleWorkersCostNothing counts how often work is looked for: however many
// workers wait, an event is as many looks.
func TestIdleWorkersCostNothing(t *testing.T) {
	t.Parallel()
	looks := make(map[string][]int64)
	for _, n := range []int{1_000, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrowd(t, n)
			for _, e := range events {
				e.do(c) // the first time steps ask for something new
				before := c.f.Metrics()
				for range 10 {
					e.do(c)
				}
				after := c.f.Metrics()
				looks[e.name] = append(looks[e.name], after.Looks-before.Looks)
				if n := after.Looks - before.Looks; n > 10*30 {
					t.Errorf("%s: %d looks", e.name, n/10)
				}
			}
			if l := c.next(); l != nil {
				t.Errorf("%+v is left", l)
			}
		})
	}
	for name, n := range looks {
		if n[0] != n[1] {
			t.Errorf("%s, ten times: %d looks with 1,000 idle workers, %d with 10,000", name, n[0], n[1])
		}
	}
}

func TestTheNearestOfAllKindsOfWorkersGoesFirst(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		first, near := b.worker("first"), b.worker("near", func(r *farm.Registration) { r.Machine.Cores = 16 })
		j := b.submit(ann, requiring("1", "{name: amount.worker.vcpu, min: 12}"), files("scene"))
		b.complete(b.mustClaim(near))
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 1, Done: 1})
		// A job that asks for cores parts the two, so that they stand in different lines.
		b.submit(ann, requiring("1", "{name: amount.worker.vcpu, min: 99}"))
		waits, holds := b.wait(first, time.Minute), b.wait(near, time.Minute)
		b.submit(ann, template("1"), files("scene"))
		synctest.Wait()
		select {
		case l := <-holds:
			b.complete(l)
		default:
			b.t.Error("the task did not go to the worker that has the scene, which stands in another line")
		}
		b.submit(ann, template("1"))
		<-waits
	})
}

// TestWhoCannotHaveWhatIsCededTakesNothingElse has one licence and a task each of
// two jobs. The worker that is near to the first job, on which its task failed,
// must not take the task of the second when it is asked whether it wants the
// first one's.
func TestWhoCannotHaveWhatIsCededTakesNothingElse(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.check(b.f.SetLimit(b.t.Context(), admin, "amount.licence", 1))
		high := b.submit(ann, requiring("1", "{name: amount.licence, min: 1}"), func(s *farm.Submission) { s.Priority = 90 })
		tried, fails, fits := b.worker("tried"), b.worker("fails", slots(2)), b.worker("fits")
		b.fail(b.mustClaim(tried), farm.CauseJob)
		l := b.mustClaim(fails)
		low := b.submit(ann, requiring("1", "{name: amount.licence, min: 1}"), func(s *farm.Submission) { s.Priority = 10 })
		got := make(chan *farm.Lease, 3)
		for _, c := range []struct {
			w    *farm.Worker
			warm *farm.Job
		}{{tried, high}, {fits, low}, {fails, high}} {
			go func() {
				l, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: c.w.ID, Warm: c.warm.ID, Wait: time.Minute})
				if err == nil && l != nil {
					got <- l
				}
			}()
			synctest.Wait()
		}
		b.fail(l, farm.CauseJob)
		synctest.Wait()
		if len(got) == 0 {
			b.t.Fatal("the licence is free and nobody got a task")
		}
		if l := <-got; l.Task.Job != high.ID || l.Worker != fits.ID {
			b.t.Errorf("worker %d got a task of job %d, want the first job's task on worker %d, which did not try it", l.Worker, l.Task.Job, fits.ID)
		}
	})
}

func TestASecondAttemptGoesToTheFastestThatWaits(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Hour, WorkerTimeout: time.Hour}, func(b *bundle) {
		slow, fast, stuck := b.worker("slow"), b.worker("fast"), b.worker("stuck")
		b.submit(ann, template("1-40"))
		held := map[*farm.Worker]float64{slow: 20, fast: 5}
		for range 20 {
			for _, w := range []*farm.Worker{slow, fast} {
				r := result(b.mustClaim(w))
				r.Seconds = held[w]
				time.Sleep(20 * time.Second)
				b.check(errOf(b.f.Complete(b.t.Context(), r)))
			}
		}
		last := b.submit(ann, template("1-4"))
		late := b.mustClaim(stuck)
		for range 3 {
			b.complete(b.mustClaim(fast))
		}
		first, second := b.wait(slow, time.Hour), b.wait(fast, time.Hour)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		select {
		case l := <-second:
			if l.Task != late.Task || l.Task.Job != last.ID {
				b.t.Errorf("the fast worker got %v, want the task that is stuck", l.Task)
			}
		default:
			b.t.Error("the fast worker got nothing")
		}
		if len(first) > 0 {
			b.t.Error("the slow worker, which asked first, got a third attempt")
		}
		b.submit(ann, template("1"))
		<-first
	})
}

// TestAClaimThatCameTwiceGetsOneSecondAttempt has a worker ask twice in one
// breath, as after a lost connection, while two tasks are slow.
func TestAClaimThatCameTwiceGetsOneSecondAttempt(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Hour, WorkerTimeout: time.Hour}, func(b *bundle) {
		stuck, fast := b.worker("stuck", slots(2)), b.worker("fast", slots(2))
		b.submit(ann, template("1-6"))
		b.mustClaim(stuck)
		b.mustClaim(stuck)
		for range 4 {
			b.complete(b.mustClaim(fast))
		}
		got := make(chan *farm.Lease, 2)
		for range cap(got) {
			go func() {
				l, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: fast.ID, Key: "once", Wait: time.Hour})
				if err != nil {
					b.t.Error(err)
				}
				got <- l
			}()
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(got) < cap(got) {
			b.t.Fatalf("%d of the two requests were answered", len(got))
		}
		if one, two := <-got, <-got; one.ID != two.ID {
			b.t.Errorf("the request was given the leases %d and %d", one.ID, two.ID)
		}
	})
}

// BenchmarkIdle measures a job of one task, from its submission to its
// completion by one of the workers that wait. The looks and allocations of the
// dispatcher do not grow with the number of those.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprint("idle=", n), func(b *testing.B) { benchmarkIdle(b, n) })
	}
}

func benchmarkIdle(b *testing.B, idle int) {
	ctx, stop := context.WithCancel(context.Background())
	f, err := farm.Open(ctx, farm.Config{Store: mem.New()})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	by := farm.Principal{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}}
	if _, err := f.Bootstrap(ctx, farm.User{Login: "ann", Roles: by.Roles}, farm.Token{}); err != nil {
		b.Fatal(err)
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	leases, asking := make(chan *farm.Lease), make(chan bool)
	for i := range idle {
		w, err := f.Register(ctx, farm.Registration{By: by, Key: fmt.Sprint(i), Name: fmt.Sprint("w", i), Door: "native",
			Machine: farm.Machine{Hostname: fmt.Sprint("w", i), OS: "linux", Arch: "x86_64", Cores: 8, Memory: int64(i) << 20}})
		if err != nil {
			b.Fatal(err)
		}
		workers.Go(func() {
			for ctx.Err() == nil {
				if l, err := f.Claim(ctx, farm.ClaimRequest{By: by, Worker: w.ID, Wait: time.Hour}); err == nil && l != nil {
					leases <- l
					<-asking
				}
			}
		})
	}
	for f.Metrics().Looks < int64(idle) && f.Metrics().Operations < int64(2*idle) {
		runtime.Gosched()
	}
	before := f.Metrics()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		j, err := f.Submit(ctx, farm.Submission{By: by, Priority: 50, Spec: farm.Spec{Template: template("1")}})
		if err != nil {
			b.Fatal(err)
		}
		l := <-leases
		if _, err := f.Complete(ctx, farm.Result{By: by, Worker: l.Worker, Lease: l.ID, Task: l.Task, Seconds: 1}); err != nil {
			b.Fatal(err)
		}
		if err := f.Remove(ctx, farm.JobChange{By: by, Job: j.ID}); err != nil {
			b.Fatal(err)
		}
		asking <- true
	}
	b.StopTimer()
	b.ReportMetric(float64(f.Metrics().Looks-before.Looks)/float64(b.N), "looks/op")
}
