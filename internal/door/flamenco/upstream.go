package flamenco

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"drover.farm/internal/farm"
)

// upstream is the Flamenco server that this farm is a manager of, if any.
type upstream struct {
	d    *Door
	base string // "" for none
	http *http.Client

	mu    sync.Mutex
	known identity
	total int // workers, as last told; -1: never

	wake chan struct{} // somebody may have nothing to do
}

// identity is what the server knows this farm by: of 2015 a uuid, of 2016 a token.
type identity struct {
	UUID  string `json:"uuid,omitempty"`
	Token string `json:"token,omitempty"`
	// Label is what a server of 2016 notes of the tasks that it has given to this
	// farm, as the name of their worker. No other manager has it.
	Label string `json:"label,omitempty"`
}

const noteUpstream = Name + "/upstream"

func newUpstream(d *Door) (*upstream, error) {
	u := &upstream{d: d, total: -1, http: &http.Client{}, wake: make(chan struct{}, 1)}
	if d.set.Server == "" {
		return u, nil
	}
	at, err := url.Parse(d.set.Server)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" {
		return nil, errServer
	}
	u.base = at.Scheme + "://" + at.Host
	// On a connection that was kept, net/http would repeat a GET whose answer was
	// lost by itself, and a task that GET /tasks/generate had given were lost.
	u.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, ResponseHeaderTimeout: serverTime}
	return u, nil
}

func (u *upstream) start() {
	if u.base != "" {
		u.d.jobs.Go(u.run)
	}
}

func (u *upstream) close() { u.http.CloseIdleConnections() }

const (
	serverTime = 5 * time.Minute  // for the server to unpack what it was sent
	shortCall  = 30 * time.Second // for a call without files
)

// run registers with the server, tells it how many workers there are, and fetches
// work.
func (u *upstream) run() {
	for {
		err := u.register(u.d.ctx)
		if err == nil {
			break
		}
		u.d.log.Warn("the Flamenco server does not take this farm as a manager yet", "server", u.base, "err", err)
		if !u.d.sleep(u.d.set.Retry, nil) {
			return
		}
	}
	progress := time.Now()
	u.d.jobs.Go(u.fetching)
	for u.d.sleep(u.d.set.Tick, nil) {
		if err := u.count(u.d.ctx); err != nil {
			u.d.log.Debug("the Flamenco server was not told of the workers", "err", err)
		}
		u.watch(u.d.ctx)
		if every := u.d.set.Progress; every > 0 && time.Since(progress) >= every {
			progress = time.Now()
			u.tellProgress(u.d.ctx)
		}
	}
}

// register makes this farm known. A server of 2016 gets the token back that it
// gave, and gives another; one that it does not know any more makes this farm a
// new manager.
func (u *upstream) register(ctx context.Context) error {
	n, err := u.d.farm.Note(ctx, noteUpstream)
	if err != nil && farm.CodeOf(err) != farm.NotFound {
		return err
	}
	var id identity
	if n != nil {
		if err := json.Unmarshal([]byte(n.Text), &id); err != nil {
			return err
		}
	}
	_, port, _ := net.SplitHostPort(u.d.set.Listen)
	form := url.Values{"port": {orText(port, u.d.set.Listen)}, "name": {u.d.set.Name}, "has_virtual_workers": {"0"}}
	if id.Token != "" {
		form.Set("token", id.Token)
	}
	body, err := u.send(ctx, http.MethodPost, "/managers", form)
	if id.Token != "" && errors.Is(err, statusError(http.StatusNotFound)) {
		u.d.log.Warn("the Flamenco server does not know this farm any more; it becomes a new manager there, to which jobs must be given anew", "server", u.base)
		form.Del("token")
		body, err = u.send(ctx, http.MethodPost, "/managers", form)
	}
	if err != nil {
		return err
	}
	var got identity
	if json.Unmarshal(body, &got) != nil || got.UUID == "" && got.Token == "" {
		return errors.New("its answer has neither uuid nor token")
	}
	if id.UUID != "" && got.Token == "" {
		got.UUID = id.UUID // the first one stays, as in the original
	}
	got.Label = orText(id.Label, u.d.set.Name+" "+rand.Text()[:8])
	text, err := json.Marshal(got)
	if err != nil {
		return err
	}
	if err := u.d.farm.PutNotes(ctx, []farm.Note{{Key: noteUpstream, Text: string(text)}}); err != nil {
		return err
	}
	u.mu.Lock()
	u.known = got
	u.mu.Unlock()
	u.d.log.Info("registered with the Flamenco server", "server", u.base)
	return nil
}

func (u *upstream) identity() identity {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known
}

// count tells the server of 2015 how many workers there are, when that changed.
func (u *upstream) count(ctx context.Context) error {
	id := u.identity()
	if id.UUID == "" {
		return nil
	}
	all, err := u.d.farm.Farmhands(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, w := range all {
		if w.Online && !w.Disabled && !w.Aside {
			n++
		}
	}
	u.mu.Lock()
	same := n == u.total
	u.mu.Unlock()
	if same {
		return nil
	}
	if _, err := u.send(ctx, http.MethodPatch, "/managers/"+url.PathEscape(id.UUID), url.Values{"total_workers": {fmt.Sprint(n)}}); err != nil {
		return err
	}
	u.mu.Lock()
	u.total = n
	u.mu.Unlock()
	return nil
}

// thumbnail passes the thumbnail of a posted task on.
func (u *upstream) thumbnail(ctx context.Context, task int64, png []byte) error {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("task_id", num(task)) // a buffer takes all
	part, err := m.CreateFormFile("file", fmt.Sprintf("thumbnail_%d.png", task))
	if err != nil {
		return err
	}
	_, _ = part.Write(png)
	if err := m.Close(); err != nil {
		return err
	}
	_, err = u.do(ctx, http.MethodPost, "/jobs/thumbnails", m.FormDataContentType(), &b)
	return err
}

type statusError int

func (e statusError) Error() string { return "the server answered " + http.StatusText(int(e)) }

func (u *upstream) send(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	return u.do(ctx, method, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// do makes a call without files.
func (u *upstream) do(ctx context.Context, method, path, kind string, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, shortCall)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.base+path, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return u.carry(req)
}

const maxServerAnswer = 32 << 20 // a server of 2015 lists all its tasks

// carry sends a request and returns the answer.
func (u *upstream) carry(req *http.Request) ([]byte, error) {
	res, err := u.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the Flamenco server: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxServerAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the Flamenco server's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return nil, statusError(res.StatusCode)
	}
	return text, nil
}
