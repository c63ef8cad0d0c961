package sheepit

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// Statuses of the answer to a login (protocol.txt, "Session creation").
const (
	configOK        = 0
	configNoVersion = 100
	configTooOld    = 101
	configDenied    = 102
	configExpired   = 103
	configMissing   = 104
	configUnknown   = 199
)

// config opens a session: /server/config.php. One answer serves all generations
// of clients.
func (d *Door) config(w http.ResponseWriter, r *http.Request) {
	p, ok := d.formOf(w, r)
	if !ok {
		return
	}
	code := d.checkConfig(p)
	if code != configOK {
		answer(w, status("config", code))
		return
	}
	ctx := patient(r)
	in, err := d.login(ctx, r, p)
	if err != nil {
		d.refuse(w, p, r, in, err)
		return
	}
	worker, err := d.enter(ctx, r, in.by, p)
	if err == nil {
		err = d.open(ctx, w, in.by, worker)
	}
	if err != nil {
		d.refuse(w, p, r, in, err)
		return
	}
	d.Log.Info("session opened", "worker", worker, "login", in.by.Login, "version", p.text("version", 50), "client", r.RemoteAddr)
	answer(w, d.welcome(r, in.key))
}

// checkConfig says what a login lacks. Other parameters that the documents name
// are missing from one generation or another.
func (d *Door) checkConfig(p params) int {
	if p.text("version", 100) == "" {
		return configNoVersion
	}
	for _, name := range []string{"login", "password", "os", "bits", "cpu_cores"} {
		if p.Get(name) == "" {
			return configMissing
		}
	}
	if older(p.text("version", 100), d.MinVersion) {
		return configTooOld
	}
	return configOK
}

// older compares dotted versions; what is no number counts as 0.
func older(v, than string) bool {
	if than == "" {
		return false
	}
	a, b := strings.Split(v, "."), strings.Split(than, ".")
	for i := range max(len(a), len(b)) {
		var x, y int
		if i < len(a) {
			x, _ = strconv.Atoi(strings.TrimSpace(a[i]))
		}
		if i < len(b) {
			y, _ = strconv.Atoi(strings.TrimSpace(b[i]))
		}
		if x != y {
			return x < y
		}
	}
	return false
}

// refuse answers a login that failed.
func (d *Door) refuse(w http.ResponseWriter, p params, r *http.Request, in entry, err error) {
	switch {
	case in.wait > 0:
		w.Header().Set("Retry-After", strconv.FormatInt(int64(min(in.wait, time.Minute)+time.Second-1)/int64(time.Second), 10))
		answerStatus(w, http.StatusTooManyRequests, status("config", configDenied))
	case in.code != 0:
		d.Log.Info("a login was refused", "login", p.text("login", 64), "client", r.RemoteAddr)
		answer(w, status("config", in.code))
	case farm.CodeOf(err) == farm.Unavailable:
		w.Header().Set("Retry-After", "5")
		answerStatus(w, http.StatusServiceUnavailable, status("config", configUnknown))
	default:
		d.Log.Error("a login failed", "login", p.text("login", 64), "client", r.RemoteAddr, "err", err)
		answer(w, status("config", configUnknown))
	}
}

// entry is the outcome of a login: who it is and the key for the next time, or
// why not.
type entry struct {
	by   farm.Principal
	key  secret.Text
	code int
	wait time.Duration
}

var errDenied = farm.Errorf(farm.Unauthorized, "login or password is wrong")

// login checks the password, which may be a key that an earlier login was
// answered with. Keys are never held up by failures of others; passwords are
// checked only while account and address have not failed too often.
func (d *Door) login(ctx context.Context, r *http.Request, p params) (entry, error) {
	login, password := p.Get("login"), secret.Text(p.Get("password"))
	if by, t, err := d.Farm.Credential(password.Reveal()); err == nil && by.Login == login && (t.Kind == kindKey || t.Kind == "token") {
		e := entry{by: by, key: password}
		if t.Kind != kindKey {
			e.key, err = d.newKey(ctx, by, p)
		}
		return e, err
	}
	address, account := lockout.Address(r), lockout.Account(login)
	if wait, ok := d.Fails.Fail(address); !ok {
		return entry{wait: wait}, errDenied
	}
	if wait, ok := d.Fails.Fail(account); !ok {
		d.Fails.Refund(address)
		return entry{wait: wait}, errDenied
	}
	if slices.ContainsFunc(d.Farm.Tokens(login, kindKey), func(t farm.Token) bool { return t.Hash == secret.Hash(password) }) {
		return entry{code: configExpired}, errDenied // it is one of the account's, but was not valid above
	}
	u, err := d.Farm.Account(login)
	if err != nil && farm.CodeOf(err) != farm.NotFound {
		return entry{}, err
	}
	good, verr := d.hasher.Verify(ctx, u.Password, password) // takes as long for accounts that do not exist
	if verr != nil {
		return entry{}, verr
	}
	if !good || err != nil {
		return entry{code: configDenied}, errDenied
	}
	d.Fails.Refund(address)
	d.Fails.Refund(account)
	e := entry{by: farm.Principal{Login: u.Login, Roles: u.Roles}}
	e.key, err = d.newKey(ctx, e.by, p)
	return e, err
}

// maxKeys is how many keys one machine of an account has; the oldest goes when
// there would be more.
const maxKeys = 10

// newKey makes the key by which the client logs in from now on. Those since 2020
// put it in the place of the password.
func (d *Door) newKey(ctx context.Context, by farm.Principal, p params) (secret.Text, error) {
	key := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(key), Login: by.Login, Kind: kindKey, Label: machineKey(p)}
	if d.KeyLifetime > 0 {
		t.Expires = d.Farm.Now().Add(d.KeyLifetime)
	}
	old := slices.DeleteFunc(d.Farm.Tokens(by.Login, kindKey), func(o farm.Token) bool { return o.Label != t.Label })
	for i := 0; i <= len(old)-maxKeys; i++ {
		if err := d.Farm.DropToken(ctx, old[i].Hash); err != nil {
			return "", err
		}
	}
	return key, d.Farm.AddToken(ctx, by, t)
}

// enter makes the client a worker. One that shows the cookie of a session that
// still lives goes on as the same worker and gives its leases back; any other is
// one more, since two clients of one machine cannot be told from one that was
// started anew. An account that may not render gets a session without a worker:
// the documents have the client learn of it when it asks for work.
func (d *Door) enter(ctx context.Context, r *http.Request, by farm.Principal, p params) (int64, error) {
	if !by.Is(farm.RoleRenderer) {
		return 0, nil
	}
	m := d.machineOf(p, r.UserAgent())
	reg := farm.Registration{By: by, Key: machineKey(p), Another: true, Name: m.Hostname, Door: Name, Machine: m, Slots: 1, Lease: d.Lease, Silence: d.SessionTimeout}
	if old := d.sessionOf(r); old != nil && old.by.Login == by.Login && old.worker != 0 {
		if w, err := d.Farm.Farmhand(ctx, old.worker); err == nil && w.Online && w.Door == Name {
			reg.Key, reg.Another = w.Key, false
		}
		d.forget(ctx, old)
	}
	w, err := d.Farm.Register(ctx, reg)
	if err != nil {
		return 0, err
	}
	if !w.Created.Equal(w.Seen) { // it was another session's
		for _, t := range d.Farm.Tokens(by.Login, kindSession) {
			if t.Label == label(w.ID) {
				if err := d.Farm.DropToken(ctx, t.Hash); err != nil {
					return 0, err
				}
			}
		}
	}
	return w.ID, nil
}

// welcome is the answer to a good login. Paths have no query but the logout's,
// for clients of 2024 encode it and others append "?" themselves.
func (d *Door) welcome(r *http.Request, key secret.Text) *element {
	// Clients since 2020 send a heartbeat every 15 minutes whatever this says;
	// those of 2016 two minutes before it, so it is never shorter than 5 minutes.
	period := max(min(d.SessionTimeout, d.Lease), 5*time.Minute)
	e := el("config", "status", "0", "publickey", key.Reveal())
	for _, q := range [][2]string{
		{"validate-job", pathFrame}, {"request-job", pathRequest}, {"download-archive", pathArchive}, {"download-binary", pathBinary},
		{"download-chunk", pathChunk}, {"error", pathError}, {"keepmealive", pathAlive}, {"logout", pathAccount + "?mode=logout&worker=1"}, {"speedtest-answer", pathSpeed},
	} {
		k := el("request", "type", q[0], "path", q[1])
		if q[0] == "keepmealive" {
			k.attrs = append(k.attrs, "max-period", number(int64(period/time.Second)))
		}
		e.add(k)
	}
	var targets []*element
	if d.SpeedBytes > 0 {
		targets = append(targets, el("target", "url", base(r)+pathSpeedFile))
	}
	for _, m := range d.Mirrors {
		targets = append(targets, el("target", "url", m))
	}
	if len(targets) > 0 {
		e.add(el("speedtest").add(targets...))
	}
	return e
}
