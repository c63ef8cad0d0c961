package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"drover.farm/internal/api"
)

// loadedFarm is a farm with workers and jobs of which tasks always wait.
type loadedFarm struct {
	*server
	workers   []int64
	size      int64         // of each job; so many tasks wait at the least, and twice as many at the most
	took      time.Duration // to submit the first job
	submitted int64
	taken     atomic.Int64
	remove    func()
}

func (l *loadedFarm) end() {
	l.kill()
	l.remove()
}

// loaded starts a farm with workers and a number of tasks that wait.
func (r *runner) loaded(ctx context.Context, store string, workers int, size int64) (*loadedFarm, error) {
	dir, remove, err := folder()
	if err != nil {
		return nil, err
	}
	s, err := r.farmOn(ctx, dir, store)
	if err != nil {
		remove()
		return nil, err
	}
	l := &loadedFarm{server: s, size: size, remove: remove}
	if l.workers, err = s.register(ctx, workers); err == nil {
		err = l.feed(ctx)
	}
	if err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

// feed submits jobs until enough tasks wait.
func (l *loadedFarm) feed(ctx context.Context) error {
	for l.submitted-l.taken.Load() < 2*l.size {
		_, took, err := l.submit(ctx, l.size)
		if err != nil {
			return err
		}
		if l.submitted == 0 {
			l.took = took
		}
		l.submitted += l.size
	}
	return nil
}

// keepFed goes on to feed until the function that it returns is called, which
// tells whether it failed.
func (l *loadedFarm) keepFed(ctx context.Context) (stop func() error) {
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		t := time.NewTicker(2 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-end:
				ended <- nil
				return
			case <-t.C:
				if err := l.feed(ctx); err != nil {
					ended <- err
					return
				}
			}
		}
	}()
	return func() error { close(end); return <-ended }
}

// held is a task that a worker of the load has.
type held struct{ lease, job, index int64 }

// claim asks for a task and waits for one.
func (l *loadedFarm) claim(ctx context.Context, worker int64) (held, error) {
	var v api.Lease
	err := l.post(ctx, fmt.Sprintf("/api/v1/workers/%d/claim", worker), api.Claim{Wait: 30}, &v)
	if err == nil && v.ID == 0 {
		err = errors.New("no task came within 30 s")
	}
	l.taken.Add(1)
	return held{v.ID, v.Job, v.Index}, err
}

// cycle runs complete-and-claim cycles with n of the workers for a time. Each
// cycle is one request: the result of a task and the claim of the next, both
// durable before the answer.
func (l *loadedFarm) cycle(ctx context.Context, n int, d time.Duration) (load, error) {
	first := make([]held, n)
	err := each(n, func(i int) (err error) { first[i], err = l.claim(ctx, l.workers[i]); return err })
	if err != nil {
		return load{}, err
	}
	stop := l.keepFed(ctx)
	got, err := l.under(ctx, n, func(i int, end time.Time, done *atomic.Int64) error {
		return l.work(ctx, l.workers[i], first[i], end, done)
	}, d)
	return got, errors.Join(err, stop())
}

// work is one worker of a load. In the end it finishes its last task, so that it
// can claim again.
func (l *loadedFarm) work(ctx context.Context, worker int64, h held, end time.Time, done *atomic.Int64) error {
	for {
		last := !time.Now().Before(end)
		body := fmt.Appendf(nil, `{"worker":%d,"job":%d,"step":0,"index":%d,"seconds":1.5`, worker, h.job, h.index)
		if !last {
			body = fmt.Appendf(body, `,"next":{"warm":%d}`, h.job)
		}
		status, answer, err := l.raw(ctx, http.MethodPost, "/api/v1/leases/"+strconv.FormatInt(h.lease, 10)+"/complete", append(body, '}'))
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("complete: %d %s", status, answer)
		}
		if err != nil || last {
			return err
		}
		done.Add(1)
		l.taken.Add(1)
		var ok bool
		if h, ok = next(answer); !ok {
			l.taken.Add(-1)
			if h, err = l.claim(ctx, worker); err != nil {
				return err
			}
		}
	}
}

// next finds the lease in a verdict without decoding all of it, so that the
// load generator takes as little of the machine as it can.
func next(answer []byte) (h held, ok bool) {
	rest := answer
	for _, f := range []struct {
		key string
		to  *int64
	}{{`"next":{"id":`, &h.lease}, {`"job":`, &h.job}, {`"index":`, &h.index}} {
		if _, rest, ok = bytes.Cut(rest, []byte(f.key)); !ok {
			return held{}, false
		}
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		var err error
		if *f.to, err = strconv.ParseInt(string(rest[:n]), 10, 64); err != nil {
			return held{}, false
		}
	}
	return h, true
}
