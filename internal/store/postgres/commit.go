package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// purgeSlice is how many tasks of removed jobs go with one commit.
const purgeSlice = 2000

// tx gathers the statements of one transaction, which travel together.
type tx struct {
	pgx.Batch
	err error
}

// col passes a column on and keeps the error of making it.
func (t *tx) col(s string, err error) string {
	if err != nil && t.err == nil {
		t.err = err
	}
	return s
}

// Commit writes the batch in one transaction: one round trip for the epoch,
// one for all rows, one for the commit.
func (s *Store) Commit(ctx context.Context, b *farm.Batch) error {
	t := &tx{}
	t.jobs(b)
	t.steps(b.Steps)
	for _, s := range b.Resized {
		t.Queue("UPDATE steps SET spec = $3, tasks = $4 WHERE job = $1 AND idx = $2", s.Job, s.Index, t.col(store.StepSpecOf(s)), s.Tasks)
	}
	t.tasks(b.Tasks)
	t.others(b)
	left := t.purge(s.purge, b)
	if t.err != nil {
		return t.err
	}
	done := false
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// The row lock keeps a new writer's epoch from starting in the middle.
		var epoch int64
		if err := tx.QueryRow(ctx, "SELECT epoch FROM writer FOR UPDATE").Scan(&epoch); err != nil {
			return err
		}
		if epoch != b.Epoch {
			return farm.Errorf(farm.Gone, "the database has another writer since")
		}
		results := tx.SendBatch(ctx, &t.Batch)
		for i := range t.Len() {
			tag, err := results.Exec()
			if err != nil {
				results.Close()
				return err
			}
			done = i == t.Len()-1 && len(left) > 0 && tag.RowsAffected() < purgeSlice
		}
		return results.Close()
	})
	if err != nil {
		if farm.CodeOf(err) == farm.Gone {
			return err
		}
		return dbError("commit", err)
	}
	s.purge = left
	if done { // nothing of the first job was left; the next commit forgets it
		s.purge = append([]int64{-left[0]}, left[1:]...)
	}
	return nil
}

func (t *tx) jobs(b *farm.Batch) {
	for _, j := range b.NewJobs {
		head, body, err := store.SplitSpec(&j.Spec)
		t.col(head, err)
		t.Queue(`INSERT INTO jobs (id, name, owner, priority, state, paused, canceled, reason, build, created, started, finished, spec, body)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
			j.ID, j.Spec.Name, j.Owner, j.Priority, j.State, j.Paused, j.Canceled, text(j.Reason), j.Build,
			store.Nanos(j.Created), store.Nanos(j.Started), store.Nanos(j.Finished), head, body)
		t.Queue("UPDATE meta SET value = greatest(value, $1) WHERE name = 'job'", j.ID)
		for i := range j.Steps {
			s := &j.Steps[i]
			t.Queue("UPDATE meta SET value = value + 1 WHERE name = 'step'")
			t.Queue(`INSERT INTO steps (job, idx, spec, tasks, state, next, retrying, running, done, failed, canceled, seconds, slowest, fastest, number)
				VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,(SELECT value FROM meta WHERE name = 'step'))`,
				j.ID, s.Index, t.col(store.StepSpecOf(s)), s.Tasks, s.State, s.Next, s.Retrying, s.Running, s.Done, s.Failed, s.Canceled, s.Seconds, s.Slowest, s.Fastest)
		}
	}
	for _, j := range b.Jobs {
		t.Queue("UPDATE jobs SET priority = $2, state = $3, paused = $4, canceled = $5, reason = $6, build = $7, created = $8, started = $9, finished = $10 WHERE id = $1",
			j.ID, j.Priority, j.State, j.Paused, j.Canceled, text(j.Reason), j.Build, store.Nanos(j.Created), store.Nanos(j.Started), store.Nanos(j.Finished))
	}
}

func (t *tx) steps(steps []*farm.Step) {
	for _, s := range steps {
		t.Queue("UPDATE steps SET state = $3, next = $4, retrying = $5, running = $6, done = $7, failed = $8, canceled = $9, seconds = $10, slowest = $11, fastest = $12 WHERE job = $1 AND idx = $2",
			s.Job, s.Index, s.State, s.Next, s.Retrying, s.Running, s.Done, s.Failed, s.Canceled, s.Seconds, s.Slowest, s.Fastest)
	}
}

// tasks writes all rows by one statement: PostgreSQL's cost is by statement
// more than by row.
func (t *tx) tasks(tasks []*farm.Task) {
	if len(tasks) == 0 {
		return
	}
	n := len(tasks)
	jobs, steps, idx, states, since := make([]int64, n), make([]int64, n), make([]int64, n), make([]int16, n), make([]int64, n)
	attempts, outputs := make([]string, n), make([]string, n)
	for i, k := range tasks {
		jobs[i], steps[i], idx[i], states[i], since[i] = k.Job, int64(k.Step), k.Index, int16(store.TaskState(k.State)), int64(k.Since)
		attempts[i], outputs[i] = t.col(store.Attempts(k.Attempts)), t.col(store.List(k.Outputs))
	}
	t.Queue(`INSERT INTO tasks (id, state, since, attempts, outputs)
		SELECT number << 34 | row.idx, row.state, since, attempts, outputs
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::text[], $7::text[]) AS row (job, step, idx, state, since, attempts, outputs)
		JOIN steps ON steps.job = row.job AND steps.idx = row.step
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, since = excluded.since, attempts = excluded.attempts, outputs = excluded.outputs`,
		jobs, steps, idx, states, since, attempts, outputs)
}

func (t *tx) tallies(workers []*farm.Worker) {
	if len(workers) == 0 {
		return
	}
	n := len(workers)
	ids, done, power, earned := make([]int64, n), make([]int64, n), make([]float64, n), make([]int64, n)
	for i, w := range workers {
		ids[i], done[i], power[i], earned[i] = w.ID, w.Done, w.Power, int64(w.Earned)
	}
	t.Queue(`INSERT INTO tallies (worker, done, power, earned)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::double precision[], $4::bigint[])
		ON CONFLICT (worker) DO UPDATE SET done = excluded.done, power = excluded.power, earned = excluded.earned`, ids, done, power, earned)
}

func (t *tx) others(b *farm.Batch) {
	last := int64(0)
	for _, w := range b.Workers {
		t.Queue("INSERT INTO workers (id, body) VALUES ($1,$2) ON CONFLICT (id) DO UPDATE SET body = excluded.body", w.ID, t.col(store.Worker(w)))
		last = max(last, w.ID)
	}
	if last > 0 {
		t.Queue("UPDATE meta SET value = greatest(value, $1) WHERE name = 'worker'", last)
	}
	t.tallies(b.Workers)
	t.tallies(b.Tallies)
	for _, id := range b.DropWorkers {
		t.Queue("DELETE FROM workers WHERE id = $1", id)
		t.Queue("DELETE FROM tallies WHERE worker = $1", id)
	}
	for _, login := range b.DropUsers {
		t.Queue("DELETE FROM users WHERE login = $1", login)
		t.Queue("DELETE FROM tokens WHERE login = $1", login)
	}
	for _, h := range b.DropTokens {
		t.Queue("DELETE FROM tokens WHERE hash = $1", h[:])
	}
	for _, u := range b.Users {
		t.Queue("INSERT INTO users (login, body) VALUES ($1,$2) ON CONFLICT (login) DO UPDATE SET body = excluded.body", u.Login, t.col(store.JSON(u)))
	}
	for _, k := range b.Tokens {
		t.Queue("INSERT INTO tokens (hash, login, body) VALUES ($1,$2,$3) ON CONFLICT (hash) DO UPDATE SET login = excluded.login, body = excluded.body", k.Hash[:], k.Login, t.col(store.JSON(k)))
	}
	for _, n := range b.DropLimits {
		t.Queue("DELETE FROM limits WHERE name = $1", n)
	}
	for _, l := range b.Limits {
		t.Queue("INSERT INTO limits (name, total) VALUES ($1,$2) ON CONFLICT (name) DO UPDATE SET total = excluded.total", l.Name, l.Total)
	}
	for n, v := range b.Values {
		t.Queue("INSERT INTO vals (name, value) VALUES ($1,$2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", n, v)
	}
	for _, v := range b.Builds {
		t.Queue("INSERT INTO builds (id, body) VALUES ($1,$2) ON CONFLICT (id) DO UPDATE SET body = excluded.body", v.ID, t.col(store.JSON(v)))
		t.Queue("UPDATE meta SET value = greatest(value, $1) WHERE name = 'build'", v.ID)
	}
	for _, id := range b.DropBuilds {
		t.Queue("DELETE FROM builds WHERE id = $1", id)
	}
	for _, k := range b.DropPacks {
		t.Queue("DELETE FROM packs WHERE key = $1", k)
	}
	for _, p := range b.Packs {
		t.Queue("INSERT INTO packs (key, body) VALUES ($1,$2) ON CONFLICT (key) DO UPDATE SET body = excluded.body", p.Key, t.col(store.JSON(p)))
	}
	for _, k := range b.DropNotes {
		t.Queue("DELETE FROM notes WHERE key = $1", k)
	}
	for _, n := range b.Notes {
		t.Queue("INSERT INTO notes (key, job, text) VALUES ($1,$2,$3) ON CONFLICT (key) DO UPDATE SET job = excluded.job, text = excluded.text", n.Key, n.Job, n.Text)
	}
	for _, e := range b.Entries {
		t.Queue(`INSERT INTO ledger (account, job, granted, earned, spent, frames, updated) VALUES ($1,$2,$3,$4,$5,$6,$7)
			ON CONFLICT (account, job) DO UPDATE SET granted = excluded.granted, earned = excluded.earned, spent = excluded.spent, frames = excluded.frames, updated = excluded.updated`,
			e.Account, e.Job, e.Granted, e.Earned, e.Spent, e.Frames, store.Nanos(e.Updated))
	}
	for i := range b.Events {
		t.Queue("INSERT INTO events (id, body) VALUES ($1,$2)", b.Events[i].ID, t.col(store.JSON(&b.Events[i])))
	}
	if b.TrimEvents > 0 {
		t.Queue("DELETE FROM events WHERE id <= $1", b.TrimEvents)
	}
	if len(b.Users)+len(b.Tokens)+len(b.DropUsers)+len(b.DropTokens) > 0 {
		t.Queue("SELECT pg_notify('" + accountsChannel + "', '')") // a wake-up for the other servers, nothing more
	}
}

// purge removes jobs at once and their tasks little by little. It returns what
// is left to purge; a negative id is a job whose tasks are all gone. The slice
// is the last statement of the batch.
func (t *tx) purge(before []int64, b *farm.Batch) []int64 {
	left := slices.Clone(before)
	for len(left) > 0 && left[0] < 0 {
		t.Queue("DELETE FROM purge WHERE job = $1", -left[0])
		t.Queue("DELETE FROM steps WHERE job = $1", -left[0])
		left = left[1:]
	}
	for _, id := range b.DropJobs {
		t.Queue("DELETE FROM jobs WHERE id = $1", id)
		t.Queue("DELETE FROM notes WHERE job = $1", id)
		t.Queue("INSERT INTO purge (job) VALUES ($1) ON CONFLICT DO NOTHING", id)
		left = append(left, id)
	}
	if len(left) > 0 {
		t.Queue(`DELETE FROM tasks WHERE id IN (SELECT id FROM tasks
			WHERE id >= (SELECT min(number) << 34 FROM steps WHERE job = $1) AND id < (SELECT (max(number) + 1) << 34 FROM steps WHERE job = $1) LIMIT $2)`, left[0], purgeSlice)
	}
	return left
}

// text drops what PostgreSQL's text cannot hold. Names and messages are checked
// at the door; this is for logs and errors of foreign programs.
func text(s string) string {
	if !slices.Contains([]byte(s), 0) {
		return s
	}
	return string(slices.DeleteFunc([]byte(s), func(b byte) bool { return b == 0 }))
}
