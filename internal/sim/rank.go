package sim

import (
	"container/list"
	"fmt"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// suspect is a request that should not be open any more once a batch's answers
// have come.
type suspect struct {
	call *call
	why  string
}

// before reports whether tasks of the step rank before the lease that the worker
// was given: by priority, then by its owner's share, then by age. A worker goes
// on with what it holds as long as no owner falls behind by more than a task. Run
// is what each owner had running.
func (c *checker) before(s *cStep, l *cLease, w *cWorker, run map[string]int, double bool) bool {
	mine, other := &l.step.job.row, &s.job.row
	switch {
	case double || other.Priority > mine.Priority:
		return true
	case other.Priority < mine.Priority || s == l.step:
		return false
	case other.Owner == mine.Owner:
		older := other.ID < mine.ID || other.ID == mine.ID && s.row.Index < l.step.row.Index
		return older && !c.near(w, l.step.job)
	}
	have := float64(run[mine.Owner]) / c.weight[mine.Owner]
	if c.near(w, l.step.job) {
		have -= 1 / c.weight[mine.Owner]
	}
	return float64(run[other.Owner])/c.weight[other.Owner] < have-1e-9
}

// heldJobs is of how many of its last jobs a worker may have the session open:
// it works on several, and names one.
const heldJobs = 8

// near reports whether the worker may have the job's session open, as it said
// itself or as it was given tasks, or has its files.
func (c *checker) near(w *cWorker, j *cJob) bool {
	return c.s.warm[w.row.ID] == j.row.ID || slices.Contains(w.jobs, j.row.ID) || slices.Contains(w.scenes, j.scene())
}

func (j *cJob) scene() string { return j.row.Spec.Files[0].SHA256 }

// keep notes what the worker has of a job that it was given a task of.
func (w *cWorker) keep(j *cJob) {
	w.jobs = front(w.jobs, j.row.ID, heldJobs)
	w.scenes = front(w.scenes, j.scene(), 8)
}

// front puts v first, and keeps n.
func front[T comparable](list []T, v T, n int) []T {
	if len(list) > 0 && list[0] == v {
		return list
	}
	list = slices.Insert(slices.DeleteFunc(list, func(o T) bool { return o == v }), 0, v)
	return list[:min(len(list), n)]
}

// nearer looks for workers that wait, could have had the lease, and are nearer to
// its job than the one that got it: they should have got it first.
func (c *checker) nearer(l *cLease, w *cWorker, batch map[int64]room) {
	j := l.step.job
	if c.s.warm[w.row.ID] == j.row.ID || slices.Contains(w.jobs, j.row.ID) {
		return
	}
	files := !slices.Contains(w.scenes, j.scene())
	for i := range classes {
		if line := c.s.lines[&classes[i]]; line != nil {
			c.nearerIn(line, l, files, batch)
		}
	}
}

func (c *checker) nearerIn(line *list.List, l *cLease, files bool, batch map[int64]room) {
	looks := 0
	for e := line.Front(); e != nil && looks < 4*idleLooks; e = e.Next() {
		o := e.Value.(*call)
		d := c.workers[o.waits]
		if o.seq > c.s.known || o.at != c.s.farm || d == nil {
			continue
		}
		if _, given := batch[o.waits]; given {
			continue // it may have come near in this very batch, with another request
		}
		looks++
		if (o.warm == l.task.Job || files && slices.Contains(d.scenes, l.step.job.scene())) && c.able(d, l.step, 0, 0) && l.step.failed[d.row.ID] == 0 {
			c.suspect = append(c.suspect, suspect{o, fmt.Sprintf("lease %d of %v went to worker %d, which has nothing of the job, while worker %d (%s) waited, which has", l.id, l.step, l.worker, d.row.ID, d.class.name)})
		}
	}
}

// hours are such as workers' rules name: simulations begin at midnight.
var hours = []string{"00:05-00:12", "00:03-23:00", "23:00-00:09", "00:10-00:11"}

// within reports whether the time is in the hours, "" being all.
func within(hours string, t time.Time) bool {
	if hours == "" {
		return true
	}
	from, to, now := hours[:5], hours[6:], t.Format("15:04")
	if from > to {
		return now >= from || now < to
	}
	return now >= from && now < to
}

// awake reports whether the worker's hours have been on for long enough that the
// farm must have noticed.
func (c *checker) awake(w *cWorker) bool {
	if w.row.Rules.Hours == "" {
		return true
	}
	since := 3 * c.s.farm.Settings().Scan
	now := time.Now().Add(c.s.skew)
	return time.Since(c.s.start)-c.s.jumped > since && within(w.row.Rules.Hours, now) && within(w.row.Rules.Hours, now.Add(-since))
}

// span are frames from one to another.
type span struct{ from, to int64 }

func (s span) count() int64 {
	if s.from == 0 {
		return 0
	}
	return s.to - s.from + 1
}

// framesOf are the frames of a lease.
func framesOf(l *farm.Lease) span {
	var s span
	switch n, _ := fmt.Sscanf(l.Parameters[0].Value, "%d-%d", &s.from, &s.to); n {
	case 1:
		s.to = s.from
	}
	return s
}
