// Package sqlite keeps a farm's state in one SQLite file: the store of a farm on
// one machine. Everything is written by one connection with synchronous=FULL,
// read by others without waiting for it (WAL).
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	lib "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"drover.farm/internal/farm"
)

const engine = "sqlite"

//go:embed migrations/*.sql
var migrations embed.FS

var _ farm.Store = (*Store)(nil)

// Store is a farm.Store in a file. It may be used by several goroutines; Commit
// by one at a time.
type Store struct {
	path   string
	lock   *flock.Flock
	write  *sql.DB
	read   *sql.DB
	conn   *sql.Conn // of write, once something was written
	writer *writer   // on conn
	epoch  int64
	purge  []int64 // removed jobs whose tasks are still to go
}

// Open opens the database at path, creates it when there is none, and brings
// its tables to this version's form. It fails with Conflict, naming the process
// id, when another process has the file open, and refuses a file of a newer
// version.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{path: path, lock: flock.New(path + ".lock")}
	if err := s.acquireFile(); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// acquireFile takes the lock beside the database. The lock goes with the
// process, however that ends.
func (s *Store) acquireFile() error {
	got, err := s.lock.TryLock()
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "read-only file system") {
			return farm.Errorf(farm.Forbidden, "the data folder %s cannot be written: %v", filepath.Dir(s.path), errors.Unwrap(err))
		}
		return fmt.Errorf("lock %s: %w", s.path, err)
	}
	pidFile := s.path + ".pid"
	if !got {
		pid, _ := os.ReadFile(pidFile)
		return farm.Errorf(farm.Conflict, "the data folder %s is in use by another drover serve (process %s); stop it first, or use another folder", filepath.Dir(s.path), strings.TrimSpace(string(pid)))
	}
	if err := os.WriteFile(pidFile, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		return fmt.Errorf("note the process id: %w", err)
	}
	return nil
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.write, err = sql.Open(engine, dsn(s.path, false)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open(engine, dsn(s.path, true)); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	if err := s.migrate(ctx); err != nil {
		return err
	}
	rows, err := s.read.QueryContext(ctx, "SELECT job FROM purge")
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		s.purge = append(s.purge, id)
	}
	return rows.Err()
}

// dsn names the file with what each connection sets. FULL makes a commit
// durable before it returns; the cache bounds memory.
func dsn(path string, readOnly bool) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "cache_size(-16000)", "temp_store(MEMORY)", "foreign_keys(OFF)"} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// migrate brings the tables to this version's form.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return dbError(fmt.Sprintf("open the database %s", s.path), err)
	}
	if current > target {
		return farm.Errorf(farm.Conflict, "the database %s was written by a newer Drover (form %d, this one knows %d); use that version, or another data folder", s.path, current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return dbError("bring the database to this version's form", err)
	}
	return nil
}

// Acquire begins a new epoch. The file's lock is held since Open.
func (s *Store) Acquire(ctx context.Context) (int64, error) {
	err := s.writing(ctx, func(w *writer) (err error) {
		s.epoch, err = w.number("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value", nil)
		return err
	})
	return s.epoch, dbError("begin an epoch", err)
}

// Close closes the file and gives the lock back.
func (s *Store) Close() error {
	var errs []error
	if s.conn != nil {
		if s.writer != nil {
			s.writer.close()
		}
		errs = append(errs, s.conn.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	errs = append(errs, s.lock.Unlock())
	return errors.Join(errs...)
}

// Copy writes the database at src, as it is at one moment, to dst, also while a
// farm is at work in src. What was at dst is replaced, in one step.
func Copy(ctx context.Context, src, dst string) error {
	if _, err := os.Stat(src); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	work := dst + ".new"
	if err := os.Remove(work); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := sql.Open(engine, dsn(src, false))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", work); err != nil {
		return dbError("write the copy", err)
	}
	// SQLite does not sync what VACUUM wrote.
	f, err := os.OpenFile(work, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm"} { // of an earlier copy
		if err := os.Remove(dst + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(work, dst)
}

// dbError gives a failure of the database the farm's code for it.
func dbError(doing string, err error) error {
	if err == nil {
		return nil
	}
	var e *lib.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			return &farm.Error{Code: farm.Full, Message: doing + ": the disk is full", Err: err}
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return &farm.Error{Code: farm.Forbidden, Message: doing + ": the file cannot be written; check its rights and the file system", Err: err}
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return &farm.Error{Code: farm.Internal, Message: doing + ": the file is no database or is damaged; restore a backup", Err: err}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
