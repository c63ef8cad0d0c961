package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Sample is what the farm did in a span of ten minutes, and how it stood at its
// end.
type Sample struct {
	Time    time.Time `json:"time"`    // when the span began
	Done    int64     `json:"done"`    // tasks
	Failed  int64     `json:"failed"`  // attempts
	Seconds float64   `json:"seconds"` // of rendering, of the tasks done
	Waiting int64     `json:"waiting"`
	Running int64     `json:"running"`
	Workers int       `json:"workers"` // online
}

const (
	// SampleSpan is how long the span of a Sample is.
	SampleSpan    = 10 * time.Minute
	samplesKept   = 26 * time.Hour
	sampleWritten = time.Minute
	samplePrefix  = "sample/"
)

func sampleKey(t time.Time) string { return samplePrefix + t.UTC().Format("200601021504") }

// sample keeps the book of the span under way: it is written once a minute, so
// a crash costs no more, and old ones go when a new one begins.
func (st *state) sample() {
	span := st.now.UTC().Truncate(SampleSpan)
	s := &st.span
	if !s.Time.Equal(span) {
		if !s.Time.IsZero() {
			st.writeSample()
			st.dropNote(sampleKey(span.Add(-samplesKept)))
		}
		*s = Sample{Time: span}
		if n, err := st.f.store.Notes(context.Background(), NoteQuery{Prefix: sampleKey(span), Limit: 1}); err == nil && len(n) == 1 {
			_ = json.Unmarshal([]byte(n[0].Text), s) // of before a restart; else it begins anew
			s.Time = span
		}
		st.sampled = st.now
	}
	if st.now.Sub(st.sampled) >= sampleWritten {
		st.writeSample()
		st.sampled = st.now
	}
}

// writeSample adds how the farm stands and writes the span down.
func (st *state) writeSample() {
	s := &st.span
	s.Waiting, s.Running, s.Workers = 0, 0, st.roster.online()
	for _, j := range st.jobs {
		if !j.State.Ended() {
			c := j.Counts()
			s.Waiting += c.Waiting
			s.Running += c.Running
		}
	}
	if s.Done+s.Failed+s.Waiting+s.Running == 0 && s.Workers == 0 {
		return // a farm that sleeps writes nothing
	}
	text, err := json.Marshal(s)
	if err != nil {
		return // numbers and a time: cannot fail
	}
	st.putNote(Note{Key: sampleKey(s.Time), Text: string(text)})
}

// Samples lists the spans of the last 24 hours, oldest first. Spans in which the
// farm slept are missing; of the last one up to a minute may be.
func (f *Farm) Samples(ctx context.Context) ([]Sample, error) {
	ns, err := f.Notes(ctx, NoteQuery{Prefix: samplePrefix, After: sampleKey(f.clock().Add(-24 * time.Hour))})
	if err != nil {
		return nil, err
	}
	out := make([]Sample, len(ns))
	for i, n := range ns {
		if err := json.Unmarshal([]byte(n.Text), &out[i]); err != nil {
			return nil, fmt.Errorf("read the sample %s: %w", n.Key, err)
		}
	}
	return out, nil
}
