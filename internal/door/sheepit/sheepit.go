// Package sheepit is the door of SheepIt clients, of every generation since
// 2016: /server/*.php and /account.php on the main listener. What they send and
// need is written down in docs/doors/sheepit.md, by the two documents of the
// protocol (its later form "protocol.txt" of 2022 and its early form of 2016)
// and by what real clients do.
//
// The package translates: a session is a worker of the farm, a frame that a
// client is given is a lease. It keeps no state that must outlast it; what it
// remembers of sessions in memory only makes answers better.
package sheepit

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// Name is the door of workers that join here.
const Name = "sheepit"

// product is the renderer that SheepIt clients run.
const product = "blender"

// Config is what a door is made of. Farm and Blobs are required; zero fields of
// the rest have the defaults named in Settings and below.
type Config struct {
	Farm  *farm.Farm
	Blobs blob.Store
	Log   *slog.Logger // nil: nowhere
	Settings
	Idle time.Duration // how long a client may send or take nothing in a transfer; 1 min
	// Fails counts failed logins, by address and by account; nil: a counter of the
	// door's own, 20 at once and one more every 3 s.
	Fails *lockout.Counter
}

// Door serves SheepIt clients. Close it before the farm's store of files.
type Door struct {
	Config
	routes   map[string]http.HandlerFunc
	hasher   *secret.Hasher
	sessions *lru.Cache[int64, *memory]
	mu       sync.Mutex // guards the making of memories
	packer   *packer
	launcher *launcher // nil for none
}

// maxSessions is how many sessions are remembered beyond what the farm knows.
const maxSessions = 50_000

// New makes the door and begins to make the archives of the builds that the farm
// has.
func New(c Config) *Door {
	c.Settings = c.Settings.withDefaults()
	def(&c.Idle, time.Minute)
	if c.Fails == nil {
		c.Fails = lockout.New(20, 3*time.Second)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	sessions, _ := lru.New[int64, *memory](maxSessions) // fails on a size below 1 only
	d := &Door{Config: c, hasher: secret.NewHasher(2), sessions: sessions}
	var err error
	if d.launcher, err = findLauncher(c.Launcher); err != nil {
		d.Log.Error("the launcher for Windows cannot be used; clients start Blender itself", "file", c.Launcher, "err", err)
	}
	d.packer = newPacker(d)
	d.routes = map[string]http.HandlerFunc{
		pathConfig:    d.config,
		pathSpeedFile: d.speedFile,
		pathRequest:   d.withSession(d.requestJob),
		pathArchive:   d.withSession(d.archive),
		pathDownload:  d.withSession(d.archive), // its name in the early document
		pathBinary:    d.withSession(d.binary),
		pathChunk:     d.withSession(d.chunk),
		pathFrame:     d.withSession(d.sendFrame),
		pathError:     d.withSession(d.report),
		pathAlive:     d.withSession(d.keepAlive),
		pathSpeed:     d.withSession(d.speedAnswer),
		pathAccount:   d.withSession(d.account),
	}
	d.packer.wait.Go(d.packer.watch)
	return d
}

// Close ends what the door does in the background.
func (d *Door) Close() { d.packer.close() }

// The paths of the protocol. Clients take all but the first from the answer to
// the first; these are the documents' own.
const (
	pathConfig    = "/server/config.php"
	pathRequest   = "/server/request_job.php"
	pathArchive   = "/server/archive.php"
	pathDownload  = "/server/download.php"
	pathBinary    = "/server/binary.php"
	pathChunk     = "/server/chunk.php"
	pathFrame     = "/server/send_frame.php"
	pathError     = "/server/error.php"
	pathAlive     = "/server/keepmealive.php"
	pathSpeed     = "/server/speedtest.php"
	pathSpeedFile = "/server/speedtest.zip"
	pathAccount   = "/account.php"
)

// Owns reports whether a request is for this door. Clients double slashes, and
// those of 2024 write the "?" of a path as %3F; neither may be answered with a
// redirect, by which a POST would lose its body.
func Owns(r *http.Request) bool {
	p := cleaned(r)
	return strings.HasPrefix(p, "/server/") || p == pathAccount
}

func cleaned(r *http.Request) string {
	p, _, _ := strings.Cut(r.URL.Path, "?")
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return path.Clean(p) // a path that is clean costs nothing: every request of the farm comes through here
}

// ServeHTTP implements http.Handler. Queries hold passwords, so they are never
// logged, at any level.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := cleaned(r)
	if _, query, found := strings.Cut(r.URL.Path, "?"); found {
		u := *r.URL
		u.RawQuery = joined(query, u.RawQuery)
		r = withURL(r, &u)
	}
	d.Log.Debug("request", "method", r.Method, "path", p, "client", r.RemoteAddr)
	h := d.routes[p]
	switch {
	case h == nil:
		http.Error(w, "there is nothing here", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "this takes GET or POST", http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Cache-Control", "no-store")
		h(w, r)
	}
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

func withURL(r *http.Request, u *url.URL) *http.Request {
	c := r.WithContext(r.Context())
	c.URL = u
	return c
}

// base is what absolute links begin with: what the client called the farm by.
func base(r *http.Request) string {
	scheme, host := r.URL.Scheme, r.URL.Host
	if scheme == "" {
		scheme = "http"
	}
	if host == "" {
		host = r.Host
	}
	return scheme + "://" + host
}

// patient is a context for what must be finished though the client may go.
func patient(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
