package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"drover.farm/internal/store"
)

var (
	_ store.Dumper   = (*Store)(nil)
	_ store.Restorer = (*Store)(nil)
)

// numbers are the rows of meta that stand for something beside the tables; the
// epoch travels apart from them.
const numbers = "meta"

func (s *Store) tables(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'goose\\_%' ESCAPE '\\' ORDER BY name")
	if err != nil {
		return nil, dbError("list the tables", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, rows.Err()
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
	err = s.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'epoch'").Scan(&epoch)
	return epoch, dbError("read the epoch", err)
}

func (s *Store) dump(ctx context.Context, name string, fn func(store.Table) error) error {
	query := "SELECT * FROM " + name
	if name == numbers {
		query += " WHERE name <> 'epoch'"
	}
	rows, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	return fn(store.Table{Name: name, Columns: columns, Rows: func(each func([]any) error) error {
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
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
		if name == numbers {
			continue
		}
		var n int64
		if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM "+name).Scan(&n); err != nil {
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
	// A connection of its own: the store's is for one statement at a time.
	db, err := sql.Open(engine, dsn(s.path, false))
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return dbError("begin to write", err)
	}
	defer tx.Rollback()
	epoch, err := from.Dump(ctx, func(t store.Table) error { return restore(ctx, tx, t) })
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE meta SET value = max(value, ?) WHERE name = 'epoch'", epoch); err != nil {
		return dbError("write the epoch", err)
	}
	return dbError("commit", tx.Commit())
}

func restore(ctx context.Context, tx *sql.Tx, t store.Table) error {
	if t.Name == numbers {
		if _, err := tx.ExecContext(ctx, "DELETE FROM meta WHERE name <> 'epoch'"); err != nil {
			return err
		}
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(t.Columns)), ",")
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.Name, strings.Join(t.Columns, ", "), marks))
	if err != nil {
		return dbError("write the table "+t.Name, err)
	}
	defer insert.Close()
	return t.Rows(func(row []any) error {
		_, err := insert.ExecContext(ctx, row...)
		return dbError("write the table "+t.Name, err)
	})
}
