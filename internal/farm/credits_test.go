package farm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// adds checks that the ledger adds up: by job what is earned is spent, and all
// balances together are what was granted.
func (b *bundle) adds() {
	b.t.Helper()
	rows, err := b.f.Ledger(b.t.Context(), farm.LedgerQuery{})
	b.check(err)
	byJob, byAccount := map[int64]farm.Points{}, map[string]farm.Points{}
	var granted, all farm.Points
	for _, e := range rows {
		byJob[e.Job] += e.Earned - e.Spent
		byAccount[e.Account] += e.Balance()
		granted += e.Granted
		all += e.Balance()
	}
	for j, d := range byJob {
		if d != 0 {
			b.t.Errorf("job %d: earned and spent differ by %d", j, d)
		}
	}
	if all != granted {
		b.t.Errorf("the balances add up to %d, granted were %d", all, granted)
	}
	for login, want := range byAccount {
		got, err := b.f.Balance(b.t.Context(), login)
		b.check(err)
		if got != want {
			b.t.Errorf("the balance of %s is %d, its entries add up to %d", login, got, want)
		}
	}
}

func TestAFrameIsPaidOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{Allowance: 10, Lease: time.Hour})
		j := b.submit(bob, template("1-3"))
		w := b.worker("w")
		for range 2 {
			l := b.mustClaim(w)
			time.Sleep(2 * time.Minute)
			r := result(l)
			r.Seconds = 60
			for range 3 { // the answer is lost and the result is sent again
				v, err := b.f.Complete(t.Context(), r)
				b.check(err)
				if !v.Accepted {
					t.Fatalf("refused: %s", v.Reason)
				}
			}
			b.restart()
		}
		b.adds()
		for login, want := range map[string]farm.Points{"ann": 12_000, "bob": 8_000, "admin": 10_000} {
			if got, _ := b.f.Balance(t.Context(), login); got != want {
				t.Errorf("%s has %d, want %d", login, got, want)
			}
		}
		rows, err := b.f.Ledger(t.Context(), farm.LedgerQuery{Account: "ann", Job: j.ID})
		b.check(err)
		if len(rows) != 1 || rows[0].Frames != 2 {
			t.Errorf("ann's line of the job is %+v, want 2 frames", rows)
		}
	})
}

func TestTimeIsPaidOnlyAsFarAsItPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{Lease: time.Hour})
		b.submit(bob, template("1-2"))
		w := b.worker("w")
		l := b.mustClaim(w)
		time.Sleep(time.Minute)
		r := result(l)
		r.Seconds = 1e12
		_, err := b.f.Complete(t.Context(), r)
		b.check(err)
		if got, _ := b.f.Balance(t.Context(), "ann"); got != 1000 {
			t.Errorf("a minute of rendering earned %d thousandths, want 1000", got)
		}
		b.adds()
	})
}

func TestLateResultIsBooked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{Lease: time.Hour, Tries: 1})
		b.submit(bob, template("1"))
		w := b.worker("w")
		l := b.mustClaim(w)
		time.Sleep(time.Minute)
		b.check(b.f.Return(t.Context(), ann, w.ID, []int64{l.ID}, "x"))
		b.restart()
		r := result(l)
		r.Seconds = 30
		v, err := b.f.Complete(t.Context(), r)
		b.check(err)
		if !v.Accepted {
			t.Fatalf("refused: %s", v.Reason)
		}
		b.adds()
		if got, _ := b.f.Balance(t.Context(), "ann"); got != 500 {
			t.Errorf("half a minute earned %d", got)
		}
	})
}

func TestPowerEvensOutFastAndSlowMachines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{Lease: time.Hour, Straggler: -1})
		b.submit(bob, template("1-200"))
		fast, slow := b.worker("fast"), b.worker("slow")
		for range 60 {
			for w, d := range map[*farm.Worker]time.Duration{fast: 10 * time.Second, slow: 40 * time.Second} {
				l := b.mustClaim(w)
				time.Sleep(d)
				r := result(l)
				r.Seconds = d.Seconds()
				_, err := b.f.Complete(t.Context(), r)
				b.check(err)
			}
		}
		f, err := b.f.Farmhand(t.Context(), fast.ID)
		b.check(err)
		s, err := b.f.Farmhand(t.Context(), slow.ID)
		b.check(err)
		if ratio := f.Power / s.Power; ratio < 3.5 || ratio > 4.5 {
			t.Errorf("powers %g and %g: the ratio is %g, want about 4", f.Power, s.Power, ratio)
		}
		b.adds()
	})
}

func TestPointsMoveShares(t *testing.T) {
	t.Parallel()
	for _, byPoints := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, farm.Settings{PriorityByPoints: byPoints, Lease: time.Hour})
			b.check(b.f.Grant(t.Context(), admin, "bob", 100_000*farm.OnePoint))
			b.check(b.f.Grant(t.Context(), admin, "ann", -100_000*farm.OnePoint))
			rich, poor := b.submit(bob, template("1-100")), b.submit(ann, template("1-100"))
			w := b.worker("w", slots(34))
			got := map[int64]int{}
			for range 34 {
				got[b.mustClaim(w).Task.Job]++
			}
			if byPoints && got[rich.ID] < 30 || !byPoints && got[rich.ID] != got[poor.ID] {
				t.Errorf("by points %v: %v", byPoints, got)
			}
		})
	}
}

func TestGrantsTakeTheRoleAdmin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		if err := b.f.Grant(t.Context(), ann, "ann", 1); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("ann grants herself points: %v", err)
		}
		if err := b.f.Grant(t.Context(), admin, "nobody", 1); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("points for nobody: %v", err)
		}
	})
}

// TestACrashKeepsWhatAWorkerEarned: a farm that is killed right after a frame
// counted, before it writes anything by itself, knows the frame and its points as
// the worker's.
func TestACrashKeepsWhatAWorkerEarned(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-2"))
		w := b.worker("w", slots(2)) // it goes on, so that nothing else writes its row
		l := b.mustClaim(w)
		b.mustClaim(w)
		time.Sleep(30*time.Second + 300*time.Millisecond) // on the test's own clock, between two scans
		b.complete(l)
		killed := b.f
		b.start() // takes the store over while the first one has not closed
		got, err := b.f.Farmhand(b.t.Context(), w.ID)
		b.check(err)
		if got.Done != 1 || got.Earned <= 0 {
			b.t.Errorf("after the crash the worker has done %d frames for %v", got.Done, got.Earned)
		}
		killed.Close()
	})
}
