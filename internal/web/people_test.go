package web

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
)

func TestOwnAccount(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	sam, other := b.open("sam"), b.open("sam")
	for _, c := range []struct {
		old, new string
		want     int
	}{{"wrong", "a new password", 400}, {"sam-password", "short", 400}, {"sam-password", "a new password", 303}} {
		if a := sam.post("/ui/account/password", "old", c.old, "new", c.new); a.status != c.want {
			t.Errorf("%+v: %d %s", c, a.status, textOf(a.body))
		}
	}
	if a := sam.get("/ui/account"); a.status != 200 {
		t.Errorf("one's own session ended: %d", a.status)
	}
	if a := other.get("/ui/account"); a.status != 303 {
		t.Errorf("another session goes on: %d", a.status)
	}
	a := sam.post("/ui/account/token", "label", "laptop")
	token := regexp.MustCompile(`drv_[A-Za-z0-9_-]{43}`).FindString(a.body)
	if p, err := b.f.Authenticate(token); err != nil || p.Login != "sam" {
		t.Errorf("the new token: %v %v", p, err)
	}
	if strings.Contains(sam.page("/ui/account"), token) {
		t.Error("the token is shown again")
	}
	sam.post("/ui/account/revoke", "kind", "token")
	if _, err := b.f.Authenticate(token); err == nil {
		t.Error("a revoked token is good")
	}
}

func TestUsersPage(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	root := b.open("root")
	if a := root.post("/ui/users", "login", "nina", "password", "nina-password", "role", "submitter"); a.status != 303 {
		t.Fatalf("adding: %d %s", a.status, textOf(a.body))
	}
	if p := root.page("/ui/users"); !strings.Contains(p, "nina") {
		t.Error("the new account is not listed")
	}
	for _, c := range []struct {
		path string
		form []string
		want int
	}{
		{"/ui/users", []string{"login", "nina", "password", "nina-password", "role", "submitter"}, 409}, {"/ui/users", []string{"login", "x", "password", "y", "role", "admin"}, 400},
		{"/ui/users/nina", []string{"role", "king"}, 400}, {"/ui/users/nina", []string{"role", "operator"}, 303}, {"/ui/users/root", []string{"role", "submitter"}, 409},
		{"/ui/users/nina", []string{"do", "remove"}, 303}, {"/ui/users/nina", []string{"do", "remove"}, 404},
	} {
		if a := root.post(c.path, c.form...); a.status != c.want {
			t.Errorf("%s %q: %d, not %d: %s", c.path, c.form, a.status, c.want, textOf(a.body))
		}
	}
	if a := b.open("olga").post("/ui/users", "login", "eve"); a.status != 403 {
		t.Errorf("an operator adds accounts: %d", a.status)
	}
	if p := root.page("/ui/settings"); !strings.Contains(p, "added the account nina") || strings.Contains(p, "nina-password") {
		t.Errorf("the audit list: %s", textOf(p))
	}
}

// TestAddWorker gives a command whose token works once.
func TestAddWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	if a := b.open("sam").post("/ui/workers/add"); a.status != 403 {
		t.Errorf("who may not render gets a token: %d", a.status)
	}
	a := b.open("rick").post("/ui/workers/add")
	once := regexp.MustCompile(`drover work --server http://127\.0\.0\.1:\d+ --join (drv_[A-Za-z0-9_-]{43})`).FindStringSubmatch(a.body)
	if once == nil {
		t.Fatalf("no command: %s", textOf(a.body))
	}
	if p, err := b.f.Join(t.Context(), once[1], [32]byte{1}, "node"); err != nil || p.Login != "rick" {
		t.Errorf("joining: %v %v", p, err)
	}
	if a := b.open("").post("/ui/login", "password", once[1]); a.status != 401 {
		t.Errorf("a one-time token signs in: %d", a.status)
	}
}

func TestWorkerActs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.join("node")
	olga, rick, sam := b.open("olga"), b.open("rick"), b.open("sam")
	for _, c := range []struct {
		who  *browser
		form []string
		want int
	}{
		{sam, []string{"do", "disable"}, 403}, {rick, []string{"do", "disable", "reason", "loud"}, 303}, {olga, []string{"do", "enable"}, 303},
		{olga, []string{"do", "tags", "tags", "fast, gpu"}, 303}, {olga, []string{"do", "burn"}, 400}, {olga, []string{"do", "remove"}, 303}, {olga, []string{"do", "enable"}, 404},
	} {
		if a := c.who.post("/ui/workers/1", c.form...); a.status != c.want {
			t.Errorf("%q: %d, not %d: %s", c.form, a.status, c.want, textOf(a.body))
		}
	}
}

func TestSettingsPage(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Doors: []Door{{Name: "swarm", Address: "127.0.0.1:1113", Allow: []string{"127.0.0.0/8"}}}})
	olga := b.open("olga")
	for _, c := range []struct {
		form []string
		want int
	}{
		{[]string{"what", "maintenance", "on", "1"}, 303}, {[]string{"what", "public", "on", "1"}, 303}, {[]string{"what", "limit", "name", "amount.licence.x", "total", "3"}, 303},
		{[]string{"what", "limit", "name", "amount.licence.x", "total", "many"}, 400}, {[]string{"what", "odd"}, 400},
	} {
		if a := olga.post("/ui/settings", c.form...); a.status != c.want {
			t.Errorf("%q: %d %s", c.form, a.status, textOf(a.body))
		}
	}
	p := olga.page("/ui/settings")
	for _, want := range []string{"amount.licence.x", "turned maintenance on", "Everybody may look", "127.0.0.1:1113", "The farm is in maintenance"} {
		if !strings.Contains(p, want) {
			t.Errorf("the settings lack %q: %s", want, textOf(p))
		}
	}
	if b.f.Value(farm.ValuePublic) != "on" {
		t.Error("the farm was not opened")
	}
}

// TestOldPasswordsAreNotGuessed counts wrong old passwords with failed logins.
func TestOldPasswordsAreNotGuessed(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(2, time.Hour)})
	sam := b.open("sam")
	for i, want := range []int{400, 400, 503} {
		if a := sam.post("/ui/account/password", "old", "wrong", "new", "a new password"); a.status != want {
			t.Errorf("attempt %d: %d, not %d: %s", i, a.status, want, textOf(a.body))
		}
	}
	if a := sam.post("/ui/account/password", "old", "sam-password", "new", "a new password"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("guessing goes on: %d", a.status)
	}
}

func TestHowAFlamencoWorkerJoins(t *testing.T) {
	t.Parallel()
	closed, opened := setup(t, Config{}), setup(t, Config{Doors: []Door{{Name: "flamenco", Address: "10.0.0.5:7777", Allow: []string{"10.0.0.0/8"}}}})
	if p := closed.open("rick").page("/ui/workers/add"); !strings.Contains(p, "is closed") {
		t.Errorf("a closed door: %s", textOf(p))
	}
	if p := opened.open("rick").page("/ui/workers/add"); !strings.Contains(p, "10.0.0.5:7777") || !strings.Contains(p, "10.0.0.0/8") {
		t.Errorf("an open door: %s", textOf(p))
	}
}
