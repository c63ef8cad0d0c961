package harness

import (
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"drover.farm/internal/store/pgtest"
)

// Cluster is several `drover serve` that are one farm, on a PostgreSQL server
// and an S3 server that the tests of this process share.
type Cluster struct {
	Servers []*Farm
	// Farm is the whole as clients see it: behind a balancer that gives each
	// connection to some server that takes it.
	Farm *Farm
}

// Stores makes an empty database and an empty bucket, and returns the settings
// store and blobs, and the environment with the bucket's credentials.
func Stores(tb testing.TB) (store, blobs string, env []string) {
	tb.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("farm"); err != nil {
		tb.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server())
	tb.Cleanup(srv.Close)
	return pgtest.URL(tb), "s3://farm/files?path_style=true&endpoint=" + srv.URL, []string{"AWS_ACCESS_KEY_ID=farm", "AWS_SECRET_ACCESS_KEY=secret"}
}

// StartCluster starts a farm of n servers and waits until all are ready. More
// are flags of serve. It ends with the test.
func StartCluster(tb testing.TB, n int, more ...string) *Cluster {
	tb.Helper()
	store, blobs, env := Stores(tb)
	c := &Cluster{}
	for i := range n {
		f := newFarm(tb, append([]string{"--store", store, "--blobs", blobs}, more...)...)
		f.URL, f.env = "http://"+freeAddress(tb), env
		if i > 0 {
			f.token = c.Servers[0].TokenFile()
		}
		f.Start()
		c.Servers = append(c.Servers, f)
	}
	c.Farm = &Farm{Data: c.Servers[0].Data, URL: c.balance(tb), tb: tb, log: &buffer{}}
	return c
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

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
