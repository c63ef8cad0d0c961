package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"drover.farm/internal/store"
)

var (
	_ store.Dumper   = (*Store)(nil)
	_ store.Restorer = (*Store)(nil)
)

// tables lists the tables that are the farm's state: not the writer's place,
// nor the migrations.
func (s *Store) tables(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE 'goose\\_%' AND tablename <> 'writer' ORDER BY tablename")
	if err != nil {
		return nil, dbError("list the tables", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return names, dbError("list the tables", err)
}

// Dump implements store.Dumper.
func (s *Store) Dump(ctx context.Context, fn func(store.Table) error) (epoch int64, err error) {
	names, err := s.tables(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := s.dump(ctx, name, fn); err != nil {
			return 0, dbError("read the table "+name, err)
		}
	}
	epoch, _, err = s.Writer(ctx)
	return epoch, err
}

func (s *Store) dump(ctx context.Context, name string, fn func(store.Table) error) error {
	rows, err := s.pool.Query(ctx, "SELECT * FROM "+pgx.Identifier{name}.Sanitize())
	if err != nil {
		return err
	}
	defer rows.Close()
	var columns []string
	for _, f := range rows.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	return fn(store.Table{Name: name, Columns: columns, Rows: func(each func([]any) error) error {
		for rows.Next() {
			row, err := rows.Values()
			if err != nil {
				return err
			}
			for i, v := range row {
				row[i] = store.Plain(v)
			}
			if err := each(row); err != nil {
				return err
			}
		}
		return rows.Err()
	}})
}

// Empty implements store.Restorer.
func (s *Store) Empty(ctx context.Context) error {
	names, err := s.tables(ctx)
	if err != nil {
		return err
	}
	counts := make(map[string]int64)
	for _, name := range names {
		if name == "meta" {
			continue
		}
		var n int64
		if err := s.pool.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{name}.Sanitize()).Scan(&n); err != nil {
			return dbError("count the rows", err)
		}
		counts[name] = n
	}
	return store.Occupied(counts)
}

// Restore implements store.Restorer.
func (s *Store) Restore(ctx context.Context, from store.Dumper) error {
	if err := s.Empty(ctx); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM meta"); err != nil {
			return dbError("begin to write", err)
		}
		epoch, err := from.Dump(ctx, func(t store.Table) error { return restore(ctx, tx, t) })
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE writer SET epoch = greatest(epoch, $1)", epoch)
		return dbError("write the epoch", err)
	})
}

// errStopped ends the source's rows when the copy has failed.
var errStopped = errors.New("the copy has failed")

// restore writes a table by COPY, row by row as the source gives them.
func restore(ctx context.Context, tx pgx.Tx, t store.Table) error {
	truths, err := booleans(ctx, tx, t)
	if err != nil {
		return dbError("write the table "+t.Name, err)
	}
	next, stop := iter.Pull2(func(yield func([]any, error) bool) {
		err := t.Rows(func(row []any) error {
			if !yield(row, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(nil, err)
		}
	})
	defer stop()
	_, err = tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.Columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, err, _ := next()
		for i := range row {
			if n, ok := row[i].(int64); ok && truths[i] {
				row[i] = n != 0
			}
		}
		return row, err
	}))
	return dbError("write the table "+t.Name, err)
}

// booleans says which of the table's columns are truth values here.
func booleans(ctx context.Context, tx pgx.Tx, t store.Table) ([]bool, error) {
	rows, err := tx.Query(ctx, "SELECT column_name, data_type = 'boolean' FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1", t.Name)
	if err != nil {
		return nil, err
	}
	is := make(map[string]bool)
	var name string
	var truth bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &truth}, func() error { is[name] = truth; return nil }); err != nil {
		return nil, err
	}
	if len(is) == 0 {
		return nil, fmt.Errorf("there is no such table here")
	}
	out := make([]bool, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = is[c]
	}
	return out, nil
}
