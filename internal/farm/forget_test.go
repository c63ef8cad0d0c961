package farm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

const day = 24 * time.Hour

// TestExpiredCredentialsAreForgotten: what nobody can use any more takes no room.
func TestExpiredCredentialsAreForgotten(t *testing.T) {
	bubble(t, farm.Settings{Scan: time.Hour}, func(b *bundle) {
		add := func(n byte, expires time.Time) {
			b.t.Helper()
			b.check(b.f.AddToken(b.t.Context(), admin, farm.Token{Hash: [32]byte{n}, Login: "ann", Kind: "session", Expires: expires}))
		}
		now := b.f.Now()
		add(1, now.Add(time.Hour))
		add(2, now.Add(30*day))
		add(3, time.Time{})
		left := func(want string) {
			b.t.Helper()
			synctest.Wait()
			for range 2 { // in memory, then as it was written
				var got []byte
				for _, t := range b.f.Tokens("ann", "session") {
					got = append(got, '0'+t.Hash[0])
				}
				if string(got) != want {
					b.t.Errorf("the tokens %s are left, want %s", got, want)
				}
				b.restart()
			}
		}
		left("123")
		time.Sleep(3 * time.Hour) // on the test's own clock
		left("23")
		time.Sleep(31 * day)
		left("3")
	})
}

// TestWorkersThatStayAwayAreForgotten: machines of clouds and clusters come once
// and never again.
func TestWorkersThatStayAwayAreForgotten(t *testing.T) {
	for _, c := range []struct {
		name string
		set  time.Duration
		want string
	}{{"by default", 0, "stays disabled tagged"}, {"never", -1, "gone stays disabled tagged"}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, farm.Settings{ForgetWorkers: c.set, Scan: time.Hour}, func(b *bundle) {
				for _, key := range []string{"gone", "stays", "disabled", "tagged"} {
					b.worker(key)
				}
				off := false
				b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, 3, farm.WorkerChange{Enabled: &off})))
				b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, 4, farm.WorkerChange{Tags: &[]string{"lab"}})))
				time.Sleep(89 * day)
				b.worker("stays")
				if ws, err := b.f.Farmhands(b.t.Context()); err != nil || len(ws) != 4 {
					b.t.Fatalf("%d workers, %v; want all four", len(ws), err)
				}
				time.Sleep(2 * day)
				synctest.Wait()
				for range 2 {
					ws, err := b.f.Farmhands(b.t.Context())
					b.check(err)
					var names []string
					for _, w := range ws {
						names = append(names, w.Name)
					}
					if got := strings.Join(names, " "); got != c.want {
						b.t.Errorf("the workers are %s, want %s", got, c.want)
					}
					b.restart()
				}
			})
		})
	}
}

// TestAnOfflineWorkerWasSeenWhenItWasSeen: a restart of the farm is no sign of
// life of a worker.
func TestAnOfflineWorkerWasSeenWhenItWasSeen(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w")
		time.Sleep(time.Minute)
		b.check(b.f.SignOff(b.t.Context(), ann, w.ID))
		left := b.f.Now()
		time.Sleep(time.Hour)
		b.restart()
		got, err := b.f.Farmhand(b.t.Context(), w.ID)
		b.check(err)
		if !got.Seen.Equal(left) {
			b.t.Errorf("seen %v, want %v", got.Seen, left)
		}
	})
}

// TestWhatAWorkerSaysOfItselfIsBounded: it stays in memory for good, and anybody
// who may lend machines may say it.
func TestWhatAWorkerSaysOfItselfIsBounded(t *testing.T) {
	bubble(t, farm.Settings{MaxWorkers: 2}, func(b *bundle) {
		b.worker("one")
		long := make(map[string][]string)
		for i := range 1000 {
			long[fmt.Sprintf("attr.x%d", i)] = []string{"value"}
		}
		big := func(change func(*farm.Registration)) {
			b.t.Helper()
			r := farm.Registration{By: ann, Key: "big", Name: "big", Door: "native"}
			change(&r)
			if _, err := b.f.Register(b.t.Context(), r); farm.CodeOf(err) != farm.Invalid || !strings.Contains(err.Error(), "says of itself") {
				b.t.Errorf("%v", err)
			}
		}
		big(func(r *farm.Registration) { r.Machine.Attributes = long })
		big(func(r *farm.Registration) { r.Machine.CPU = strings.Repeat("x", 50_000) })
		big(func(r *farm.Registration) { r.Machine.Held = make([]string, 10_000) })
		big(func(r *farm.Registration) { r.Rules.Jobs = make([]int64, 10_000) })
		b.worker("two")
		b.worker("two") // is there already
		_, err := b.f.Register(b.t.Context(), farm.Registration{By: ann, Key: "three", Name: "three", Door: "native"})
		if farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "farm.max_workers") {
			b.t.Errorf("a third worker: %v", err)
		}
		b.check(b.f.RemoveWorker(b.t.Context(), ann, 1))
		b.worker("three")
	})
}

// TestHoursAreReadToTheirEnd: what follows them is a mistake.
func TestHoursAreReadToTheirEnd(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		for hours, good := range map[string]bool{
			"": true, "18:00-08:00": true, "8:00-18:30": true, "08:00-24:00": true,
			"18:00-08:00x": false, "18:00": false, "18:00-": false, "18-8": false, "24:00-08:00": false, "08:00-24:30": false, "1:60-2:00": false,
			"18:00-08:00-09:00": false, "+1:00-2:00": false, "18:0-08:00": false, " 18:00-08:00": false,
		} {
			_, err := b.f.Register(b.t.Context(), farm.Registration{By: ann, Key: "k", Name: "n", Door: "native", Rules: farm.Rules{Hours: hours}})
			if (err == nil) != good {
				b.t.Errorf("%q: %v", hours, err)
			}
		}
	})
}

// TestSomebodyStaysAdmin: a farm without an administrator would stay one.
func TestSomebodyStaysAdmin(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		ctx := b.t.Context()
		less, all := []farm.Role{farm.RoleOperator}, []farm.Role{farm.RoleAdmin}
		if err := b.f.ChangeUser(ctx, admin, "admin", farm.UserChange{Roles: &less}); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("the only administrator gave the role up: %v", err)
		}
		b.check(b.f.ChangeUser(ctx, admin, "bob", farm.UserChange{Roles: &all}))
		b.check(b.f.ChangeUser(ctx, admin, "admin", farm.UserChange{Roles: &less}))
		if err := b.f.RemoveUser(ctx, admin, "bob"); farm.CodeOf(err) != farm.Conflict { // who asked just lost the role
			b.t.Errorf("the only administrator was removed: %v", err)
		}
		b.check(b.f.ChangeUser(ctx, farm.Principal{Login: "bob", Roles: all}, "admin", farm.UserChange{Roles: &all}))
		b.check(b.f.RemoveUser(ctx, admin, "bob"))
	})
}

// TestTokensAreBounded: anybody may make tokens of their own account.
func TestTokensAreBounded(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		add := func(n int, kind string) error {
			var h [32]byte
			h[0], h[1], h[2] = byte(n), byte(n>>8), kind[0]
			return b.f.AddToken(b.t.Context(), ann, farm.Token{Hash: h, Login: "ann", Kind: kind})
		}
		for i := range 1000 {
			b.check(add(i, "token"))
		}
		if err := add(1000, "token"); farm.CodeOf(err) != farm.Conflict {
			b.t.Errorf("one more: %v", err)
		}
		for i := range 1001 { // each client has one
			b.check(add(i, "session"))
		}
		b.check(errOf(b.f.RevokeTokens(b.t.Context(), ann, "ann", "token")))
		b.check(add(1000, "token"))
	})
}
