package farm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// LedgerLine is a line of the ledger as people read it.
type LedgerLine struct {
	Entry
	Name string // of the job; "" when it is gone, or for what was granted
}

// LedgerPage lists lines of the ledger, the newest job first, of one account or,
// for "", of all. next is the cursor of the page that follows, "" at the end.
// People may read their own lines; others take the role admin.
func (f *Farm) LedgerPage(ctx context.Context, by Principal, account, after string, limit int) (lines []LedgerLine, next string, err error) {
	if (account == "" || account != by.Login) && !by.Is(RoleAdmin) {
		return nil, "", Errorf(Forbidden, "the points of others take the role admin")
	}
	q := LedgerQuery{Account: account, Limit: limit + 1}
	if after != "" {
		job, login, ok := strings.Cut(after, "/")
		id, err := strconv.ParseInt(job, 10, 64)
		if !ok || err != nil {
			return nil, "", Errorf(Invalid, "%s is no place in the ledger", quote(clip(after, 40)))
		}
		q.After = &LedgerPlace{Job: id, Account: login}
	}
	rows, err := f.store.Ledger(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("read the ledger: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = fmt.Sprintf("%d/%s", rows[limit-1].Job, rows[limit-1].Account)
	}
	for _, e := range rows {
		l := LedgerLine{Entry: *e}
		if e.Job != 0 {
			// A list reads no templates and files, as the job itself would.
			js, err := f.store.Jobs(ctx, JobQuery{Before: e.Job + 1, Limit: 1})
			if err != nil {
				return nil, "", fmt.Errorf("read the name of job %d: %w", e.Job, err)
			}
			if len(js) == 1 && js[0].ID == e.Job {
				l.Name = js[0].Spec.Name
			}
		}
		lines = append(lines, l)
	}
	return lines, next, nil
}

// JobLedger lists what accounts earned and spent by a job. Its owner may read it;
// others take the role admin.
func (f *Farm) JobLedger(ctx context.Context, by Principal, job int64) ([]LedgerLine, error) {
	j, err := f.Job(ctx, job)
	if err != nil {
		return nil, err
	}
	if j.Owner != by.Login && !by.Is(RoleAdmin) {
		return nil, Errorf(Forbidden, "job %d belongs to %s; what others earned and spent takes the role admin", job, j.Owner)
	}
	rows, err := f.store.Ledger(ctx, LedgerQuery{Job: job})
	if err != nil {
		return nil, fmt.Errorf("read the ledger of job %d: %w", job, err)
	}
	lines := make([]LedgerLine, len(rows))
	for i, e := range rows {
		lines[i] = LedgerLine{Entry: *e, Name: j.Spec.Name}
	}
	return lines, nil
}
