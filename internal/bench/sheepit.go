package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// How many SheepIt sessions live at once, and how often each sends a heartbeat:
// fifteen times as often as clients do, so that a short run is a hard one.
const (
	sessions  = 10_000
	beatEvery = time.Minute
	loginsAt  = 32 // once
	hz        = 100
)

// measureSheepIt: memory and processor time of a farm with many live SheepIt
// sessions.
func measureSheepIt(ctx context.Context, r *runner) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	s, err := r.farm(ctx, dir)
	if err != nil {
		return err
	}
	defer s.kill()
	r.say("%d SheepIt sessions log in", sessions)
	cookies, err := s.flock(ctx, sessions)
	if err != nil {
		return err
	}
	before, err := s.processor()
	if err != nil {
		return err
	}
	began := time.Now()
	beats, err := s.beats(ctx, cookies, max(r.For, 10*time.Second))
	if err != nil {
		return err
	}
	after, err := s.processor()
	if err != nil {
		return err
	}
	mem, err := s.memory()
	if err != nil {
		return err
	}
	share := 100 * (after - before).Seconds() / time.Since(began).Seconds()
	note := fmt.Sprintf("%d sessions, a heartbeat a minute each (clients: every 15), %d in all", len(cookies), beats)
	r.report.hold("memory with SheepIt sessions", float64(mem)/(1<<20), "MiB", "< 300 MiB", mem < 300<<20, note)
	r.report.hold("processor with SheepIt sessions", share, "% of a core", "< 25 %", share < 25, note)
	return nil
}

var publicKey = regexp.MustCompile(`publickey="([^"]+)"`)

// flock logs n sessions in, all by the key that the first one gets, and returns
// their cookies.
func (s *server) flock(ctx context.Context, n int) ([]string, error) {
	key, first, err := s.sheep(ctx, s.token, 0)
	if err != nil {
		return nil, err
	}
	cookies := make([]string, n)
	cookies[0] = first
	next := make(chan int)
	errs := make(chan error, loginsAt)
	var wg sync.WaitGroup
	for range loginsAt {
		wg.Go(func() {
			for i := range next {
				_, cookie, err := s.sheep(ctx, key, i)
				if err != nil {
					errs <- err
					return
				}
				cookies[i] = cookie
			}
		})
	}
	for i := 1; i < n; i++ {
		select {
		case next <- i:
		case err := <-errs:
			close(next)
			wg.Wait()
			return nil, err
		}
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return cookies, nil
	}
}

// sheep opens a session as a client of 2022 does.
func (s *server) sheep(ctx context.Context, password string, i int) (key, cookie string, err error) {
	v := url.Values{"login": {"admin"}, "password": {password}, "version": {"6.22324.0"}, "os": {"linux"}, "bits": {"64bit"}, "cpu_cores": {"8"},
		"ram": {"16777216"}, "hostname": {fmt.Sprintf("sheep-%d", i)}, "hwid": {fmt.Sprint(i)}, "cpu_model_name": {"A processor"}, "ui": {"GuiText"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/server/config.php", strings.NewReader(v.Encode()))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", err
	}
	m := publicKey.FindSubmatch(body)
	if m == nil {
		return "", "", fmt.Errorf("a SheepIt session was refused: %d %s", resp.StatusCode, body)
	}
	cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	return string(m[1]), cookie, nil
}

// beats sends heartbeats of all sessions, evenly, for a time.
func (s *server) beats(ctx context.Context, cookies []string, during time.Duration) (int, error) {
	every := beatEvery / time.Duration(len(cookies))
	t := time.NewTicker(every)
	defer t.Stop()
	end := time.Now().Add(during)
	sent := 0
	for now := time.Now(); now.Before(end); now = <-t.C {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/server/keepmealive.php?paused=false", http.NoBody)
		if err != nil {
			return sent, err
		}
		req.Header.Set("Cookie", cookies[sent%len(cookies)])
		resp, err := s.http.Do(req)
		if err != nil {
			return sent, err
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || !strings.Contains(string(body), `status="0"`) {
			return sent, errors.Join(err, fmt.Errorf("a heartbeat was answered with %d %s", resp.StatusCode, body))
		}
		sent++
	}
	return sent, nil
}

// processor is the processor time that the process has used.
func (s *server) processor() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, errors.New("the processor time of a process can be read on Linux only")
	}
	return parseStat(string(b))
}

// parseStat reads the user and system time of a /proc/PID/stat (proc(5)).
func parseStat(text string) (time.Duration, error) {
	_, rest, _ := strings.Cut(text[max(strings.LastIndexByte(text, ')'), 0):], " ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("/proc/PID/stat is of an unknown form")
	}
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		return 0, fmt.Errorf("read /proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * time.Second / hz, nil
}
