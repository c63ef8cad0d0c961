package farm

import (
	"context"
	"maps"
	"slices"

	"drover.farm/internal/sched"
)

// inquiry gathers what it takes to explain a job. Its turns of the dispatcher only
// copy; what is made of the copies holds nobody up.
type inquiry struct {
	f           *Farm
	job         *Job
	steps       []*asked // nil for those of which nothing waits for a worker
	groups      []*group
	maintenance bool
	limits      map[string]*sched.Limit
	builds      []*Build
	installed   map[string]bool // versions of the job's renderer that workers have
	hands       []hand          // of the turn before
	moved       bool            // other steps wait by now than when the first workers were looked at
}

// asked is a step of which tasks wait for a worker.
type asked struct {
	*group
	higher, older int // steps that rank before it
}

// group are steps that have the same to say to each worker: a step that avoids
// some of them is a group of its own.
type group struct {
	step    int // one of them
	needs   *sched.Needs
	wary    bool
	avoided map[int64]bool
	classes map[string]*WorkerClass
}

// hand is a worker as it was when it was looked at.
type hand struct {
	row  Worker
	info sched.Worker
}

// maxInquiries is how often an inquiry begins anew when the job goes on under it.
const maxInquiries = 3

// inquire finds out why a job's tasks wait: of the job at the end, and of the
// workers, some in each turn.
func (f *Farm) inquire(ctx context.Context, id int64) (*inquiry, error) {
	hands := make([]hand, 0, maxLook)
	for try := 1; ; try++ {
		q := &inquiry{f: f, installed: make(map[string]bool), hands: hands}
		err := f.parade(ctx, func(st *state) (int, error) {
			n, err := q.turn(st, id)
			if q.moved && try < maxInquiries {
				n = 0
			}
			return n, err
		}, q.look, q.sort)
		if err != nil {
			return nil, err
		}
		if !q.moved || try == maxInquiries {
			return q, nil
		}
	}
}

// waits reports whether tasks of the step wait for nothing but a worker.
func waits(s *step) bool { return s.State == StepReady && s.Counts().Waiting > 0 }

// turn copies all but the workers, and says how many of these to look at.
func (q *inquiry) turn(st *state, id int64) (int, error) {
	j, err := st.job(id)
	if err != nil {
		return 0, err
	}
	q.job, q.maintenance, q.hands = j.copy(), st.values[ValueMaintenance] == "on", q.hands[:0]
	if !slices.ContainsFunc(j.steps, waits) {
		q.moved = false
		return 0, nil
	}
	if q.steps == nil {
		q.begin(st, j)
	}
	wary := 0
	for i, s := range j.steps {
		in := q.steps[i]
		q.moved = q.moved || waits(s) && (in == nil || in.needs.Key() != s.Needs.Key())
		if in != nil && in.wary {
			wary++
		}
	}
	return max(maxLook/(1+wary), 1), nil
}

// begin notes which steps are to be explained, and what the farm has beside workers.
func (q *inquiry) begin(st *state, j *job) {
	q.limits = make(map[string]*sched.Limit)
	for name, l := range st.queue.Limits() {
		c := *l
		q.limits[name] = &c
	}
	for _, b := range st.builds {
		c := *b
		q.builds = append(q.builds, &c)
	}
	q.steps = make([]*asked, len(j.steps))
	same := make(map[string]*group)
	for i, s := range j.steps {
		if !waits(s) {
			continue
		}
		g := same[s.Needs.Key()]
		if wary := len(s.fails)+len(s.retry.tried) > 0; wary || g == nil {
			g = &group{step: i, needs: s.Needs, wary: wary, avoided: make(map[int64]bool), classes: make(map[string]*WorkerClass)}
			q.groups = append(q.groups, g)
			if !wary {
				same[s.Needs.Key()] = g
			}
		}
		q.steps[i] = &asked{group: g}
		q.steps[i].higher, q.steps[i].older = st.queue.Ahead(&sched.Step{Job: s.Job, Index: i, Owner: j.Owner, Priority: j.Priority})
	}
}

// look copies a worker and finds out which of the steps are not for it.
func (q *inquiry) look(st *state, w *worker) {
	w.info.Closed = w.closed(st.now)
	h := hand{row: *w.Worker, info: w.info}
	if h.info.Used = nil; len(w.info.Used) > 0 {
		h.info.Used = maps.Clone(w.info.Used)
	}
	q.hands = append(q.hands, h)
	for _, g := range q.groups {
		if g.wary && st.passedOver(st.jobs[q.job.ID].steps[g.step], w.ID) {
			g.avoided[w.ID] = true
		}
	}
}

// passedOver reports whether the step's waiting tasks are not for the worker,
// which is asked in earnest only where it can be so.
func (st *state) passedOver(s *step, id int64) bool {
	return (s.fails[id] >= st.f.settings.AvoidAfter || slices.Contains(s.tried(), id)) && !st.takes(s, id)
}

// tried are workers on which one of the waiting tasks failed, none when a task
// waits that failed nowhere: who is not among them can have a task.
func (s *step) tried() []int64 {
	if s.Untouched() > 0 || s.retry.first() >= 0 {
		return nil
	}
	for _, r := range s.retry.tried {
		return r.tried
	}
	return nil
}

// sort puts the workers of a turn into classes.
func (q *inquiry) sort() {
	var key []byte
	for i := range q.hands {
		h := &q.hands[i]
		h.row.Machine.versions(q.job.Spec.Renderer, q.installed)
		for _, g := range q.groups {
			rs := q.reasons(g, h)
			key = appendReasons(key[:0], rs)
			c := g.classes[string(key)]
			if c == nil {
				c = &WorkerClass{Reasons: rs, Fits: !slices.ContainsFunc(rs, func(r sched.Reason) bool { return !r.Passing }), Change: changeFor(rs)}
				g.classes[string(key)] = c
			}
			c.Workers++
			if len(c.Names) < 5 {
				c.Names = append(c.Names, h.row.Name)
			}
		}
	}
}
