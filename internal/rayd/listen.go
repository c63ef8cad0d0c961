package rayd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// attempts is how often the server tries to get its port (manual, "Socket
// Error": "three times before it gives up"): three tries, two pauses.
const attempts = 3

// listen opens the port. A failure is said and, while there are attempts left,
// followed by a pause.
func (s *server) listen(ctx context.Context) (net.Listener, error) {
	for try := 1; ; try++ {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.cfg.Address)
		if err == nil {
			return l, nil
		}
		s.diary.Say("Socket Error: " + socketError(err))
		if try == attempts {
			return nil, fmt.Errorf("listen on %s: %w", s.cfg.Address, err)
		}
		s.diary.Say(fmt.Sprintf("retrying in %s secs...", secs(s.cfg.Retry)))
		pause := time.NewTimer(s.cfg.Retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// socketError writes an error as the manual shows it: number and text, the
// latter with a capital, which Go's own does not have.
func socketError(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return err.Error()
	}
	text := no.Error()
	return fmt.Sprintf("(%d, '%s')", int(no), strings.ToUpper(text[:1])+text[1:])
}

// secs writes a pause in seconds, without a fraction where there is none.
func secs(d time.Duration) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()), "0"), ".")
}
