package agent

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/api"
)

// pulseFarm notes pulses with their times, on a virtual clock.
type pulseFarm struct {
	Farm
	f     *fakeFarm
	mu    sync.Mutex
	times []time.Time
	hung  bool // no pulse arrives
}

func (p *pulseFarm) set(hung bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = hung
}

func (p *pulseFarm) Heartbeat(ctx context.Context, id int64, b api.Pulse) (*api.PulseReply, error) {
	p.mu.Lock()
	p.times = append(p.times, time.Now())
	hung := p.hung
	p.mu.Unlock()
	if hung {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.f.Heartbeat(ctx, id, b)
}

// count is how many pulses came since the last call.
func (p *pulseFarm) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.times)
	p.times = nil
	return n
}

// pulsing runs a worker's pulses in a bubble.
func pulsing(t *testing.T, test func(t *testing.T, a *agent, p *pulseFarm, failed func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeFarm()
		p := &pulseFarm{Farm: f, f: f}
		f.workers[1] = &api.Registration{Key: "key", Slots: 1}
		f.byKey["key"] = 1
		ctx, cancel := context.WithCancel(t.Context())
		failing, fail := context.WithCancelCause(ctx)
		a := &agent{
			cfg: Config{Farm: p}, set: Settings{}.withDefaults(), log: slog.New(slog.DiscardHandler), dir: &folder{key: "key"},
			id: 1, leases: map[int64]*lease{}, poke: make(chan struct{}, 1), fail: fail,
		}
		done := make(chan struct{})
		go func() { defer close(done); a.pulses(ctx) }()
		test(t, a, p, func() error { return context.Cause(failing) })
		cancel()
		<-done
	})
}

// hold gives the worker a lease, here and at the farm.
func hold(a *agent, f *fakeFarm, id int64) *lease {
	f.set(func() {
		f.leases[id] = &fakeLease{id: id, worker: 1, task: &fakeTask{state: "running"}}
	})
	return a.adopt(context.Background(), &api.Lease{ID: id, Job: 1, Period: f.period.Seconds()})
}

func TestPulsesAreHeld(t *testing.T) {
	t.Parallel()
	pulsing(t, func(t *testing.T, a *agent, p *pulseFarm, _ func() error) {
		l := hold(a, p.f, 7)
		time.Sleep(10 * time.Minute)
		if n := p.count(); n < 25 || n > 35 {
			t.Errorf("%d pulses in 10 minutes, want one each 20 s", n)
		}
		l.set(func() { l.percent = 10 })
		for range 100 {
			a.news()
			time.Sleep(100 * time.Millisecond)
		}
		if n := p.count(); n < 4 || n > 7 {
			t.Errorf("%d pulses in 10 s of changing progress, want one each 2 s", n)
		}
		p.f.mu.Lock()
		defer p.f.mu.Unlock()
		if got := p.f.leases[7].progress; got[len(got)-1].Percent != 10 {
			t.Errorf("progress %+v", got[len(got)-1])
		}
	})
}

func TestPulsesKeepShortLeases(t *testing.T) {
	t.Parallel()
	pulsing(t, func(t *testing.T, a *agent, p *pulseFarm, _ func() error) {
		time.Sleep(time.Second) // a long pulse is held
		p.f.set(func() { p.f.period = 3 * time.Second })
		hold(a, p.f, 7)
		time.Sleep(time.Minute)
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := 2; i < len(p.times); i++ {
			if gap := p.times[i].Sub(p.times[i-1]); gap >= 3*time.Second {
				t.Errorf("%v between two renewals of a lease of 3 s", gap)
			}
		}
		if first := p.times[1].Sub(p.times[0]); first > 4*time.Second {
			t.Errorf("the first renewal came after %v", first)
		}
	})
}

func TestStopIsObeyedAtOnce(t *testing.T) {
	t.Parallel()
	pulsing(t, func(t *testing.T, a *agent, p *pulseFarm, _ func() error) {
		l, other := hold(a, p.f, 7), hold(a, p.f, 8)
		other.set(func() { other.rendered = true })
		time.Sleep(time.Minute + time.Second)
		p.f.set(func() { p.f.leases[7].stopping, p.f.leases[8].stopping = "canceled", "canceled" })
		synctest.Wait()
		if got := context.Cause(l.ctx); got == nil || got.Error() != "stopped by the farm: canceled" {
			t.Errorf("the running task: %v", got)
		}
		if other.ctx.Err() != nil {
			t.Error("a rendered task was stopped")
		}
		p.count()
		// It takes some seconds to end; the farm must not be flooded meanwhile.
		time.Sleep(5 * time.Second)
		if n := p.count(); n < 2 || n > 6 {
			t.Errorf("%d pulses in 5 s of stopping", n)
		}
		a.drop(l)
		time.Sleep(time.Minute)
		p.count()
		time.Sleep(time.Minute)
		if n := p.count(); n > 4 {
			t.Errorf("%d pulses in a minute with a delivery that the farm does not want to hear of", n)
		}
		if _, named := other.progress(); named {
			t.Error("the delivery is still named")
		}
	})
}

func TestPulsesOutliveAbsence(t *testing.T) {
	t.Parallel()
	pulsing(t, func(t *testing.T, a *agent, p *pulseFarm, failed func() error) {
		hold(a, p.f, 7)
		time.Sleep(time.Minute)
		p.f.set(func() { p.f.down = true })
		time.Sleep(50 * time.Minute)
		if n := p.count(); n < 250 || n > 400 {
			t.Errorf("%d pulses in 50 minutes of absence, want one each 10 s", n)
		}
		if failed() != nil {
			t.Fatalf("the worker gave up: %v", failed())
		}
		p.f.set(func() { p.f.down = false })
		time.Sleep(time.Minute)
		p.f.set(func() { p.f.down = true })
		time.Sleep(55 * time.Minute)
		if failed() != nil {
			t.Errorf("two absences were added up: %v", failed())
		}
		time.Sleep(10 * time.Minute)
		if failed() == nil {
			t.Error("after more than an hour the worker has not given up")
		}
	})
}

// TestHungPulse has a connection that is dead without an error: pulses go on within
// the lease's time.
func TestHungPulse(t *testing.T) {
	t.Parallel()
	pulsing(t, func(t *testing.T, a *agent, p *pulseFarm, _ func() error) {
		hold(a, p.f, 7)
		time.Sleep(30 * time.Second)
		p.set(true)
		p.count()
		time.Sleep(2 * time.Minute)
		if n := p.count(); n < 3 || n > 12 {
			t.Errorf("%d pulses were tried in two minutes", n)
		}
		p.set(false)
		time.Sleep(time.Minute)
		p.f.mu.Lock()
		defer p.f.mu.Unlock()
		if n := len(p.f.leases[7].progress); n < 4 {
			t.Errorf("%d pulses arrived", n)
		}
	})
}

func TestHoldsAreSorted(t *testing.T) {
	t.Parallel()
	f := newFakeFarm()
	a := &agent{leases: map[int64]*lease{}, poke: make(chan struct{}, 1), log: slog.New(slog.DiscardHandler), set: Defaults()}
	for _, id := range []int64{5, 3, 9} {
		hold(a, f, id)
	}
	if got := a.holds(); !slices.Equal(got, []int64{3, 5, 9}) {
		t.Errorf("holds %v", got)
	}
	if a.adopt(t.Context(), &api.Lease{ID: 3}) != nil {
		t.Error("a lease was taken twice")
	}
}
