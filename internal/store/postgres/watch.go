package postgres

import (
	"context"

	"drover.farm/internal/farm"
)

var _ farm.Watcher = (*Store)(nil)

// accountsChannel is where the writer says that accounts have changed. It is a
// wake-up and carries nothing: who misses it reads a moment later.
const accountsChannel = "drover_accounts"

// Watch implements farm.Watcher by LISTEN on a connection of its own.
func (s *Store) Watch(ctx context.Context, changed func()) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+accountsChannel); err != nil {
		return dbError("listen for changes", err)
	}
	changed() // of what happened before
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return dbError("wait for changes", err)
		}
		changed()
	}
}
