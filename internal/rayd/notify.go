package rayd

import (
	"net"
	"strings"
)

// Notify tells systemd the state of the service ("READY=1"), where the socket
// that NOTIFY_SOCKET names leads to one (sd_notify(3)). Elsewhere it does nothing.
func Notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	if strings.HasPrefix(socket, "@") {
		socket = "\x00" + socket[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
