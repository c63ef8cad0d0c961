package farm

import (
	"context"
	"sync"
)

// maxChecks bounds of how many jobs the checks are remembered.
const maxChecks = 10_000

// checks remembers what the outputs of jobs must be. A job's Spec never
// changes, and its id is never given again, so they stay true.
type checks struct {
	mu    sync.RWMutex
	byJob map[int64]*Check
}

func (c *checks) get(job int64) (*Check, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.byJob[job]
	return k, ok
}

func (c *checks) put(job int64, k *Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byJob == nil || len(c.byJob) >= maxChecks {
		c.byJob = make(map[int64]*Check)
	}
	c.byJob[job] = k
}

// check returns what the outputs of a job's tasks must be; nil: anything. Only
// the first result of a job asks the dispatcher, so that a result waits for one
// transaction, not for two.
func (f *Farm) check(ctx context.Context, id int64) (*Check, error) {
	if c, ok := f.checks.get(id); ok {
		return c, nil
	}
	var c *Check
	err := f.do(ctx, func(st *state) error {
		j, err := st.job(id)
		if err != nil {
			return err
		}
		c = j.Spec.Check
		return nil
	})
	if err == nil {
		f.checks.put(id, c)
	}
	return c, err
}
