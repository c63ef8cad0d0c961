package bench

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"drover.farm/internal/api"
)

const crowd = 10_000 // workers, each with a lease

// measureRestart: what a claim costs, then kill -9 with a million tasks waiting
// and 10,000 leased, then what the renewals of these cost.
func measureRestart(ctx context.Context, r *runner) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	s, err := r.farm(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	id, _, err := s.submit(ctx, 1_000_000+crowd)
	if err != nil {
		return err
	}
	workers, err := s.register(ctx, crowd)
	if err != nil {
		return err
	}
	leases := make([]int64, crowd)
	claims, err := s.under(ctx, 1, func(_ int, _ time.Time, done *atomic.Int64) error {
		return each(crowd, func(i int) error {
			var l api.Lease
			err := s.post(ctx, fmt.Sprintf("/api/v1/workers/%d/claim", workers[i]), api.Claim{}, &l)
			leases[i] = l.ID
			done.Add(1)
			return err
		})
	}, 0)
	if err != nil {
		return err
	}
	r.report.add(Row{Name: "processor time of the farm, a claim", Value: micro(claims.cpu), Unit: "µs", Note: fmt.Sprintf("%d claims of one task each, %d at a time, each durable", crowd, atOnce)})
	r.report.add(Row{Name: "allocations of the farm, a claim", Value: claims.allocs})
	s.kill()
	next, err := r.farm(ctx, dir)
	if err != nil {
		return err
	}
	s = next
	var j api.Job
	status, body, err := s.raw(ctx, "GET", fmt.Sprintf("/api/v1/jobs/%d", id), nil)
	if err != nil || status != 200 {
		return fmt.Errorf("after the restart: %d %s %v", status, body, err)
	}
	if err := unmarshal(body, &j); err != nil {
		return err
	}
	kept := j.Tasks.Running == crowd && j.Tasks.Waiting == 1_000_000
	sec := s.ready.Seconds()
	r.report.hold("ready after kill -9, 1,000,000 waiting, 10,000 leased", sec, "s", "≤ 0.5 s", sec <= 0.5 && kept,
		fmt.Sprintf("%d leased and %d waiting are still there", j.Tasks.Running, j.Tasks.Waiting))
	return r.renewals(ctx, s, workers, leases)
}

// renewEvery is how often a native worker renews its leases (worker.pulse_wait).
const renewEvery = 20 * time.Second

// renewals: 10,000 workers that renew as often as native workers do. Each
// request is held open for a while, as theirs are.
func (r *runner) renewals(ctx context.Context, s *server, workers, leases []int64) error {
	const clients = 1000
	got, err := s.under(ctx, clients, func(i int, end time.Time, done *atomic.Int64) error {
		const every = renewEvery * clients / crowd
		<-time.After(every * time.Duration(i) / clients)
		pause := time.NewTicker(every)
		defer pause.Stop()
		for at := i; time.Now().Before(end); at = (at + clients) % crowd {
			body := fmt.Appendf(nil, `{"wait":1,"leases":[{"lease":%d,"percent":50}]}`, leases[at])
			status, answer, err := s.raw(ctx, http.MethodPost, fmt.Sprintf("/api/v1/workers/%d/heartbeat", workers[at]), body)
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("renew: %d %s %v", status, answer, err)
			}
			done.Add(1)
			<-pause.C
		}
		return nil
	}, max(r.For, 10*time.Second))
	if err != nil {
		return err
	}
	share := got.cpu.Seconds() * got.rate * 100
	r.report.add(Row{Name: "processor with the renewals of 10,000 workers", Value: share, Unit: "% of a core",
		Note: fmt.Sprintf("%.0f a second, each worker's every %s; %s µs and %.0f allocations each", got.rate, renewEvery, number(micro(got.cpu)), got.allocs)})
	return nil
}
