package farm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// watchers is a state with n workers that are online, and nothing else.
func watchers(n int) *state {
	st := &state{f: &Farm{settings: Settings{}.withDefaults()}, now: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), workers: make(map[int64]*worker)}
	for id := range int64(n) {
		w := &worker{Worker: &Worker{ID: id, Online: true}, leases: make(map[int64]*lease)}
		st.workers[id] = w
		st.alive(w)
	}
	return st
}

// over is the first moment at which something of the worker may be over.
func over(st *state, w *worker) time.Time {
	at := w.seen.Add(st.silence(w))
	for _, l := range w.leases {
		if l.deadline.Before(at) {
			at = l.deadline
		}
	}
	return at
}

// TestWatchMissesNothing lets workers give signs of life, take leases and lose
// them, while the clock goes on and now and then jumps, and holds who is due
// against a look at everybody.
func TestWatchMissesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		dice := rand.New(rand.NewPCG(seed, 1))
		st := watchers(20)
		for step := range 400 {
			for range 10 {
				w := st.workers[dice.Int64N(20)]
				switch dice.IntN(5) {
				case 0, 1:
					st.alive(w)
				case 2:
					l := &lease{id: dice.Int64N(4), worker: w}
					w.leases[l.id] = l
					st.extend(l)
				case 3:
					for _, l := range w.leases {
						st.extend(l)
					}
				case 4:
					delete(w.leases, dice.Int64N(4))
				}
			}
			st.now = st.now.Add(time.Duration(dice.Int64N(int64(20 * time.Second))))
			if dice.IntN(30) == 0 {
				st.now = st.now.Add(time.Duration(dice.Int64N(int64(2*time.Hour))) - time.Hour)
			}
			due := st.due()
			for id, w := range st.workers {
				if at := over(st, w); !at.After(st.now) && !slices.Contains(due, w) {
					t.Fatalf("seed %d, step %d: something of worker %d was over at %v, and it is not looked at at %v", seed, step, id, at, st.now)
				}
			}
			if !slices.IsSortedFunc(due, func(a, b *worker) int { return int(a.ID - b.ID) }) {
				t.Fatal("those that are due are not in order")
			}
			for _, w := range due {
				st.alive(w)
				st.watchOn(w)
			}
		}
	}
}

// TestWatchLooksAtFew holds a scan to the workers that are due: those that give
// signs of life all the time are looked at once in the time in which they may be
// silent, not at each scan.
func TestWatchLooksAtFew(t *testing.T) {
	t.Parallel()
	const workers, scans = 1000, 600
	st := watchers(workers)
	looks := 0
	for range scans { // a second each
		st.now = st.now.Add(time.Second)
		for _, w := range st.workers {
			st.alive(w)
		}
		for _, w := range st.due() {
			looks++
			st.watchOn(w)
		}
	}
	if periods := scans / int(st.f.settings.WorkerTimeout/time.Second); looks > workers*periods || len(st.watches) > workers {
		t.Errorf("%d looks at %d workers in %d periods; %d are on the watch", looks, workers, periods, len(st.watches))
	}
}

// TestALateStepIsTrimmed holds what a step remembers of leases that have ended to
// a multiple of those that run, and its slow ones to their order.
func TestALateStepIsTrimmed(t *testing.T) {
	t.Parallel()
	s := &step{running: make(map[int64][]*lease)}
	slow := &lease{id: 0, task: &Task{}}
	for i := range int64(10_000) {
		l := &lease{id: i, task: &Task{TaskKey: TaskKey{Index: i}}}
		if i == 0 {
			l = slow
		}
		s.running[i] = []*lease{l}
		s.begun = append(s.begun, l)
		s.trim()
		if i > 0 {
			delete(s.running, i)
		}
	}
	if s.begun[0] != slow || len(s.begun) > 20 {
		t.Errorf("the step remembers %d leases; the first is %d", len(s.begun), s.begun[0].id)
	}
	delete(s.running, 0)
	if s.trim(); len(s.begun) != 0 {
		t.Errorf("%d leases are remembered that have all ended", len(s.begun))
	}
}
