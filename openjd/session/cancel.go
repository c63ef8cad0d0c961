package session

import (
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"drover.farm/openjd"
)

// notifyPeriod is the time that the action has between notification and end.
func (a *action) notifyPeriod() time.Duration {
	if a.def.Cancelation.Mode != openjd.CancelNotifyThenTerminate {
		return 0
	}
	period := a.def.Cancelation.NotifyPeriod
	if limit := a.s.cfg.MaxNotify; limit > 0 {
		period = min(period, limit)
	}
	return period
}

// cancel ends the process tree: after a notification and the period, or at once
// when that is zero (section 5.3).
func (a *action) cancel(why string, period time.Duration) {
	if period > 0 {
		a.s.say(slog.LevelInfo, "The action is %s with %v to end by itself", why, period)
		a.notify(period)
		a.waitNotified(time.Now().Add(period))
	} else {
		a.s.say(slog.LevelInfo, "The action is %s at once", why)
	}
	a.kill()
	select {
	case <-a.exited:
	case <-time.After(killTime):
		// Not even SIGKILL ends a process that hangs in the kernel.
		a.s.cfg.Logger.Error("a process outlives SIGKILL", "session", a.s.id, "pid", a.root.Pid)
	}
	a.out.drain()
}

// waitNotified waits until the processes have ended or the period has.
func (a *action) waitNotified(end time.Time) {
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	exited := a.exited
	var poll <-chan time.Time
	for {
		select {
		case <-timer.C:
			return
		case limit := <-a.hurries:
			if sooner := time.Now().Add(limit); sooner.Before(end) {
				end = sooner
				timer.Reset(limit)
				a.notify(limit)
			}
		case <-exited:
			// The process may have been a shell whose command is still saving.
			exited = nil
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			poll = ticker.C
			if !a.group.lives(a.root) {
				return
			}
		case <-poll:
			if !a.group.lives(a.root) {
				return
			}
		}
	}
}

// notify writes cancel_info.json and asks the processes to end.
func (a *action) notify(period time.Duration) {
	end := time.Now().Add(period).UTC().Format("2006-01-02T15:04:05Z")
	data, err := json.Marshal(map[string]string{"NotifyEnd": end})
	if err == nil {
		err = replaceFile(filepath.Join(a.s.work, "cancel_info.json"), data, 0o600)
	}
	if err == nil {
		err = a.group.notify(a.root)
	} else {
		err = errors.Join(err, a.group.notify(a.root))
	}
	if err != nil {
		a.s.say(slog.LevelWarn, "The action could not be notified: %v", err)
	}
}

func (a *action) kill() {
	if err := a.group.kill(); err != nil {
		a.s.say(slog.LevelError, "Processes of the action could not be killed: %v", err)
		a.s.cfg.Logger.Error("processes of an action could not be killed", "session", a.s.id, "error", err)
	}
}
