package farm

import (
	"context"
	"math"
	"time"
)

// Points are thousandths of a point. A point is a minute of rendering on a
// machine of average power.
type Points int64

// OnePoint is one whole point.
const OnePoint Points = 1000

// Whole is the number of whole points, rounded towards zero.
func (p Points) Whole() int64 { return int64(p / OnePoint) }

// Entry is a line of the ledger: what one account earned and spent by one job,
// or was granted (job 0). A frame adds the same number to Earned of the account
// that rendered it and to Spent of the job's owner; so over all entries of a job
// both sums are equal, and all balances add up to what was granted.
type Entry struct {
	Account string    `json:"account"`
	Job     int64     `json:"job,omitempty"`
	Granted Points    `json:"granted,omitempty"`
	Earned  Points    `json:"earned,omitempty"`
	Spent   Points    `json:"spent,omitempty"`
	Frames  int64     `json:"frames,omitempty"` // that it rendered
	Updated time.Time `json:"updated"`
}

// Balance is what the entry adds to its account.
func (e *Entry) Balance() Points { return e.Granted + e.Earned - e.Spent }

// LedgerQuery selects entries of the ledger. Zero fields do not restrict.
type LedgerQuery struct {
	Account string
	Job     int64
	After   *LedgerPlace // only entries that come later: the cursor of a page
	Limit   int
}

// LedgerPlace is a place in the order of the ledger: the newest job first, what
// was granted last, and by account for each job.
type LedgerPlace struct {
	Job     int64
	Account string
}

type entryKey struct {
	account string
	job     int64
}

// entry finds or makes the line of an account and a job.
func (st *state) entry(account string, j *job) (*Entry, error) {
	if j == nil {
		if e := st.grants[account]; e != nil {
			return e, nil
		}
		e := &Entry{Account: account}
		st.grants[account] = e
		return e, nil
	}
	if j.ledger == nil {
		rows, err := st.f.store.Ledger(context.Background(), LedgerQuery{Job: j.ID})
		if err != nil {
			return nil, err
		}
		j.ledger = make(map[string]*Entry, len(rows))
		for _, e := range rows {
			j.ledger[e.Account] = e
		}
	}
	e := j.ledger[account]
	if e == nil {
		e = &Entry{Account: account, Job: j.ID}
		j.ledger[account] = e
	}
	return e, nil
}

// maxPay bounds what one frame is worth: a year of an average machine.
const maxPay = 365 * 24 * 60 * OnePoint

// pay books a frame that was just done. A worker that was removed meanwhile has
// no account any more: then nobody earns and nobody spends.
func (st *state) pay(s *step, a *Attempt) {
	w := st.workers[a.Worker]
	if w == nil || w.User == "" || s.job.Owner == "" {
		return
	}
	// A client's word for its time is believed only within the time it had.
	seconds := min(a.Seconds, st.now.Sub(a.Started).Seconds())
	if !(seconds > 0) {
		return
	}
	points := Points(math.Round(seconds * w.power() / 60 * float64(OnePoint)))
	points = min(points, maxPay)
	st.measure(s, w, seconds)
	earner, err := st.entry(w.User, s.job)
	if err != nil {
		st.f.log.Error("the ledger cannot be read: a frame is not booked", "job", s.Job, "err", err)
		return
	}
	owner, err := st.entry(s.job.Owner, s.job)
	if err != nil {
		st.f.log.Error("the ledger cannot be read: a frame is not booked", "job", s.Job, "err", err)
		return
	}
	earner.Earned += points
	earner.Frames++
	w.Earned += points
	st.changedTally(w)
	owner.Spent += points
	st.book(earner, points)
	st.book(owner, -points)
}

// book writes an entry and moves its account's balance.
func (st *state) book(e *Entry, d Points) {
	e.Updated = st.now
	st.dirty.entries[entryKey{e.Account, e.Job}] = e
	st.balance[e.Account] += d
	st.weigh(e.Account)
}

// weigh sets an account's share of the farm; with the setting
// farm.priority_by_points by its balance too: four times as much for those with
// many points, a quarter for those with many debts.
func (st *state) weigh(login string) {
	u := st.users[login]
	if u == nil {
		return
	}
	weight := u.Weight
	if st.f.settings.PriorityByPoints {
		hundreds := float64(st.balance[login]) / float64(100*OnePoint)
		weight *= math.Exp2(2 * hundreds / (1 + math.Abs(hundreds)))
	}
	st.queue.Weight(login, weight)
}

// How a machine's power is measured: against what its step's frames have cost
// so far, in seconds of an average machine, once this many are known.
const (
	powerAfter = 3
	powerShare = 0.2 // of a new measurement in the worker's power
	powerBound = 32
)

func (w *Worker) power() float64 {
	if w.Power <= 0 {
		return 1
	}
	return w.Power
}

// measure compares the worker's time for a frame with what such frames took on
// other machines.
func (st *state) measure(s *step, w *worker, seconds float64) {
	if s.costN >= powerAfter {
		seen := s.cost / float64(s.costN) / seconds
		seen = min(max(seen, 1.0/powerBound), powerBound)
		w.Power = (1-powerShare)*w.power() + powerShare*seen
	}
	s.cost += seconds * w.power()
	s.costN++
}

// expected is how long a frame of the step should take on the worker; 0 when
// nothing is known.
func (s *step) expected(w *worker) float64 {
	switch {
	case s.costN > 0:
		return s.cost / float64(s.costN) / w.power()
	case s.Done > 0:
		return s.Seconds / float64(s.Done)
	}
	return 0
}

// allow gives a new account its allowance, once for each login.
func (st *state) allow(login string) {
	if st.f.settings.Allowance <= 0 || st.grants[login] != nil {
		return
	}
	e, _ := st.entry(login, nil)
	p := Points(min(st.f.settings.Allowance, 1e9) * float64(OnePoint))
	e.Granted += p
	st.book(e, p)
}

// Grant gives points to an account, or takes them when negative.
func (f *Farm) Grant(ctx context.Context, by Principal, login string, p Points) error {
	if !by.Is(RoleAdmin) {
		return Errorf(Forbidden, "granting points takes the role admin")
	}
	if p > 1e9*OnePoint || p < -1e9*OnePoint {
		return Errorf(Invalid, "at most a thousand million points are granted at once")
	}
	return f.do(ctx, func(st *state) error {
		if st.users[login] == nil {
			return noUser(login)
		}
		e, err := st.entry(login, nil)
		if err != nil {
			return err
		}
		e.Granted += p
		st.book(e, p)
		st.emit(Event{Type: "user.granted", Text: login})
		st.audit(by, "granted %s %d points", login, p.Whole())
		return nil
	})
}

// Balance is what an account has: granted and earned, less what it spent.
func (f *Farm) Balance(ctx context.Context, login string) (Points, error) {
	var p Points
	err := f.do(ctx, func(st *state) error {
		p = st.balance[login]
		return nil
	})
	if err != nil {
		return 0, err // the dispatcher may be at it still
	}
	return p, nil
}
