package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

// Waiting is the flags of commands that wait for a job.
type Waiting struct {
	Patience time.Duration `default:"1h" placeholder:"TIME" help:"How long the farm may be out of reach before the command gives up. Default: 1h."`
}

type jobWaitCmd struct {
	oneJob
	Waiting
}

func (c *jobWaitCmd) Examples() string {
	return "  drover job wait 1003 && drover job fetch 1003 --out frames\n"
}

func (c *jobWaitCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	j, err := a.wait(farm, c.ID, c.Patience)
	if err != nil {
		return err
	}
	if err := a.showJob(c.Shown, j); err != nil {
		return err
	}
	return a.verdict(j)
}

// verdict fails unless the job is done, and says where to look.
func (a *App) verdict(j *api.Job) error {
	switch j.State {
	case "done":
		return nil
	case "failed":
		a.say("job %d failed: %s\n\"drover job log %d\" prints the logs of its failed tasks, \"drover job retry %d\" tries them again", j.ID, j.Reason, j.ID, j.ID)
	default:
		a.say("job %d is %s%s", j.ID, j.State, because(j.Reason))
	}
	return errSilent
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// pollEvery is how often a job is asked after while somebody waits for it.
const pollEvery = 500 * time.Millisecond

// wait shows the progress of a job until it has ended. The farm may be away
// meanwhile, for as long as patience lasts.
func (a *App) wait(farm *client.Client, id int64, patience time.Duration) (*api.Job, error) {
	show := newProgress(a)
	defer show.stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		j, err := persist(a.ctx, patience, show.note, func() (*api.Job, error) { return farm.Job(a.ctx, id) })
		if err != nil {
			return nil, err
		}
		show.update(j, time.Now())
		if ended(j) {
			return j, nil
		}
		select {
		case <-a.ctx.Done():
			show.stop()
			a.say("job %d goes on without this command; \"drover job wait %d\" waits for it again", id, id)
			return nil, a.ctx.Err()
		case <-tick.C:
		}
	}
}

// persist repeats f while the farm is out of reach, at most for patience.
func persist[T any](ctx context.Context, patience time.Duration, note func(string), f func() (T, error)) (T, error) {
	var since time.Time
	pause := 250 * time.Millisecond
	for {
		v, err := f()
		if err == nil || ctx.Err() != nil || !away(err) {
			return v, err
		}
		if since.IsZero() {
			since = time.Now()
			note(fmt.Sprintf("the farm is out of reach, trying on: %v", err))
		}
		if time.Since(since) > patience {
			return v, fmt.Errorf("the farm was out of reach for %s: %w", span(patience), err)
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*2, 5*time.Second)
	}
}

// away reports whether an error says that the farm was not reached or could not
// answer now, rather than what it answered.
func away(err error) bool {
	var answered *client.Error
	if errors.As(err, &answered) {
		return slices.Contains([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, answered.Status)
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return false
	}
	var asked *url.Error
	var network net.Error
	return errors.As(err, &asked) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}
