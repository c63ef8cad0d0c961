package web

import (
	"bytes"
	"fmt"
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
	b := setup(t, Config{Doors: []Door{{Name: "swarm", Address: "127.0.0.1:1113", Allow: []string{"10.1.0.0/16"}}},
		Set: []Setting{{"files.log_kept", "1h", "24h", "How long logs stay."}, {"odd.one", "7", "7", "Something else."}}})
	olga := b.open("olga")
	for _, c := range []struct {
		form []string
		want int
	}{
		{[]string{"what", "maintenance", "on", "1"}, 303}, {[]string{"what", "public", "on", "1"}, 303}, {[]string{"what", "limit", "name", "amount.licence.x", "total", "3"}, 303},
		{[]string{"what", "limit", "name", "amount.licence.x", "total", "many"}, 400}, {[]string{"what", "odd"}, 400},
		{[]string{"what", "retention", "days", "90"}, 303}, {[]string{"what", "retention", "days", "-1"}, 400}, {[]string{"what", "retention", "days", "some"}, 400},
	} {
		if a := olga.post("/ui/settings", c.form...); a.status != c.want {
			t.Errorf("%q: %d %s", c.form, a.status, textOf(a.body))
		}
	}
	p := olga.page("/ui/settings")
	for _, want := range []string{"amount.licence.x", "turned maintenance on", "Everybody may look", "127.0.0.1:1113", "10.1.0.0/16", "How long things are kept", "files.log_kept", "● 1h", "odd.one", "had ended jobs kept for 90 days", `name="days" type="number" min="0" max="36500" step="1" value="90"`, "The farm is in maintenance"} {
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

// TestPoints shows the ledger to whom it belongs, page by page.
func TestPoints(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{Lease: 24 * time.Hour, WorkerTimeout: 24 * time.Hour})
	w := b.join("node")
	for i := range 3 {
		j := b.submit("sam", fmt.Sprintf("<i>job</i> %d", i), 1)
		l := b.claim(w)
		b.mu.Lock()
		b.now = b.now.Add(time.Minute)
		b.mu.Unlock()
		i, err := b.blobs.Put(t.Context(), bytes.NewReader(drawing(1)), nil)
		b.check(err)
		_, err = b.f.Complete(t.Context(), farm.Result{By: principal("rick"), Worker: w.ID, Lease: l.ID, Task: l.Task, Seconds: 30, Outputs: []farm.File{{Name: "1.png", SHA256: i.SHA256.String(), Size: i.Size}}})
		b.check(err)
		if j.ID == 1001 {
			b.check(b.f.Remove(t.Context(), farm.JobChange{By: principal("sam"), Job: j.ID}))
		}
	}
	root, sam, rick := b.open("root"), b.open("sam"), b.open("rick")
	for path, want := range map[string]int{"/ui/users/rick/points": 303, "/ui/users/nobody/points": 404} {
		if a := root.post(path, "points", "-2.5"); a.status != want {
			t.Errorf("%s: %d %s", path, a.status, textOf(a.body))
		}
	}
	if a := root.post("/ui/users/rick/points", "points", "many"); a.status != 400 {
		t.Errorf("no number: %d", a.status)
	}
	if a := root.post("/ui/users/sam/weight", "weight", "2"); a.status != 303 {
		t.Errorf("a share: %d %s", a.status, textOf(a.body))
	}
	if u, _ := b.f.Account("sam"); u.Weight != 2 {
		t.Errorf("the share of sam is %g", u.Weight)
	}
	if p := rick.page("/ui/account/points"); strings.Count(p, "<tr>") != 5 || !strings.Contains(p, "−2.5") || !strings.Contains(p, "−1 now") || !strings.Contains(p, "&lt;i&gt;job&lt;/i&gt; 2") || !strings.Contains(p, "removed") {
		t.Errorf("the points of rick: %s", textOf(p))
	}
	if p := sam.page("/ui/account/points"); strings.Count(p, "<tr>") != 4 || !strings.Contains(p, "−1.5 now") {
		t.Errorf("the points of sam: %s", textOf(p))
	}
	if p := root.page("/ui/users/points"); strings.Count(p, "<tr>") != 8 {
		t.Errorf("all points: %s", textOf(p))
	}
	if a := sam.get("/ui/users/points?account=rick"); a.status != 403 {
		t.Errorf("the points of another: %d", a.status)
	}
	lines, next, err := b.f.LedgerPage(t.Context(), principal("root"), "", "", 3)
	b.check(err)
	more, end, err := b.f.LedgerPage(t.Context(), principal("root"), "", next, 10)
	b.check(err)
	if len(lines) != 3 || len(more) != 4 || end != "" || lines[0].Name != "<i>job</i> 2" {
		t.Errorf("pages of %d and %d lines, then %q", len(lines), len(more), end)
	}
	if a := root.get("/ui/users/points?after=x"); a.status != 400 {
		t.Errorf("no cursor: %d", a.status)
	}
}

// TestWorkerTellsWhatItDid shows a machine's last attempts, load, heat and builds.
func TestWorkerTellsWhatItDid(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{Lease: 24 * time.Hour, WorkerTimeout: 24 * time.Hour})
	id := b.build("4.2.1")
	x, err := b.f.Build(t.Context(), id)
	b.check(err)
	w := b.join("node", func(r *farm.Registration) { r.Machine.Held = []string{x.SHA256, strings.Repeat("ab", 32)} })
	sam := b.open("sam")
	if p := sam.page("/ui/workers/1"); !strings.Contains(p, "not ended any task") || !strings.Contains(p, "blender 4.2.1") || !strings.Contains(p, "1 build no longer in the library") {
		t.Errorf("a new worker: %s", textOf(p))
	}
	stream := sam.follow("worker/1")
	b.submit("sam", "ball", 2)
	later := func(l *farm.Lease) *farm.Lease {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now = b.now.Add(15 * time.Minute)
		return l
	}
	b.finish(w, later(b.claim(w)), "0001.png", drawing(1))
	stream.until("worker-history", "1 done")
	w = b.join("node")
	b.fails(w, later(b.claim(w)), "<b>no camera</b>", "x")
	_, err = b.f.Heartbeat(t.Context(), farm.Pulse{By: principal("rick"), Worker: w.ID, Vitals: &farm.Vitals{Load: 97, Temperature: 91, GPUTemperature: 60, Memory: 3 << 30, DiskFree: 7 << 30}})
	b.check(err)
	p := sam.page("/ui/workers/1")
	for _, want := range []string{`href="/ui/jobs/1000/tasks/0/0?attempt=1"`, "&lt;b&gt;no camera&lt;/b&gt;", "by the job&#39;s fault", "busy for 30 min", "1 done, 1 failed", "97&nbsp;%&nbsp;load", "91 °C", "GPU 60 °C", "7.0 GiB free"} {
		if !strings.Contains(p, want) {
			t.Errorf("the worker's page lacks %q: %s", want, p[strings.Index(p, "<main"):])
		}
	}
	if p := sam.page("/ui/workers"); !strings.Contains(p, "91 °C") {
		t.Errorf("the list of workers: %s", textOf(p))
	}
}

// TestASheepItClientGetsAKey gives a key in the place of the password, which is
// good for that door alone.
func TestASheepItClientGetsAKey(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	rick := b.open("rick")
	if p := rick.page("/ui/workers/add"); strings.Contains(p, "-password") {
		t.Error("the page asks for the password in a command")
	}
	a := rick.post("/ui/workers/add", "for", "sheepit")
	key := regexp.MustCompile(`-login rick -password (drv_[A-Za-z0-9_-]{43})`).FindStringSubmatch(a.body)
	if key == nil {
		t.Fatalf("no key: %s", textOf(a.body))
	}
	if p, k, err := b.f.Credential(key[1]); err != nil || p.Login != "rick" || k.Kind != "publickey" {
		t.Errorf("the key: %v %v %v", p, k, err)
	}
	if _, err := b.f.Authenticate(key[1]); err == nil {
		t.Error("the key opens the API")
	}
	if a := b.open("").post("/ui/login", "login", "rick", "password", key[1]); a.status != 401 {
		t.Errorf("the key signs in at the page: %d", a.status)
	}
	if a := b.open("sam").post("/ui/workers/add", "for", "sheepit"); a.status != 403 {
		t.Errorf("who may not render gets a key: %d", a.status)
	}
	if p := rick.page("/ui/account"); !strings.Contains(p, "Revoke all keys") {
		t.Errorf("the account: %s", textOf(p))
	}
	rick.post("/ui/account/revoke", "kind", "publickey")
	if _, _, err := b.f.Credential(key[1]); err == nil {
		t.Error("a revoked key is good")
	}
}
