package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How many pages are open at once, and how many frames a second are finished
// meanwhile.
const (
	openPages = 500
	pageRate  = 20
)

// measurePages: processor time of a farm that keeps many open pages up to date,
// half of them the first screen and half a job's, while frames are finished.
func measurePages(ctx context.Context, r *runner) error {
	l, err := r.loaded(ctx, sqlite, pageRate, 10_000)
	if err != nil {
		return err
	}
	defer l.end()
	cookie, err := l.signIn(ctx)
	if err != nil {
		return err
	}
	lives := make([]string, 2)
	for i, path := range []string{"/ui/", "/ui/jobs/1000"} {
		if lives[i], err = l.live(ctx, path, cookie); err != nil {
			return err
		}
	}
	held := make([]held, pageRate)
	if err := each(pageRate, func(i int) (err error) { held[i], err = l.claim(ctx, l.workers[i]); return err }); err != nil {
		return err
	}
	r.say("%d pages are opened", openPages)
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	var events atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	err = each(openPages, func(i int) error {
		resp, err := l.get(streams, lives[i%2], cookie)
		if err != nil {
			return err
		}
		wg.Go(func() { follow(resp.Body, &events) })
		return nil
	})
	if err != nil {
		return err
	}
	d := max(r.For, 10*time.Second)
	before, err := l.processor()
	if err != nil {
		return err
	}
	began := time.Now()
	var done atomic.Int64
	err = each(pageRate, func(i int) error { return l.slowly(ctx, l.workers[i], held[i], began.Add(d), &done) })
	if err != nil {
		return err
	}
	after, err := l.processor()
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	share := 100 * (after - before).Seconds() / took
	r.report.hold("processor with open pages", share, "% of a core", "< 20 %", share < 20,
		fmt.Sprintf("%d pages with live events, half of them of a job, %.0f frames/s finished, %.0f events/s sent", openPages, float64(done.Load())/took, float64(events.Load())/took))
	return nil
}

// slowly is a worker that finishes a frame a second.
func (l *loadedFarm) slowly(ctx context.Context, worker int64, h held, end time.Time, done *atomic.Int64) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for now := time.Now(); now.Before(end); now = <-t.C {
		body := fmt.Appendf(nil, `{"worker":%d,"job":%d,"step":0,"index":%d,"seconds":1,"next":{"warm":%d}}`, worker, h.job, h.index, h.job)
		status, answer, err := l.raw(ctx, http.MethodPost, fmt.Sprintf("/api/v1/leases/%d/complete", h.lease), body)
		if err != nil {
			return err
		}
		var ok bool
		if h, ok = next(answer); status != http.StatusOK || !ok {
			return fmt.Errorf("complete: %d %s", status, answer)
		}
		done.Add(1)
	}
	return nil
}

// follow reads a stream of events until it ends.
func follow(body io.ReadCloser, events *atomic.Int64) {
	defer body.Close()
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if strings.HasPrefix(string(line), "event:") {
			events.Add(1)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// signIn signs in at the page and returns the cookie of the session.
func (s *server) signIn(ctx context.Context) (string, error) {
	form := url.Values{"login": {"admin"}, "password": {s.token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/ui/login", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", s.url)
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	if cookie == "" {
		return "", fmt.Errorf("the page let nobody sign in: %s", resp.Status)
	}
	return cookie, nil
}

func (s *server) get(ctx context.Context, path, cookie string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Cookie", cookie)
	// A stream may last longer than other requests.
	resp, err := (&http.Client{Transport: s.http.Transport}).Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp, err
}

var connects = regexp.MustCompile(`sse-connect="([^"]+)"`)

// live is the stream by which a page is kept up to date.
func (s *server) live(ctx context.Context, path, cookie string) (string, error) {
	resp, err := s.get(ctx, path, cookie)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	m := connects.FindSubmatch(page)
	if m == nil {
		return "", fmt.Errorf("%s has no live events", path)
	}
	return html.UnescapeString(string(m[1])), nil
}
