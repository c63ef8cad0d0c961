package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"drover.farm/internal/api"
)

type jobLedgerCmd struct{ oneJob }

func (c *jobLedgerCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	l, err := farm.JobLedger(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(l.Lines), func(w io.Writer) {
		if len(l.Lines) == 0 {
			a.say("nobody has earned points by job %d", c.ID)
			return
		}
		rows := make([][]string, len(l.Lines))
		for i, x := range l.Lines {
			rows[i] = []string{x.Account, itoa(x.Frames), points(x.Earned), points(x.Spent), when(&x.Updated, time.Now())}
		}
		table(w, "ACCOUNT FRAMES EARNED SPENT CHANGED", rows)
	})
}

type userLedgerCmd struct {
	Shown
	oneUser
	After string `placeholder:"CURSOR" help:"Go on after the place that a list before has named."`
}

func (c *userLedgerCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	l, err := farm.Ledger(a.ctx, c.Login, c.After)
	if err != nil {
		return err
	}
	return a.show(c.Shown, l, func(w io.Writer) {
		rows := make([][]string, len(l.Lines))
		for i, x := range l.Lines {
			job := "granted"
			if x.Job != 0 {
				job = itoa(x.Job)
			}
			rows[i] = []string{job, x.Name, itoa(x.Frames), points(x.Earned), points(x.Spent), points(x.Granted), when(&x.Updated, time.Now())}
		}
		if len(rows) > 0 {
			table(w, "JOB NAME FRAMES EARNED SPENT GRANTED CHANGED", rows)
		}
		a.sayBalance(c.Login, l)
		if l.Next != "" {
			a.say("there is more: --after %s", l.Next)
		}
	})
}

// sayBalance says what an account has.
func (a *App) sayBalance(login string, l *api.Ledger) {
	if l.Balance != nil {
		a.say("%s has %s points", login, points(*l.Balance))
	}
}

type userGrantCmd struct {
	Shown
	oneUser
	Points float64 `arg:"" help:"How many; a negative number takes points. A point is a minute of rendering on an average machine."`
}

func (c *userGrantCmd) Examples() string {
	return `  drover user grant anna 500
  drover user grant anna -- -20
`
}

func (c *userGrantCmd) Run(a *App) error {
	if math.IsNaN(c.Points) || c.Points == 0 {
		return usagef("%s is no number of points to grant", number(c.Points))
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	l, err := farm.Grant(a.ctx, c.Login, c.Points)
	if err != nil {
		return err
	}
	return a.show(c.Shown, l, func(io.Writer) { a.sayBalance(c.Login, l) })
}

// points writes points with at most two decimals.
func points(p float64) string {
	return strconv.FormatFloat(math.Round(p*100)/100, 'f', -1, 64)
}

type workerHistoryCmd struct{ oneWorker }

func (c *workerHistoryCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	h, err := farm.History(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(c.Shown, h, func(w io.Writer) {
		if len(h.Recent) == 0 {
			a.say("worker %d has not ended any task lately", c.ID)
			return
		}
		printHistory(w, h, time.Now())
	})
}

// printHistory prints attempts, the newest first, and sums of the last day.
func printHistory(w io.Writer, h *api.History, now time.Time) {
	rows := make([][]string, 0, len(h.Recent))
	for _, p := range slices.Backward(h.Recent) {
		rows = append(rows, []string{fmt.Sprintf("%d/%d/%d", p.Job, p.Step, p.Index), itoa(p.Attempt), when(&p.Ended, now), seconds(p.Seconds), p.Outcome, p.Cause, p.Error})
	}
	table(w, "TASK ATTEMPT ENDED TOOK OUTCOME FAULT ERROR", rows)
	var busy float64
	var done, failed int64
	for _, x := range h.Hours {
		if now.Sub(x.Start) < 24*time.Hour {
			busy, done, failed = busy+x.Busy, done+x.Done, failed+x.Failed
		}
	}
	fmt.Fprintf(w, "\nIn 24 hours: busy for %s, %d done, %d failed\n", seconds(busy), done, failed)
}
