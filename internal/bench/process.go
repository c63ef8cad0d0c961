package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/pgserver"
)

// server is a process under measurement.
type server struct {
	url   string
	token string
	data  string
	cmd   *exec.Cmd
	pid   int
	out   *bytes.Buffer
	done  chan struct{}
	ready time.Duration // from its start to its first good answer
	http  *http.Client
}

// client makes an HTTP client that keeps n connections.
func client(n int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxConnsPerHost: n, DisableCompression: true}, Timeout: 2 * time.Minute}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start starts `drover ARGS… --listen ADDR` and waits until it is ready.
func (r *runner) start(ctx context.Context, data string, args ...string) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + addr, data: data, out: new(bytes.Buffer), done: make(chan struct{}), http: client(4096)}
	s.cmd = exec.Command(r.Drover, append(args, "--listen", addr)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.Env = append(os.Environ(), "DROVER_LOG_LEVEL=warn")
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	go func() { s.cmd.Wait(); close(s.done) }()
	for {
		resp, err := s.http.Get(s.url + "/healthz")
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				s.ready = time.Since(began)
				break
			}
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("%s ended: %s", strings.Join(s.cmd.Args, " "), s.out)
		case <-ctx.Done():
			s.kill()
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(began) > time.Minute {
			s.kill()
			return nil, fmt.Errorf("%s is not ready after a minute: %s", strings.Join(s.cmd.Args, " "), s.out)
		}
	}
	s.token = token(data)
	return s, nil
}

// farm starts a farm on a data folder, with SQLite. A new one gets an account
// "admin".
func (r *runner) farm(ctx context.Context, data string) (*server, error) {
	return r.start(ctx, data, "serve", "--data", data)
}

// The stores that are measured.
const (
	sqlite   = "SQLite"
	postgres = "PostgreSQL"
)

// stores are those that this run measures.
func (r *runner) stores() []string {
	if r.Postgres {
		return []string{sqlite, postgres}
	}
	return []string{sqlite}
}

// farmOn starts a new farm on a store; a private PostgreSQL server is started
// when the first one needs it, and ends with the run.
func (r *runner) farmOn(ctx context.Context, data, store string) (*server, error) {
	if store == sqlite {
		return r.farm(ctx, data)
	}
	if r.pg == nil {
		var err error
		if r.pg, err = pgserver.Start(ctx); err != nil {
			return nil, fmt.Errorf("%w; without it: --no-postgres", err)
		}
	}
	url, err := r.pg.Database(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.start(ctx, data, "serve", "--data", data, "--store", url)
	if err != nil {
		return nil, err
	}
	// One of several servers is ready before it is the writer, who makes the token.
	for end := time.Now().Add(time.Minute); s.token == ""; <-time.After(10 * time.Millisecond) {
		s.token = token(data)
		if s.token == "" && time.Now().After(end) {
			s.kill()
			return nil, errors.New("the farm on PostgreSQL made no account within a minute")
		}
	}
	return s, nil
}

// token is the administrator's, "" while there is none.
func token(data string) string {
	b, _ := os.ReadFile(filepath.Join(data, "admin.token"))
	return strings.TrimSpace(string(b))
}

// kill is kill -9.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.done
	s.http.CloseIdleConnections()
}

// post sends a document and reads the answer; out may be nil.
func (s *server) post(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, body, err := s.raw(ctx, http.MethodPost, path, b)
	if err != nil {
		return err
	}
	if status >= 300 {
		return fmt.Errorf("%s: %d %s", path, status, body)
	}
	if out == nil || status == http.StatusNoContent {
		return nil
	}
	return json.Unmarshal(body, out)
}

// raw sends a body that was made before, as a lean client would.
func (s *server) raw(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return resp.StatusCode, out, err
}

// memory is the resident memory of the process in bytes.
func (s *server) memory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0, errors.New("the memory of a process can be read on Linux only")
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.New("no VmRSS")
}
