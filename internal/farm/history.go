package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Vitals are how a worker's machine fares, as far as it tells: for people, and
// held in memory alone.
type Vitals struct {
	Load           float64 // per cent of its cores that are busy
	Memory         int64   // bytes in use
	DiskFree       int64   // bytes
	Temperature    float64 // of its hottest processor, degrees Celsius
	GPUTemperature float64
}

// History is what a worker did lately, for people. It is kept beside the worker
// and written down now and then: a crash may lose the last minute of it, while the
// tasks themselves keep all of their attempts.
type History struct {
	Recent []Past           `json:"recent,omitempty"` // oldest first, at most 20
	Causes map[string]int64 `json:"causes,omitempty"` // failed attempts by whose fault: "job", "worker", "lost"
	Hours  []Hour           `json:"hours,omitempty"`  // of the last day in which it worked, oldest first
}

// Past is an attempt that is over.
type Past struct {
	TaskKey
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Outcome Outcome   `json:"outcome"`
	Cause   Cause     `json:"cause,omitempty"`
	Error   string    `json:"error,omitempty"`
	Seconds float64   `json:"seconds"`
	Number  int       `json:"number"` // of the attempt, from 1
}

// Hour is what a worker did in an hour.
type Hour struct {
	Start  time.Time `json:"start"`
	Busy   float64   `json:"busy"` // seconds of all its slots together
	Done   int64     `json:"done,omitempty"`
	Failed int64     `json:"failed,omitempty"`
}

const (
	pastKept       = 20
	hoursKept      = 24
	historyWritten = time.Minute
	historyAtOnce  = 100 // workers whose history one scan writes
	historyPrefix  = "history/"
)

func historyKey(worker int64) string { return fmt.Sprintf("%s%d", historyPrefix, worker) }

// remember notes an attempt of the worker that is over.
func (st *state) remember(w *worker, t *Task, a *Attempt) {
	if st.workers[w.ID] != w {
		return // it was removed meanwhile
	}
	if w.history == nil {
		w.history = st.readHistory(w.ID)
	}
	n := 1 + slices.IndexFunc(t.Attempts, func(o Attempt) bool { return o.Lease == a.Lease })
	w.history.note(Past{TaskKey: t.TaskKey, Started: a.Started, Ended: a.Ended, Outcome: a.Outcome, Cause: a.Cause, Error: clip(a.Error, 200), Seconds: a.Seconds, Number: n})
	if w.news.IsZero() {
		w.news = st.now
		st.unwritten = append(st.unwritten, w)
	}
}

// readHistory is the history that was written down; one that cannot be read is as
// good as none.
func (st *state) readHistory(worker int64) *History {
	h := &History{}
	if ns, err := st.f.store.Notes(context.Background(), NoteQuery{Prefix: historyKey(worker), Limit: 1}); err == nil && len(ns) == 1 && ns[0].Key == historyKey(worker) {
		_ = json.Unmarshal([]byte(ns[0].Text), h)
	}
	return h
}

func (h *History) note(p Past) {
	if len(h.Recent) >= pastKept {
		h.Recent = h.Recent[:copy(h.Recent, h.Recent[len(h.Recent)-pastKept+1:])]
	}
	h.Recent = append(h.Recent, p)
	bad := p.Outcome == OutcomeLost || p.Outcome == OutcomeFailed
	if bad {
		if h.Causes == nil {
			h.Causes = make(map[string]int64)
		}
		cause := string(p.Cause)
		if p.Outcome == OutcomeLost {
			cause = string(OutcomeLost)
		}
		h.Causes[cause]++
	}
	h.busy(p)
	last := h.hour(p.Ended)
	if bad {
		last.Failed++
	} else if p.Outcome == OutcomeDone {
		last.Done++
	}
}

// busy counts the time of an attempt to the hours that it took.
func (h *History) busy(p Past) {
	from := p.Started
	if least := p.Ended.Add(-hoursKept * time.Hour); from.Before(least) {
		from = least
	}
	for from.Before(p.Ended) {
		next := from.Truncate(time.Hour).Add(time.Hour)
		if next.After(p.Ended) {
			next = p.Ended
		}
		h.hour(from).Busy += next.Sub(from).Seconds()
		from = next
	}
}

// hour finds or makes the hour of a time; the oldest ones go.
func (h *History) hour(t time.Time) *Hour {
	start := t.UTC().Round(0).Truncate(time.Hour)
	at, found := slices.BinarySearchFunc(h.Hours, start, func(x Hour, t time.Time) int { return x.Start.Compare(t) })
	if !found {
		h.Hours = slices.Insert(h.Hours, at, Hour{Start: start})
		if n := len(h.Hours) - hoursKept; n > 0 && at >= n {
			h.Hours = slices.Delete(h.Hours, 0, n)
			at -= n
		}
	}
	return &h.Hours[at]
}

// writeHistories writes down what has been new for a while, of some workers at a
// time.
func (st *state) writeHistories(age time.Duration, most int) {
	for n := 0; n < most && len(st.unwritten) > 0 && st.now.Sub(st.unwritten[0].news) >= age; n++ {
		w := st.unwritten[0]
		st.unwritten, w.news = st.unwritten[1:], time.Time{}
		if st.workers[w.ID] != w {
			continue
		}
		if text, err := json.Marshal(w.history); err == nil { // numbers, words and times: cannot fail
			st.putNote(Note{Key: historyKey(w.ID), Text: string(text)})
		}
	}
}

// History returns what a worker did lately. It fails with NotFound.
func (f *Farm) History(ctx context.Context, worker int64) (*History, error) {
	var out History
	err := f.do(ctx, func(st *state) error {
		w := st.workers[worker]
		if w == nil {
			return noWorker(worker)
		}
		if w.history == nil {
			w.history = st.readHistory(worker)
		}
		out = History{Recent: slices.Clone(w.history.Recent), Hours: slices.Clone(w.history.Hours), Causes: map[string]int64{}}
		for k, n := range w.history.Causes {
			out.Causes[k] = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}
