// Package native is the door of Drover's own clients: the HTTP API under
// /api/v1 that the command line, the native worker and programs of users speak.
// docs/api.md describes it for them; /api/v1/openapi.json for their tools.
//
// The package translates: documents of package api into the farm's verbs and
// back. It has no state of its own beyond what guards it. All routes are in one
// table, from which the server, the checks of roles and the OpenAPI document
// are made.
package native

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"context"

	"golang.org/x/sync/semaphore"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/livelog"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// Prefix is where the API lies on its listener.
const Prefix = "/api/v1"

// Blobs is what the door needs of the store of files.
type Blobs interface {
	blob.Store
	// Touch renews a blob, so that garbage collection spares it while the job
	// that is to refer to it is on its way.
	Touch(ctx context.Context, h blob.Hash) (blob.Info, error)
}

// Library recognises archives of renderers and publishes them as builds.
type Library interface {
	Add(ctx context.Context, by farm.Principal, hash blob.Hash, name string, d library.Description) (*farm.Build, bool, error)
}

// Config is what a door is made of. Farm, Blobs, Uploads, Logs and Library are required;
// zero fields of the rest have the defaults named.
type Config struct {
	Farm    *farm.Farm
	Blobs   Blobs
	Uploads blob.Uploads
	Logs    *livelog.Store
	Library Library
	Imports func() []library.File // what is in the import folder; nil: there is none
	Log     *slog.Logger          // nil: nowhere
	Version string                // of the program, as GET /farm shows it
	Doors   []string              // that are open, as GET /farm shows them; "native"

	UploadLimit  int64         // bytes that one uploaded file may have; 1 TiB
	UploadExpiry time.Duration // after which unfinished uploads go, as clients are told; 24 h
	PublicPath   string        // Prefix as clients see it, when something in front rewrites it

	BodyTime time.Duration // how long a client may take to send a JSON document; 30 s
	Idle     time.Duration // how long a client may send or take nothing in a transfer; 1 min
	Ping     time.Duration // how often a silent stream of events sends a comment; 15 s
	Poll     time.Duration // how often a followed log asks whether its attempt has ended; 1 s
	MaxHeld  int           // requests that may be held open at once: claims, heartbeats, streams; 20,000
	MaxZip   int64         // outputs in one zip; 100,000

	// Fails counts failed attempts to log in; the other ways in share it. nil: 20
	// at once from one address, and one more each 3 s. Beyond it the answer is
	// 429. Valid tokens are never held up by it.
	Fails *lockout.Counter
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Doors) == 0 {
		c.Doors = []string{doorName}
	}
	if c.PublicPath == "" {
		c.PublicPath = Prefix
	}
	def(&c.UploadLimit, 1<<40)
	def(&c.UploadExpiry, 24*time.Hour)
	def(&c.BodyTime, 30*time.Second)
	def(&c.Idle, time.Minute)
	def(&c.Ping, 15*time.Second)
	def(&c.Poll, time.Second)
	def(&c.MaxHeld, 20_000)
	def(&c.MaxZip, 100_000)
	if c.Fails == nil {
		c.Fails = lockout.New(20, 3*time.Second)
	}
	return c
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// doorName is the door of workers that register here.
const doorName = "native"

// door answers the API.
type door struct {
	Config
	mux     *http.ServeMux
	routes  []route
	tus     http.Handler
	grants  *grants
	hasher  *secret.Hasher
	held    atomic.Int64
	bodies  *semaphore.Weighted // bytes of large documents that are read at once
	openapi []byte
}

// New makes the handler of the API. Requests carry the whole path, /api/v1
// included. RemoteAddr of a request counts as the client's address: who stands
// behind a proxy sets it before. Held requests and streams end when the farm is
// closed.
func New(c Config) http.Handler { return newDoor(c) }

func newDoor(c Config) *door {
	d := &door{Config: c.withDefaults(), mux: http.NewServeMux(), bodies: semaphore.NewWeighted(allBodies)}
	d.grants = newGrants()
	d.hasher = secret.NewHasher(2)
	d.tus = tus.Handler(d.Uploads, tus.Options{
		Path: Prefix + "/uploads/", PublicPath: d.PublicPath + "/uploads/", MaxSize: d.UploadLimit, Expiry: d.UploadExpiry,
		Idle: d.Idle, Log: d.Log, Owner: func(r *http.Request) string { return uploader(r.Context()) },
	})
	d.routes = d.table()
	d.openapi = document(d.routes, d.Version)
	d.mount()
	return d
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.Log.Enabled(r.Context(), slog.LevelDebug) {
		d.mux.ServeHTTP(w, r)
		return
	}
	sw, start := &statusWriter{ResponseWriter: w}, time.Now()
	d.mux.ServeHTTP(sw, r)
	d.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", sw.status, "client", r.RemoteAddr, "took", time.Since(start))
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
