package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

const (
	jobCols  = "id, name, owner, priority, state, paused, canceled, reason, build, created, started, finished, spec"
	stepCols = "job, idx, spec, tasks, state, next, retrying, running, done, failed, canceled, seconds, slowest, fastest"
	taskCols = "id, state, since, attempts, outputs"
	liveJobs = "state IN ('waiting', 'running', 'paused')"
)

// Load reads what a dispatcher starts from, in one snapshot.
func (s *Store) Load(ctx context.Context) (*farm.Snapshot, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, dbError("read", err)
	}
	defer tx.Rollback()
	snap := &farm.Snapshot{Values: make(map[string]string)}
	if snap.Jobs, err = queryJobs(ctx, tx, true, "WHERE "+liveJobs); err != nil {
		return nil, err
	}
	if snap.Tasks, err = liveTasks(ctx, tx); err != nil {
		return nil, err
	}
	if snap.Workers, err = queryWorkers(ctx, tx); err != nil {
		return nil, err
	}
	if snap.Users, err = bodies[farm.User](ctx, tx, "SELECT body FROM users"); err != nil {
		return nil, err
	}
	if snap.Tokens, err = bodies[farm.Token](ctx, tx, "SELECT body FROM tokens"); err != nil {
		return nil, err
	}
	err = each(ctx, tx, "SELECT name, total FROM limits", nil, func(r *sql.Rows) error {
		l := &farm.Limit{}
		snap.Limits = append(snap.Limits, l)
		return r.Scan(&l.Name, &l.Total)
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, "SELECT name, value FROM vals", nil, func(r *sql.Rows) error {
		var n, v string
		if err := r.Scan(&n, &v); err != nil {
			return err
		}
		snap.Values[n] = v
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := loadBuilds(ctx, tx, snap); err != nil {
		return nil, err
	}
	row := tx.QueryRowContext(ctx, "SELECT (SELECT value FROM meta WHERE name = 'job'), (SELECT value FROM meta WHERE name = 'worker'), (SELECT coalesce(max(id), 0) FROM events), (SELECT value FROM meta WHERE name = 'build')")
	if err := row.Scan(&snap.MaxJob, &snap.MaxWorker, &snap.MaxEvent, &snap.MaxBuild); err != nil {
		return nil, dbError("read the highest ids", err)
	}
	return snap, nil
}

// querier is a database or a transaction on it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls fn for every row.
func each(ctx context.Context, q querier, query string, args []any, fn func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return dbError(fmt.Sprintf("%.60q", query), err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return fmt.Errorf("%.60q: %w", query, err)
		}
	}
	return dbError(fmt.Sprintf("%.60q", query), rows.Err())
}

// bodies reads rows that are one JSON column.
func bodies[T any](ctx context.Context, q querier, query string, args ...any) ([]*T, error) {
	var out []*T
	err := each(ctx, q, query, args, func(r *sql.Rows) error {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return err
		}
		v := new(T)
		out = append(out, v)
		return json.Unmarshal(body, v)
	})
	return out, err
}

// queryJobs reads jobs with their steps; whole ones with their body.
func queryJobs(ctx context.Context, q querier, whole bool, tail string, args ...any) ([]*farm.Job, error) {
	cols := jobCols + ", ''"
	if whole {
		cols = jobCols + ", body"
	}
	var out []*farm.Job
	byID := make(map[int64]*farm.Job)
	err := each(ctx, q, "SELECT "+cols+" FROM jobs "+tail, args, func(r *sql.Rows) error {
		j := &farm.Job{}
		var created, started, finished int64
		var head, body string
		if err := r.Scan(&j.ID, &j.Spec.Name, &j.Owner, &j.Priority, &j.State, &j.Paused, &j.Canceled, &j.Reason, &j.Build,
			&created, &started, &finished, &head, &body); err != nil {
			return err
		}
		j.Created, j.Started, j.Finished = store.Time(created), store.Time(started), store.Time(finished)
		out = append(out, j)
		byID[j.ID] = j
		return store.JoinSpec(&j.Spec, head, body)
	})
	if err != nil || len(out) == 0 {
		return out, err
	}
	err = each(ctx, q, "SELECT "+stepCols+" FROM steps WHERE job IN (SELECT id FROM jobs "+tail+") ORDER BY job, idx", args, func(r *sql.Rows) error {
		var s farm.Step
		var spec string
		if err := r.Scan(&s.Job, &s.Index, &spec, &s.Tasks, &s.State, &s.Next, &s.Retrying, &s.Running, &s.Done, &s.Failed, &s.Canceled, &s.Seconds, &s.Slowest, &s.Fastest); err != nil {
			return err
		}
		if j := byID[s.Job]; j != nil {
			j.Steps = append(j.Steps, s)
			return store.SetStepSpec(&j.Steps[len(j.Steps)-1], spec)
		}
		return nil
	})
	return out, err
}

// spans reads the numbers of the steps of some jobs.
func spans(ctx context.Context, q querier, jobs string, args ...any) (out store.Spans, err error) {
	err = each(ctx, q, "SELECT job, min(number), count(*) FROM steps WHERE job "+jobs+" GROUP BY job ORDER BY min(number)", args, func(r *sql.Rows) error {
		var s store.Span
		err := r.Scan(&s.Job, &s.First, &s.Steps)
		out = append(out, s)
		return err
	})
	return out, err
}

// liveTasks reads the tasks that wait or run of jobs that have not ended.
func liveTasks(ctx context.Context, q querier) ([]*farm.Task, error) {
	const live = "IN (SELECT id FROM jobs WHERE " + liveJobs + ")"
	of, err := spans(ctx, q, live)
	if err != nil {
		return nil, err
	}
	return queryTasks(ctx, q, of, "WHERE state < 2 AND id >> 34 IN (SELECT number FROM steps WHERE job "+live+")")
}

// queryTasks reads tasks of the steps that have these numbers.
func queryTasks(ctx context.Context, q querier, of store.Spans, tail string, args ...any) ([]*farm.Task, error) {
	var out []*farm.Task
	err := each(ctx, q, "SELECT "+taskCols+" FROM tasks "+tail, args, func(r *sql.Rows) error {
		t := &farm.Task{}
		var number int64
		var state int
		var attempts, outputs string
		if err := r.Scan(&number, &state, &t.Since, &attempts, &outputs); err != nil {
			return err
		}
		t.TaskKey, t.State = of.Key(number), store.TaskStateOf(state)
		out = append(out, t)
		if err := store.UnList(attempts, &t.Attempts); err != nil {
			return err
		}
		return store.UnList(outputs, &t.Outputs)
	})
	return out, err
}

// readTx runs fn on one snapshot.
func (s *Store) readTx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return dbError("read", err)
	}
	defer tx.Rollback()
	return fn(tx)
}

// Job returns a job.
func (s *Store) Job(ctx context.Context, id int64) (*farm.Job, error) {
	var out []*farm.Job
	err := s.readTx(ctx, func(tx *sql.Tx) (err error) {
		out, err = queryJobs(ctx, tx, true, "WHERE id = ?", id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, farm.Errorf(farm.NotFound, "there is no job %d", id)
	}
	return out[0], nil
}

// Jobs lists jobs.
func (s *Store) Jobs(ctx context.Context, q farm.JobQuery) ([]*farm.Job, error) {
	var where []string
	var args []any
	add := func(cond string, v ...any) { where, args = append(where, cond), append(args, v...) }
	if q.Before > 0 {
		add("id < ?", q.Before)
	}
	if q.Owner != "" {
		add("owner = ?", q.Owner)
	}
	if q.Name != "" {
		add("name = ?", q.Name)
	}
	if len(q.States) > 0 {
		vs := make([]any, len(q.States))
		for i, v := range q.States {
			vs[i] = v
		}
		add("state IN (?"+strings.Repeat(",?", len(vs)-1)+")", vs...)
	}
	tail := ""
	if len(where) > 0 {
		tail = "WHERE " + strings.Join(where, " AND ")
	}
	tail += " ORDER BY id DESC"
	if q.Limit > 0 {
		tail += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	var out []*farm.Job
	err := s.readTx(ctx, func(tx *sql.Tx) (err error) {
		out, err = queryJobs(ctx, tx, false, tail, args...)
		return err
	})
	return out, err
}

// Task returns a task that was leased at least once.
func (s *Store) Task(ctx context.Context, k farm.TaskKey) (*farm.Task, error) {
	out, err := s.Tasks(ctx, farm.TaskQuery{Job: k.Job, Step: k.Step, FromStep: k.Step, From: k.Index, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 || out[0].TaskKey != k {
		return nil, farm.Errorf(farm.NotFound, "task %d/%d of job %d was never leased", k.Step, k.Index, k.Job)
	}
	return out[0], nil
}

// Tasks lists tasks that were leased at least once.
func (s *Store) Tasks(ctx context.Context, q farm.TaskQuery) ([]*farm.Task, error) {
	of, err := spans(ctx, s.read, "= ?", q.Job)
	if err != nil || len(of) == 0 {
		return nil, err
	}
	from, to := of[0].Range(q)
	where, args := "WHERE id BETWEEN ? AND ?", []any{from, to}
	if len(q.States) > 0 {
		live, bad := true, true
		ids := make([]string, len(q.States))
		for i, st := range q.States {
			n := store.TaskState(st)
			ids[i] = fmt.Sprint(n)
			live, bad = live && n < 2, bad && n > 2
		}
		where += " AND state IN (" + strings.Join(ids, ",") + ")"
		// The terms of the partial indexes, so that the planner may use them.
		if live {
			where += " AND state < 2"
		} else if bad {
			where += " AND state > 2"
		}
	}
	where += " ORDER BY id"
	if q.Limit > 0 {
		where += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	return queryTasks(ctx, s.read, of, where, args...)
}

// Workers lists the workers by id.
func (s *Store) Workers(ctx context.Context) ([]*farm.Worker, error) {
	return queryWorkers(ctx, s.read)
}

func queryWorkers(ctx context.Context, q querier) ([]*farm.Worker, error) {
	var out []*farm.Worker
	err := each(ctx, q, "SELECT body, done, power, earned FROM workers JOIN tallies ON worker = id ORDER BY id", nil, func(r *sql.Rows) error {
		var body []byte
		var done int64
		var power float64
		var earned farm.Points
		if err := r.Scan(&body, &done, &power, &earned); err != nil {
			return err
		}
		w := new(farm.Worker)
		out = append(out, w)
		err := json.Unmarshal(body, w)
		w.Done, w.Power, w.Earned = done, power, earned
		return err
	})
	return out, err
}

// Accounts lists users and tokens.
func (s *Store) Accounts(ctx context.Context) ([]*farm.User, []*farm.Token, error) {
	us, err := bodies[farm.User](ctx, s.read, "SELECT body FROM users ORDER BY login")
	if err != nil {
		return nil, nil, err
	}
	ts, err := bodies[farm.Token](ctx, s.read, "SELECT body FROM tokens")
	return us, ts, err
}

// Events lists events after an id.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]farm.Event, int64, error) {
	if limit <= 0 {
		limit = 1000
	}
	rows, err := bodies[farm.Event](ctx, s.read, "SELECT body FROM events WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, 0, err
	}
	out := make([]farm.Event, len(rows))
	for i, e := range rows {
		out[i] = *e
	}
	var oldest int64
	err = s.read.QueryRowContext(ctx, "SELECT coalesce(min(id), 0) FROM events").Scan(&oldest)
	return out, oldest, dbError("read the oldest event", err)
}

// References names the blobs in use.
func (s *Store) References(ctx context.Context, fn func(string) error) error {
	return s.readTx(ctx, func(tx *sql.Tx) error {
		if err := fileReferences(ctx, tx, fn); err != nil {
			return err
		}
		err := each(ctx, tx, "SELECT body FROM jobs", nil, func(r *sql.Rows) error {
			var body []byte
			if err := r.Scan(&body); err != nil {
				return err
			}
			var b store.JobBody
			if err := json.Unmarshal(body, &b); err != nil {
				return err
			}
			j := farm.Job{Spec: farm.Spec{Files: b.Files}}
			return j.References(fn)
		})
		if err != nil {
			return err
		}
		return each(ctx, tx, "SELECT attempts, outputs FROM tasks WHERE id >> 34 NOT IN (SELECT number FROM steps WHERE job IN (SELECT job FROM purge))", nil, func(r *sql.Rows) error {
			var attempts, outputs string
			if err := r.Scan(&attempts, &outputs); err != nil {
				return err
			}
			var t farm.Task
			if err := store.UnList(attempts, &t.Attempts); err != nil {
				return err
			}
			if err := store.UnList(outputs, &t.Outputs); err != nil {
				return err
			}
			return t.References(fn)
		})
	})
}
