package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// purgeSlice is how many tasks of removed jobs go with one commit.
const purgeSlice = 500

// tx is one transaction under way. Its first error sticks.
type tx struct {
	s    *Store
	w    *writer
	args []driver.NamedValue
	err  error
}

// exec runs a statement, which is prepared once for the life of the store.
func (t *tx) exec(query string, args ...any) int64 {
	t.args = t.args[:0]
	for _, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil && t.err == nil {
			t.err = fmt.Errorf("%.40q: %w", query, err)
		}
		t.add(v)
	}
	return t.run(query)
}

// number runs a query that gives one number, 0 for no row.
func (t *tx) number(query string, args ...int64) int64 {
	t.args = t.args[:0]
	for _, a := range args {
		t.add(a)
	}
	n, err := t.w.number(query, t.args)
	if err != nil && !errors.Is(err, sql.ErrNoRows) && t.err == nil {
		t.err = fmt.Errorf("%.40q: %w", query, err)
	}
	return n
}

// add appends an argument of a type that the driver knows.
func (t *tx) add(v driver.Value) {
	t.args = append(t.args, driver.NamedValue{Ordinal: len(t.args) + 1, Value: v})
}

// run runs a statement with the arguments added, and returns how many rows it
// changed.
func (t *tx) run(query string) int64 {
	if t.err != nil {
		return 0
	}
	n, err := t.w.exec(query, t.args)
	if err != nil {
		t.err = fmt.Errorf("%.40q: %w", query, err)
	}
	return n
}

// together is how many rows of the busy tables go with one statement; what is
// left goes one by one. More gain little, and each size is a statement to keep.
const together = 16

// insert is a statement that writes one row, and the same for several.
type insert struct{ one, many string }

func inserting(into, row, tail string) insert {
	return insert{into + row + tail, into + strings.Repeat(row+",", together-1) + row + tail}
}

// rows writes n rows; row adds the arguments of the i-th.
func (t *tx) rows(in *insert, n int, row func(i int)) {
	for i := 0; i < n; {
		size, query := 1, in.one
		if n-i >= together {
			size, query = together, in.many
		}
		t.args = t.args[:0]
		for range size {
			row(i)
			i++
		}
		t.run(query)
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
	return s.writing(ctx, func(w *writer) error {
		if _, err := w.exec("BEGIN IMMEDIATE", nil); err != nil {
			return dbError("begin", err)
		}
		purged, err := s.commit(w, b)
		if err == nil {
			if _, err = w.exec("COMMIT", nil); err != nil {
				err = dbError("commit", err)
			}
		}
		if err != nil {
			_, _ = w.exec("ROLLBACK", nil) // fails when SQLite has rolled back by itself
			return err
		}
		s.purge = purged
		return nil
	})
}

// commit writes the batch's rows, and returns the removed jobs whose tasks are
// still to go once it is committed.
func (s *Store) commit(w *writer, b *farm.Batch) ([]int64, error) {
	epoch, err := w.number("SELECT value FROM meta WHERE name = 'epoch'", nil)
	if err != nil {
		return nil, dbError("read the epoch", err)
	}
	if epoch != b.Epoch {
		return nil, farm.Errorf(farm.Gone, "the database has another writer since")
	}
	t := &tx{s: s, w: w, args: w.args}
	t.jobs(b)
	t.tasks(b.Tasks)
	t.others(b)
	purged := t.purge(b)
	w.args = t.args[:0]
	if t.err != nil {
		return nil, dbError("write", t.err)
	}
	return purged, nil
}

const (
	sqlMaxID    = "UPDATE meta SET value = max(value, ?) WHERE name = ?"
	sqlNewJob   = "INSERT INTO jobs (id, name, owner, priority, state, paused, canceled, reason, build, created, started, finished, spec, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
	sqlJob      = "UPDATE jobs SET priority = ?, state = ?, paused = ?, canceled = ?, reason = ?, build = ?, created = ?, started = ?, finished = ? WHERE id = ?"
	sqlNewStep  = "INSERT INTO steps (job, idx, spec, tasks, state, next, retrying, running, done, failed, canceled, seconds, slowest, fastest, number) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,(SELECT value FROM meta WHERE name = 'step'))"
	sqlNextStep = "UPDATE meta SET value = value + 1 WHERE name = 'step'"
	sqlNumber   = "SELECT number FROM steps WHERE job = ? AND idx = ?"
	sqlStep     = "UPDATE steps SET state = ?, next = ?, retrying = ?, running = ?, done = ?, failed = ?, canceled = ?, seconds = ?, slowest = ?, fastest = ? WHERE job = ? AND idx = ?"
	sqlPurge    = "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE id >= (SELECT min(number) << 34 FROM steps WHERE job = ?) AND id < (SELECT (max(number) + 1) << 34 FROM steps WHERE job = ?) LIMIT ?)"
	sqlEntry    = "INSERT INTO ledger (account, job, granted, earned, spent, frames, updated) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET granted = excluded.granted, earned = excluded.earned, spent = excluded.spent, frames = excluded.frames, updated = excluded.updated"
	sqlWorker   = "INSERT INTO workers (id, body) VALUES (?,?) ON CONFLICT DO UPDATE SET body = excluded.body"
)

var (
	sqlTask = inserting("INSERT INTO tasks (id, state, since, attempts, outputs) VALUES ", "(?,?,?,?,?)",
		" ON CONFLICT DO UPDATE SET state = excluded.state, since = excluded.since, attempts = excluded.attempts, outputs = excluded.outputs")
	sqlTally = inserting("REPLACE INTO tallies (worker, done, power, earned) VALUES ", "(?,?,?,?)", "")
	sqlEvent = inserting("INSERT INTO events (id, body) VALUES ", "(?,?)", "")
)

func (t *tx) jobs(b *farm.Batch) {
	for _, j := range b.NewJobs {
		head, body, err := store.SplitSpec(&j.Spec)
		t.col(head, err)
		t.exec(sqlNewJob, j.ID, j.Spec.Name, j.Owner, j.Priority, j.State, j.Paused, j.Canceled, j.Reason, j.Build,
			store.Nanos(j.Created), store.Nanos(j.Started), store.Nanos(j.Finished), head, body)
		t.exec(sqlMaxID, j.ID, "job")
		for i := range j.Steps {
			s := &j.Steps[i]
			t.exec(sqlNextStep)
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
	for _, s := range b.Resized {
		t.exec("UPDATE steps SET spec = ?, tasks = ? WHERE job = ? AND idx = ?", t.col(store.StepSpecOf(s)), s.Tasks, s.Job, s.Index)
	}
}

func (t *tx) tasks(tasks []*farm.Task) {
	tasks, numbers := t.numbered(tasks)
	t.rows(&sqlTask, len(tasks), func(i int) {
		k := tasks[i]
		t.add(numbers[i])
		t.add(int64(store.TaskState(k.State)))
		t.add(int64(k.Since))
		t.add(t.col(store.Attempts(k.Attempts)))
		t.add(t.col(store.List(k.Outputs)))
	})
}

// numbered are the tasks whose steps are there, and the numbers that they go by.
// Tasks of one step stand in a row, so few steps are asked for.
func (t *tx) numbered(tasks []*farm.Task) (there []*farm.Task, numbers []int64) {
	there, numbers = make([]*farm.Task, 0, len(tasks)), make([]int64, 0, len(tasks))
	var of farm.TaskKey
	var step int64
	for _, k := range tasks {
		if k.Job != of.Job || k.Step != of.Step {
			of = k.TaskKey
			step = t.number(sqlNumber, k.Job, int64(k.Step))
		}
		if step > 0 {
			there, numbers = append(there, k), append(numbers, store.TaskNumber(step, k.Index))
		}
	}
	return there, numbers
}

func (t *tx) tallies(workers []*farm.Worker) {
	t.rows(&sqlTally, len(workers), func(i int) {
		w := workers[i]
		t.add(w.ID)
		t.add(w.Done)
		t.add(w.Power)
		t.add(int64(w.Earned))
	})
}

func (t *tx) others(b *farm.Batch) {
	last := int64(0)
	for _, w := range b.Workers {
		t.exec(sqlWorker, w.ID, t.col(store.Worker(w)))
		last = max(last, w.ID)
	}
	if last > 0 {
		t.exec(sqlMaxID, last, "worker")
	}
	t.tallies(b.Workers)
	t.tallies(b.Tallies)
	for _, id := range b.DropWorkers {
		t.exec("DELETE FROM workers WHERE id = ?", id)
		t.exec("DELETE FROM tallies WHERE worker = ?", id)
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
	for _, k := range b.DropNotes {
		t.exec("DELETE FROM notes WHERE key = ?", k)
	}
	for _, n := range b.Notes {
		t.exec("INSERT INTO notes (key, job, text) VALUES (?,?,?) ON CONFLICT DO UPDATE SET job = excluded.job, text = excluded.text", n.Key, n.Job, n.Text)
	}
	for _, e := range b.Entries {
		t.exec(sqlEntry, e.Account, e.Job, e.Granted, e.Earned, e.Spent, e.Frames, store.Nanos(e.Updated))
	}
	t.rows(&sqlEvent, len(b.Events), func(i int) {
		t.add(b.Events[i].ID)
		t.add(t.col(store.JSON(&b.Events[i])))
	})
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
		t.exec("DELETE FROM notes WHERE job = ?", id)
		t.exec("INSERT OR IGNORE INTO purge (job) VALUES (?)", id)
		left = append(left, id)
	}
	if t.err != nil || len(left) == 0 {
		return left
	}
	n := t.exec(sqlPurge, left[0], left[0], purgeSlice)
	if n < purgeSlice {
		t.exec("DELETE FROM steps WHERE job = ?", left[0])
		t.exec("DELETE FROM purge WHERE job = ?", left[0])
		left = left[1:]
	}
	return left
}
