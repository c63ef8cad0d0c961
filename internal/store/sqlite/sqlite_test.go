package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/sqlite"
	"drover.farm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, openDir)) }

func openDir(dir string) (farm.Store, error) {
	return sqlite.Open(context.Background(), filepath.Join(dir, "farm.db"))
}

func TestCrash(t *testing.T) {
	t.Parallel()
	storetest.Crash(t, t.TempDir(), openDir)
}

func open(t *testing.T, dir string) farm.Store {
	t.Helper()
	s, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}

func TestOpenTwiceNamesTheOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, dir)
	_, err := sqlite.Open(t.Context(), filepath.Join(dir, "farm.db"))
	if farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second open says %v, want a conflict that names process %d", err, os.Getpid())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir).Close()
}

func TestOpenRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir).Close()
	db, err := sql.Open("sqlite", filepath.Join(dir, "farm.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err = sqlite.Open(t.Context(), filepath.Join(dir, "farm.db"))
	if farm.CodeOf(err) != farm.Conflict || !strings.Contains(err.Error(), "newer Drover") {
		t.Errorf("a newer database is answered with %v", err)
	}
}

func TestOpenBringsAnOlderDatabaseForward(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "farm.db"))
	if err != nil {
		t.Fatal(err)
	}
	older, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
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
	s := open(t, dir)
	defer s.Close()
	storetest.OpenedOlder(t, s)
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "farm.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "no database or is damaged") {
		t.Errorf("rubbish is answered with %v", err)
	}
}

func TestCopyOfAnOpenDatabaseIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "farm.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	epoch, err := s.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), &farm.Batch{Epoch: epoch, Values: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy.db")
	for range 2 { // the second one replaces the first
		if err := sqlite.Copy(t.Context(), filepath.Join(dir, "farm.db"), copied); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqlite.Copy(t.Context(), filepath.Join(dir, "nothing.db"), copied); err == nil {
		t.Error("a copy of nothing gives no error")
	}
	other, err := sqlite.Open(t.Context(), copied)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	snap, err := other.Load(t.Context())
	if err != nil || snap.Values["a"] != "b" {
		t.Errorf("the copy holds %v, %v", snap, err)
	}
}
