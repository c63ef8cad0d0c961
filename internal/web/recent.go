package web

import (
	"context"
	"slices"
	"sync"

	"drover.farm/internal/farm"
)

// recent remembers which tasks ended last, for the strip of pictures on the
// first screen.
type recent struct {
	mu   sync.Mutex
	keys []ended                   // newest last
	from func(ctx context.Context) // fills it from the store, once
	once sync.Once
}

type ended struct {
	job   int64
	step  string
	index int64
}

const (
	recentKept  = 64
	recentShown = 18
	recentRead  = 2000 // events that are looked through after a start
)

func newRecent(f *farm.Farm) *recent {
	r := &recent{}
	last := f.LastEvent()
	r.from = func(ctx context.Context) {
		events, _, err := f.Events(ctx, max(0, last-recentRead), recentRead)
		if err != nil {
			return // only pictures of the past are missing
		}
		r.mu.Lock()
		newer := r.keys
		r.keys = nil
		r.mu.Unlock()
		r.note(events)
		r.mu.Lock()
		r.keys = append(r.keys, newer...)
		r.mu.Unlock()
	}
	return r
}

// note takes in what happened.
func (r *recent) note(events []farm.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		e := &events[i]
		if e.Type != "task.done" && e.Type != "task.failed" {
			continue
		}
		for _, t := range e.Tasks[max(0, len(e.Tasks)-recentKept):] {
			r.keys = append(r.keys, ended{e.Job, e.Step, t})
		}
	}
	if n := len(r.keys); n > recentKept {
		r.keys = slices.Clone(r.keys[n-recentKept:])
	}
}

// picture is a frame in the strip.
type picture struct {
	Href, Src, Label, Job string
	Bad                   bool
	Title                 string
}

// pictures are the last frames, newest first: done ones with their picture, and
// those that failed.
func (r *recent) pictures(ctx context.Context, f *farm.Farm) []picture {
	r.once.Do(func() { r.from(ctx) })
	r.mu.Lock()
	keys := slices.Clone(r.keys)
	r.mu.Unlock()
	var out []picture
	jobs := map[int64]*farm.Job{}
	seen := map[farm.TaskKey]bool{}
	for i := len(keys) - 1; i >= 0 && len(out) < recentShown; i-- {
		e := keys[i]
		j, asked := jobs[e.job]
		if !asked {
			j, _ = f.Job(ctx, e.job)
			jobs[e.job] = j
		}
		if j == nil {
			continue
		}
		step := slices.IndexFunc(j.Steps, func(s farm.Step) bool { return s.Name == e.step })
		k := farm.TaskKey{Job: e.job, Step: step, Index: e.index}
		if step < 0 || seen[k] {
			continue
		}
		seen[k] = true
		if t, err := f.Task(ctx, k); err == nil {
			if p, ok := pictureFor(j, t); ok {
				out = append(out, p)
			}
		}
	}
	return out
}

func pictureFor(j *farm.Job, t *farm.Task) (picture, bool) {
	p := picture{Href: taskLink(t.TaskKey), Job: j.Spec.Name, Bad: t.State == farm.TaskFailed, Label: "#" + itoa(t.Index)}
	if n := pictureOf(t); n >= 0 {
		p.Src = p.Href + "/out/" + itoa(int64(n)) + "?thumb=" + t.Outputs[n].Thumb[:12]
		p.Label = clip(baseName(t.Outputs[n].Name), 24)
	}
	p.Title = p.Job + ", " + p.Label
	if len(t.Attempts) > 0 {
		p.Title += ", " + counted(t.Attempts).Name
	}
	return p, p.Src != "" || p.Bad
}

func baseName(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return s[i+1:]
		}
	}
	return s
}
