package library

import (
	"context"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Hints pokes when something happens in a folder, at most once a second, until
// ctx ends. They are hints only: shared folders often tell of nothing.
func Hints(ctx context.Context, dir string, log *slog.Logger) <-chan struct{} {
	poke := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(dir); err != nil {
			w.Close()
		}
	}
	if err != nil {
		log.Info("the import folder tells of no changes; it is looked at regularly all the same", "dir", dir, "err", err)
		return poke
	}
	go func() {
		defer w.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.Errors:
			case <-w.Events:
				select {
				case poke <- struct{}{}:
				default:
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return poke
}
