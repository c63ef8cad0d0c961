package bench

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	_ "modernc.org/sqlite" // the driver that the farm's own store uses
)

// Baseline serves the bare server that the farm is compared with: each request
// is one row in SQLite, durable before the answer, written in groups. It has
// no farm in it: it is what the machine, HTTP and the database allow.
func Baseline(ctx context.Context, dir, listen string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "baseline.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT)"); err != nil {
		return err
	}
	stmt, err := db.Prepare("INSERT INTO t (v) VALUES (?)")
	if err != nil {
		return err
	}
	defer stmt.Close()
	type write struct {
		v    string
		done chan error
	}
	queue := make(chan write, 4096)
	go func() {
		for w := range queue {
			group := []write{w}
			for len(group) < 512 {
				select {
				case next := <-queue:
					group = append(group, next)
					continue
				default:
				}
				break
			}
			err := func() error {
				tx, err := db.Begin()
				if err != nil {
					return err
				}
				defer tx.Rollback()
				st := tx.Stmt(stmt)
				for _, w := range group {
					if _, err := st.Exec(w.v); err != nil {
						return err
					}
				}
				return tx.Commit()
			}()
			for _, w := range group {
				w.done <- err
			}
		}
	}()
	defer close(queue)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		done := make(chan error, 1)
		queue <- write{string(b), done}
		if err := <-done; err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"ok":true}`)
	})
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux}
	go func() { <-ctx.Done(); srv.Close() }()
	return srv.Serve(l)
}
