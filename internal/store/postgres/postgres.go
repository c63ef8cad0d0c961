// Package postgres keeps a farm's state in PostgreSQL: the store of a farm of
// several servers. One of them is the writer, by an advisory lock that goes
// with its connection; its epoch is checked in every commit, so that a writer
// that lost the lock without knowing can change nothing more.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"drover.farm/internal/farm"
)

//go:embed migrations/*.sql
var migrations embed.FS

var _ farm.Store = (*Store)(nil)

// writerLock is the key of the advisory lock that the writer holds. Any number
// does, as long as every Drover uses the same.
const writerLock = 0x64726f766572 // "drover"

// Store is a farm.Store in PostgreSQL. It may be used by several goroutines;
// Commit by one at a time.
type Store struct {
	pool    *pgxpool.Pool
	address string

	mu    sync.Mutex
	lock  *pgx.Conn // holds the advisory lock while this store is the writer
	epoch int64
	purge []int64
}

// Open connects to the database of url (postgres://user:password@host/name) and
// brings its tables to this version's form. Address is where other servers of
// the farm reach this one, should it become the writer. It refuses a database
// of a newer version.
func Open(ctx context.Context, url, address string) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, farm.Errorf(farm.Invalid, "the store's address is not of the form postgres://user:password@host:port/name")
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "drover"
	}
	// A commit that was acknowledged must survive a crash of the database too.
	cfg.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, dbError("connect to PostgreSQL", err)
	}
	s := &Store{pool: pool, address: address}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// migrate brings the tables to this version's form, one server at a time.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return dbError("connect to PostgreSQL", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", writerLock+1); err != nil {
		return dbError("wait for another server's start", err)
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", writerLock+1)
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return dbError("open the database", err)
	}
	if current > target {
		return farm.Errorf(farm.Conflict, "the database was written by a newer Drover (form %d, this one knows %d); use that version, or another database", current, target)
	}
	_, err = p.Up(ctx)
	return dbError("bring the database to this version's form", err)
}

// Acquire makes this store's farm the writer and begins an epoch. Unless Wait
// has taken the lock before, it fails with Conflict, naming the writer, while
// another holds it.
func (s *Store) Acquire(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		conn, err := s.connect(ctx)
		if err != nil {
			return 0, err
		}
		var got bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", writerLock).Scan(&got); err != nil {
			conn.Close(ctx)
			return 0, dbError("take the writer's lock", err)
		}
		if !got {
			conn.Close(ctx)
			_, address, err := s.Writer(ctx)
			if err != nil {
				return 0, err
			}
			return 0, farm.Errorf(farm.Conflict, "another server of this farm is its writer (%s)", address)
		}
		s.lock = conn
	}
	if err := s.lock.QueryRow(ctx, "UPDATE writer SET epoch = epoch + 1, address = $1 RETURNING epoch", s.address).Scan(&s.epoch); err != nil {
		s.drop()
		return 0, dbError("begin an epoch", err)
	}
	rows, err := s.pool.Query(ctx, "SELECT job FROM purge ORDER BY job")
	if err != nil {
		return 0, dbError("read", err)
	}
	s.purge, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return s.epoch, dbError("read", err)
}

// Wait waits until the writer's place is free and takes it; Acquire then begins
// the epoch. The database wakes the waiting server in the moment in which the
// writer's connection ends.
func (s *Store) Wait(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", writerLock); err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return dbError("wait for the writer's lock", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.lock = conn
	return nil
}

// connect opens the connection that holds the lock. A writer whose machine is
// gone without a word is noticed by the database within seconds.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg := s.pool.Config().ConnConfig.Copy()
	for k, v := range map[string]string{"tcp_keepalives_idle": "1", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3", "tcp_user_timeout": "3000"} {
		cfg.RuntimeParams[k] = v
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	return conn, dbError("connect to PostgreSQL", err)
}

// drop ends the connection that holds the lock.
func (s *Store) drop() {
	if s.lock == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.lock.Close(ctx)
	s.lock = nil
}

// Writer returns the epoch and the address of the latest writer.
func (s *Store) Writer(ctx context.Context) (epoch int64, address string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT epoch, address FROM writer").Scan(&epoch, &address)
	return epoch, address, dbError("read who the writer is", err)
}

// Secret is what the farm's servers know one another by.
func (s *Store) Secret(ctx context.Context) (secret string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT secret FROM writer").Scan(&secret)
	return secret, dbError("read the farm's secret", err)
}

// Holds checks that the writer's lock is still held, by a round trip on the
// connection that holds it. It fails with Gone when it is not.
func (s *Store) Holds(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return farm.Errorf(farm.Gone, "this server is not the writer")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.lock.Ping(ctx); err != nil {
		s.drop()
		return &farm.Error{Code: farm.Gone, Message: "the connection that holds the writer's lock is lost", Err: err}
	}
	return nil
}

// Release gives the writer's place up, so that another server takes it at once.
func (s *Store) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// Close gives the writer's place up and closes all connections.
func (s *Store) Close() error {
	s.Release()
	s.pool.Close()
	return nil
}

// dbError gives a failure of the database the farm's code for it. Neither the
// address nor the password is part of it.
func dbError(doing string, err error) error {
	if err == nil {
		return nil
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "53100": // disk_full
			return &farm.Error{Code: farm.Full, Message: doing + ": the database's disk is full", Err: err}
		case "28P01", "28000", "3D000":
			return &farm.Error{Code: farm.Forbidden, Message: doing + ": " + pe.Message, Err: err}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
