package farm

import (
	"cmp"
	"context"
	"strconv"
	"time"
)

// ValueRetention is for how many days jobs are kept after their end, with their
// tasks, frames and logs; "" or "0": until somebody removes them.
const ValueRetention = "retention"

// maxRetention is as good as for ever, in days.
const maxRetention = 36_500

// SetRetention says for how many days jobs are kept after their end; 0: until
// somebody removes them. What is older goes soon after.
func (f *Farm) SetRetention(ctx context.Context, by Principal, days int) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "how long jobs are kept is set by the role operator")
	}
	if days < 0 || days > maxRetention {
		return Errorf(Invalid, "jobs cannot be kept for %d days; give 1 to %d, or 0 to keep them until somebody removes them", days, maxRetention)
	}
	err := f.do(ctx, func(st *state) error {
		st.setValue(ValueRetention, strconv.Itoa(days))
		st.emit(Event{Type: "farm.retention", State: strconv.Itoa(days)})
		if days == 0 {
			st.audit(by, "had ended jobs kept until somebody removes them")
		} else {
			st.audit(by, "had ended jobs kept for %d days", days)
		}
		return nil
	})
	select {
	case f.retire <- struct{}{}:
	default:
	}
	return err
}

// Retention is for how many days jobs are kept after their end; 0: until somebody
// removes them.
func (f *Farm) Retention() int {
	days, _ := strconv.Atoi(f.Value(ValueRetention)) // it was a number when it was set
	return days
}

// tidyUp removes jobs whose time is over and forgets what is old, again and again
// until the farm closes.
func (f *Farm) tidyUp() {
	t := time.NewTicker(f.settings.RetireEvery)
	defer t.Stop()
	for {
		select {
		case <-f.stopped:
			return
		case <-f.retire:
		case <-t.C:
		}
		jobs, err := f.retireOld(context.Background())
		if jobs > 0 {
			f.log.Info("old jobs removed", "jobs", jobs, "kept_days", f.Retention())
		}
		tokens, workers, ferr := f.forgetOld(context.Background())
		if tokens+workers > 0 {
			f.log.Info("what is old was forgotten", "expired_tokens", tokens, "workers", workers)
		}
		err = cmp.Or(err, ferr)
		if CodeOf(err) == Unavailable { // it is closing, or later will do
			f.log.Debug("what is old is not removed yet", "err", err)
		} else if err != nil {
			f.log.Error("what is old cannot be removed", "err", err)
		}
	}
}

// retiredPage is how many jobs are read at once.
const retiredPage = 500

// retireOld removes the jobs that ended longer ago than jobs are kept. Their files
// go with the next garbage collection.
func (f *Farm) retireOld(ctx context.Context) (removed int, err error) {
	days := f.Retention()
	if days == 0 {
		return 0, nil
	}
	end := f.clock().AddDate(0, 0, -days)
	q := JobQuery{States: []JobState{JobDone, JobFailed, JobCanceled}, Limit: retiredPage}
	farm := Principal{Roles: []Role{RoleOperator}}
	for {
		page, err := f.store.Jobs(ctx, q)
		if err != nil {
			return removed, err
		}
		for _, j := range page {
			q.Before = j.ID
			if j.Finished.IsZero() || j.Finished.After(end) {
				continue
			}
			switch err := f.Remove(ctx, JobChange{By: farm, Job: j.ID}); CodeOf(err) {
			case "":
				removed++
			case NotFound, Conflict: // somebody was faster, or tries it again
			default:
				return removed, err
			}
		}
		if len(page) < retiredPage {
			break
		}
	}
	if removed > 0 {
		err = f.do(ctx, func(st *state) error {
			st.audit(Principal{}, "removed %d jobs that had ended more than %d days ago", removed, days)
			st.emit(Event{Type: "farm.retired", State: strconv.Itoa(removed)})
			return nil
		})
	}
	return removed, err
}
