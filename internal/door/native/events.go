package native

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"drover.farm/internal/farm"
)

// eventPage is how many events are read from the store at once.
const eventPage = 1000

// events streams what happens, as server-sent events: id, event (the type) and
// data (an api.Event) of each. A reader that lost its connection goes on after
// the last id it saw; one that is so far behind that events are gone is told by
// an event "reset" and goes on with what is kept.
func (d *door) events(c *call) error {
	after, resume, err := c.lastEvent()
	if err != nil {
		return err
	}
	job, err := c.integer("job", 0, 1, math.MaxInt64)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that gather answers would gather this one for ever
	h.Set("X-Content-Type-Options", "nosniff")
	if c.r.Method == http.MethodHead {
		return nil
	}
	s := &sse{d: d, job: job, last: after, known: resume, ctl: http.NewResponseController(c.w)}
	s.out = &steady{w: c.w, ctl: s.ctl, idle: d.Idle}
	ping := time.NewTicker(d.Ping)
	defer ping.Stop()
	s.ping = ping.C
	if err := s.run(c.ctx()); err != nil && c.ctx().Err() == nil {
		d.Log.Warn("a stream of events was broken off", "err", err)
	}
	return nil
}

// lastEvent is where the reader wants to go on: after the id that it gives.
func (c *call) lastEvent() (id int64, resume bool, err error) {
	s := c.r.Header.Get("Last-Event-ID")
	if s == "" {
		if s, err = c.get("after"); err != nil {
			return 0, false, err
		}
	}
	if s == "" {
		return 0, false, nil
	}
	id, err = strconv.ParseInt(s, 10, 64)
	if err != nil || id < 0 {
		return 0, false, farm.Errorf(farm.Invalid, "%q is not the id of an event", clip(s, 50))
	}
	return id, true, nil
}

// sse is one stream of events.
type sse struct {
	d     *door
	job   int64 // 0: all
	last  int64 // the reader has seen all up to this one
	known bool  // last counts; else the reader wants what comes from now on
	out   *steady
	ctl   *http.ResponseController
	ping  <-chan time.Time
	buf   bytes.Buffer
}

// run streams until the reader or the farm goes. A reader that cannot keep up
// with what happens is served from the store until it has caught up.
func (s *sse) run(ctx context.Context) error {
	for {
		sub := s.d.Farm.Subscribe()
		slow, err := s.follow(ctx, sub)
		sub.Close()
		if err != nil || !slow {
			return err
		}
	}
}

func (s *sse) follow(ctx context.Context, sub *farm.Subscription) (slow bool, err error) {
	if s.known {
		if err := s.catchUp(ctx); err != nil {
			return false, err
		}
	}
	s.known = true
	s.buf.WriteString(": listening\n\n")
	for {
		if err := s.flush(); err != nil {
			return false, err
		}
		select {
		case events, ok := <-sub.C:
			if !ok {
				return true, nil
			}
			s.add(events)
		case <-s.ping:
			s.buf.WriteString(": ping\n\n")
		case <-ctx.Done():
			return false, nil
		case <-s.d.Farm.Done():
			return false, nil
		}
	}
}

// catchUp sends what the store has after the last event seen.
func (s *sse) catchUp(ctx context.Context) error {
	first := true
	for {
		events, oldest, err := s.d.Farm.Events(ctx, s.last, eventPage)
		if err != nil {
			return fmt.Errorf("read events after %d: %w", s.last, err)
		}
		if first {
			if s.last, err = s.check(ctx, oldest, len(events) == 0); err != nil {
				return err
			}
			first = false
		}
		s.add(events)
		if err := s.flush(); err != nil {
			return err
		}
		if len(events) < eventPage {
			return nil
		}
	}
}

// check tells a reader whose place is not to be had that it missed something:
// what followed it has been dropped, or it is of another farm's time.
func (s *sse) check(ctx context.Context, oldest int64, nothingNew bool) (int64, error) {
	if s.last+1 >= oldest && (!nothingNew || s.last == 0) {
		return s.last, nil
	}
	if nothingNew {
		// Either the last event there is, or one that has never been.
		at, _, err := s.d.Farm.Events(ctx, s.last-1, 1)
		if err != nil {
			return 0, fmt.Errorf("read event %d: %w", s.last, err)
		}
		if len(at) > 0 {
			return s.last, nil
		}
	}
	fmt.Fprintf(&s.buf, "event: reset\ndata: {\"oldest\":%d}\n\n", oldest)
	if nothingNew {
		return 0, nil
	}
	return s.last, nil
}

// add writes down those of the events that the reader has not seen and wants.
func (s *sse) add(events []farm.Event) {
	for i := range events {
		e := &events[i]
		if e.ID <= s.last {
			continue
		}
		s.last = e.ID
		if s.job != 0 && e.Job != s.job {
			continue
		}
		data, err := json.Marshal(eventView(e))
		if err != nil {
			continue // numbers and strings: cannot fail
		}
		fmt.Fprintf(&s.buf, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data)
	}
}

func (s *sse) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	defer s.buf.Reset()
	if _, err := s.out.Write(s.buf.Bytes()); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	_ = s.out.ctl.SetWriteDeadline(time.Now().Add(s.d.Idle))
	err := s.ctl.Flush()
	_ = s.out.ctl.SetWriteDeadline(time.Time{})
	return err
}
