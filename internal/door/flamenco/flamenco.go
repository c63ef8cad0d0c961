// Package flamenco is the door of the Flamenco of 2014 to 2016: its Manager API
// for scripts and servers, the workers of 2015, to which the farm dials out, and
// those of 2016, which ask for work. docs/doors/flamenco.md says what these
// clients send and expect, and how their words map to the farm's.
//
// The package translates. Tasks that are posted become jobs of the farm; workers
// become workers of the farm with the door "flamenco". What it must remember
// beyond that are notes of the farm; all it has in memory is made anew from the
// farm when it opens.
package flamenco

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"drover.farm/internal/farm"
)

// Name is the door's name.
const Name = "flamenco"

// Door serves one farm, as long as that is the writer.
type Door struct {
	cfg     Config
	set     Settings
	farm    *farm.Farm
	log     *slog.Logger
	by      farm.Principal
	shares  shares
	presets map[string]preset
	mux     *http.ServeMux
	dial    *http.Client // to workers
	big     chan struct{}
	up      *upstream

	ctx  context.Context // ends with Stop
	end  context.CancelFunc
	jobs sync.WaitGroup // goroutines

	mu       sync.Mutex
	crew     map[int64]*member // by worker
	work     map[int64]*work   // by the id that its worker knows
	posts    map[int64]*post   // posted tasks that are not closed, by job
	last     map[int64]news    // what workers said last of posted tasks, by job
	reach    map[int64]error   // whether Flamenco workers can render a foreign job, once looked at
	settings map[string]string // that were set
	posting  [64]sync.Mutex    // the same task is posted once at a time
	hashes   hashes
}

// New opens the door of a farm: it finds its workers and what they are at, and
// begins to dial out. Stop ends that.
func New(cfg Config) (*Door, error) {
	d := &Door{cfg: cfg, set: cfg.Settings.withDefaults(), farm: cfg.Farm, log: cfg.Log, big: make(chan struct{}, 4),
		crew: make(map[int64]*member), work: make(map[int64]*work), posts: make(map[int64]*post), last: make(map[int64]news), reach: make(map[int64]error), settings: make(map[string]string)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.log = d.log.With("door", Name)
	d.by = farm.Principal{Login: d.set.Account, Roles: []farm.Role{farm.RoleRenderer, farm.RoleSubmitter}}
	var err error
	if d.shares, err = parseShares(d.set.Shares); err != nil {
		return nil, err
	}
	if d.presets, err = parsePresets(d.set.Presets); err != nil {
		return nil, err
	}
	d.dial = &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: d.set.Probe}).DialContext, MaxIdleConnsPerHost: 2, IdleConnTimeout: 2 * d.set.Tick,
			ResponseHeaderTimeout: 10 * d.set.Probe, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if d.up, err = newUpstream(d); err != nil {
		return nil, err
	}
	d.mount()
	d.ctx, d.end = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(d.ctx, time.Minute)
	defer cancel()
	if err := d.open(ctx); err != nil {
		d.Stop()
		return nil, fmt.Errorf("open the Flamenco door: %w", err)
	}
	return d, nil
}

// open takes up what an earlier term left.
func (d *Door) open(ctx context.Context) error {
	admin := farm.Principal{Login: d.set.Account, Roles: []farm.Role{farm.RoleAdmin}}
	if _, err := d.farm.Account(d.set.Account); farm.CodeOf(err) == farm.NotFound {
		err := d.farm.AddUser(ctx, admin, farm.User{Login: d.set.Account, Roles: d.by.Roles})
		if err != nil && farm.CodeOf(err) != farm.Conflict {
			return err
		}
	}
	if err := d.loadSettings(ctx); err != nil {
		return err
	}
	if err := d.muster(ctx); err != nil {
		return err
	}
	d.farm.Reach(Name, d.why)
	d.jobs.Go(d.closing)
	d.up.start()
	return nil
}

// ServeHTTP answers the Manager API.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

// Stop ends what the door does by itself and waits for it. Workers go on with
// what they are at.
func (d *Door) Stop() {
	d.mu.Lock()
	d.end()
	d.mu.Unlock()
	d.jobs.Wait()
	d.dial.CloseIdleConnections()
	d.up.close()
}

// spawn runs fn beside the request that asks for it, unless the door is closed.
func (d *Door) spawn(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() == nil {
		d.jobs.Go(fn)
	}
}

// sleep waits for a time, for a wake-up or for the end of the door.
func (d *Door) sleep(t time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-d.ctx.Done():
		return false
	}
	return true
}

// insist repeats a verb while the farm cannot write, as long as the door is
// open: a worker tells its result once.
func (d *Door) insist(what string, verb func(context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := verb(d.ctx)
		if farm.CodeOf(err) != farm.Unavailable || !d.sleep(pause, nil) {
			return err
		}
		d.log.Debug("tried again", "what", what, "err", err)
	}
}

func gone(err error) bool {
	return farm.CodeOf(err) == farm.Gone || farm.CodeOf(err) == farm.NotFound || errors.Is(err, context.Canceled)
}
