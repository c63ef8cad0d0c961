package cli

import (
	"context"
	"net"

	"drover.farm/internal/rayd"
)

// rayService answers clients.
func rayService(h rayHandoff, hosts *rayd.Hosts, diary *rayd.Diary) rayd.ServeFunc {
	return func(ctx context.Context, l net.Listener) error {
		<-ctx.Done()
		return nil
	}
}
