package farm_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

func TestKeepRenewsAllLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-9"))
		w := b.worker("w", slots(2), func(r *farm.Registration) { r.Lease, r.Silence = 10*time.Minute, 20*time.Minute })
		first, second := b.mustClaim(w), b.mustClaim(w)
		for range 5 {
			time.Sleep(9 * time.Minute)
			b.check(errOf(b.f.Keep(t.Context(), ann, w.ID, []farm.Progress{{Lease: second.ID, Percent: 50}})))
		}
		held, err := b.f.Held(t.Context(), ann, w.ID)
		b.check(err)
		if len(held) != 2 || held[0].ID != first.ID || held[1].Parameters[0].Value != "2" {
			t.Fatalf("held are %+v", held)
		}
		time.Sleep(11 * time.Minute)
		if held, _ := b.f.Held(t.Context(), ann, w.ID); len(held) != 0 {
			t.Errorf("%d leases outlived their time", len(held))
		}
	})
}

func TestKeepEndsWithTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		w := b.worker("w", func(r *farm.Registration) { r.Lease, r.Silence = 10*time.Minute, 20*time.Minute })
		time.Sleep(19 * time.Minute)
		b.check(errOf(b.f.Keep(t.Context(), ann, w.ID, nil)))
		time.Sleep(21 * time.Minute)
		for range 2 { // and asking does not bring it back
			if _, err := b.f.Keep(t.Context(), ann, w.ID, nil); farm.CodeOf(err) != farm.Gone {
				t.Errorf("a session that fell silent: %v, want gone", err)
			}
		}
	})
}

func TestKeepTellsWhatToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(bob, template("1-9"))
		w := b.worker("w")
		l := b.mustClaim(w)
		b.check(errOf(b.f.Cancel(t.Context(), farm.JobChange{By: bob, Job: j.ID, Reason: "enough"})))
		r, err := b.f.Keep(t.Context(), ann, w.ID, nil)
		b.check(err)
		if r.Stop[l.ID] != "enough" {
			t.Errorf("to stop: %v", r.Stop)
		}
		if held, _ := b.f.Held(t.Context(), ann, w.ID); len(held) != 0 {
			t.Errorf("a lease to stop counts as held")
		}
	})
}

func TestNewsKeepsLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-9"))
		w := b.worker("w")
		b.mustClaim(w)
		b.worker("w", func(r *farm.Registration) { r.News, r.Machine.Cores = true, 2 })
		if held, _ := b.f.Held(t.Context(), ann, w.ID); len(held) != 1 {
			t.Errorf("%d leases are left after news, want 1", len(held))
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{Lease: time.Hour, Straggler: -1})
		big := b.submit(bob, template("1-99"))
		w, o := b.worker("w"), b.worker("o")
		l := b.mustClaim(o)
		time.Sleep(time.Minute)
		r := result(l)
		r.Seconds, r.Memory = 60, 8<<30
		b.check(errOf(b.f.Complete(t.Context(), r)))
		ask := func(in farm.Bounds) int64 {
			l, err := b.f.Claim(t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID, Within: in})
			b.check(err)
			if l == nil {
				return 0
			}
			b.check(b.f.Return(t.Context(), ann, w.ID, []int64{l.ID}, "test"))
			return l.Task.Job
		}
		for _, c := range []struct {
			in   farm.Bounds
			want int64
		}{
			{farm.Bounds{}, big.ID}, {farm.Bounds{Seconds: 59}, 0}, {farm.Bounds{Seconds: 61}, big.ID},
			{farm.Bounds{Memory: 4 << 30}, 0}, {farm.Bounds{Memory: 8 << 30}, big.ID}, {farm.Bounds{Bytes: 1}, big.ID},
		} {
			if got := ask(c.in); got != c.want {
				t.Errorf("%+v gives job %d, want %d", c.in, got, c.want)
			}
		}
	})
}

func TestSlowLinkGetsTheSmallerSceneFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		files := func(n int64) func(*farm.Submission) {
			return func(s *farm.Submission) {
				s.Spec.Roots = []farm.Root{{Path: "/a", Format: "POSIX"}}
				s.Spec.Files = []farm.File{{Name: "a.blend", SHA256: blender("1").SHA256, Size: n}}
			}
		}
		large, small := b.submit(bob, template("1"), files(1<<30)), b.submit(bob, template("1"), files(1<<10))
		w := b.worker("w", slots(3))
		var got []int64
		for range 2 {
			l, err := b.f.Claim(t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID, Within: farm.Bounds{Bytes: 1 << 20}})
			b.check(err)
			if l == nil {
				t.Fatal("nothing, though a scene waits")
			}
			got = append(got, l.Task.Job)
		}
		if got[0] != small.ID || got[1] != large.ID {
			t.Errorf("jobs came as %v, want %d before %d", got, small.ID, large.ID)
		}
	})
}

func TestFormsKeepToTheirDoors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		open := func() *farm.Farm {
			f, err := farm.Open(context.Background(), farm.Config{Store: store, Obstacles: map[string]func(*farm.Spec) string{
				"narrow": func(s *farm.Spec) string { return map[bool]string{false: "it is not plain"}[s.Name == "plain"] },
			}})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		b := &bundle{t: t, store: store, f: open()}
		defer func() { b.f.Close() }()
		b.check(errOf(b.f.Bootstrap(t.Context(), farm.User{Login: "ann", Roles: ann.Roles}, farm.Token{})))
		job := b.submit(ann, template("1")).ID
		for range 2 {
			w := b.worker("n", func(r *farm.Registration) { r.Door = "narrow" })
			if b.claim(w) != nil {
				t.Error("a job went through a door that cannot carry it")
			}
			why, err := b.f.Why(t.Context(), job)
			b.check(err)
			if want := "of 1 worker none fits: joined through the door narrow, which cannot carry the job: it is not plain"; !strings.HasSuffix(why.Summary, want) {
				t.Errorf("why: %s", why.Summary)
			}
			b.f.Close()
			b.f = open()
		}
		b.mustClaim(b.worker("wide"))
		b.submit(ann, template("1"), func(s *farm.Submission) { s.Spec.Name = "plain" })
		b.mustClaim(b.worker("n", func(r *farm.Registration) { r.Door = "narrow" }))
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.check(b.f.AddToken(t.Context(), ann, farm.Token{Hash: [32]byte{1}, Login: "ann", Kind: "publickey", Label: "x"}))
		b.check(b.f.AddToken(t.Context(), ann, farm.Token{Hash: [32]byte{2}, Login: "ann", Kind: "token"}))
		if got := b.f.Tokens("ann", "publickey"); len(got) != 1 || got[0].Label != "x" {
			t.Errorf("public keys %+v", got)
		}
		if _, _, err := b.f.Credential("nonsense"); farm.CodeOf(err) != farm.Unauthorized {
			t.Errorf("nonsense is answered with %v", err)
		}
	})
}

func TestAnotherWorkerOfTheSameKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		another := func(r *farm.Registration) { r.Another = true }
		first, second := b.worker("w", another), b.worker("w", another)
		if first.ID == second.ID {
			t.Fatal("two workers that are there are one")
		}
		b.check(b.f.SignOff(t.Context(), ann, first.ID))
		if third := b.worker("w", another); third.ID != first.ID {
			t.Errorf("the place of a worker that has gone was not taken again: %d", third.ID)
		}
	})
}

func TestKeepDoesNotHoldWhatOnlyUploads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(bob, template("1-9"))
		w := b.worker("w", func(r *farm.Registration) { r.Lease, r.Silence = 10*time.Minute, 20*time.Minute })
		first := b.mustClaim(w)
		second, err := b.f.Claim(t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID, Uploading: []int64{first.ID}})
		b.check(err)
		for range 2 {
			time.Sleep(6 * time.Minute)
			b.check(errOf(b.f.Keep(t.Context(), ann, w.ID, nil)))
		}
		held, err := b.f.Held(t.Context(), ann, w.ID)
		b.check(err)
		if len(held) != 1 || held[0].ID != second.ID {
			t.Errorf("held are %+v, want only the lease that renders", held)
		}
		v, err := b.f.Complete(t.Context(), farm.Result{By: ann, Worker: w.ID, Lease: first.ID, Task: first.Task, Seconds: 60})
		b.check(err)
		if !v.Accepted {
			t.Errorf("the late result of job %d was not taken: %s", j.ID, v.Reason)
		}
	})
}
