package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// back sends the browser to a page with what came of an action.
func (v *visit) back(to, said string) {
	to = local(to)
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	v.redirect(to + sep + "said=" + said)
}

// act makes a route of a verb on a job.
func act(said string, verb func(v *visit, ctx context.Context, c farm.JobChange) error) func(*visit) error {
	return func(v *visit) error {
		id, err := v.number("job")
		if err != nil {
			return err
		}
		if err := v.form(1 << 20); err != nil {
			return err
		}
		c := farm.JobChange{By: v.by, Job: id, Reason: clip(strings.TrimSpace(v.r.PostForm.Get("reason")), 1000)}
		if err := verb(v, v.ctx(), c); err != nil {
			return err
		}
		to := v.r.PostForm.Get("next")
		if to == "" {
			to = fmt.Sprintf("/ui/jobs/%d", id)
		}
		v.back(to, said)
		return nil
	}
}

var (
	pauseJob = act("paused", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Pause(ctx, c)
		return err
	})
	resumeJob = act("resumed", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Resume(ctx, c)
		return err
	})
	// cancelJob and removeJob destroy work, so they can be taken back for a while.
	cancelJob = act("pending", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Later(ctx, c, farm.PendingCancel, v.Undo)
		return err
	})
	removeJob = act("pending", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Later(ctx, c, farm.PendingRemove, v.Undo)
		return err
	})
	undoJob = act("undone", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Undo(ctx, c)
		return err
	})
	moveJob = act("moved", func(v *visit, ctx context.Context, c farm.JobChange) error {
		_, err := v.Farm.Pin(ctx, c, strings.TrimSpace(v.r.PostForm.Get("version")))
		return err
	})
	retryJob    = act("retried", (*visit).retry)
	setPriority = act("saved", func(v *visit, ctx context.Context, c farm.JobChange) error {
		n, err := strconv.Atoi(v.r.PostForm.Get("priority"))
		if err != nil {
			return farm.Errorf(farm.Invalid, "the priority is a number from 0 to 100")
		}
		_, err = v.Farm.SetPriority(ctx, c, n)
		return err
	})
)

// maxChosen is how many tasks one request names.
const maxChosen = 10_000

// retry tries tasks again: those chosen ("STEP/INDEX", "STEP/FIRST-LAST"), or with "all" every one
// that failed or was canceled.
func (v *visit) retry(ctx context.Context, c farm.JobChange) error {
	keys, err := chosenTasks(c.Job, v.r.PostForm["task"])
	if err != nil {
		return err
	}
	if len(keys) == 0 && v.r.PostForm.Get("all") == "" {
		return farm.Errorf(farm.Invalid, "choose at least one task to try again")
	}
	_, _, err = v.Farm.Retry(ctx, c, keys)
	return err
}

// chosenTasks reads which tasks were chosen: "STEP/INDEX", or "STEP/FIRST-LAST" for
// several in a row.
func chosenTasks(job int64, names []string) ([]farm.TaskKey, error) {
	var out []farm.TaskKey
	for _, s := range names {
		step, index, ok := strings.Cut(s, "/")
		first, last, many := strings.Cut(index, "-")
		if !many {
			last = first
		}
		a, e1 := parseNumber(step)
		from, e2 := parseNumber(first)
		to, e3 := parseNumber(last)
		if !ok || e1 != nil || e2 != nil || e3 != nil || a > 1<<20 || to < from {
			return nil, farm.Errorf(farm.Invalid, "%q is no task (STEP/INDEX, or STEP/FIRST-LAST for several)", clip(s, 40))
		}
		if to-from >= int64(maxChosen-len(out)) {
			return nil, farm.Errorf(farm.Invalid, "at most %d tasks can be chosen at once", maxChosen)
		}
		for i := from; i <= to; i++ {
			out = append(out, farm.TaskKey{Job: job, Step: int(a), Index: i})
		}
	}
	return out, nil
}
