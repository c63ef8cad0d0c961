package sheepit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"drover.farm/internal/farm"
	"drover.farm/internal/secret"
)

// cookieName is the session's cookie. Clients of 2016 send back all that stands
// beside it ("Path=/; HttpOnly"), which counts as cookies of other names.
const cookieName = "PHPSESSID"

// The kinds of tokens that the door makes.
const (
	kindSession = "session"
	kindKey     = farm.KindKey
)

// session is who makes a request. It lives as long as the request.
type session struct {
	by     farm.Principal
	worker int64 // 0: the account had no right to render when it logged in
	token  [32]byte
	mem    *memory
}

// memory is what the door remembers of a session for better answers. The farm
// goes on without it: after a restart it is empty.
type memory struct {
	asking  sync.Mutex // held while a request for work is answered
	limiter *rate.Limiter

	mu      sync.Mutex // guards the rest
	given   map[int64]*given
	warm    int64 // job whose archive the client has last been given
	aborted int64 // job whose frame was stopped, until the client has told of it
}

// given is how a lease was given to the client.
type given struct {
	at     time.Time
	sync   bool // to be uploaded before the next request
	quick  int  // requests repeated at once
	repeat int  // times that it was given again later
}

// label is how a session's token names its worker.
func label(worker int64) string { return fmt.Sprintf("%s %d", Name, worker) }

func workerOf(label string) (int64, bool) {
	rest, ok := strings.CutPrefix(label, Name+" ")
	id, err := strconv.ParseInt(rest, 10, 64)
	return id, ok && err == nil
}

// sessionOf finds the session of a request's cookie, nil for none.
func (d *Door) sessionOf(r *http.Request) *session {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	by, t, err := d.Farm.Credential(c.Value)
	if err != nil || t.Kind != kindSession {
		return nil
	}
	id, ok := workerOf(t.Label)
	if !ok {
		return nil // a session of the web page
	}
	return &session{by: by, worker: id, token: t.Hash, mem: d.remember(id)}
}

// remember finds or makes what is remembered of a worker's session.
func (d *Door) remember(worker int64) *memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m, ok := d.sessions.Get(worker); ok {
		return m
	}
	m := &memory{limiter: rate.NewLimiter(rate.Limit(d.Rate), int(math.Ceil(5*d.Rate))), given: make(map[int64]*given)}
	d.sessions.Add(worker, m)
	return m
}

// maxDelay is the longest that a request of a session that asks too fast is
// held; what would have to wait longer is turned away.
const maxDelay = 2 * time.Second

// withSession finds a request's session and slows down one that asks too fast.
// The handler gets nil when there is none.
func (d *Door) withSession(h func(http.ResponseWriter, *http.Request, *session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := d.sessionOf(r)
		if s != nil && !slow(r.Context(), s.mem.limiter) {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "this session sends too many requests; slow down", http.StatusTooManyRequests)
			return
		}
		h(w, r, s)
	}
}

// slow waits for the limiter; false when that would take too long.
func slow(ctx context.Context, l *rate.Limiter) bool {
	res := l.Reserve()
	wait := res.Delay()
	if wait == 0 {
		return true
	}
	if wait > maxDelay {
		res.Cancel()
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return true
}

// errDead means that a request has no session, or one that has ended.
var errDead = farm.Errorf(farm.Gone, "the session has ended; log in again")

// keep is a session's sign of life, which each of its requests is.
func (d *Door) keep(ctx context.Context, s *session, progress ...farm.Progress) (*farm.PulseReply, error) {
	switch {
	case s == nil:
		return nil, errDead
	case s.worker == 0:
		return nil, farm.Errorf(farm.Forbidden, "the account %s may not render: it lacks the role renderer", s.by.Login)
	}
	r, err := d.Farm.Keep(ctx, s.by, s.worker, progress)
	if farm.CodeOf(err) == farm.Gone {
		d.forget(ctx, s)
	}
	return r, err
}

// forget drops the token of a session that is over.
func (d *Door) forget(ctx context.Context, s *session) {
	if err := d.Farm.DropToken(ctx, s.token); err != nil && !errors.Is(err, context.Canceled) {
		d.Log.Warn("a session's token could not be dropped", "worker", s.worker, "err", err)
	}
	d.sessions.Remove(s.worker)
}

// open makes a session of a worker and sets its cookie.
func (d *Door) open(ctx context.Context, w http.ResponseWriter, by farm.Principal, worker int64) error {
	token := secret.NewToken()
	t := farm.Token{Hash: secret.Hash(token), Login: by.Login, Kind: kindSession, Label: label(worker)}
	if worker == 0 {
		t.Expires = d.Farm.Now().Add(d.SessionTimeout)
	}
	if err := d.Farm.AddToken(ctx, by, t); err != nil {
		return err
	}
	d.sessions.Remove(worker)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token.Reveal(), Path: "/", HttpOnly: true})
	return nil
}

// account serves /account.php, of which clients know one mode: logout. It ends
// the session; its leases go back at once.
func (d *Door) account(w http.ResponseWriter, r *http.Request, s *session) {
	if queryOf(r).Get("mode") != "logout" {
		http.Error(w, "there is nothing here but mode=logout", http.StatusNotFound)
		return
	}
	if s != nil {
		ctx := patient(r)
		if s.worker != 0 {
			if err := d.Farm.SignOff(ctx, s.by, s.worker); err != nil && farm.CodeOf(err) != farm.Gone {
				d.Log.Warn("a session could not be signed off", "worker", s.worker, "err", err)
			}
		}
		d.forget(ctx, s)
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1})
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("the session has ended\n"))
}
