// Package swarm is the door of V-Ray Swarm's script distribution: scripts and
// administrators send builds of V-Ray to POST /api/vray/upload, as they would to
// a peer of Swarm (Chaos, "Script distribution"; docs/doors/swarm.md). On a farm
// one upload reaches all workers; on a worker it is a peer's.
//
// The protocol knows no authentication. Whoever opens the listener bounds who may
// come; the door takes an optional token, and refuses web pages of others.
package swarm

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"drover.farm/internal/library"
	"drover.farm/internal/secret"
)

// Depot takes builds in.
type Depot interface {
	// Temp makes the file that an upload is written to; the door removes it.
	Temp() (*os.File, error)
	// Take recognises, deploys and publishes a build. It fails with a
	// *library.Exists when the build is there.
	Take(ctx context.Context, file *os.File, name string) (*library.Taken, error)
}

// Queue keeps uploads that are imported later.
type Queue interface {
	// Queue moves a file into the import folder and returns its path there.
	Queue(temp, name string) (string, error)
}

// Config is what a door is made of. Depot and Queue are required.
type Config struct {
	Depot Depot
	Queue Queue
	Log   *slog.Logger // nil: nowhere

	AllowExecutables bool          // what GET /debug/allowExecutables reports
	Token            secret.Text   // that requests must carry; "": none
	MaxUpload        int64         // bytes of one file; 20 GiB
	AtOnce           int           // uploads at once; more are told to come again; 16
	PerMinute        int           // uploads a minute; 60
	Idle             time.Duration // how long a client may send nothing in the middle of an upload; 1 min
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxUpload <= 0 {
		c.MaxUpload = 20 << 30
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 16
	}
	if c.PerMinute <= 0 {
		c.PerMinute = 60
	}
	if c.Idle <= 0 {
		c.Idle = time.Minute
	}
	return c
}

// door answers the two calls.
type door struct {
	Config
	places chan struct{}
	rate   *rate.Limiter
}

// New makes the handler of a door.
func New(c Config) http.Handler {
	c = c.withDefaults()
	d := &door{Config: c, places: make(chan struct{}, c.AtOnce), rate: rate.NewLimiter(rate.Limit(float64(c.PerMinute)/60), c.PerMinute)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/vray/upload", d.upload)
	mux.HandleFunc("GET /debug/allowExecutables", d.allowExecutables)
	return http.NewCrossOriginProtection().Handler(d.guard(mux))
}

// guard asks for the token, if there is one, before a byte of the body is read.
func (d *door) guard(next http.Handler) http.Handler {
	if d.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-Drover-Token")
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			given = bearer
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(d.Token.Reveal())) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "this door takes a token, in the header Authorization: Bearer TOKEN or X-Drover-Token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowExecutables reports whether installers are taken. Whatever it did on a
// peer of Swarm, here it changes nothing: the configuration alone does.
func (d *door) allowExecutables(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]bool{"allowExecutables": d.AllowExecutables})
}

func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // strings and numbers: cannot fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone hears nothing
}
