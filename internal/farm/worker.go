package farm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Registration is what a worker says when it joins.
type Registration struct {
	By      Principal
	Key     string // what it knows itself by; chosen by it, the same after a restart
	Name    string // as people see it; the hostname when empty
	Door    string
	Machine Machine
	Slots   int // tasks at once; at least 1
	Rules   Rules
	Lease   time.Duration // how long its leases last; 0: the farm's default
	Silence time.Duration // after which it is offline; 0: the farm's default
	// Another says that it is one more worker beside those of the same key that
	// are there: it gets the first free number after the key.
	Another bool
	// Holds are leases that it still works on. All others of an earlier session
	// go back to the queue at once.
	Holds []int64
	// News means that the worker goes on and only describes itself anew: it keeps
	// all its leases.
	News bool
}

// Register makes the worker known and online. The same key, account and door
// are the same worker again: it keeps its id, its tags and its history.
func (f *Farm) Register(ctx context.Context, r Registration) (*Worker, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var out *Worker
	err := f.do(ctx, func(st *state) error {
		if !r.By.Is(RoleRenderer) {
			return Errorf(Forbidden, "the account %s may not render: it lacks the role renderer", r.By.Login)
		}
		if r.Another {
			var err error
			if r.Key, err = st.freeKey(&r); err != nil {
				return err
			}
		}
		w := st.byKey[r.Door+"\x00"+r.By.Login+"\x00"+r.Key]
		if w == nil {
			if err := st.roomFor(r.By.Login); err != nil {
				return err
			}
			st.lastWorker++
			w = st.adopt(&Worker{ID: st.lastWorker, Key: r.Key, User: r.By.Login, Door: r.Door, Created: st.now})
			st.emit(Event{Type: "worker.joined", Worker: w.ID, Text: r.Name})
		}
		for _, l := range w.held() {
			if !r.News && !slices.Contains(r.Holds, l.id) {
				st.end(l, ending{outcome: OutcomeReturned, text: "the worker started anew"})
			}
		}
		if !r.News {
			w.Earned = 0
		}
		w.Name, w.Machine, w.Slots, w.Rules, w.Lease, w.Silence = r.Name, r.Machine, r.Slots, r.Rules, r.Lease, r.Silence
		st.alive(w)
		st.equip(w)
		w.Seen = st.now
		st.changedWorker(w)
		st.queue.Touch()
		out = st.show(w)
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// maxTwins is how many workers of one key may be there at once.
const maxTwins = 256

// freeKey is the key, or the key with a number, of no worker that is there.
func (st *state) freeKey(r *Registration) (string, error) {
	for i := 1; i <= maxTwins; i++ {
		key := r.Key
		if i > 1 {
			key = fmt.Sprintf("%s#%d", r.Key, i)
		}
		if w := st.byKey[r.Door+"\x00"+r.By.Login+"\x00"+key]; w == nil || !w.Online {
			return key, nil
		}
	}
	return "", Errorf(Conflict, "%d workers of the machine %s are here already; wait until some have ended", maxTwins, quote(r.Name))
}

const maxSlots = 1024

func (r *Registration) check() error {
	if r.Name == "" {
		r.Name = r.Machine.Hostname
	}
	r.Slots = max(r.Slots, 1)
	switch {
	case r.Key == "" || len(r.Key) > 200:
		return Errorf(Invalid, "a worker needs a key of 1 to 200 characters by which it is known again")
	case r.Slots > maxSlots:
		return Errorf(Invalid, "%d slots are more than the %d that a worker may have", r.Slots, maxSlots)
	case r.Door == "":
		return Errorf(Invalid, "a worker needs a door")
	}
	if err := validLabel("worker name", r.Name); err != nil {
		return err
	}
	if _, _, err := parseHours(r.Rules.Hours); err != nil {
		return err
	}
	if n := r.bulk(); n > maxBulk {
		return Errorf(Invalid, "what the worker says of itself takes %d bytes, more than the %d that are kept; give fewer attributes, amounts and rules", n, maxBulk)
	}
	return nil
}

// maxBulk bounds what is kept of what a worker says of itself, in bytes: it stays
// in memory for as long as the worker is known.
const maxBulk = 32 << 10

// bulk is about how many bytes a registration takes.
func (r *Registration) bulk() int {
	m, n := &r.Machine, 8*len(r.Rules.Jobs)
	add := func(words ...string) {
		for _, w := range words {
			n += 16 + len(w)
		}
	}
	add(m.Hostname, m.OS, m.Arch, m.CPU, m.Version, r.Rules.Hours)
	add(r.Rules.Owners...)
	add(m.Fetches...)
	add(m.Held...)
	for _, g := range m.GPUs {
		add(g.Name, g.Driver)
	}
	for _, x := range m.Renderers {
		add(x.Product, x.Version, x.Hash, x.Path)
	}
	for name := range m.Amounts {
		add(name)
	}
	for name, values := range m.Attributes {
		add(name)
		add(values...)
	}
	return n
}

// alive notes that the worker was heard of.
func (st *state) alive(w *worker) {
	w.seen = st.now
	st.watch(w, w.seen.Add(st.silence(w)))
	if w.Online {
		return
	}
	w.Online, w.Seen = true, st.now
	st.changedWorker(w)
	st.stirred(w)
	st.renewed(w)
	st.queue.Touch()
	st.emit(Event{Type: "worker.state", Worker: w.ID, State: string(w.state())})
}

// state is what the worker is doing, for people.
func (w *worker) state() WorkerState {
	switch {
	case !w.Online:
		return WorkerOffline
	case len(w.leases) > 0:
		return WorkerRendering
	case w.Aside:
		return WorkerAside
	case w.Disabled:
		return WorkerDisabled
	}
	return WorkerIdle
}

// closed says why the worker is given nothing, "" when it is.
func (w *worker) closed(now time.Time) string {
	switch {
	case w.Disabled:
		return "it was disabled by an operator" + because(w.Reason)
	case w.Aside:
		return "it was set aside" + because(w.Reason)
	case !w.Online:
		return "it is offline"
	}
	if from, to := w.hours[0], w.hours[1]; from != to {
		at := now.Hour()*60 + now.Minute()
		if in := from <= at && at < to || from > to && (at >= from || at < to); !in {
			return "it renders only at " + w.Rules.Hours
		}
	}
	return ""
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// parseHours reads "18:00-08:00" as minutes of the day; "" is always.
func parseHours(s string) (from, to int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(s, "-")
	from, ok1 := minutes(a)
	to, ok2 := minutes(b)
	if !ok1 || !ok2 || from == 24*60 {
		return 0, 0, Errorf(Invalid, "the hours %s are not of the form 18:00-08:00", quote(s))
	}
	return from, to, nil
}

// minutes reads "8:00" or "08:00" as minutes of the day, up to 24:00.
func minutes(s string) (n int, ok bool) {
	h, m, _ := strings.Cut(s, ":")
	hours, err1 := strconv.ParseUint(h, 10, 8)
	mins, err2 := strconv.ParseUint(m, 10, 8)
	n = int(hours)*60 + int(mins)
	return n, err1 == nil && err2 == nil && len(h) <= 2 && len(m) == 2 && mins < 60 && n <= 24*60
}

// show is the worker as people see it.
func (st *state) show(w *worker) *Worker {
	c := *w.Worker
	c.State = w.state()
	if w.Online { // else the row says when it was last heard of
		c.Seen, c.Vitals = w.seen, w.vitals
	}
	for _, l := range w.leases {
		c.Leases = append(c.Leases, l.info())
	}
	slices.SortFunc(c.Leases, func(a, b LeaseInfo) int { return int(a.ID - b.ID) })
	return &c
}

func (l *lease) info() LeaseInfo {
	return LeaseInfo{TaskKey: l.task.TaskKey, ID: l.id, Worker: l.worker.ID, Started: l.started, Deadline: l.deadline,
		Progress: l.progress, Message: l.message, Memory: l.memory, Stopping: l.stopping}
}

// Farmhands lists all workers by id, each as it was at some moment of the call.
func (f *Farm) Farmhands(ctx context.Context) ([]*Worker, error) {
	var out []*Worker
	err := f.parade(ctx, func(*state) (int, error) { return maxLook, nil }, func(st *state, w *worker) { out = append(out, st.show(w)) }, nil)
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// Farmhand returns one worker as it is now.
func (f *Farm) Farmhand(ctx context.Context, id int64) (*Worker, error) {
	var out *Worker
	err := f.do(ctx, func(st *state) error {
		w := st.workers[id]
		if w == nil {
			return noWorker(id)
		}
		out = st.show(w)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func noWorker(id int64) *Error {
	return Errorf(NotFound, "there is no worker %d; \"drover worker ls\" lists the workers", id)
}

// Leases lists the leases of a job that are out, or of all jobs for job 0.
func (f *Farm) Leases(ctx context.Context, jobID int64) ([]LeaseInfo, error) {
	var out []LeaseInfo
	err := f.do(ctx, func(st *state) error {
		if jobID == 0 {
			for _, l := range st.leases {
				out = append(out, l.info())
			}
			return nil
		}
		if j := st.jobs[jobID]; j != nil {
			for _, s := range j.steps {
				for _, ls := range s.running {
					for _, l := range ls {
						out = append(out, l.info())
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	slices.SortFunc(out, func(a, b LeaseInfo) int { return int(a.ID - b.ID) })
	return out, nil
}

// WorkerChange is what an operator does to a worker. Nil fields stay.
type WorkerChange struct {
	Enabled *bool // enabling also ends a setting aside
	Reason  string
	Tags    *[]string
	Rules   *Rules
}

// ChangeWorker changes a worker. Operators may, and the account that it works
// for. Disabling lets running tasks finish.
func (f *Farm) ChangeWorker(ctx context.Context, by Principal, id int64, c WorkerChange) (*Worker, error) {
	if c.Rules != nil {
		if _, _, err := parseHours(c.Rules.Hours); err != nil {
			return nil, err
		}
	}
	if c.Tags != nil {
		if err := validWords("tag", *c.Tags); err != nil {
			return nil, err
		}
	}
	var out *Worker
	err := f.do(ctx, func(st *state) error {
		w, err := st.owned(by, id)
		if err != nil {
			return err
		}
		if c.Enabled != nil {
			w.Disabled, w.Reason = !*c.Enabled, c.Reason
			if *c.Enabled {
				w.Aside, w.Reason, w.Streak, w.Faults = false, "", nil, 0
			}
			st.emit(Event{Type: "worker.state", Worker: id, State: string(w.state()), Text: w.Reason})
			st.audit(by, "%s worker %d %s%s", map[bool]string{true: "enabled", false: "disabled"}[*c.Enabled], id, w.Name, because(c.Reason))
		}
		if c.Tags != nil {
			w.Tags = slices.Clone(*c.Tags)
			st.emit(Event{Type: "worker.state", Worker: id, State: string(w.state())})
			st.audit(by, "gave worker %d %s the tags %v", id, w.Name, w.Tags)
		}
		if c.Rules != nil {
			w.Rules = *c.Rules
		}
		st.equip(w)
		st.queue.Touch()
		st.changedWorker(w)
		out = st.show(w)
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// RemoveWorker forgets a worker: its leases go back, its session is over, and
// what it asks next is answered with Gone.
func (f *Farm) RemoveWorker(ctx context.Context, by Principal, id int64) error {
	return f.do(ctx, func(st *state) error {
		w, err := st.owned(by, id)
		if err != nil {
			return err
		}
		gone := Errorf(Gone, "worker %d was removed by an operator", id)
		for _, l := range w.held() {
			st.end(l, ending{outcome: OutcomeReturned, text: "the worker was removed"})
		}
		if w.beat != nil {
			w.beat.answer(nil, gone)
			w.beat = nil
		}
		for _, c := range slices.Clone(w.claims) {
			st.room.leave(c)
			c.answer(nil, gone)
		}
		st.dropWorker(w)
		st.audit(by, "removed worker %d %s", id, w.Name)
		return nil
	})
}

// dropWorker takes out a worker that holds nothing and waits for nothing.
func (st *state) dropWorker(w *worker) {
	delete(st.workers, w.ID)
	st.strike(w)
	delete(st.houred, w.ID)
	st.dropNote(historyKey(w.ID))
	delete(st.byKey, w.Door+"\x00"+w.User+"\x00"+w.Key)
	delete(st.dirty.workers, w.ID)
	delete(st.dirty.tallies, w.ID)
	st.dirty.rest.DropWorkers = append(st.dirty.rest.DropWorkers, w.ID)
	st.queue.Touch()
	st.emit(Event{Type: "worker.removed", Worker: w.ID, Text: w.Name})
}

// owned finds a worker on which by may act.
func (st *state) owned(by Principal, id int64) (*worker, error) {
	w := st.workers[id]
	if w == nil {
		return nil, noWorker(id)
	}
	if w.User != by.Login && !by.Is(RoleOperator) {
		return nil, Errorf(Forbidden, "worker %d is not yours; it takes the role operator to change it", id)
	}
	return w, nil
}

// SignOff ends a worker's session in good order: its leases go back and it is
// offline at once.
func (f *Farm) SignOff(ctx context.Context, by Principal, id int64) error {
	return f.do(ctx, func(st *state) error {
		w, err := st.claimant(by, id)
		if err != nil {
			return err
		}
		st.leave(w, OutcomeReturned, "the worker signed off")
		return nil
	})
}

// leave takes a worker offline.
func (st *state) leave(w *worker, o Outcome, why string) {
	for _, l := range w.held() {
		e := ending{outcome: o, text: why}
		if o == OutcomeLost {
			e.cause = CauseWorker
		}
		if l.stopping {
			e = ending{outcome: OutcomeCanceled, text: l.why}
		}
		st.end(l, e)
	}
	w.Online, w.Seen = false, w.seen
	st.stirred(w)
	st.queue.Touch()
	st.changedWorker(w)
	st.emit(Event{Type: "worker.state", Worker: w.ID, State: string(WorkerOffline), Text: why})
}

// scan looks for what time alone has changed.
func (st *state) scan() error {
	st.lookAround()
	st.lookAtHours()
	st.overdue = true
	st.carryOut()
	st.sample()
	st.writeHistories(historyWritten, historyAtOnce)
	return nil
}
