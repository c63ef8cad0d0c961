package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
)

// writer is the one connection that writes. It is spoken to below database/sql,
// whose bookkeeping for each statement would cost a third of a commit.
type writer struct {
	conn  driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // room that transactions use again
}

// writing runs fn on the write connection, which is taken from the pool for good
// at the first time.
func (s *Store) writing(ctx context.Context, fn func(*writer) error) error {
	if s.conn == nil {
		c, err := s.write.Conn(ctx)
		if err != nil {
			return dbError("open the database", err)
		}
		s.conn = c
	}
	return s.conn.Raw(func(c any) error {
		if s.writer == nil {
			s.writer = &writer{conn: c.(driver.Conn), stmts: make(map[string]driver.Stmt)}
		}
		return fn(s.writer)
	})
}

// stmt prepares a statement once.
func (w *writer) stmt(query string) (driver.Stmt, error) {
	if st := w.stmts[query]; st != nil {
		return st, nil
	}
	st, err := w.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w.stmts[query] = st
	return st, nil
}

// exec runs a statement and returns how many rows it changed.
func (w *writer) exec(query string, args []driver.NamedValue) (int64, error) {
	st, err := w.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.(driver.StmtExecContext).ExecContext(context.Background(), args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// number runs a query that gives one number, sql.ErrNoRows for none.
func (w *writer) number(query string, args []driver.NamedValue) (int64, error) {
	st, err := w.stmt(query)
	if err != nil {
		return 0, err
	}
	rows, err := st.(driver.StmtQueryContext).QueryContext(context.Background(), args)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err == io.EOF {
		return 0, sql.ErrNoRows
	} else if err != nil {
		return 0, err
	}
	n, ok := row[0].(int64)
	if !ok {
		return 0, fmt.Errorf("%v is not a number", row[0])
	}
	return n, nil
}

// close closes the statements.
func (w *writer) close() {
	for _, st := range w.stmts {
		_ = st.Close()
	}
}
