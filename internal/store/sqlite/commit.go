package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// purgeSlice is how many tasks of removed jobs go with one commit.
const purgeSlice = 500

// tx is one transaction under way. Its first error sticks.
type tx struct {
	s   *Store
	ctx context.Context
	tx  *sql.Tx
	err error
}

// exec runs a statement, prepared once for the life of the store.
func (t *tx) exec(query string, args ...any) {
	if t.err != nil {
		return
	}
	st := t.s.stmts[query]
	if st == nil {
		// Prepared outside the transaction: the pool's one connection is busy
		// with it, so it is prepared on the transaction and kept from there.
		if st, t.err = t.tx.PrepareContext(t.ctx, query); t.err != nil {
			t.err = fmt.Errorf("prepare %.40q: %w", query, t.err)
			return
		}
		defer st.Close()
		if _, t.err = st.ExecContext(t.ctx, args...); t.err != nil {
			t.err = fmt.Errorf("%.40q: %w", query, t.err)
		}
		return
	}
	if _, err := t.tx.StmtContext(t.ctx, st).ExecContext(t.ctx, args...); err != nil {
		t.err = fmt.Errorf("%.40q: %w", query, err)
	}
}

// col passes a column on and keeps the error of making it.
func (t *tx) col(s string, err error) string {
	if err != nil && t.err == nil {
		t.err = err
	}
	return s
}

// Commit writes the batch in one transaction.
func (s *Store) Commit(ctx context.Context, b *farm.Batch) error {
	if err := s.prepare(ctx); err != nil {
		return dbError("prepare", err)
	}
	raw, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return dbError("begin", err)
	}
	defer raw.Rollback()
	t := &tx{s: s, ctx: ctx, tx: raw}
	var epoch int64
	if err := raw.StmtContext(ctx, s.stmts[sqlEpoch]).QueryRowContext(ctx).Scan(&epoch); err != nil {
		return dbError("read the epoch", err)
	}
	if epoch != b.Epoch {
		return farm.Errorf(farm.Gone, "the database has another writer since")
	}
	t.jobs(b)
	t.tasks(b.Tasks)
	t.others(b)
	purged := t.purge(b)
	if t.err != nil {
		return dbError("write", t.err)
	}
	if err := raw.Commit(); err != nil {
		return dbError("commit", err)
	}
	s.purge = purged
	return nil
}

const (
	sqlEpoch   = "SELECT value FROM meta WHERE name = 'epoch'"
	sqlMaxID   = "UPDATE meta SET value = max(value, ?) WHERE name = ?"
	sqlNewJob  = "INSERT INTO jobs (id, name, owner, priority, state, paused, canceled, reason, build, created, started, finished, spec, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
	sqlJob     = "UPDATE jobs SET priority = ?, state = ?, paused = ?, canceled = ?, reason = ?, build = ?, created = ?, started = ?, finished = ? WHERE id = ?"
	sqlNewStep = "INSERT INTO steps (job, idx, spec, tasks, state, next, retrying, running, done, failed, canceled, seconds, slowest, fastest) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
	sqlStep    = "UPDATE steps SET state = ?, next = ?, retrying = ?, running = ?, done = ?, failed = ?, canceled = ?, seconds = ?, slowest = ?, fastest = ? WHERE job = ? AND idx = ?"
	sqlTask    = "INSERT INTO tasks (job, step, idx, state, since, attempts, outputs) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET state = excluded.state, since = excluded.since, attempts = excluded.attempts, outputs = excluded.outputs"
	sqlEvent   = "INSERT INTO events (id, body) VALUES (?,?)"
	sqlEntry   = "INSERT INTO ledger (account, job, granted, earned, spent, frames, updated) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET granted = excluded.granted, earned = excluded.earned, spent = excluded.spent, frames = excluded.frames, updated = excluded.updated"
	sqlWorker  = "INSERT INTO workers (id, body) VALUES (?,?) ON CONFLICT DO UPDATE SET body = excluded.body"
)

// prepare prepares the statements of the busy path once.
func (s *Store) prepare(ctx context.Context) error {
	if len(s.stmts) > 0 {
		return nil
	}
	for _, q := range []string{sqlEpoch, sqlMaxID, sqlNewJob, sqlJob, sqlNewStep, sqlStep, sqlTask, sqlEvent, sqlWorker, sqlEntry} {
		st, err := s.write.PrepareContext(ctx, q)
		if err != nil {
			return fmt.Errorf("%.40q: %w", q, err)
		}
		s.stmts[q] = st
	}
	return nil
}

func (t *tx) jobs(b *farm.Batch) {
	for _, j := range b.NewJobs {
		head, body, err := store.SplitSpec(&j.Spec)
		t.col(head, err)
		t.exec(sqlNewJob, j.ID, j.Spec.Name, j.Owner, j.Priority, j.State, j.Paused, j.Canceled, j.Reason, j.Build,
			store.Nanos(j.Created), store.Nanos(j.Started), store.Nanos(j.Finished), head, body)
		t.exec(sqlMaxID, j.ID, "job")
		for i := range j.Steps {
			s := &j.Steps[i]
			t.exec(sqlNewStep, j.ID, s.Index, t.col(store.StepSpecOf(s)), s.Tasks, s.State, s.Next, s.Retrying, s.Running,
				s.Done, s.Failed, s.Canceled, s.Seconds, s.Slowest, s.Fastest)
		}
	}
	for _, j := range b.Jobs {
		t.exec(sqlJob, j.Priority, j.State, j.Paused, j.Canceled, j.Reason, j.Build,
			store.Nanos(j.Created), store.Nanos(j.Started), store.Nanos(j.Finished), j.ID)
	}
	for _, s := range b.Steps {
		t.exec(sqlStep, s.State, s.Next, s.Retrying, s.Running, s.Done, s.Failed, s.Canceled, s.Seconds, s.Slowest, s.Fastest, s.Job, s.Index)
	}
}

func (t *tx) tasks(tasks []*farm.Task) {
	for _, k := range tasks {
		t.exec(sqlTask, k.Job, k.Step, k.Index, store.TaskState(k.State), k.Since, t.col(store.List(k.Attempts)), t.col(store.List(k.Outputs)))
	}
}

func (t *tx) others(b *farm.Batch) {
	for _, w := range b.Workers {
		t.exec(sqlWorker, w.ID, t.col(store.Worker(w)))
		t.exec(sqlMaxID, w.ID, "worker")
	}
	for _, id := range b.DropWorkers {
		t.exec("DELETE FROM workers WHERE id = ?", id)
	}
	for _, login := range b.DropUsers {
		t.exec("DELETE FROM users WHERE login = ?", login)
		t.exec("DELETE FROM tokens WHERE login = ?", login)
	}
	for _, h := range b.DropTokens {
		t.exec("DELETE FROM tokens WHERE hash = ?", h[:])
	}
	for _, u := range b.Users {
		t.exec("INSERT INTO users (login, body) VALUES (?,?) ON CONFLICT DO UPDATE SET body = excluded.body", u.Login, t.col(store.JSON(u)))
	}
	for _, k := range b.Tokens {
		t.exec("INSERT INTO tokens (hash, login, body) VALUES (?,?,?) ON CONFLICT DO UPDATE SET login = excluded.login, body = excluded.body", k.Hash[:], k.Login, t.col(store.JSON(k)))
	}
	for _, n := range b.DropLimits {
		t.exec("DELETE FROM limits WHERE name = ?", n)
	}
	for _, l := range b.Limits {
		t.exec("INSERT INTO limits (name, total) VALUES (?,?) ON CONFLICT DO UPDATE SET total = excluded.total", l.Name, l.Total)
	}
	for n, v := range b.Values {
		t.exec("INSERT INTO vals (name, value) VALUES (?,?) ON CONFLICT DO UPDATE SET value = excluded.value", n, v)
	}
	for _, v := range b.Builds {
		t.exec("INSERT INTO builds (id, body) VALUES (?,?) ON CONFLICT DO UPDATE SET body = excluded.body", v.ID, t.col(store.JSON(v)))
		t.exec(sqlMaxID, v.ID, "build")
	}
	for _, id := range b.DropBuilds {
		t.exec("DELETE FROM builds WHERE id = ?", id)
	}
	for _, k := range b.DropPacks {
		t.exec("DELETE FROM packs WHERE key = ?", k)
	}
	for _, p := range b.Packs {
		t.exec("INSERT INTO packs (key, body) VALUES (?,?) ON CONFLICT DO UPDATE SET body = excluded.body", p.Key, t.col(store.JSON(p)))
	}
	for _, e := range b.Entries {
		t.exec(sqlEntry, e.Account, e.Job, e.Granted, e.Earned, e.Spent, e.Frames, store.Nanos(e.Updated))
	}
	for i := range b.Events {
		t.exec(sqlEvent, b.Events[i].ID, t.col(store.JSON(&b.Events[i])))
	}
	if b.TrimEvents > 0 {
		t.exec("DELETE FROM events WHERE id <= ?", b.TrimEvents)
	}
}

// purge removes jobs at once and their tasks little by little, so that removing
// a job of a million tasks holds nobody up. It returns the jobs that are left
// to purge once the transaction is committed.
func (t *tx) purge(b *farm.Batch) []int64 {
	left := slices.Clone(t.s.purge)
	for _, id := range b.DropJobs {
		t.exec("DELETE FROM jobs WHERE id = ?", id)
		t.exec("DELETE FROM steps WHERE job = ?", id)
		t.exec("INSERT OR IGNORE INTO purge (job) VALUES (?)", id)
		left = append(left, id)
	}
	if t.err != nil || len(left) == 0 {
		return left
	}
	res, err := t.tx.ExecContext(t.ctx, "DELETE FROM tasks WHERE (job, step, idx) IN (SELECT job, step, idx FROM tasks WHERE job = ? LIMIT ?)", left[0], purgeSlice)
	if err != nil {
		t.err = fmt.Errorf("purge job %d: %w", left[0], err)
		return left
	}
	if n, _ := res.RowsAffected(); n < purgeSlice {
		t.exec("DELETE FROM purge WHERE job = ?", left[0])
		left = left[1:]
	}
	return left
}
