package farm

import (
	"context"
	"log/slog"
	"time"
)

// Follow returns a Farm that is not the writer: it reads, and knows accounts
// and tokens, which it reads anew every so often; every other verb fails with
// Unavailable. A server of a farm of several uses it to serve files while
// another is the writer.
func Follow(ctx context.Context, c Config) (*Farm, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	f := &Farm{
		Reader: c.Store, store: c.Store, blobs: c.Blobs, prover: c.Prover,
		log: c.Log, clock: c.Clock, settings: c.Settings.withDefaults(),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := f.refresh(ctx); err != nil {
		return nil, err
	}
	go f.follow()
	return f, nil
}

// follow reads the accounts anew until Close.
func (f *Farm) follow() {
	defer close(f.stopped)
	t := time.NewTicker(f.settings.Scan)
	defer t.Stop()
	for {
		select {
		case <-f.stopping:
			return
		case <-t.C:
			if err := f.refresh(context.Background()); err != nil {
				f.log.Warn("accounts cannot be read", "err", err)
			}
		}
	}
}

func (f *Farm) refresh(ctx context.Context) error {
	us, ts, err := f.Accounts(ctx)
	if err != nil {
		return err
	}
	users, tokens := make(map[string]*User, len(us)), make(map[[32]byte]*Token, len(ts))
	for _, u := range us {
		users[u.Login] = u
	}
	for _, t := range ts {
		tokens[t.Hash] = t
	}
	f.auth.replace(users, tokens)
	return nil
}
