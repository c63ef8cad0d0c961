package farm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

var (
	admin = farm.Principal{Login: "admin", Roles: []farm.Role{farm.RoleAdmin}}
	ann   = farm.Principal{Login: "ann", Roles: []farm.Role{farm.RoleSubmitter, farm.RoleRenderer}}
	bob   = farm.Principal{Login: "bob", Roles: []farm.Role{farm.RoleSubmitter}}
)

// bundle is a farm on a store in memory. Tests run it inside a synctest bubble,
// where its timers cost no time.
type bundle struct {
	t     *testing.T
	store *mem.Store
	f     *farm.Farm
	set   farm.Settings
}

func setup(t *testing.T, set farm.Settings) *bundle {
	t.Helper()
	b := &bundle{t: t, store: mem.New(), set: set}
	b.start()
	for _, p := range []farm.Principal{ann, bob} {
		b.check(b.f.AddUser(t.Context(), admin, farm.User{Login: p.Login, Roles: p.Roles}))
	}
	b.check(errOf(b.f.Bootstrap(t.Context(), farm.User{Login: "admin", Roles: admin.Roles}, farm.Token{})))
	t.Cleanup(func() { b.f.Close() })
	return b
}

func (b *bundle) start() {
	b.t.Helper()
	f, err := farm.Open(context.Background(), farm.Config{Store: b.store, Settings: b.set})
	b.check(err)
	b.f = f
}

// restart is what a kill -9 and a new start come to: the store alone remains.
func (b *bundle) restart() {
	b.t.Helper()
	b.f.Close()
	b.start()
}

func (b *bundle) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func errOf[T any](_ T, err error) error { return err }

// template is a job of one step with the frames, or of several steps in a row.
func template(frames string, steps ...string) string {
	if len(steps) == 0 {
		steps = []string{"Render"}
	}
	var sb strings.Builder
	sb.WriteString("specificationVersion: jobtemplate-2023-09\nname: film\nsteps:\n")
	for i, s := range steps {
		fmt.Fprintf(&sb, "- name: %s\n", s)
		if i > 0 {
			fmt.Fprintf(&sb, "  dependencies: [{dependsOn: %s}]\n", steps[i-1])
		}
		fmt.Fprintf(&sb, "  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: %q}]}\n", frames)
		sb.WriteString("  script: {actions: {onRun: {command: echo, args: [\"{{Task.Param.Frame}}\"]}}}\n")
	}
	return sb.String()
}

func (b *bundle) submit(by farm.Principal, tmpl string, change ...func(*farm.Submission)) *farm.Job {
	b.t.Helper()
	s := farm.Submission{By: by, Priority: farm.DefaultPriority, Spec: farm.Spec{Template: tmpl}}
	for _, c := range change {
		c(&s)
	}
	j, err := b.f.Submit(b.t.Context(), s)
	b.check(err)
	return j
}

func (b *bundle) worker(key string, change ...func(*farm.Registration)) *farm.Worker {
	b.t.Helper()
	r := farm.Registration{By: ann, Key: key, Name: key, Door: "native", Slots: 1,
		Machine: farm.Machine{Hostname: key, OS: "linux", Arch: "x86_64", Cores: 8, Memory: 16 << 30}}
	for _, c := range change {
		c(&r)
	}
	w, err := b.f.Register(b.t.Context(), r)
	b.check(err)
	return w
}

func slots(n int) func(*farm.Registration) { return func(r *farm.Registration) { r.Slots = n } }

func (b *bundle) claim(w *farm.Worker) *farm.Lease {
	b.t.Helper()
	l, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID})
	b.check(err)
	return l
}

func (b *bundle) mustClaim(w *farm.Worker) *farm.Lease {
	b.t.Helper()
	l := b.claim(w)
	if l == nil {
		b.t.Fatalf("worker %s got nothing", w.Name)
	}
	return l
}

// wait claims in the background until something comes.
func (b *bundle) wait(w *farm.Worker, d time.Duration) <-chan *farm.Lease {
	got := make(chan *farm.Lease, 1)
	go func() {
		l, err := b.f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: w.ID, Wait: d})
		if err != nil {
			b.t.Error(err)
		}
		got <- l
	}()
	synctest.Wait()
	return got
}

func result(l *farm.Lease) farm.Result {
	return farm.Result{By: ann, Worker: l.Worker, Lease: l.ID, Task: l.Task, Seconds: 1}
}

func (b *bundle) complete(l *farm.Lease) *farm.Verdict {
	b.t.Helper()
	v, err := b.f.Complete(b.t.Context(), result(l))
	b.check(err)
	return v
}

func (b *bundle) fail(l *farm.Lease, c farm.Cause) {
	b.t.Helper()
	b.check(errOf(b.f.Fail(b.t.Context(), result(l), farm.Failure{Cause: c, Text: "it broke"})))
}

func (b *bundle) job(id int64) *farm.Job {
	b.t.Helper()
	j, err := b.f.Job(b.t.Context(), id)
	b.check(err)
	return j
}

func (b *bundle) want(id int64, state farm.JobState, c farm.Counts) {
	b.t.Helper()
	j := b.job(id)
	if j.State != state || j.Counts() != c {
		b.t.Errorf("job %d is %s with %+v, want %s with %+v", id, j.State, j.Counts(), state, c)
	}
}

// bubble runs a test on a farm in a synctest bubble.
func bubble(t *testing.T, set farm.Settings, fn func(b *bundle)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { fn(setup(t, set)) })
}

func TestAJobFromSubmissionToDone(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-3"))
		if j.ID != farm.FirstJob {
			b.t.Errorf("the first job is %d, want %d", j.ID, farm.FirstJob)
		}
		b.want(j.ID, farm.JobWaiting, farm.Counts{Total: 3, Waiting: 3})
		w := b.worker("w1")
		for i := range int64(3) {
			l := b.mustClaim(w)
			if l.Task.Index != i || l.Parameters[0].Value != fmt.Sprint(i+1) {
				b.t.Errorf("claim %d gives task %d with %v", i, l.Task.Index, l.Parameters)
			}
			b.want(j.ID, farm.JobRunning, farm.Counts{Total: 3, Waiting: 2 - i, Running: 1, Done: i})
			if v := b.complete(l); !v.Accepted {
				b.t.Errorf("completion %d: %+v", i, v)
			}
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 3, Done: 3})
		if got := b.job(j.ID); got.Started.IsZero() || got.Finished.IsZero() {
			b.t.Errorf("started %v, finished %v", got.Started, got.Finished)
		}
		if l := b.claim(w); l != nil {
			b.t.Errorf("a done job still gives %+v", l)
		}
	})
}

func TestCompleteAndNextInOneBreath(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		w := b.worker("w1")
		r := result(b.mustClaim(w))
		r.Next = &farm.ClaimRequest{By: ann, Worker: w.ID, Warm: j.ID}
		v, err := b.f.Complete(b.t.Context(), r)
		b.check(err)
		if v.Next == nil || v.Next.Task.Index != 1 {
			b.t.Fatalf("the next lease is %+v", v.Next)
		}
		again, err := b.f.Complete(b.t.Context(), r) // a repeat whose answer was lost
		b.check(err)
		if !again.Accepted {
			b.t.Errorf("the same result again: %+v, want it acknowledged", again)
		}
		b.complete(v.Next)
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 2, Done: 2})
	})
}

func TestStepsWaitForTheirDependencies(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2", "Render", "Join"))
		w := b.worker("w1")
		b.complete(b.mustClaim(w))
		second := b.mustClaim(w)
		if second.Step != "Render" {
			b.t.Fatalf("step %s is handed out before its time", second.Step)
		}
		if l := b.claim(b.worker("w2")); l != nil {
			b.t.Fatalf("step %s is handed out before its time", l.Step)
		}
		b.complete(second)
		if l := b.mustClaim(w); l.Step != "Join" {
			b.t.Errorf("after Render comes %s", l.Step)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 4, Done: 2, Running: 1, Waiting: 1})
	})
}

func TestAFailingTaskIsTriedOnThreeWorkersThenFails(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2", "Render", "Join"))
		ws := []*farm.Worker{b.worker("w1"), b.worker("w2"), b.worker("w3"), b.worker("w4")}
		l := b.mustClaim(ws[0])
		other := b.mustClaim(ws[3])
		b.fail(l, farm.CauseJob)
		if l := b.claim(ws[0]); l != nil {
			b.t.Fatalf("the worker it failed on gets it again although others fit")
		}
		for _, w := range ws[1:3] {
			again := b.mustClaim(w)
			if again.Task != l.Task {
				b.t.Fatalf("got %v, want the failed %v first", again.Task, l.Task)
			}
			b.fail(again, farm.CauseJob)
		}
		b.complete(other)
		b.want(j.ID, farm.JobFailed, farm.Counts{Total: 4, Done: 1, Failed: 1, Canceled: 2})
		if r := b.job(j.ID).Reason; !strings.Contains(r, "1 of 2 tasks of step Render failed") {
			b.t.Errorf("reason %q", r)
		}
		// Retry brings it back, with the step that depended on it.
		_, n, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil)
		b.check(err)
		if n != 3 {
			b.t.Errorf("retry brought %d tasks back, want 3", n)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 4, Done: 1, Waiting: 3})
		for range 3 {
			b.complete(b.mustClaim(ws[0]))
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 4, Done: 4})
	})
}

func TestOneWorkerAloneTriesAgainItself(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		w := b.worker("w1")
		for range 3 {
			b.fail(b.mustClaim(w), farm.CauseJob)
		}
		b.want(j.ID, farm.JobFailed, farm.Counts{Total: 1, Failed: 1})
	})
}

func TestWorkersFaultsDoNotCountAgainstTheJob(t *testing.T) {
	bubble(t, farm.Settings{WorkerTries: 4, AsideFaults: 100}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		w := b.worker("w1")
		for range 3 {
			b.fail(b.mustClaim(w), farm.CauseWorker)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 1, Waiting: 1})
		b.fail(b.mustClaim(w), farm.CauseWorker)
		b.want(j.ID, farm.JobFailed, farm.Counts{Total: 1, Failed: 1})
	})
}

func TestAWorkerThatFailsSeveralJobsIsSetAside(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("bad")
		for range 3 {
			b.submit(ann, template("1"))
		}
		good := b.worker("good") // takes the failed ones
		for range 3 {
			b.fail(b.mustClaim(w), farm.CauseJob)
		}
		got, err := b.f.Farmhand(b.t.Context(), w.ID)
		b.check(err)
		if got.State != farm.WorkerAside || !strings.Contains(got.Reason, "3 different jobs failed here in a row") || !strings.Contains(got.Reason, "it broke") {
			b.t.Errorf("the worker is %s: %s", got.State, got.Reason)
		}
		if l := b.claim(w); l != nil {
			b.t.Error("a worker that is set aside gets work")
		}
		for range 3 {
			b.complete(b.mustClaim(good))
		}
		on := true
		b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, w.ID, farm.WorkerChange{Enabled: &on})))
		b.submit(ann, template("1"))
		b.mustClaim(w)
	})
}

func TestABadWorkerDoesNotEatAJob(t *testing.T) {
	bubble(t, farm.Settings{AsideFaults: 1000}, func(b *bundle) {
		b.submit(ann, template("1-100"))
		bad, good := b.worker("bad"), b.worker("good")
		n := 0
		for l := b.claim(bad); l != nil; l = b.claim(bad) {
			b.fail(l, farm.CauseWorker)
			n++
		}
		if n != 3 {
			b.t.Errorf("the bad worker got %d tasks before others were preferred, want 3", n)
		}
		b.mustClaim(good)
	})
}

func TestAVanishedWorkerGivesItsTasksBack(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Minute}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		lost := b.mustClaim(b.worker("w1"))
		w2 := b.worker("w2")
		l := <-b.wait(w2, 5*time.Minute) // the waiting claim is served when the lease runs out
		if l == nil || l.Task != lost.Task || l.Attempt != 2 {
			b.t.Fatalf("got %+v", l)
		}
		row, err := b.f.Task(b.t.Context(), l.Task)
		b.check(err)
		if a := row.Attempts[0]; a.Outcome != farm.OutcomeLost || a.Cause != farm.CauseWorker || !strings.Contains(a.Error, "not heard of") {
			b.t.Errorf("the first attempt is %+v", a)
		}
		// The vanished worker comes back with the frame: the first result wins.
		if v := b.complete(lost); !v.Accepted {
			b.t.Errorf("the late result: %+v, want it accepted", v)
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 1, Done: 1})
		r, err := b.f.Heartbeat(b.t.Context(), farm.Pulse{By: ann, Worker: w2.ID, Leases: []farm.Progress{{Lease: l.ID}}})
		b.check(err)
		if r.Stop[l.ID] == "" {
			b.t.Error("the second attempt is not told to stop")
		}
		if v := b.complete(l); v.Accepted {
			b.t.Error("a task was completed twice")
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 1, Done: 1})
	})
}

func TestHeartbeatsKeepALease(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Minute}, func(b *bundle) {
		b.submit(ann, template("1"))
		w := b.worker("w1")
		l := b.mustClaim(w)
		for i := range 20 {
			time.Sleep(40 * time.Second)
			r, err := b.f.Heartbeat(b.t.Context(), farm.Pulse{By: ann, Worker: w.ID, Leases: []farm.Progress{{Lease: l.ID, Percent: float64(i), Message: "Sample", Memory: 5}}})
			b.check(err)
			if len(r.Stop) != 0 {
				b.t.Fatalf("told to stop: %v", r.Stop)
			}
		}
		ls, err := b.f.Leases(b.t.Context(), 0)
		b.check(err)
		if len(ls) != 1 || ls[0].Progress != 19 || ls[0].Message != "Sample" || ls[0].Memory != 5 {
			b.t.Errorf("leases %+v", ls)
		}
		if v := b.complete(l); !v.Accepted {
			b.t.Error(v.Reason)
		}
	})
}

func TestALeaseWhoseAnswerWasLostGoesBack(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		w := b.worker("w1")
		b.mustClaim(w)
		time.Sleep(20 * time.Second)
		b.check(errOf(b.f.Heartbeat(b.t.Context(), farm.Pulse{By: ann, Worker: w.ID})))
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 1, Waiting: 1})
		b.mustClaim(w)
	})
}

func TestTheSameClaimKeyGivesTheSameLease(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-5"))
		w := b.worker("w1", slots(3))
		req := farm.ClaimRequest{By: ann, Worker: w.ID, Key: "k1"}
		a, err := b.f.Claim(b.t.Context(), req)
		b.check(err)
		again, err := b.f.Claim(b.t.Context(), req)
		b.check(err)
		if a.ID != again.ID {
			b.t.Errorf("a repeated claim got lease %d, then %d", a.ID, again.ID)
		}
		req.Key = "k2"
		if other, err := b.f.Claim(b.t.Context(), req); err != nil || other.ID == a.ID {
			b.t.Errorf("another claim got %+v, %v", other, err)
		}
	})
}

func TestCancelStopsAtOnce(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-10"))
		w := b.worker("w1")
		l := b.mustClaim(w)
		began := time.Now()
		reply := make(chan *farm.PulseReply)
		go func() {
			r, err := b.f.Heartbeat(context.Background(), farm.Pulse{By: ann, Worker: w.ID, Leases: []farm.Progress{{Lease: l.ID}}, Wait: time.Minute})
			if err != nil {
				b.t.Error(err)
			}
			reply <- r
		}()
		synctest.Wait()
		if _, err := b.f.Cancel(b.t.Context(), farm.JobChange{By: bob, Job: j.ID}); farm.CodeOf(err) != farm.Forbidden {
			b.t.Errorf("somebody else's cancel: %v", err)
		}
		b.check(errOf(b.f.Cancel(b.t.Context(), farm.JobChange{By: ann, Job: j.ID})))
		r := <-reply
		if r.Stop[l.ID] != "canceled by ann" || time.Since(began) > time.Second {
			b.t.Errorf("stop order %q after %v", r.Stop[l.ID], time.Since(began))
		}
		b.want(j.ID, farm.JobCanceled, farm.Counts{Total: 10, Canceled: 10})
		b.fail(l, farm.CauseJob)
		got, err := b.f.Farmhand(b.t.Context(), w.ID)
		b.check(err)
		if got.Failed != 0 || got.State != farm.WorkerIdle {
			b.t.Errorf("a canceled attempt counts against the worker: %+v", got)
		}
		_, n, err := b.f.Retry(b.t.Context(), farm.JobChange{By: ann, Job: j.ID}, nil)
		b.check(err)
		if n != 10 {
			b.t.Errorf("retry of the canceled job brought %d tasks back, want 10", n)
		}
		for range 10 {
			b.complete(b.mustClaim(w))
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 10, Done: 10})
	})
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-3"))
		c := farm.JobChange{By: ann, Job: j.ID}
		w, w2 := b.worker("w1"), b.worker("w2")
		l := b.mustClaim(w)
		b.check(errOf(b.f.Pause(b.t.Context(), c)))
		b.want(j.ID, farm.JobPaused, farm.Counts{Total: 3, Waiting: 2, Running: 1})
		if l := b.claim(w2); l != nil {
			b.t.Error("a paused job gives work")
		}
		b.complete(l)
		b.restart()
		b.want(j.ID, farm.JobPaused, farm.Counts{Total: 3, Waiting: 2, Done: 1})
		b.check(errOf(b.f.Resume(b.t.Context(), c)))
		if _, err := b.f.Resume(b.t.Context(), c); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("a second resume: %v", err)
		}
		b.complete(b.mustClaim(w))
		b.complete(b.mustClaim(w))
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 3, Done: 3})
	})
}

func TestRestartKeepsLeasesForAFullPeriod(t *testing.T) {
	bubble(t, farm.Settings{Lease: time.Minute}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		w := b.worker("w1")
		l := b.mustClaim(w)
		time.Sleep(50 * time.Second)
		b.restart()
		time.Sleep(50 * time.Second)
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 2, Waiting: 1, Running: 1})
		if v := b.complete(l); !v.Accepted {
			b.t.Errorf("after the restart: %+v", v)
		}
		if next := b.mustClaim(w); next.ID == l.ID {
			b.t.Error("a lease id was given twice")
		}
	})
}

func TestAWorkerThatStartsAnewGivesItsLeasesBack(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-2"))
		w := b.worker("w1", slots(2))
		keep, drop := b.mustClaim(w), b.mustClaim(w)
		again := b.worker("w1", slots(2), func(r *farm.Registration) { r.Holds = []int64{keep.ID} })
		if again.ID != w.ID || len(again.Leases) != 1 || again.Leases[0].ID != keep.ID {
			b.t.Errorf("registered anew as %+v", again)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 2, Waiting: 1, Running: 1})
		if l := b.mustClaim(w); l.Task != drop.Task {
			b.t.Errorf("got %v, want %v again", l.Task, drop.Task)
		}
	})
}

func TestPriorityThenShareThenAge(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		first := b.submit(ann, template("1-9"))
		second := b.submit(ann, template("1-9"))
		other := b.submit(bob, template("1-9"))
		urgent := b.submit(bob, template("1-2"), func(s *farm.Submission) { s.Priority = 90 })
		w := b.worker("w", slots(100))
		var got []int64
		for range 8 {
			got = append(got, b.mustClaim(w).Task.Job)
		}
		// The urgent ones; ann until she is level with bob; then in turn, who
		// was served longest ago first.
		want := []int64{urgent.ID, urgent.ID, first.ID, first.ID, other.ID, first.ID, other.ID, first.ID}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			b.t.Errorf("order %v, want %v", got, want)
		}
		b.check(errOf(b.f.SetPriority(b.t.Context(), farm.JobChange{By: ann, Job: second.ID}, 60)))
		if l := b.mustClaim(w); l.Task.Job != second.ID {
			b.t.Errorf("after its priority was raised, job %d is not next but %d", second.ID, l.Task.Job)
		}
	})
}

func TestLimitsAreKept(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.check(b.f.SetLimit(b.t.Context(), admin, "amount.licence.nuke", 2))
		tmpl := strings.Replace(template("1-5"), "  script:", "  hostRequirements: {amounts: [{name: amount.licence.nuke, min: 1}]}\n  script:", 1)
		j := b.submit(ann, tmpl)
		w := b.worker("w", slots(10))
		l := b.mustClaim(w)
		b.mustClaim(w)
		if b.claim(w) != nil {
			b.t.Fatal("a third task although the limit is 2")
		}
		why, err := b.f.Why(b.t.Context(), j.ID)
		b.check(err)
		if got := fmt.Sprint(why.Steps[0].Classes); !strings.Contains(got, "limit amount.licence.nuke is used up") {
			b.t.Errorf("why says %s", got)
		}
		b.complete(l)
		b.mustClaim(w)
		if b.claim(w) != nil {
			b.t.Fatal("the limit is not kept after a completion")
		}
		b.check(b.f.SetLimit(b.t.Context(), admin, "amount.licence.nuke", 3))
		b.mustClaim(w)
		b.restart()
		if b.claim(w) != nil {
			b.t.Fatal("the limit is forgotten by a restart")
		}
	})
}

func TestARendererIsPinnedAtTheFirstLease(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		with := func(vs ...string) func(*farm.Registration) {
			return func(r *farm.Registration) {
				for _, v := range vs {
					r.Machine.Renderers = append(r.Machine.Renderers, farm.Renderer{Product: "blender", Version: v})
				}
			}
		}
		j := b.submit(ann, template("1-9"), func(s *farm.Submission) { s.Spec.Renderer = "blender" })
		none, both, old := b.worker("none"), b.worker("both", with("3.4.1", "3.10.0")), b.worker("old", with("3.4.1"))
		if b.claim(none) != nil {
			b.t.Error("a worker without Blender gets a Blender job")
		}
		b.mustClaim(both)
		if got := b.job(j.ID).Build; got != "3.10.0" {
			b.t.Errorf("pinned to %q, want the newest 3.10.0", got)
		}
		if b.claim(old) != nil {
			b.t.Error("a worker with another version gets a pinned job")
		}
		b.restart()
		if b.claim(old) != nil {
			b.t.Error("the pin is forgotten by a restart")
		}
		why, err := b.f.Why(b.t.Context(), j.ID)
		b.check(err)
		if got := fmt.Sprint(why); !strings.Contains(got, "install blender 3.10.0 on the worker") {
			b.t.Errorf("why says %s", got)
		}
	})
}

func TestMaintenanceHandsNothingOut(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-2"))
		w := b.worker("w1")
		if err := b.f.SetMaintenance(b.t.Context(), ann, true); farm.CodeOf(err) != farm.Forbidden {
			b.t.Errorf("maintenance by a submitter: %v", err)
		}
		b.check(b.f.SetMaintenance(b.t.Context(), admin, true))
		if b.claim(w) != nil {
			b.t.Error("work is handed out in maintenance")
		}
		got := b.wait(w, time.Hour)
		b.check(b.f.SetMaintenance(b.t.Context(), admin, false))
		if <-got == nil {
			b.t.Error("the end of maintenance does not wake who waits")
		}
	})
}

func TestAWithdrawnClaimLosesNothing(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w1")
		ctx, cancel := context.WithCancel(b.t.Context())
		done := make(chan error)
		go func() {
			_, err := b.f.Claim(ctx, farm.ClaimRequest{By: ann, Worker: w.ID, Wait: time.Hour})
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.t.Errorf("a canceled claim returns %v", err)
		}
		j := b.submit(ann, template("1"))
		b.want(j.ID, farm.JobWaiting, farm.Counts{Total: 1, Waiting: 1})
	})
}

func TestAFailedCommitChangesNothing(t *testing.T) {
	t.Parallel()
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprint("written ", written), func(t *testing.T) {
			bubble(t, farm.Settings{}, func(b *bundle) {
				j := b.submit(ann, template("1-4"))
				w := b.worker("w1", slots(4))
				first := b.mustClaim(w)
				faults := 1 // read and written by the dispatcher alone
				b.store.Fault = func(*farm.Batch) (error, bool) {
					if faults > 0 {
						faults--
						return errors.New("disk on fire"), written
					}
					return nil, false
				}
				if _, err := b.f.Complete(b.t.Context(), result(first)); farm.CodeOf(err) != farm.Unavailable {
					b.t.Fatalf("a failed commit is answered with %v", err)
				}
				if v := b.complete(first); !v.Accepted { // the worker tries again, and it counts once
					b.t.Errorf("the repeat: %+v", v)
				}
				b.want(j.ID, farm.JobRunning, farm.Counts{Total: 4, Waiting: 3, Done: 1})
				for range 3 {
					b.complete(b.mustClaim(w))
				}
				b.want(j.ID, farm.JobDone, farm.Counts{Total: 4, Done: 4})
			})
		})
	}
}

func TestAnotherWriterEndsTheFarm(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w1")
		waiting := make(chan error)
		go func() {
			_, err := b.f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: w.ID, Wait: time.Hour})
			waiting <- err
		}()
		synctest.Wait()
		b.check(errOf(b.store.Acquire(b.t.Context())))
		_, err := b.f.Submit(b.t.Context(), farm.Submission{By: ann, Spec: farm.Spec{Template: template("1")}})
		if farm.CodeOf(err) != farm.Unavailable {
			b.t.Errorf("a submission to a replaced farm: %v", err)
		}
		if err := <-waiting; farm.CodeOf(err) != farm.Unavailable {
			b.t.Errorf("who waited gets %v", err)
		}
		<-b.f.Done()
		if err := b.f.Ready(); err == nil {
			b.t.Error("a replaced farm says that it is ready")
		}
	})
}

func TestTaskPagesOfLazySteps(t *testing.T) {
	t.Parallel()
	for _, order := range []farm.Order{farm.OrderLinear, farm.OrderPreview} {
		t.Run(string(order), func(t *testing.T) {
			bubble(t, farm.Settings{}, func(b *bundle) { testTaskPages(b, order) })
		})
	}
}

func testTaskPages(b *bundle, order farm.Order) {
	j := b.submit(ann, template("1-1000000"), func(s *farm.Submission) { s.Spec.Order = order })
	w := b.worker("w1", slots(10))
	touched := map[int64]farm.TaskState{}
	for i := range 6 {
		l := b.mustClaim(w)
		touched[l.Task.Index] = farm.TaskRunning
		if i%2 == 0 {
			b.complete(l)
			touched[l.Task.Index] = farm.TaskDone
		}
	}
	after, seen := "", int64(0)
	for range 5 {
		views, next, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: j.ID, Step: -1, After: after, Limit: 1000})
		b.check(err)
		for _, v := range views {
			want, ok := touched[v.Index]
			if !ok {
				want = farm.TaskWaiting
			}
			if v.Index != seen || v.State != want || v.Parameters[0].Value != fmt.Sprint(v.Index+1) {
				b.t.Fatalf("task %d is listed as %d, %s, %v; want %s", seen, v.Index, v.State, v.Parameters, want)
			}
			if (v.Live != nil) != (want == farm.TaskRunning) {
				b.t.Errorf("task %d: live %v", v.Index, v.Live)
			}
			seen++
		}
		after = next
	}
	for state, n := range map[farm.TaskState]int{farm.TaskDone: 3, farm.TaskRunning: 3, farm.TaskFailed: 0} {
		views, next, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: j.ID, Step: 0, States: []farm.TaskState{state}})
		b.check(err)
		if len(views) != n || next != "" {
			b.t.Errorf("%d tasks %s, want %d", len(views), state, n)
		}
	}
	views, _, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: j.ID, Step: 0, States: []farm.TaskState{farm.TaskWaiting}, After: "0/999990", Limit: 100})
	b.check(err)
	for _, v := range views {
		if _, ok := touched[v.Index]; ok || v.State != farm.TaskWaiting {
			b.t.Errorf("task %d, %s, is listed as waiting", v.Index, v.State)
		}
	}
	if order == farm.OrderLinear && len(views) != 9 {
		b.t.Errorf("the last page has %d tasks, want 9", len(views))
	}
}

func TestWhySaysWhatKeepsAJob(t *testing.T) {
	t.Parallel()
	big := strings.Replace(template("1-5"), "  script:", "  hostRequirements: {amounts: [{name: amount.worker.memory, min: 65536}]}\n  script:", 1)
	for _, c := range []struct {
		name string
		tmpl string
		do   func(b *bundle, id int64)
		want string
	}{
		{"no workers", template("1"), func(*bundle, int64) {}, "the farm has no workers"},
		{"nobody fits", big, func(b *bundle, _ int64) { b.worker("small") }, "of 1 worker none fits: needs at least 65536 MiB of memory, the worker has 16384"},
		{"paused", template("1"), func(b *bundle, id int64) {
			b.check(errOf(b.f.Pause(b.t.Context(), farm.JobChange{By: ann, Job: id, Reason: "wait for the light"})))
		}, "paused: wait for the light"},
		{"busy", template("1-2"), func(b *bundle, _ int64) { b.mustClaim(b.worker("w")) }, "every worker that fits is busy (1)"},
		{"out of reach", template("1"), func(b *bundle, _ int64) {
			door := b.worker("w").Door
			b.f.Reach(door, func(j *farm.Job, w *farm.Worker) (string, string) {
				return fmt.Sprintf("%s finds no file of job %d", w.Name, j.ID), "a share"
			})
		}, "of 1 worker none fits: cannot do this job: w finds no file of job 1000"},
		{"free", template("1-2"), func(b *bundle, _ int64) { b.worker("w") }, "free and fitting: 1 worker"},
		{"disabled", template("1"), func(b *bundle, _ int64) {
			off := false
			b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, b.worker("w").ID, farm.WorkerChange{Enabled: &off, Reason: "fan broken"})))
		}, "disabled by an operator: fan broken"},
		{"done", template("1"), func(b *bundle, _ int64) { b.complete(b.mustClaim(b.worker("w"))) }, "all of 1 task"},
		{"maintenance", template("1"), func(b *bundle, _ int64) { b.check(b.f.SetMaintenance(b.t.Context(), admin, true)) }, "drover maintenance off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, farm.Settings{}, func(b *bundle) {
				j := b.submit(ann, c.tmpl)
				c.do(b, j.ID)
				why, err := b.f.Why(b.t.Context(), j.ID)
				b.check(err)
				if !strings.Contains(why.Summary, c.want) {
					b.t.Errorf("summary %q lacks %q", why.Summary, c.want)
				}
			})
		})
	}
}

func TestSubmissionsThatAreRefused(t *testing.T) {
	bubble(t, farm.Settings{MaxTasks: 1000}, func(b *bundle) {
		good := farm.File{Name: "a.blend", SHA256: strings.Repeat("ab", 32), Size: 1}
		file := func(name string, hash string) func(*farm.Submission) {
			return func(s *farm.Submission) {
				s.Spec.Roots = []farm.Root{{Path: "/x", Format: "POSIX"}}
				s.Spec.Files = []farm.File{{Name: name, SHA256: hash, Size: 1}}
			}
		}
		named := func(n string) func(*farm.Submission) {
			return func(s *farm.Submission) { s.Spec.Name = n }
		}
		for name, c := range map[string]struct {
			code farm.Code
			text string
			do   func(*farm.Submission)
		}{
			"no role":       {farm.Forbidden, "lacks the role submitter", func(s *farm.Submission) { s.By.Roles = []farm.Role{farm.RoleRenderer} }},
			"another owner": {farm.Forbidden, "role operator", func(s *farm.Submission) { s.Owner = "bob" }},
			"priority":      {farm.Invalid, "not between 0 and 100", func(s *farm.Submission) { s.Priority = 101 }},
			"no template":   {farm.Invalid, "no template", func(s *farm.Submission) { s.Spec.Template = " " }},
			"bad template":  {farm.Invalid, "refused", func(s *farm.Submission) { s.Spec.Template = "steps: 5" }},
			"too many":      {farm.Invalid, "more than 1000 tasks", func(s *farm.Submission) { s.Spec.Template = template("1-1001") }},
			"new line":      {farm.Invalid, "control characters", named("a\nb")},
			"long name":     {farm.Invalid, "300 characters", named(strings.Repeat("ä", 300))},
			"up":            {farm.Invalid, "must not contain", file("../a", good.SHA256)},
			"absolute":      {farm.Invalid, "relative", file("/a", good.SHA256)},
			"backslash":     {farm.Invalid, "relative", file(`a\b`, good.SHA256)},
			"long file":     {farm.Invalid, "255", file(strings.Repeat("a", 256), good.SHA256)},
			"bad hash":      {farm.Invalid, "SHA-256", file("a", "xyz")},
			"no root":       {farm.Invalid, "root", func(s *farm.Submission) { s.Spec.Files = []farm.File{good} }},
			"order":         {farm.Invalid, "order", func(s *farm.Submission) { s.Spec.Order = "random" }},
		} {
			s := farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: template("1")}}
			c.do(&s)
			_, err := b.f.Submit(b.t.Context(), s)
			if farm.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.text) {
				b.t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.text)
			}
		}
		for _, name := range []string{"été", "映画 42", "a/b", "x"} {
			b.submit(ann, template("1"), named(name))
		}
		jobs, err := b.f.Jobs(b.t.Context(), farm.JobQuery{})
		b.check(err)
		if len(jobs) != 4 {
			b.t.Errorf("%d jobs, want the 4 good ones", len(jobs))
		}
	})
}

func TestRemoveTakesOnlyWhatHasEnded(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1"))
		c := farm.JobChange{By: ann, Job: j.ID}
		if err := b.f.Remove(b.t.Context(), c); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("removing a waiting job: %v", err)
		}
		l := b.mustClaim(b.worker("w"))
		b.check(errOf(b.f.Cancel(b.t.Context(), c)))
		b.check(b.f.Remove(b.t.Context(), c))
		if _, err := b.f.Job(b.t.Context(), j.ID); farm.CodeOf(err) != farm.NotFound {
			b.t.Errorf("a removed job: %v", err)
		}
		if _, err := b.f.Complete(b.t.Context(), result(l)); farm.CodeOf(err) != farm.Gone {
			b.t.Errorf("a result for a removed job: %v", err)
		}
		if next := b.submit(ann, template("1")); next.ID == j.ID {
			b.t.Error("a job id was given twice")
		}
	})
}

func TestEventsTellTheStory(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		sub := b.f.Subscribe()
		defer sub.Close()
		b.submit(ann, template("1"))
		b.complete(b.mustClaim(b.worker("w")))
		var live, kept []string
		for len(live) == 0 || live[len(live)-1] != "job.state done" {
			for _, e := range <-sub.C {
				live = append(live, strings.TrimSpace(e.Type+" "+e.State))
			}
		}
		es, _, err := b.f.Events(b.t.Context(), 0, 100)
		b.check(err)
		for i, e := range es {
			if i > 0 && e.ID != es[i-1].ID+1 {
				b.t.Errorf("event %d follows %d", e.ID, es[i-1].ID)
			}
			kept = append(kept, strings.TrimSpace(e.Type+" "+e.State))
		}
		want := "[job.submitted worker.joined worker.state idle job.state running task.started task.done job.state done]"
		if fmt.Sprint(live) != want {
			b.t.Errorf("heard %v, want %s", live, want)
		}
		if got := fmt.Sprint(kept[len(kept)-len(live):]); got != want {
			b.t.Errorf("kept %s", got)
		}
	})
}

func TestASlowLastTaskIsGivenToASecondWorker(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, template("1-5"))
		fast, slow := b.worker("fast"), b.worker("slow")
		stuck := b.mustClaim(slow)
		for range 4 {
			b.complete(b.mustClaim(fast)) // a second each
		}
		beat := func() *farm.PulseReply {
			r, err := b.f.Heartbeat(b.t.Context(), farm.Pulse{By: ann, Worker: slow.ID, Leases: []farm.Progress{{Lease: stuck.ID}}})
			b.check(err)
			return r
		}
		if l := b.claim(fast); l != nil {
			b.t.Fatal("a task is doubled before it is slow")
		}
		got := b.wait(fast, time.Minute)
		time.Sleep(15 * time.Second)
		beat()
		l := <-got
		if l == nil || l.Task != stuck.Task || l.Attempt != 2 {
			b.t.Fatalf("the idle worker got %+v, want a second attempt of %v", l, stuck.Task)
		}
		if third := b.claim(b.worker("third")); third != nil {
			b.t.Error("a task got a third attempt at once")
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 5, Running: 1, Done: 4})
		if v := b.complete(l); !v.Accepted {
			b.t.Errorf("the faster attempt: %+v", v)
		}
		b.want(j.ID, farm.JobDone, farm.Counts{Total: 5, Done: 5})
		if r := beat(); r.Stop[stuck.ID] == "" {
			b.t.Error("the slower attempt is not told to stop")
		}
		if v := b.complete(stuck); v.Accepted {
			b.t.Error("the task counted twice")
		}
		w, err := b.f.Farmhand(b.t.Context(), slow.ID)
		b.check(err)
		if w.Failed != 0 || w.State != farm.WorkerIdle {
			b.t.Errorf("losing the race counts against the worker: %+v", w)
		}
	})
}

func TestOneOfTwoAttemptsMayFail(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint("the first ", first), func(t *testing.T) {
			bubble(t, farm.Settings{}, func(b *bundle) {
				j := b.submit(ann, template("1-4"))
				fast, slow := b.worker("fast"), b.worker("slow", func(r *farm.Registration) { r.Lease = time.Hour })
				one := b.mustClaim(slow)
				for range 3 {
					b.complete(b.mustClaim(fast))
				}
				time.Sleep(20 * time.Second)
				two := b.mustClaim(fast)
				if !first {
					one, two = two, one
				}
				b.fail(one, farm.CauseJob)
				b.want(j.ID, farm.JobRunning, farm.Counts{Total: 4, Running: 1, Done: 3})
				b.restart()
				if v := b.complete(two); !v.Accepted {
					b.t.Errorf("the other attempt: %+v", v)
				}
				b.want(j.ID, farm.JobDone, farm.Counts{Total: 4, Done: 4})
			})
		})
	}
}

func TestUploadsTakeNoSlot(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		tmpl := strings.Replace(template("1-9"), "  script:", "  hostRequirements: {amounts: [{name: amount.worker.vcpu, min: 8}]}\n  script:", 1)
		j := b.submit(ann, tmpl)
		w := b.worker("w1")
		sent := []*farm.Lease{b.mustClaim(w)}
		if b.claim(w) != nil {
			b.t.Fatal("a second task for one slot")
		}
		next := func() *farm.Lease {
			l, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID, Uploading: []int64{sent[len(sent)-1].ID}})
			b.check(err)
			return l
		}
		for range 2 {
			l := next()
			if l == nil {
				b.t.Fatal("no task although the one before is only being uploaded")
			}
			sent = append(sent, l)
		}
		if l := next(); l != nil {
			b.t.Errorf("a third upload behind: got %+v", l)
		}
		for _, l := range sent {
			b.complete(l)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 9, Waiting: 6, Done: 3})
		b.mustClaim(w)
		if b.claim(w) != nil {
			b.t.Error("the books are wrong after the uploads: two tasks for one slot")
		}
	})
}

func TestAWaitingClaimIsServedWhenItsWorkerHasRoom(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-3"))
		w := b.worker("w1")
		l := b.mustClaim(w)
		got := b.wait(w, time.Hour)
		b.complete(l)
		if <-got == nil {
			b.t.Error("the claim was not woken")
		}
	})
}
