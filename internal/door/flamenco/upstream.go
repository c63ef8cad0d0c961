package flamenco

import (
	"bytes"
	"context"
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
}

// identity is what the server knows this farm by: of 2015 a uuid, of 2016 a token.
type identity struct {
	UUID  string `json:"uuid,omitempty"`
	Token string `json:"token,omitempty"`
}

const noteUpstream = Name + "/upstream"

func newUpstream(d *Door) (*upstream, error) {
	u := &upstream{d: d, total: -1, http: &http.Client{Timeout: 30 * time.Second}}
	if d.set.Server == "" {
		return u, nil
	}
	at, err := url.Parse(d.set.Server)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" {
		return nil, errServer
	}
	u.base = at.Scheme + "://" + at.Host
	u.http.Transport = &http.Transport{DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	return u, nil
}

func (u *upstream) start() {
	if u.base != "" {
		u.d.jobs.Go(u.run)
	}
}

func (u *upstream) close() { u.http.CloseIdleConnections() }

// run registers with the server and tells it how many workers there are.
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
	for u.d.sleep(u.d.set.Tick, nil) {
		if err := u.count(u.d.ctx); err != nil {
			u.d.log.Debug("the Flamenco server was not told of the workers", "err", err)
		}
		if every := u.d.set.Progress; every > 0 && time.Since(progress) >= every {
			progress = time.Now()
			u.tellProgress(u.d.ctx)
		}
	}
}

// register makes this farm known. A server of 2016 gets the token back that it
// gave.
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
	if err != nil {
		return err
	}
	var got identity
	if json.Unmarshal(body, &got) != nil || got == (identity{}) {
		return errors.New("its answer has neither uuid nor token")
	}
	if id.UUID != "" && got.Token == "" {
		got.UUID = id.UUID // the first one stays, as in the original
	}
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

// tell says to the server once what state a posted task is in. What was told is
// kept with the farm after the server has answered, so a crash in between tells it
// again, and nothing else does.
func (u *upstream) tell(ctx context.Context, p *post, job int64, state string) error {
	if u.base == "" {
		return nil
	}
	n, err := u.d.farm.Note(ctx, noteOpen(job))
	if err != nil && farm.CodeOf(err) != farm.NotFound {
		return err
	}
	if n != nil && n.Text == state {
		return nil
	}
	if n == nil && state != stateRunning {
		return nil // its end was told before
	}
	if err := u.post(ctx, p, state, u.d.lastWord(job)); err != nil {
		return err
	}
	return u.d.farm.PutNotes(ctx, []farm.Note{{Key: noteOpen(job), Job: job, Text: state}})
}

// post sends a state. Values that are not there are not sent.
func (u *upstream) post(ctx context.Context, p *post, state string, n news) error {
	form := url.Values{"id": {num(p.ID)}}
	method, path := http.MethodPost, "/tasks"
	if u.identity().Token != "" {
		method, path, state = http.MethodPut, "/tasks/"+num(p.ID), words2016[state]
	}
	form.Set("status", state)
	if n.log != "" {
		form.Set("log", n.log)
	}
	if n.activity != "" {
		form.Set("activity", n.activity)
	}
	if n.cost != nil {
		form.Set("time_cost", num(*n.cost))
	}
	_, err := u.send(ctx, method, path, form)
	var status statusError
	if errors.As(err, &status) && status >= 400 && status < 500 {
		u.d.log.Warn("the Flamenco server does not want to know of a task", "task", p.ID, "state", state, "err", err)
		return nil // it would say so again
	}
	return err
}

var words2016 = map[string]string{stateReady: "waiting", stateRunning: "active", stateFinished: "completed", stateFailed: "failed", stateAborted: "canceled"}

// refused tells the server of a task that was not taken, since it does not read
// the answer to its own post.
func (u *upstream) refused(p *post, why error) {
	var f *fault
	if u.base == "" || p == nil || !errors.As(why, &f) && farm.CodeOf(why) != farm.Invalid {
		return
	}
	text := farm.MessageOf(why)
	if f != nil {
		b, _ := json.Marshal(f.message)
		text = string(b)
	}
	u.d.spawn(func() {
		for u.post(u.d.ctx, p, stateFailed, news{log: "the task was refused: " + text}) != nil && u.d.sleep(u.d.set.Retry, nil) {
		}
	})
}

// tellProgress sends how far running tasks are.
func (u *upstream) tellProgress(ctx context.Context) {
	type one struct {
		p *post
		n news
	}
	var list []one
	u.d.mu.Lock()
	for _, w := range u.d.work {
		if w.post != nil && !w.over {
			list = append(list, one{w.post, news{log: w.tail, activity: w.now.text(), cost: w.m.timeCost}})
		}
	}
	u.d.mu.Unlock()
	for _, o := range list {
		if err := u.post(ctx, o.p, stateRunning, o.n); err != nil {
			return
		}
	}
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

func (u *upstream) do(ctx context.Context, method, path, kind string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	res, err := u.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the Flamenco server: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the Flamenco server's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return nil, statusError(res.StatusCode)
	}
	return text, nil
}
