package sheepit

import (
	"testing"
	"time"

	"drover.farm/internal/farm"
)

func TestSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	first := c.ask()
	b.want(first, "0")
	b.restart()
	if r := c.ask(); r.attr("frame") != first.attr("frame") {
		t.Errorf("after a restart the session got frame %s, not %s again", r.attr("frame"), first.attr("frame"))
	}
	b.want(c.send(1000, "0001", good), "0")
}

func TestSessionsEndWithSilence(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	b.want(c.ask(), "0")
	b.pass(16 * time.Minute)
	b.want(c.get(pathAlive+"?paused=false"), "0")
	b.pass(16 * time.Minute)
	b.want(c.get(pathAlive+"?job=1000&frame=0001"), "0")
	b.pass(21 * time.Minute)
	b.pass(21 * time.Minute) // the lease ends first, then the worker is offline
	b.want(c.get(pathAlive+"?job=1000&frame=0001"), "400")
	b.want(c.get(pathAlive), "0")
	b.want(c.send(1000, "0001", good), "304")
	b.want(c.ask(), "202")
	if a := c.get(pathArchive + "?type=job&job=1000"); a.code != 404 {
		t.Errorf("a download without a session: %d", a.code)
	}
}

func TestOperatorsEndSessions(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	b.want(c.ask(), "0")
	off, on := false, true
	change := func(enabled *bool) {
		_, err := b.f.ChangeWorker(t.Context(), root, 1, farm.WorkerChange{Enabled: enabled})
		b.check(err)
	}
	change(&off)
	b.want(c.ask(), "203")
	change(&on)
	b.want(c.ask(), "0")
	b.check(b.f.RemoveWorker(t.Context(), root, 1))
	b.want(c.ask(), "202")
	b.want(c.send(1000, "0001", good), "304")
}

func TestTwoClientsOfOneMachine(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	one, two := b.client().login("rick"), b.client().login("rick")
	a, z := one.ask(), two.ask()
	if a.attr("frame") == z.attr("frame") {
		t.Error("two clients got the same frame")
	}
	b.want(one.send(1000, a.attr("frame"), good), "0")
	b.want(two.send(1000, z.attr("frame"), good), "0")

	// One that logs in anew with its cookie is the same worker, and gives back
	// what it had.
	b.want(one.ask(), "0")
	one.login("rick")
	hands, err := b.f.Farmhands(t.Context())
	b.check(err)
	if len(hands) != 2 || len(hands[0].Leases) != 0 {
		t.Errorf("there are %d workers, the first with %d leases", len(hands), len(hands[0].Leases))
	}
}

func TestReplayedCookies(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	c := b.client().login("rick")
	old := b.client()
	old.http.Jar.SetCookies(mustURL(t, b.srv.URL), c.http.Jar.Cookies(mustURL(t, b.srv.URL)))
	c.get(pathAccount + "?mode=logout&worker=1")
	for name, r := range map[string]reply{"work": old.ask(), "a forged cookie": b.client().ask()} {
		if got := r.status(); got != "202" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestCookiesOfASilentSessionAreDead once the machine has another session, which
// has taken up the worker.
func TestCookiesOfASilentSessionAreDead(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	old := b.client().login("rick")
	b.want(old.ask(), "0")
	b.pass(21 * time.Minute)
	b.pass(21 * time.Minute)
	c := b.client().login("rick")
	b.want(c.ask(), "0")
	if hands, err := b.f.Farmhands(t.Context()); err != nil || len(hands) != 1 {
		t.Fatalf("there are %d workers, %v", len(hands), err)
	}
	b.want(old.ask(), "202")
	b.want(old.send(1000, "0001", good), "304")
	b.want(c.ask(), "0")
}

func TestLogoutAsWrittenIn2024(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	c := b.client().login("rick")
	if r := c.get("/account.php%3Fmode=logout&worker=1"); r.code != 200 {
		t.Fatalf("logout: %d %s", r.code, r.body)
	}
	b.want(c.ask(), "202")
	if w, err := b.f.Farmhand(t.Context(), 1); err != nil || w.State != farm.WorkerOffline {
		t.Errorf("the worker is %+v, %v", w, err)
	}
	if r := c.get(pathAccount); r.code != 404 {
		t.Errorf("another mode: %d", r.code)
	}
}

func TestDoubledSlashesAreNotRedirected(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	c := b.client()
	b.want(c.get("//server/config.php?"+hello("rick", password).Encode()), "0")
	b.want(c.get("//server//keepmealive.php?job=0&frame=0"), "0")
	if r := c.get("/server/nothing.php"); r.code != 404 {
		t.Errorf("an unknown path: %d", r.code)
	}
	if r := c.do("DELETE", pathRequest, "", nil); r.code != 405 {
		t.Errorf("another method: %d", r.code)
	}
}

func TestFastSessionsAreSlowed(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{Rate: 0.001}}, farm.Settings{})
	c := b.client().login("rick")
	b.want(c.get(pathAlive), "0")
	if r := c.get(pathAlive); r.code != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("too fast: %d", r.code)
	}
	b.client().login("rosa").get(pathAlive) // another session is not held up
}
