// Package web is the page for people: the farm at a glance, jobs and their
// frames, workers, submission and settings, under /ui/. docs/design/web.md
// describes it.
//
// Pages are made on the server from the farm's verbs and its Reader; the package
// has no state of its own beyond caches and the streams of open pages. All
// routes are in one table, from which the checks of roles are made.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/livelog"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// Prefix is where the pages lie on their listener.
const Prefix = "/ui/"

// Config is what the pages are made of. Farm, Blobs, Uploads, Logs and Library are
// required; zero fields of the rest have the defaults named.
type Config struct {
	Farm    *farm.Farm
	Blobs   blob.Store
	Uploads blob.Uploads
	Logs    *livelog.Store
	Library *library.Library
	Log     *slog.Logger // nil: nowhere
	Version string       // of the program

	// Fails counts failed logins, together with the doors'; nil: of its own.
	Fails *lockout.Counter
	// Doors says which doors are open, for the pages about workers and settings.
	Doors []Door
	// Set are the settings that the farm was started with, for who operates it;
	// what is secret is left out of them.
	Set []Setting
	// Imports lists what is in the import folder; nil for no such folder.
	Imports func() []library.File
	// Usage says how full the store of files is; nil where that is not known.
	Usage func(ctx context.Context) (Usage, error)

	Session     time.Duration // how long a login lasts; 14 days
	Ping        time.Duration // how often a silent stream says that it is there; 15 s
	Idle        time.Duration // how long a client may take nothing; 1 min
	Fresh       time.Duration // how often a live part is made anew at most; 1 s
	MaxLive     int           // streams at once; 5000
	UploadLimit int64         // bytes that one uploaded file may have; 0 for no limit
	Scratch     string        // folder in which what was uploaded is laid out while it is read; "" for the system's
	Undo        time.Duration // how long what destroys work can be taken back; 10 s
}

// Door is a door as the pages show it.
type Door struct {
	Name    string
	Address string   // "" for the main listener
	Allow   []string // networks, for doors without authentication
}

// Setting is one as the page shows it.
type Setting struct{ Key, Value, Default, Help string }

// door is an open door by its name; nil while it is closed.
func (s *site) door(name string) *Door {
	i := slices.IndexFunc(s.Doors, func(d Door) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Doors[i]
}

// Usage is how full the store of files is, in bytes. Limit and Free are 0 where
// there is no such bound.
type Usage struct {
	Files              int64
	Bytes, Limit, Free int64
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Fails == nil {
		c.Fails = lockout.New(20, 3*time.Second)
	}
	def(&c.Session, 14*24*time.Hour)
	def(&c.Ping, 15*time.Second)
	def(&c.Idle, time.Minute)
	def(&c.Fresh, time.Second)
	def(&c.MaxLive, 5000)
	def(&c.Undo, 10*time.Second)
	return c
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// site answers requests for pages.
type site struct {
	Config
	mux    *http.ServeMux
	routes []route
	hasher *secret.Hasher
	assets *assets
	pages  func() *templates // parsed when the first page is asked for: many farms never show one
	views  *viewCache
	recent *recent
	films  chan struct{} // films being made
	sheets chan struct{} // contact sheets being made
	reads  chan struct{} // uploads being read
	tus    http.Handler
	hub    *hub
}

// New makes the handler of everything under Prefix; requests carry the whole
// path. RemoteAddr of a request counts as the client's address, and URL.Scheme
// and URL.Host as what the farm is known by: who stands behind a proxy sets them
// before. Streams end when the farm is closed.
func New(c Config) http.Handler { return newSite(c) }

func newSite(c Config) *site {
	s := &site{Config: c.withDefaults(), mux: http.NewServeMux(), hasher: secret.NewHasher(2), films: make(chan struct{}, 2), sheets: make(chan struct{}, 2), reads: make(chan struct{}, 4)}
	s.assets = loadAssets()
	s.pages = sync.OnceValue(func() *templates { return loadTemplates(s) })
	s.views = newViewCache()
	s.recent = newRecent(s.Farm)
	s.tus = s.uploadHandler()
	s.routes = s.table()
	s.mount()
	s.hub = newHub(s)
	return s
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	s.mux.ServeHTTP(w, r)
}

// policy is the content security policy of every page: everything from here,
// nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// packed compresses answers that are worth it.
func packed(h http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{"text/html", "text/css", "text/javascript", "image/svg+xml"}))
	if err != nil {
		return h // options out of range only
	}
	return wrap(h)
}

// statuses maps the farm's codes to HTTP. A code that is not in it is internal.
var statuses = map[farm.Code]int{
	farm.Invalid:      http.StatusBadRequest,
	farm.Unauthorized: http.StatusUnauthorized,
	farm.Forbidden:    http.StatusForbidden,
	farm.NotFound:     http.StatusNotFound,
	farm.Conflict:     http.StatusConflict,
	farm.Gone:         http.StatusGone,
	farm.Full:         http.StatusInsufficientStorage,
	farm.Unavailable:  http.StatusServiceUnavailable,
	farm.Internal:     http.StatusInternalServerError,
}

// outside maps errors of what the pages stand on, which know no codes.
var outside = []struct {
	is   error
	code farm.Code
	text string // "": the error's own
}{
	{blob.ErrNotFound, farm.NotFound, "the farm does not have this file any more"},
	{blob.ErrFull, farm.Full, "the farm has no room for this file; nothing was kept"},
	{blob.ErrClosed, farm.Unavailable, "the farm is shutting down; try again in a few seconds"},
	{livelog.ErrNotFound, farm.NotFound, "there is no log of this attempt: it wrote none yet, or its live log has expired"},
	{secret.ErrWeak, farm.Invalid, ""},
}

// tell is what a person is told of an error: never more of one that is not known
// than that there was one.
func tell(err error) (status int, code farm.Code, text string) {
	var e *farm.Error
	if !errors.As(err, &e) {
		for _, o := range outside {
			if errors.Is(err, o.is) {
				if o.text == "" {
					o.text = err.Error()
				}
				return statuses[o.code], o.code, o.text
			}
		}
	}
	code = farm.CodeOf(err)
	status, known := statuses[code]
	if !known || code == farm.Internal {
		return http.StatusInternalServerError, farm.Internal, farm.MessageOf(nil)
	}
	return status, code, farm.MessageOf(err)
}
