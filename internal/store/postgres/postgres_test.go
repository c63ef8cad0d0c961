package postgres_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx" of database/sql
	"github.com/pressly/goose/v3"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/pgtest"
	"drover.farm/internal/store/postgres"
	"drover.farm/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := storetest.Main(m, openURL)
	pgtest.Shutdown()
	os.Exit(code)
}

func openURL(url string) (farm.Store, error) {
	return postgres.Open(context.Background(), url, "http://127.0.0.1:1")
}

func TestCrash(t *testing.T) {
	t.Parallel()
	storetest.Crash(t, pgtest.URL(t), openURL)
}

func open(t *testing.T, url, address string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), url, address)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	urls := make(map[string]string)
	storetest.Run(t, func(t *testing.T, dir string) farm.Store {
		mu.Lock()
		defer mu.Unlock()
		if urls[dir] == "" {
			urls[dir] = pgtest.URL(t)
		}
		return open(t, urls[dir], "http://127.0.0.1:1")
	})
}

func TestOpenBringsAnOlderDatabaseForward(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	older, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := older.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for _, q := range storetest.Older {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	db.Close()
	s := open(t, url, "http://127.0.0.1:1")
	defer s.Close()
	storetest.OpenedOlder(t, s)
}

func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.URL(t)
	a, b := open(t, url, "http://a"), open(t, url, "http://b")
	defer a.Close()
	defer b.Close()
	first, err := a.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Acquire(ctx); farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "http://a") {
		t.Errorf("the second writer is answered with %v", err)
	}
	if err := a.Holds(ctx); err != nil {
		t.Errorf("the writer does not hold its lock: %v", err)
	}
	a.Release()
	second, err := b.Acquire(ctx)
	if err != nil || second <= first {
		t.Fatalf("after the release: epoch %d after %d, %v", second, first, err)
	}
	if err := a.Holds(ctx); farm.CodeOf(err) != farm.Gone {
		t.Errorf("the former writer still holds the lock: %v", err)
	}
	if err := a.Commit(ctx, &farm.Batch{Epoch: first, Values: map[string]string{"stale": "yes"}}); farm.CodeOf(err) != farm.Gone {
		t.Errorf("a commit of the former writer: %v, want gone", err)
	}
	if snap, err := b.Load(ctx); err != nil || snap.Values["stale"] != "" {
		t.Errorf("the former writer wrote: %v, %v", snap, err)
	}
}

func TestWaitingTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.URL(t)
	a, b := open(t, url, "http://a"), open(t, url, "http://b")
	defer a.Close()
	defer b.Close()
	if _, err := a.Acquire(ctx); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- b.Wait(ctx) }()
	select {
	case err := <-waited:
		t.Fatalf("two servers hold the lock (%v)", err)
	default:
	}
	a.Release()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if _, err := b.Acquire(ctx); err != nil {
		t.Fatal(err)
	}
	if _, address, err := a.Writer(ctx); err != nil || address != "http://b" {
		t.Errorf("the writer is %s, %v; want http://b", address, err)
	}
}

func TestALostConnectionFreesTheLock(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.URL(t)
	a, b := open(t, url, "http://a"), open(t, url, "http://b")
	defer a.Close()
	defer b.Close()
	if _, err := a.Acquire(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	// What the loss of the writer's machine looks like to the database.
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() WHERE l.locktype = 'advisory' AND l.pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err = b.Acquire(ctx); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("the lock was not freed: %v", err)
	}
	if err := a.Holds(ctx); farm.CodeOf(err) != farm.Gone {
		t.Errorf("the former writer did not notice: %v", err)
	}
}

// TestFollowersHearOfAccounts: a server that is not the writer knows a new token
// as soon as the writer has it, and forgets a revoked one, with no reading now
// and then.
func TestFollowersHearOfAccounts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.URL(t)
	a, b := open(t, url, "http://a"), open(t, url, "http://b")
	defer a.Close()
	defer b.Close()
	epoch, err := a.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	follower, err := farm.Follow(ctx, farm.Config{Store: b, Settings: farm.Settings{Scan: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	const token = "a token"
	hash := sha256.Sum256([]byte(token))
	known := func(want bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range 12_000 {
			if _, err := follower.Authenticate(token); (err == nil) == want {
				return
			}
			<-tick.C
		}
		t.Fatalf("within a minute the follower did not hear that the token is known: %t", want)
	}
	user := &farm.User{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}}
	err = a.Commit(ctx, &farm.Batch{Epoch: epoch, Users: []*farm.User{user}, Tokens: []*farm.Token{{Hash: hash, Login: "ann"}}})
	if err != nil {
		t.Fatal(err)
	}
	known(true)
	if err := a.Commit(ctx, &farm.Batch{Epoch: epoch, DropTokens: [][32]byte{hash}}); err != nil {
		t.Fatal(err)
	}
	known(false)
}

func TestBadAddressesAreExplainedWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:geheim@127.0.0.1:1/x?connect_timeout=2", "postgres://u:geheim@%zz"} {
		_, err := postgres.Open(t.Context(), url, "")
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
