package farm_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"drover.farm/internal/farm"
)

// fetcher is a machine that fetches builds.
func fetcher(r *farm.Registration) { r.Machine.Fetches = []string{farm.Any} }

func renders(s *farm.Submission) { s.Spec.Renderer = "blender" }

// publish adds builds and returns their numbers.
func publish(b *bundle, versions ...string) (ids []int64) {
	b.t.Helper()
	for _, v := range versions {
		x, _, err := b.f.PublishBuild(b.t.Context(), admin, blender(v))
		b.check(err)
		ids = append(ids, x.ID)
	}
	return ids
}

// nothing makes sure that there is no task for the worker.
func (b *bundle) nothing(w *farm.Worker) {
	b.t.Helper()
	if l := b.claim(w); l != nil {
		b.t.Errorf("worker %s got a task of job %d with %q", w.Name, l.Task.Job, l.Job.Build)
	}
}

func TestWorkersCountAsAbleToFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(bob, template("1-3"), renders)
		w, alone := b.worker("w", fetcher), b.worker("alone")
		b.nothing(w)
		ids := publish(b, "3.4.1", "4.10.0", "4.2.1")
		b.nothing(alone)
		l := b.mustClaim(w)
		if l.Job.Build != "4.10.0" {
			t.Errorf("the job begins with %q, want the newest, 4.10.0", l.Job.Build)
		}
		got, err := b.f.BuildFor(t.Context(), w.ID, j.ID)
		b.check(err)
		if got == nil || got.ID != ids[1] {
			t.Errorf("to fetch: %+v", got)
		}
		b.check(b.f.RemoveBuild(t.Context(), admin, ids[0]))
		if err := b.f.RemoveBuild(t.Context(), admin, ids[1]); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("a build in use is removed: %v", err)
		}
		installed := b.worker("installed", func(r *farm.Registration) {
			r.Machine.Renderers = []farm.Renderer{{Product: "blender", Version: "4.10.0"}}
		})
		b.mustClaim(installed)
		if got, err = b.f.BuildFor(t.Context(), installed.ID, j.ID); got != nil || err != nil {
			t.Errorf("who has it is to fetch %+v, %v", got, err)
		}
	})
}

func TestBuildsOfOtherSystemsDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-3"), renders)
		w := b.worker("w", fetcher)
		foreign := blender("4.2.1")
		foreign.OS = "windows"
		_, _, err := b.f.PublishBuild(t.Context(), admin, foreign)
		b.check(err)
		b.nothing(w)
		everywhere := blender("4.2.1")
		everywhere.OS, everywhere.Arch = farm.Any, farm.Any
		_, _, err = b.f.PublishBuild(t.Context(), admin, everywhere)
		b.check(err)
		b.mustClaim(w)
	})
}

func TestRetiredBuildsServeTheirJobsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-3"), renders)
		w, other := b.worker("w", fetcher), b.worker("other", fetcher)
		ids := publish(b, "4.2.1")
		b.mustClaim(w)
		b.check(errOf(b.f.RetireBuild(t.Context(), admin, ids[0])))
		b.mustClaim(other)
		third := b.worker("third", fetcher)
		b.submit(bob, template("1"), renders, func(s *farm.Submission) { s.Priority = 90 })
		if l := b.mustClaim(third); l.Task.Job != 1000 {
			t.Errorf("a new job began with a retired build")
		}
	})
}

func TestAsideFreesWhatHasNoFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		publish(b, "3.4.1")
		bad := publish(b, "4.2.1")[0]
		b.submit(bob, template("1-3"), renders)
		w := b.worker("w", fetcher)
		l := b.mustClaim(w)
		b.fail(l, farm.CauseJob)
		b.check(errOf(b.f.SetBuildState(t.Context(), admin, bad, farm.BuildAside, "crashes")))
		other := b.worker("other", fetcher)
		l = b.mustClaim(other)
		if l.Job.Build != "3.4.1" {
			t.Errorf("after the roll-back the job is rendered with %q, want 3.4.1", l.Job.Build)
		}
		b.complete(l)
		b.check(errOf(b.f.SetBuildState(t.Context(), admin, 1, farm.BuildAside, "")))
		b.check(errOf(b.f.SetBuildState(t.Context(), admin, bad, farm.BuildUsable, "")))
		b.nothing(other)
	})
}

// TestAJobIsMoved lets a job go on whose version was set aside after its first
// frames, or that was submitted with a version that nobody has.
func TestAJobIsMoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		bad := publish(b, "3.4.1", "4.2.1")[1]
		j := b.submit(bob, template("1-3"), renders)
		w := b.worker("w", fetcher)
		b.complete(b.mustClaim(w))
		move := farm.JobChange{By: bob, Job: j.ID}
		if _, err := b.f.Pin(t.Context(), move, "4.2.1"); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("moved to where it is: %v", err)
		}
		b.check(errOf(b.f.SetBuildState(t.Context(), admin, bad, farm.BuildAside, "black frames")))
		b.nothing(w)
		why, err := b.f.Why(t.Context(), j.ID)
		b.check(err)
		if want := `which was set aside: black frames; "drover job build 1000"`; !strings.Contains(why.Summary, want) {
			t.Errorf("the reason is %q, without %q", why.Summary, want)
		}
		if _, err := b.f.Pin(t.Context(), move, "9.9"); farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "3.4.1") {
			t.Errorf("moved to a version that nobody has: %v", err)
		}
		if _, err := b.f.Pin(t.Context(), farm.JobChange{By: farm.Principal{Login: "eve", Roles: []farm.Role{farm.RoleSubmitter}}, Job: j.ID}, ""); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("another moves it: %v", err)
		}
		b.check(errOf(b.f.Pin(t.Context(), move, "")))
		b.restart()
		if l := b.mustClaim(w); l.Job.Build != "3.4.1" {
			t.Errorf("after the move it is rendered with %q", l.Job.Build)
		}
		fixed := b.submit(bob, template("1"), renders, func(s *farm.Submission) { s.Build, s.Priority = "1.0", 99 })
		b.check(errOf(b.f.Pin(t.Context(), farm.JobChange{By: admin, Job: fixed.ID}, "3.4.1")))
		if l := b.mustClaim(b.worker("x", fetcher)); l.Task.Job != fixed.ID {
			t.Errorf("a job that was submitted with a version stays with it; got a task of %d", l.Task.Job)
		}
		if _, err := b.f.Pin(t.Context(), farm.JobChange{By: admin, Job: b.submit(bob, template("1")).ID}, ""); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("a job without a renderer: %v", err)
		}
	})
}

func TestAJobMayBePinnedWhenSubmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-3"), renders, func(s *farm.Submission) { s.Build = "3.4.1" })
		publish(b, "4.2.1")
		w := b.worker("w", fetcher)
		b.nothing(w)
		publish(b, "3.4.1")
		b.restart()
		if l := b.mustClaim(w); l.Job.Build != "3.4.1" {
			t.Errorf("rendered with %q", l.Job.Build)
		}
		_, err := b.f.Submit(t.Context(), farm.Submission{By: bob, Build: "1", Spec: farm.Spec{Template: template("1")}})
		if farm.CodeOf(err) != farm.Invalid {
			t.Errorf("a version of no renderer: %v", err)
		}
	})
}

func TestTrialOfABuild(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{TrialFailures: 2, Tries: 9})
		publish(b, "3.4.1")
		next := publish(b, "4.2.1")[0]
		first, second := b.worker("first", fetcher), b.worker("second", fetcher)
		x, err := b.f.TryBuild(t.Context(), admin, next, 1)
		b.check(err)
		if len(x.TrialWorkers) != 1 || x.TrialWorkers[0] != first.ID {
			t.Fatalf("on trial with %v", x.TrialWorkers)
		}
		b.submit(bob, template("1-9"), renders)
		b.submit(bob, template("1-9"), renders)
		if l := b.mustClaim(second); l.Job.Build != "3.4.1" {
			t.Errorf("who is not on trial begins with %s", l.Job.Build)
		}
		l := b.mustClaim(first)
		for l.Job.Build != "4.2.1" {
			b.complete(l)
			l = b.mustClaim(first)
		}
		b.complete(l)
		x, err = b.f.Build(t.Context(), next)
		b.check(err)
		if x.Trial != 0 || x.State != farm.BuildUsable {
			t.Errorf("after the trial: %+v", x)
		}
		b.check(errOf(b.f.TryBuild(t.Context(), admin, next, 1)))
		for range 2 {
			for l = b.mustClaim(first); l.Job.Build != "4.2.1"; l = b.mustClaim(first) {
				b.complete(l)
			}
			b.fail(l, farm.CauseJob)
		}
		x, err = b.f.Build(t.Context(), next)
		b.check(err)
		if x.State != farm.BuildAside || !strings.Contains(x.Reason, "2 tasks failed") {
			t.Errorf("after two failures on trial: %+v", x)
		}
		if _, err := b.f.TryBuild(t.Context(), bob, next, 1); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("bob tries builds: %v", err)
		}
	})
}

// TestBuildsOfAnEmulatedArchitecture are for workers that have none of their own.
func TestBuildsOfAnEmulatedArchitecture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(bob, template("1-9"), renders)
		arm := func(r *farm.Registration) { r.Machine.Arch = "arm64" }
		plain, w := b.worker("plain", fetcher, arm), b.worker("w", fetcher, arm, func(r *farm.Registration) { r.Machine.Emulates = []string{"x86_64"} })
		foreign, own := blender("4.2.1"), blender("4.2.1")
		own.Arch = "arm64"
		_, _, err := b.f.PublishBuild(t.Context(), admin, foreign)
		b.check(err)
		b.nothing(plain)
		b.mustClaim(w)
		why, err := b.f.Why(t.Context(), j.ID)
		b.check(err)
		want := "needs blender 4.2.1, the worker has none; the library has no build of it for linux arm64"
		if !slices.ContainsFunc(why.Steps[0].Classes, func(c farm.WorkerClass) bool { return len(c.Reasons) > 0 && c.Reasons[0].String() == want }) {
			t.Errorf("why does not say %q: %+v", want, why.Steps[0].Classes)
		}
		fetched := func() string {
			got, err := b.f.BuildFor(t.Context(), w.ID, j.ID)
			b.check(err)
			return got.Arch
		}
		if got := fetched(); got != "x86_64" {
			t.Errorf("the worker fetches the build for %s", got)
		}
		_, _, err = b.f.PublishBuild(t.Context(), admin, own)
		b.check(err)
		if got := fetched(); got != "arm64" {
			t.Errorf("it fetches the build for %s though there is one for its own", got)
		}
	})
}
