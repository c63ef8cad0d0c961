package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
)

const textPlain = "text/plain; charset=utf-8"

// taskLog answers with the log of an attempt: the one that was uploaded at its
// end, or what is there of it while it runs.
func (d *door) taskLog(c *call) error {
	_, k, err := c.taskOf(c.ctx())
	if err != nil {
		return err
	}
	n, err := c.integer("attempt", 0, 1, 1_000_000)
	if err != nil {
		return err
	}
	follow, err := c.flag("follow")
	if err != nil {
		return err
	}
	if follow && c.r.Method != http.MethodHead {
		return d.followLog(c, k, int(n))
	}
	a, err := d.attempt(c.ctx(), k, int(n))
	if err != nil {
		return err
	}
	if a.Log != "" {
		h, err := parseHash(a.Log)
		if err != nil {
			return fmt.Errorf("the log of lease %d: %w", a.Lease, err)
		}
		c.plain()
		return d.serveBlob(c, h, "")
	}
	if _, err := d.Logs.Size(a.Lease); err != nil {
		return farm.Errorf(farm.NotFound, "there is no log of this attempt: it wrote none yet, or its live log has expired")
	}
	c.plain()
	s := &stream{d: d, c: c, lease: a.Lease, out: c.w}
	if c.r.Method != http.MethodHead {
		s.out = &steady{w: c.w, ctl: http.NewResponseController(c.w), idle: d.Idle}
		return s.finish(s.copyLive())
	}
	return nil
}

// plain sets the head of an answer that is a log.
func (c *call) plain() {
	h := c.w.Header()
	h.Set("Content-Type", textPlain)
	h.Set("Content-Disposition", "inline")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// attempt finds the n-th attempt of a task, the last one for 0.
func (d *door) attempt(ctx context.Context, k farm.TaskKey, n int) (*farm.Attempt, error) {
	t, err := d.Farm.Task(ctx, k)
	if farm.CodeOf(err) == farm.NotFound {
		return nil, farm.Errorf(farm.NotFound, "task %d/%d of job %d has not started, so it has no log yet", k.Step, k.Index, k.Job)
	} else if err != nil {
		return nil, err
	}
	if n == 0 {
		n = len(t.Attempts)
	}
	if n == 0 || n > len(t.Attempts) {
		return nil, farm.Errorf(farm.NotFound, "task %d/%d of job %d has no attempt %d; it has %d", k.Step, k.Index, k.Job, n, len(t.Attempts))
	}
	return &t.Attempts[n-1], nil
}

// stream copies the log of one attempt to a client.
type stream struct {
	d     *door
	c     *call
	lease int64
	out   io.Writer
	pos   int64
	buf   [32 << 10]byte
}

// followLog sends a log as it grows until its attempt has ended. A task that has
// not started is waited for.
func (d *door) followLog(c *call, k farm.TaskKey, n int) error {
	if d.held.Add(1) > int64(d.MaxHeld) {
		d.held.Add(-1)
		return farm.Errorf(farm.Unavailable, "the farm holds too many requests open; try again in a few seconds")
	}
	defer d.held.Add(-1)
	ctl := http.NewResponseController(c.w)
	s := &stream{d: d, c: c, out: &steady{w: c.w, ctl: ctl, idle: d.Idle}}
	c.plain()
	poll := time.NewTicker(d.Poll)
	defer poll.Stop()
	for {
		a, err := d.attempt(c.ctx(), k, n)
		var changed <-chan struct{}
		switch {
		case farm.CodeOf(err) == farm.NotFound && s.lease == 0:
		case err != nil:
			return s.finish(err)
		default:
			if s.lease == 0 {
				// The last attempt is the one that is followed to its end.
				s.lease, n = a.Lease, d.ordinal(c.ctx(), k, a.Lease, n)
			}
			changed = d.Logs.Changed(s.lease)
			if err := s.copyLive(); err != nil && !errors.Is(err, livelog.ErrNotFound) {
				return s.finish(err)
			}
			if !a.Ended.IsZero() {
				return s.finish(s.copyRest(a))
			}
		}
		if err := ctl.Flush(); err != nil {
			return nil
		}
		select {
		case <-changed:
		case <-poll.C:
		case <-c.ctx().Done():
			return nil
		case <-d.Farm.Done():
			return nil
		}
	}
}

// ordinal is the number of the attempt with a lease, so that it stays followed
// when another one begins.
func (d *door) ordinal(ctx context.Context, k farm.TaskKey, lease int64, n int) int {
	t, err := d.Farm.Task(ctx, k)
	if err != nil {
		return n
	}
	for i := range t.Attempts {
		if t.Attempts[i].Lease == lease {
			return i + 1
		}
	}
	return n
}

// finish ends an answer: before its first byte with an error that can be told,
// after it by cutting the connection.
func (s *stream) finish(err error) error {
	switch {
	case err == nil || s.c.ctx().Err() != nil:
		return nil
	case s.pos == 0:
		return err
	}
	s.d.Log.Error("a log was broken off", "lease", s.lease, "err", err)
	panic(http.ErrAbortHandler) // see zipOutputs
}

// copyLive sends what is there of the live log.
func (s *stream) copyLive() error {
	for {
		at, n, err := s.d.Logs.ReadAt(s.lease, s.pos, s.buf[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if gap := at - s.pos; gap > 0 {
			if _, err := fmt.Fprintf(s.out, "\n[%d bytes of the log are left out here]\n", gap); err != nil {
				return err
			}
		}
		if _, err := s.out.Write(s.buf[:n]); err != nil {
			return err
		}
		s.pos = at + int64(n)
	}
}

// copyRest sends what the uploaded log has beyond the live one.
func (s *stream) copyRest(a *farm.Attempt) error {
	if a.Log == "" {
		return nil
	}
	h, err := parseHash(a.Log)
	if err != nil {
		return err
	}
	f, err := s.d.Blobs.Open(s.c.ctx(), h)
	if errors.Is(err, blob.ErrNotFound) && s.pos > 0 {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if s.pos >= f.Size() {
		return nil
	}
	n, err := io.CopyBuffer(s.out, io.NewSectionReader(f, s.pos, f.Size()-s.pos), s.buf[:])
	s.pos += n
	return err
}

// serveBlob answers with a blob or parts of it, under a deadline that a client
// which reads at all can keep.
func (d *door) serveBlob(c *call, h blob.Hash, name string) error {
	info, err := d.Blobs.Stat(c.ctx(), h)
	if err != nil {
		return err
	}
	c.send(info.Size, func() {
		if err := tus.ServeBlob(c.w, c.r, d.Blobs, h, name); err != nil {
			d.Log.Error("a file cannot be served", "sha256", h.String(), "err", err)
		}
	})
	return nil
}
