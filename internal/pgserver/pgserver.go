// Package pgserver starts a private PostgreSQL server, for tests and for
// measurements: in a temporary folder, on a free loopback port, with nothing
// shared with a server that the machine may run. It needs Debian's package postgresql (or any installation
// with initdb and postgres).
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running server.
type Server struct {
	dir  string
	port int
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
	n    atomic.Int64
}

// binaries are where PostgreSQL's own programs are on Debian, beside the PATH.
const binaries = "/usr/lib/postgresql/*/bin"

func find(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	all, _ := filepath.Glob(filepath.Join(binaries, name))
	if len(all) == 0 {
		return "", fmt.Errorf("PostgreSQL's %s is missing; install it with: apt-get install -y --no-install-recommends postgresql (make deps does)", name)
	}
	return all[len(all)-1], nil
}

// Start starts a server; Stop ends it.
func Start(ctx context.Context) (*Server, error) {
	initdb, err := find("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{done: make(chan struct{})}
	if s.dir, err = os.MkdirTemp("", "drover-pg-"); err != nil {
		return nil, err
	}
	if err := own(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	data := filepath.Join(s.dir, "data")
	cmd := exec.CommandContext(ctx, initdb, "-D", data, "-U", "drover", "--auth=trust", "-N", "-E", "UTF8", "--locale=C")
	cmd.Dir = s.dir
	unprivileged(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, out), os.RemoveAll(s.dir))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.cmd = exec.Command(postgres, "-D", data, "-p", fmt.Sprint(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=200")
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	unprivileged(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	go func() { s.cmd.Wait(); close(s.done) }()
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return fmt.Errorf("postgres ended: %s", s.out.String())
		case <-ctx.Done():
			return fmt.Errorf("postgres did not start: %w: %s", err, s.out.String())
		case <-tick.C:
		}
	}
}

func (s *Server) url(db string) string {
	return fmt.Sprintf("postgres://drover@127.0.0.1:%d/%s?sslmode=disable", s.port, db)
}

// Database creates an empty database and returns its address.
func (s *Server) Database(ctx context.Context) (string, error) {
	name := fmt.Sprintf("farm%d", s.n.Add(1))
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return s.url(name), err
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.cmd.Process.Signal(os.Interrupt) // fast shut-down
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
	}
	os.RemoveAll(s.dir)
}
