package farm

import (
	"context"
	"log/slog"
	"sync"
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

// Watcher is a Store that can tell those who are not the writer that accounts
// have changed.
type Watcher interface {
	// Watch calls changed once it watches, and after each change, until ctx ends
	// or it cannot go on.
	Watch(ctx context.Context, changed func()) error
}

// follow reads the accounts anew until Close: when the store says so, and now
// and then.
func (f *Farm) follow() {
	defer close(f.stopped)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	told := make(chan struct{}, 1)
	if w, ok := f.store.(Watcher); ok {
		watching.Go(func() { f.watch(ctx, w, told) })
	}
	t := time.NewTicker(f.settings.Scan)
	defer t.Stop()
	for {
		select {
		case <-f.stopping:
			return
		case <-told:
		case <-t.C:
		}
		if err := f.refresh(ctx); err != nil {
			f.log.Warn("accounts cannot be read", "err", err)
		}
	}
}

// watch keeps a watch on the store, however often it breaks.
func (f *Farm) watch(ctx context.Context, w Watcher, told chan<- struct{}) {
	for ctx.Err() == nil {
		err := w.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
		f.log.Debug("the store tells no changes for a moment", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(f.settings.Scan):
		}
	}
}

func (f *Farm) refresh(ctx context.Context) error {
	us, ts, err := f.Accounts(ctx)
	if err != nil {
		return err
	}
	f.auth.replace(us, ts)
	return nil
}
