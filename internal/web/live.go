package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"drover.farm/internal/farm"
)

// hub keeps open pages fresh. Each topic is rendered at most once every Fresh,
// when an event touched it and somebody looks; all streams get the same bytes.
type hub struct {
	s    *site
	mu   sync.Mutex
	on   map[kind]*topic // by what they show, so that all who may see the same share it
	wake chan struct{}   // a stream joined
	open atomic.Int64    // streams
}

// topic is something that pages follow. Its fields are guarded by the hub's mu,
// but for those that only the hub's goroutine uses.
type topic struct {
	kind    kind
	streams map[*stream]struct{}
	dirty   bool
	cells   map[string]farm.TaskState // tasks that changed, "STEP-INDEX", for grids
	jobs    map[int64]struct{}        // jobs that changed, for lists
	news    bool                      // jobs were submitted
	joins   []int64                   // workers that joined
	seen    *seen                     // of the round of drawing
	joined  []*stream                 // need all parts

	drawn time.Time         // of the hub's goroutine
	sent  map[string]string // parts as they were last sent
}

// kind is what a topic shows, and to whom; comparable. Nothing else in a live
// part depends on who looks.
type kind interface {
	// touched reports whether an event changes it; it may note more in t.
	touched(t *topic, e *farm.Event) bool
	// every is how often it is drawn anew although nothing happened, 0: never.
	every() time.Duration
	// parts draws it.
	parts(ctx context.Context, s *site, t *topic) ([]part, error)
}

// part is a named piece of HTML, or of data for drover.js.
type part struct {
	name, text string
	always     bool // sent although it is the same as before
}

// stream is one open page.
type stream struct {
	c      chan []byte
	behind bool // it missed something: it gets everything anew
	topics []*topic
}

// streamRoom is how many messages a page may be behind.
const streamRoom = 32

func newHub(s *site) *hub {
	h := &hub{s: s, on: map[kind]*topic{}, wake: make(chan struct{}, 1)}
	go h.run()
	return h
}

// run hands events on until the farm is closed.
func (h *hub) run() {
	tick := time.NewTicker(h.s.Fresh)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		sub := h.s.Farm.Subscribe()
		for more := true; more; {
			select {
			case events, ok := <-sub.C:
				h.note(events)
				more = ok
			case <-h.wake:
				h.draw(ctx)
			case <-tick.C:
				h.draw(ctx)
			case <-h.s.Farm.Done():
				sub.Close()
				return
			}
		}
		sub.Close()
		h.missed()
	}
}

// note marks what the events touch.
func (h *hub) note(events []farm.Event) {
	h.s.recent.note(events)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.on {
		for i := range events {
			if t.kind.touched(t, &events[i]) {
				t.dirty = true
			}
		}
	}
}

// missed makes everything anew after events were lost.
func (h *hub) missed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.on {
		t.dirty = true
		for s := range t.streams {
			t.joined = append(t.joined, s)
		}
	}
}

// work is a topic that is due.
type work struct {
	t      *topic
	view   topic // what had gathered
	joined []*stream
}

// draw renders what is due and sends it.
func (h *hub) draw(ctx context.Context) {
	all := &seen{s: h.s}
	for _, w := range h.due(time.Now()) {
		w.view.seen = all
		parts, err := w.t.kind.parts(ctx, h.s, &w.view)
		if err != nil {
			if farm.CodeOf(err) == farm.Internal {
				h.s.Log.Warn("a live page cannot be drawn", "err", err)
			}
			continue
		}
		var whole, changed bytes.Buffer
		for _, p := range parts {
			if !p.always {
				p.write(&whole)
				if w.t.sent[p.name] == p.text {
					continue
				}
				w.t.sent[p.name] = p.text
			}
			p.write(&changed)
		}
		h.send(w, whole.Bytes(), changed.Bytes())
	}
}

// due takes the topics that are to be drawn now.
func (h *hub) due(now time.Time) []work {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []work
	for _, t := range h.on {
		since, every := now.Sub(t.drawn), t.kind.every()
		if len(t.joined) == 0 && (since < h.s.Fresh || !t.dirty && (every == 0 || since < every)) {
			continue
		}
		t.drawn = now
		out = append(out, work{t, topic{cells: t.cells, jobs: t.jobs, news: t.news, joins: t.joins}, t.joined})
		t.dirty, t.joined, t.cells, t.jobs, t.news, t.joins = false, nil, nil, nil, false, nil
	}
	return out
}

// send gives those who joined everything, and the others what changed.
func (h *hub) send(w work, all, changed []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range w.t.streams {
		text := changed
		if slices.Contains(w.joined, s) {
			text = all
		}
		if len(text) == 0 {
			continue
		}
		select {
		case s.c <- text:
		default:
			s.behind = true
		}
	}
}

// write puts the part down as an event of the stream.
func (p part) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "event: %s\n", p.name)
	for line := range strings.Lines(p.text) {
		b.WriteString("data: ")
		b.WriteString(strings.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	if p.text == "" {
		b.WriteString("data:\n")
	}
	b.WriteByte('\n')
}

func (h *hub) join(kinds []kind) *stream {
	s := &stream{c: make(chan []byte, streamRoom)}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range kinds {
		t := h.on[k]
		if t == nil {
			t = &topic{kind: k, streams: map[*stream]struct{}{}, sent: map[string]string{}}
			h.on[k] = t
		}
		t.streams[s] = struct{}{}
		t.joined = append(t.joined, s)
		s.topics = append(s.topics, t)
	}
	h.poke()
	return s
}

func (h *hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// again gives a stream that was too slow everything anew.
func (h *hub) again(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !s.behind || len(s.c) > 0 {
		return
	}
	s.behind = false
	for _, t := range s.topics {
		t.joined = append(t.joined, s)
	}
	h.poke()
}

func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, t := range h.on {
		delete(t.streams, s)
		t.joined = slices.DeleteFunc(t.joined, func(o *stream) bool { return o == s })
		if len(t.streams) == 0 {
			delete(h.on, k)
		}
	}
}

// maxTopics is how many topics one page may follow.
const maxTopics = 8

// live streams what changes on a page: ?on=TOPIC,TOPIC.
func (v *visit) live() error {
	names := strings.Split(v.r.URL.Query().Get("on"), ",")
	if len(names) > maxTopics {
		return farm.Errorf(farm.Invalid, "a page follows at most %d topics", maxTopics)
	}
	kinds := make([]kind, len(names))
	for i, n := range names {
		var err error
		if kinds[i], err = v.kindOf(n); err != nil {
			return err
		}
	}
	if v.hub.open.Add(1) > int64(v.MaxLive) {
		v.hub.open.Add(-1)
		return farm.Errorf(farm.Unavailable, "too many live pages are open; the page goes on without moving by itself")
	}
	defer v.hub.open.Add(-1)
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that gather answers would gather this one for ever
	s := v.hub.join(kinds)
	defer v.hub.leave(s)
	return v.stream(s)
}

// stream copies messages to the page until it or the farm goes, or its session
// ends.
func (v *visit) stream(s *stream) error {
	out := &steady{w: v.w, ctl: http.NewResponseController(v.w), idle: v.Idle}
	ping := time.NewTicker(v.Ping)
	defer ping.Stop()
	lender := v.lender()
	text := []byte(": listening\nretry: 2000\n\n")
	for {
		if _, err := out.Write(text); err != nil || out.ctl.Flush() != nil {
			return nil
		}
		select {
		case text = <-s.c:
		case <-ping.C:
			if v.identify(); v.ended() || v.lender() != lender {
				return nil
			}
			text = []byte(": ping\n\n")
			v.hub.again(s)
		case <-v.ctx().Done():
			return nil
		case <-v.Farm.Done():
			return nil
		}
	}
}

// ended reports whether who opened the stream may not look any more.
func (v *visit) ended() bool { return v.anonymous && !v.opened() }
