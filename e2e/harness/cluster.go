package harness

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"drover.farm/internal/store/pgtest"
)

// Cluster is several `drover serve` that are one farm, on a database and a
// bucket of their own.
type Cluster struct {
	Store, Blobs string   // the settings of these names
	Env          []string // with the bucket's credentials
	Servers      []*Farm
	// Farm is the whole as clients see it: behind a balancer that gives each
	// connection to some server that takes it.
	Farm *Farm

	tb testing.TB
}

// NewCluster makes a farm of n servers that are not started yet, an empty
// database and an empty bucket. More are flags of serve. All ends with the test.
func NewCluster(tb testing.TB, n int, more ...string) *Cluster {
	tb.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("farm"); err != nil {
		tb.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server())
	tb.Cleanup(srv.Close)
	c := &Cluster{
		Store: pgtest.URL(tb), Blobs: "s3://farm/files?path_style=true&endpoint=" + srv.URL, tb: tb,
		Env: []string{"AWS_ACCESS_KEY_ID=farm", "AWS_SECRET_ACCESS_KEY=secret"},
	}
	for range n {
		f := newFarm(tb, append([]string{"--store", c.Store, "--blobs", c.Blobs}, more...)...)
		f.URL, f.env = "http://"+FreeAddress(tb), c.Env
		c.Servers = append(c.Servers, f)
	}
	return c
}

// Start starts all servers, one after the other. Token is the file with the
// administrator's token; "" if the first server makes it.
func (c *Cluster) Start(token string) {
	c.tb.Helper()
	for _, f := range c.Servers {
		f.token = token
		f.Start()
		if token == "" {
			token = f.TokenFile()
			Until(c.tb, "the farm has its first account", Patience, func() bool {
				_, err := os.Stat(token)
				return err == nil
			})
		}
	}
	c.Farm = &Farm{Data: c.Servers[0].Data, URL: c.balance(c.tb), token: token, tb: c.tb, log: &buffer{}}
}

// StartCluster starts a farm of n servers and waits until all are ready.
func StartCluster(tb testing.TB, n int, more ...string) *Cluster {
	tb.Helper()
	c := NewCluster(tb, n, more...)
	c.Start("")
	return c
}

// FreeAddress is a loopback address that was free a moment ago. Its port is below
// those that systems give to connections by themselves (from 32768 on, on Linux),
// so that none of the tests that run meanwhile comes to have it.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	tb.Fatal("no port from 20000 to 31999 is free")
	return ""
}

// given are the addresses that this process was given.
var given sync.Map

// balance is a balancer of connections, and returns its URL.
func (c *Cluster) balance(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(in, int(next.Add(1)))
		}
	})
	tb.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

// carry carries a connection to the server whose turn it is, or to the next one
// that lives.
func (c *Cluster) carry(in net.Conn, turn int) {
	defer in.Close()
	for i := range c.Servers {
		s := c.Servers[(turn+i)%len(c.Servers)]
		out, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			continue
		}
		defer out.Close()
		go func() { io.Copy(out, in); out.(*net.TCPConn).CloseWrite() }()
		io.Copy(in, out)
		return
	}
}

// Writer is the server that holds the dispatcher, as its log says; nil while
// none does.
func (c *Cluster) Writer() *Farm {
	var writer *Farm
	for _, s := range c.Servers {
		if s.Running() && strings.Contains(s.logSinceStart(), "this server is the farm's writer") {
			writer = s
		}
	}
	return writer
}

func (f *Farm) logSinceStart() string { return f.Log()[f.logged:] }

func newFarm(tb testing.TB, more ...string) *Farm {
	tb.Helper()
	f := &Farm{Data: filepath.Join(tb.TempDir(), "farm"), tb: tb, args: more, log: &buffer{}}
	f.ready = filepath.Join(tb.TempDir(), "ready")
	tb.Cleanup(func() {
		if f.proc != nil && f.proc.running() {
			f.proc.kill()
		}
		if tb.Failed() {
			tb.Logf("log of the farm at %s:\n%s", f.URL, f.log)
		}
	})
	return f
}
