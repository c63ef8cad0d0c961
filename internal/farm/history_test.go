package farm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// TestHistory keeps what a worker did, over a restart and within bounds.
func TestHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		b.submit(bob, template("1-40"))
		w := b.worker("w")
		l := b.mustClaim(w)
		time.Sleep(30 * time.Second)
		b.fail(l, farm.CauseWorker)
		for range 25 {
			l := b.mustClaim(w)
			time.Sleep(30 * time.Second)
			b.complete(l)
		}
		look := func() *farm.History {
			h, err := b.f.History(t.Context(), w.ID)
			b.check(err)
			return h
		}
		check := func(h *farm.History) {
			t.Helper()
			busy, done := 0.0, int64(0)
			for _, x := range h.Hours {
				busy, done = busy+x.Busy, done+x.Done
			}
			if len(h.Recent) != 20 || h.Causes["worker"] != 1 || done != 25 || busy != 26*30 {
				t.Errorf("%d attempts, causes %v, %d done, busy for %g s", len(h.Recent), h.Causes, done, busy)
			}
			if p := h.Recent[19]; p.Outcome != farm.OutcomeDone || p.Number != 1 || p.Job != 1000 {
				t.Errorf("the last attempt: %+v", p)
			}
		}
		check(look())
		b.restart()
		check(look())
		b.check(b.f.RemoveWorker(t.Context(), admin, w.ID))
		if _, err := b.f.History(t.Context(), w.ID); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("the history of a worker that is gone: %v", err)
		}
	})
}

// TestVitals shows how a machine fares while it is there.
func TestVitals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		w := b.worker("w")
		_, err := b.f.Heartbeat(t.Context(), farm.Pulse{By: ann, Worker: w.ID, Vitals: &farm.Vitals{Temperature: 71}})
		b.check(err)
		if x, _ := b.f.Farmhand(t.Context(), w.ID); x.Vitals == nil || x.Vitals.Temperature != 71 {
			t.Errorf("%+v", x.Vitals)
		}
		b.check(b.f.SignOff(t.Context(), ann, w.ID))
		if x, _ := b.f.Farmhand(t.Context(), w.ID); x.Vitals != nil {
			t.Errorf("a machine that is off: %+v", x.Vitals)
		}
	})
}
