package sim

import (
	"context"

	"drover.farm/internal/farm"
)

// full compares farm, store and checker as a whole.
func (c *checker) full() {
	s := c.s
	if s.link.gate != nil || s.link.dead || c.err != nil {
		return
	}
	s.report.Checked++
	s.link.next = none // the comparison is not what the mishap was meant for
	for _, id := range sortedKeys(s.waiting) {
		if w := c.workers[id]; s.waiting[id].at == s.farm && w != nil {
			c.overlooked(w)
		}
	}
	ctx := context.Background()
	snap, err := s.store.Load(ctx)
	if err != nil {
		c.breach("load: %v", err)
		return
	}
	unended, live := 0, 0
	for _, j := range snap.Jobs {
		unended++
		own := c.jobs[j.ID]
		if own == nil {
			c.breach("the store has job %d, which was never written", j.ID)
			return
		}
		for i := range j.Steps {
			c.compareStep(own.steps[i], &j.Steps[i])
		}
	}
	if unended != len(c.open) {
		c.breach("the store has %d jobs that have not ended, %d were written", unended, len(c.open))
	}
	for _, t := range snap.Tasks {
		if row := c.jobs[t.Job].steps[t.Step].rows[t.Index]; row == nil || row.state != t.State || row.attempts != len(t.Attempts) {
			c.breach("the store has task %v %s, written was %+v", t.TaskKey, t.State, row)
		}
		live++
	}
	want := 0
	for _, j := range c.open {
		for _, st := range j.steps {
			want += int(st.count[farm.TaskWaiting] + st.count[farm.TaskRunning])
		}
	}
	if live != want {
		c.breach("the store has %d tasks that wait again or run, %d were written", live, want)
	}
	c.compareLeases()
	c.silent()
	c.compareBalances(snap)
}

func (c *checker) compareStep(own *cStep, row *farm.Step) {
	if row.Next != own.row.Next || row.Done != own.row.Done || row.Running != own.row.Running || row.Retrying != own.row.Retrying || row.State != own.row.State {
		c.breach("the store has %+v, written was %+v", *row, own.row)
	}
}

// compareLeases holds the leases that the farm knows against the rows.
func (c *checker) compareLeases() {
	var got []farm.LeaseInfo
	var err error
	sendNow(c.s, 0, func(ctx context.Context, f *farm.Farm) (bool, error) {
		got, err = f.Leases(ctx, 0)
		return true, err
	}, unjudged, forget)
	if err != nil {
		return // the farm is about to end
	}
	if len(got) != len(c.leases) {
		c.breach("the farm knows %d leases, the rows %d", len(got), len(c.leases))
	}
	for _, l := range got {
		if own := c.leases[l.ID]; own == nil || own.task != l.TaskKey || own.worker != l.Worker {
			c.breach("the farm has lease %+v, the rows %+v", l, own)
		}
	}
}

// compareBalances adds all balances up: what one earned, another spent.
func (c *checker) compareBalances(snap *farm.Snapshot) {
	var sum farm.Points
	for _, p := range snap.Balances {
		sum += p
	}
	if sum != 0 { // nothing was granted
		c.breach("all balances together are %d", sum)
	}
}

// nothingLeft checks that nothing is held when all is over.
func (c *checker) nothingLeft() {
	if len(c.leases) > 0 || c.used != 0 {
		c.breach("%d leases and %d licences are left when all is over", len(c.leases), c.used)
	}
	for _, j := range c.jobs {
		for _, s := range j.steps {
			if s.row.Running > 0 || !s.row.State.Ended() {
				c.breach("%v is left when all is over", s)
			}
		}
	}
}
