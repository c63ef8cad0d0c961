package sim

import (
	"context"
	"slices"
	"testing/synctest"
	"time"
	"unsafe"

	"drover.farm/internal/farm"
)

// server is one farm process.
type server struct {
	farm  *farm.Farm
	conn  *conn
	gate  chan struct{} // when set, the dispatcher waits for it at its clock
	stale bool          // another has taken over, which it may not know yet
}

// clock is the machine's clock as a farm reads it. Jumps move only what it
// shows, not what Go measures durations by, as when somebody sets a real clock.
func (s *sim) clock(srv *server) farm.Clock {
	return func() time.Time {
		s.fence.Load() // what the simulation wrote before it slept is seen now
		if gate := srv.gate; gate != nil {
			<-gate
		}
		return shown(time.Now(), s.skew)
	}
}

// shown is t with its wall clock moved by d and its monotonic clock as it was.
// The two are fields of time.Time that no exported function moves apart.
func shown(t time.Time, d time.Duration) time.Time {
	const monotonic, shift = 1 << 63, 30
	wall := (*uint64)(unsafe.Pointer(&t))
	if *wall&monotonic != 0 {
		*wall += uint64(int64(d/time.Second)) << shift
	}
	return t
}

// open starts a farm on the store. It happens between the milliseconds, so that
// its ticks never fall together with what the simulation does.
func (s *sim) open() {
	s.report.Opens++
	s.pauseUntil(500_000 + time.Duration(s.report.Opens)*10)
	srv := &server{conn: &conn{Store: s.store, model: s.model, faulted: &s.report.Faulted}}
	f, err := farm.Open(context.Background(), farm.Config{Store: srv.conn, Settings: s.cfg.Settings, Clock: s.clock(srv)})
	if err != nil {
		s.model.breach("the farm does not open: %v", err)
		return
	}
	srv.farm = f
	s.server = srv
	s.log.note("open", s.report.Opens)
	synctest.Wait()
}

// pauseUntil sleeps to the given part of the present or the next millisecond.
func (s *sim) pauseUntil(part time.Duration) {
	d := part - time.Since(s.start)%time.Millisecond
	if d < 0 {
		d += time.Millisecond
	}
	s.sleep(d)
}

// kill ends the farm as kill -9 does: nothing more of it is written.
func (s *sim) kill() {
	s.log.note("kill")
	s.server.conn.dead = true
	s.stop()
}

// stop closes the farm in good order, unless its connection was cut.
func (s *sim) stop() {
	srv := s.server
	s.server = nil
	s.closeServer(srv)
}

func (s *sim) closeServer(srv *server) {
	srv.farm.Close()
	synctest.Wait()
	s.quiet()
}

// takeover starts a second farm while the first lives; the store has one writer.
func (s *sim) takeover() {
	s.log.note("takeover")
	old := s.server
	old.stale = true
	s.old = append(s.old, old)
	s.open()
	s.after(20*time.Second, func() {
		s.old = slices.DeleteFunc(s.old, func(o *server) bool { return o == old })
		s.closeServer(old)
	})
}

// servers are all farms that live.
func (s *sim) servers() []*server {
	out := slices.Clone(s.old)
	if s.server != nil {
		out = append(out, s.server)
	}
	return out
}

// pick is the farm that a request goes to, nil for none. Some still find one
// that was replaced.
func (s *sim) pick() *server {
	if len(s.old) > 0 && s.dice.hit(3000) {
		return s.old[s.dice.IntN(len(s.old))]
	}
	return s.server
}

// reap lets a farm that has ended by itself, killed at a commit, go.
func (s *sim) reap() {
	if s.server == nil {
		return
	}
	select {
	case <-s.server.farm.Done():
		s.log.note("ended")
		if !s.server.conn.dead {
			s.model.breach("the farm has ended by itself: %v", s.server.farm.Ready())
		}
		s.server = nil
		s.after(s.dice.between(time.Second, 15*time.Second), s.reopen)
	default:
	}
}
