package sheepit

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// post logs in as a form, plain in the query.
func (c *client) post(v url.Values) reply {
	c.b.t.Helper()
	return c.do(http.MethodPost, pathConfig, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

func (c *client) plain(v url.Values) reply {
	c.b.t.Helper()
	return c.get(pathConfig + "?" + v.Encode())
}

var keyRE = tokenRE

func TestConfigStatuses(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{MinVersion: "5.16270.0"}, Fails: lockout.New(1000, time.Second)}, farm.Settings{})
	for _, c := range []struct {
		name, key, value, want string
	}{
		{"no version", "version", "", "100"},
		{"older", "version", "5.16269.9", "101"},
		{"much older", "version", "5.290.2718", "101"},
		{"the oldest allowed", "version", "5.16270.0", "0"},
		{"no number", "version", "latest", "101"},
		{"no login", "login", "", "104"},
		{"no password", "password", "", "104"},
		{"no os", "os", "", "104"},
		{"no bits", "bits", "", "104"},
		{"no cores", "cpu_cores", "", "104"},
		{"wrong password", "password", "wrong horse", "102"},
		{"unknown account", "login", "nobody", "102"},
		{"an address of another account's", "login", "sam", "0"},
		{"no hostname", "hostname", "", "0"},
		{"no hwid", "hwid", "", "0"},
		{"an odd system", "os", "plan9", "0"},
	} {
		v := hello("rick", password)
		if v.Set(c.key, c.value); c.value == "" {
			v.Del(c.key)
		}
		for how, r := range map[string]reply{"form": b.client().post(v), "query": b.client().plain(v)} {
			if got := r.status(); got != c.want {
				t.Errorf("%s by %s: %s, want %s", c.name, how, got, c.want)
			}
			if r.header.Get("Set-Cookie") == "" != (c.want != "0") {
				t.Errorf("%s by %s: the cookie is %q", c.name, how, r.header.Get("Set-Cookie"))
			}
		}
	}
	b.golden("config-refused", b.client().post(url.Values{"version": {"6"}}))
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v, than string
		want    bool
	}{{"6.1", "", false}, {"6.1", "6.1", false}, {"6.1", "6.1.1", true}, {"6.10", "6.9", false}, {"", "1", true}, {"7", "6.99999.9", false}} {
		if got := older(c.v, c.than); got != c.want {
			t.Errorf("older(%q, %q) = %v", c.v, c.than, got)
		}
	}
}

// TestFailuresAreLimited holds up who guesses, and nobody who has a key.
func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(3, time.Minute)}, farm.Settings{})
	c := b.client()
	key := keyRE.FindString(c.post(hello("rick", password)).body)
	for range 5 { // successes do not count
		b.want(c.post(hello("rick", password)), "0")
	}
	for range 3 {
		b.want(c.post(hello("rick", "wrong horse")), "102")
	}
	r := c.post(hello("rick", "wrong horse"))
	if wait, err := strconv.Atoi(r.header.Get("Retry-After")); r.code != 429 || err != nil || wait < 1 || wait > 60 || !strings.Contains(r.body, `status="102"`) {
		t.Errorf("after the limit: %d, Retry-After %q, %s", r.code, r.header.Get("Retry-After"), r.body)
	}
	b.want(c.post(hello("rick", key)), "0")
}

func TestPublicKey(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{KeyLifetime: time.Hour}}, farm.Settings{})
	c := b.client()
	key := keyRE.FindString(c.post(hello("rick", password)).body)
	r := c.post(hello("rick", key))
	if b.want(r, "0"); keyRE.FindString(r.body) != key {
		t.Error("a login by a key was answered with another key")
	}
	b.want(b.client().post(hello("rosa", key)), "102") // another account's
	b.now.Add(int64(2 * time.Hour))
	b.want(b.client().post(hello("rick", key)), "103")
	key = keyRE.FindString(c.post(hello("rick", password)).body)
	if _, err := b.f.RevokeTokens(t.Context(), root, "rick", kindKey); err != nil {
		t.Fatal(err)
	}
	b.want(b.client().post(hello("rick", key)), "102")
}

func TestKeysOfAMachineAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	first := keyRE.FindString(b.client().post(hello("rick", password)).body)
	for range maxKeys {
		b.now.Add(int64(time.Second))
		b.want(b.client().post(hello("rick", password)), "0")
	}
	if n := len(b.f.Tokens("rick", kindKey)); n != maxKeys {
		t.Errorf("the machine has %d keys, want %d", n, maxKeys)
	}
	b.want(b.client().post(hello("rick", first)), "102")
}

func TestTokenAsPassword(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	token := secret.NewToken()
	b.check(b.f.AddToken(t.Context(), root, farm.Token{Hash: secret.Hash(token), Login: "rick", Kind: "token"}))
	b.want(b.client().post(hello("rick", token.Reveal())), "0")
}

func TestMachine(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.client().login("rick", func(v url.Values) { v.Set("hostname", "b\x00ox\n"+strings.Repeat("x", 500)) })
	w, err := b.f.Farmhand(t.Context(), 1)
	b.check(err)
	m := w.Machine
	if m.OS != "linux" || m.Arch != "x86_64" || m.Cores != 8 || m.Memory != 16<<30 || m.CPU != "A processor" || m.Version != "6.22324.0" ||
		m.Attributes["attr.sheepit.hwid"][0] != "abc" || !has(&m, attrHeadless) || len(m.Hostname) != 200 || !strings.HasPrefix(m.Hostname, "boxxx") {
		t.Errorf("the machine is %+v", m)
	}
	for in, want := range map[int64]int64{0: 0, 16777216: 16 << 30, 16 << 30: 16 << 30, 2 << 30: 2 << 30} {
		if got := memoryOf(in); got != want {
			t.Errorf("memoryOf(%d) = %d, want %d", in, got, want)
		}
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	key := keyRE.FindString(b.client().plain(hello("rick", password)).body)
	b.client().plain(hello("rick", "a wrong password"))
	b.client().get("//server/config.php?" + hello("rick", key).Encode())
	for _, s := range []string{password, url.QueryEscape(password), "wrong password", "wrong+password", key} {
		if strings.Contains(b.log.String(), s) {
			t.Errorf("the log holds %q", s)
		}
	}
	events, _, err := b.f.Events(t.Context(), 0, 1000)
	b.check(err)
	for _, e := range events {
		if strings.Contains(e.Text, "horse") || strings.Contains(e.Text, "drv_") {
			t.Errorf("an event holds a secret: %+v", e)
		}
	}
}

func TestOversizedLogins(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	v := hello("rick", password)
	v.Set("extras", strings.Repeat("x", 10<<20))
	if r := b.client().post(v); r.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of 10 MB: %d", r.code)
	}
	if r := b.client().plain(v); r.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a query of 10 MB: %d", r.code)
	}
	v = hello("rick", password)
	v["login"] = []string{"rick", "rosa"}
	b.client().login("rick", func(u url.Values) { u["login"] = v["login"] }) // the first counts
}
