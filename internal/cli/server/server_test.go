package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/store/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Shutdown()
	os.Exit(code)
}

// start starts a farm in this process, and ends it with the test.
func start(t *testing.T, set *config.Serve) *Server {
	t.Helper()
	set.Files.MinFree = 0
	s, err := Start(context.Background(), Config{Settings: set, Data: filepath.Join(t.TempDir(), "data"), Version: "v1", Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

// get returns the status and the body.
func get(t *testing.T, c *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAFarmOfOneServer(t *testing.T) {
	t.Parallel()
	set := config.DefaultServe()
	set.Listen, set.ReadyFile = "127.0.0.1:0", filepath.Join(t.TempDir(), "ready")
	set.Swarm.Listen, set.Flamenco.Listen = "0", "127.0.0.1:0"
	s := start(t, set)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	if text, err := os.ReadFile(set.ReadyFile); err != nil || strings.TrimSpace(string(text)) != s.URL() {
		t.Errorf("the ready file says %q, %v; the farm is at %s", text, err, s.URL())
	}
	if code, body := get(t, c, s.URL()+"/healthz", ""); code != 200 || body != "ready\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, body := get(t, c, s.URL()+"/metrics", ""); code != 200 || !strings.Contains(body, `drover_info{version="v1"} 1`) || !strings.Contains(body, "drover_tasks_waiting 0") {
		t.Errorf("metrics: %d\n%s", code, body)
	} else {
		for _, name := range []string{"batches", "operations", "claims", "completions", "shed", "looks"} {
			if !strings.Contains(body, "\ndrover_"+name+"_total ") {
				t.Errorf("/metrics lacks %s:\n%s", name, body)
			}
		}
	}
	if code, body := get(t, c, s.URL()+"/api/v1/jobs", token(t, s.cfg.Data)); code != 200 || !json.Valid([]byte(body)) {
		t.Errorf("jobs: %d %s", code, body)
	}
	if code, body := get(t, c, s.URL()+"/api/v1/farm", token(t, s.cfg.Data)); code != 200 || !strings.Contains(body, `"doors":["native","sheepit","swarm","flamenco"]`) {
		t.Errorf("the farm's doors: %d %s", code, body)
	}
	if _, err := Start(t.Context(), Config{Settings: set, Data: s.cfg.Data, Log: silent}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second farm on the folder: %v, want it refused with the first one's process", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(set.ReadyFile); err == nil {
		t.Error("the ready file is left")
	}
}

// TestServersWithTLS: two servers of a farm reach one another by a certificate
// for the name that clients use, at addresses that it does not name.
func TestServersWithTLS(t *testing.T) {
	t.Parallel()
	pair := certify(t, t.TempDir(), "farm.example")
	url, blobs := pgtest.URL(t), t.TempDir()
	var servers []*Server
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		set := config.DefaultServe()
		set.Listen, set.Store, set.TLS, set.Blobs = l.Addr().String(), url, pair, filepath.Join(blobs, fmt.Sprint(i))
		servers = append(servers, start(t, set))
		for tick := time.NewTicker(time.Millisecond); i == 0 && !servers[0].node.Leading(); {
			<-tick.C
		}
	}
	key, err := newPair(pair, silent)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: key.peer()}}
	defer c.CloseIdleConnections()
	admin := token(t, servers[0].cfg.Data)
	for i, s := range servers {
		if code, body := get(t, c, s.URL()+"/api/v1/jobs", admin); code != 200 {
			t.Errorf("server %d: %d %s", i, code, body)
		}
		code, body := get(t, c, s.URL()+"/metrics", "")
		if says := strings.Contains(body, "drover_tasks_waiting"); code != 200 || says != (i == 0) {
			t.Errorf("server %d: %d; it says how many tasks wait: %t, want that of the writer alone", i, code, says)
		}
	}
}

func TestWhereAServerIsReached(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, address, cert, want string }{
		{"127.0.0.1:7700", "", "", "http://127.0.0.1:7700"},
		{"10.0.0.7:7700", "", "x", "https://10.0.0.7:7700"},
		{"0.0.0.0:7700", "http://10.0.0.7:7700/", "x", "http://10.0.0.7:7700"},
	} {
		set := config.DefaultServe()
		set.Listen, set.Cluster.Address, set.TLS.Cert = c.listen, c.address, c.cert
		if got := (&Server{cfg: Config{Settings: set}}).address(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	url := pgtest.URL(t)
	for _, listen := range []string{"0.0.0.0:7700", "[::]:7700", ":7700", "127.0.0.1:0", "nonsense"} {
		set := config.DefaultServe()
		set.Listen, set.Store, set.Files.MinFree = listen, url, 0
		_, err := Start(t.Context(), Config{Settings: set, Data: t.TempDir(), Log: silent})
		if err == nil || !strings.Contains(err.Error(), "--cluster-address") {
			t.Errorf("on %s: %v, want to be asked for the address", listen, err)
		}
	}
}
