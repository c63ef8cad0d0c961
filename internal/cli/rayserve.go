package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"drover.farm/internal/rayd"
)

// rayServe is the server itself. In daemon mode it has no terminal: a server that
// cannot write its log then ends without a word (manual, "Starting the
// Rayserver").
func (a *App) rayServe(h rayHandoff) int {
	var terminal io.Writer
	if !h.Daemon {
		terminal = a.Out
	}
	diary, err := rayd.OpenDiary(h.Settings.Home, h.Host, terminal, time.Now)
	if err != nil && h.Daemon {
		return exitFailed
	} else if err != nil {
		diary.Say(err.Error())
	}
	defer diary.Close()
	hosts, err := rayd.OpenHosts(h.Settings.Hosts, h.Host)
	if err != nil {
		diary.Say("Rayserver refuses to run: " + err.Error())
		return exitFailed
	}
	signals, stop := rayd.Signals()
	defer stop()
	socket, _ := a.Env("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET") // it is not for the simulations
	note := func(state string) {
		if err := rayd.Notify(socket, state); err != nil {
			diary.Note(fmt.Sprintf("systemd cannot be told: %v", err))
		}
	}
	return rayd.Run(context.Background(), rayd.Config{
		Address: net.JoinHostPort(h.Settings.Listen, strconv.Itoa(h.Settings.Port)),
		Retry:   h.Settings.RetryInterval, Restart: h.Settings.RestartPause,
		PID: os.Getpid(), Diary: diary, Serve: a.rayService(h, hosts, diary),
		Ready:  func(net.Addr) { note("READY=1") },
		Ending: func() { note("STOPPING=1") },
	}, signals)
}
