package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// entries reads lines of the ledger.
func entries(ctx context.Context, q querier, tail string, args ...any) ([]*farm.Entry, error) {
	var out []*farm.Entry
	err := each(ctx, q, "SELECT account, job, granted, earned, spent, frames, updated FROM ledger "+tail, args, func(r pgx.Rows) error {
		e := &farm.Entry{}
		var updated int64
		out = append(out, e)
		err := r.Scan(&e.Account, &e.Job, &e.Granted, &e.Earned, &e.Spent, &e.Frames, &updated)
		e.Updated = store.Time(updated)
		return err
	})
	return out, err
}

// loadBuilds reads builds, packs and the ledger as far as a dispatcher needs it.
func loadBuilds(ctx context.Context, q querier, snap *farm.Snapshot) (err error) {
	if snap.Builds, err = bodies[farm.Build](ctx, q, "SELECT body FROM builds ORDER BY id"); err != nil {
		return err
	}
	if snap.Packs, err = bodies[farm.Pack](ctx, q, "SELECT body FROM packs ORDER BY key"); err != nil {
		return err
	}
	if snap.Entries, err = entries(ctx, q, "WHERE job = 0 OR job IN (SELECT id FROM jobs WHERE "+liveJobs+")"); err != nil {
		return err
	}
	snap.Balances = make(map[string]farm.Points)
	return each(ctx, q, "SELECT account, sum(granted + earned - spent)::bigint FROM ledger GROUP BY account", nil, func(r pgx.Rows) error {
		var account string
		var sum farm.Points
		if err := r.Scan(&account, &sum); err != nil {
			return err
		}
		snap.Balances[account] = sum
		return nil
	})
}

// Builds lists the builds by id.
func (s *Store) Builds(ctx context.Context) ([]*farm.Build, error) {
	return bodies[farm.Build](ctx, s.pool, "SELECT body FROM builds ORDER BY id")
}

// Ledger lists entries of the ledger, the newest job first.
func (s *Store) Ledger(ctx context.Context, q farm.LedgerQuery) ([]*farm.Entry, error) {
	where, args := "WHERE true", []any{}
	if q.Account != "" {
		args = append(args, q.Account)
		where += fmt.Sprintf(" AND account = $%d", len(args))
	}
	if q.Job != 0 {
		args = append(args, q.Job)
		where += fmt.Sprintf(" AND job = $%d", len(args))
	}
	if q.After != nil {
		args = append(args, q.After.Job, q.After.Account)
		where += fmt.Sprintf(" AND job <= $%d AND (job < $%[1]d OR account > $%d)", len(args)-1, len(args))
	}
	where += " ORDER BY job DESC, account"
	if q.Limit > 0 {
		args = append(args, q.Limit)
		where += fmt.Sprintf(" LIMIT $%d", len(args))
	}
	return entries(ctx, s.pool, where, args...)
}

// fileReferences names the blobs of builds and packs.
func fileReferences(ctx context.Context, q querier, fn func(string) error) error {
	bs, err := bodies[farm.Build](ctx, q, "SELECT body FROM builds")
	if err != nil {
		return err
	}
	for _, b := range bs {
		if err := b.References(fn); err != nil {
			return err
		}
	}
	ps, err := bodies[farm.Pack](ctx, q, "SELECT body FROM packs")
	if err != nil {
		return err
	}
	for _, k := range ps {
		if err := k.References(fn); err != nil {
			return err
		}
	}
	return nil
}

// Notes lists notes by key.
func (s *Store) Notes(ctx context.Context, q farm.NoteQuery) ([]*farm.Note, error) {
	var limit any // NULL: all
	if q.Limit > 0 {
		limit = q.Limit
	}
	var out []*farm.Note
	err := each(ctx, s.pool, "SELECT key, job, text FROM notes WHERE key > $1 AND key >= $2 AND starts_with(key, $2) ORDER BY key LIMIT $3",
		[]any{q.After, q.Prefix, limit}, func(r pgx.Rows) error {
			n := &farm.Note{}
			out = append(out, n)
			return r.Scan(&n.Key, &n.Job, &n.Text)
		})
	return out, err
}
