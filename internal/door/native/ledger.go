package native

import (
	"context"
	"math"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

// ledgerPage is how many lines a page of a ledger has at most, and has unless
// fewer are asked for.
const ledgerPage = 500

func points(p farm.Points) float64 { return float64(p) / float64(farm.OnePoint) }

func ledgerView(lines []farm.LedgerLine) []api.LedgerLine {
	out := make([]api.LedgerLine, len(lines))
	for i, l := range lines {
		out[i] = api.LedgerLine{Account: l.Account, Job: l.Job, Name: l.Name, Frames: l.Frames, Earned: points(l.Earned), Spent: points(l.Spent), Granted: points(l.Granted), Updated: l.Updated.UTC()}
	}
	return out
}

func (d *door) ledger(ctx context.Context, c *call) (*api.Ledger, error) {
	limit, err := c.integer("limit", ledgerPage, 1, ledgerPage)
	if err != nil {
		return nil, err
	}
	after, err := c.get("after")
	if err != nil {
		return nil, err
	}
	return d.ledgerOf(ctx, c, after, int(limit))
}

// ledgerOf reads a page of the ledger of the account that the path names.
func (d *door) ledgerOf(ctx context.Context, c *call, after string, limit int) (*api.Ledger, error) {
	login := c.r.PathValue("login")
	lines, next, err := d.Farm.LedgerPage(ctx, c.by, login, after, limit)
	if err != nil {
		return nil, err
	}
	if _, err := d.Farm.Account(login); err != nil && len(lines) == 0 {
		return nil, err // of an account that was removed the lines are left
	}
	p, err := d.Farm.Balance(ctx, login)
	if err != nil {
		return nil, err
	}
	balance := points(p)
	return &api.Ledger{Balance: &balance, Lines: ledgerView(lines), Next: next}, nil
}

func (d *door) jobLedger(ctx context.Context, c *call) (*api.Ledger, error) {
	id, err := c.number("job")
	if err != nil {
		return nil, err
	}
	lines, err := d.Farm.JobLedger(ctx, c.by, id)
	if err != nil {
		return nil, err
	}
	return &api.Ledger{Lines: ledgerView(lines)}, nil
}

func (d *door) grant(ctx context.Context, c *call, in api.Grant) (*api.Ledger, error) {
	p := math.Round(in.Points * float64(farm.OnePoint))
	if math.IsNaN(p) || math.Abs(in.Points) > 1e9 || p == 0 {
		return nil, farm.Errorf(farm.Invalid, "%g is no number of points to grant; a negative one takes points away", in.Points)
	}
	if err := d.Farm.Grant(ctx, c.by, c.r.PathValue("login"), farm.Points(p)); err != nil {
		return nil, err
	}
	return d.ledgerOf(ctx, c, "", ledgerPage)
}

func (d *door) history(ctx context.Context, c *call) (*api.History, error) {
	w, err := d.worker(ctx, c) // who may not see it is refused
	if err != nil {
		return nil, err
	}
	h, err := d.Farm.History(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	out := &api.History{Recent: make([]api.Past, len(h.Recent)), Causes: h.Causes, Hours: make([]api.Hour, len(h.Hours))}
	for i, p := range h.Recent {
		out.Recent[i] = api.Past{Job: p.Job, Step: p.Step, Index: p.Index, Attempt: p.Number, Started: p.Started.UTC(), Ended: p.Ended.UTC(),
			Outcome: string(p.Outcome), Cause: string(p.Cause), Error: p.Error, Seconds: p.Seconds}
	}
	for i, x := range h.Hours {
		out.Hours[i] = api.Hour{Start: x.Start.UTC(), Busy: x.Busy, Done: x.Done, Failed: x.Failed}
	}
	return out, nil
}
