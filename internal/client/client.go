// Package client is the Go client of Drover's native API (/api/v1, docs/api.md):
// what the command line and the native worker speak to a farm with.
//
// Calls that may be repeated without harm are repeated when the farm was not
// reached, or said that it is overloaded; for how long is Config.Patience.
// Every error that the farm itself answered with is an *Error.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/secret"
)

// Config says which farm, and as whom.
type Config struct {
	Server    string      // http://HOST:PORT or https://…, with or without a path in front of /api/v1
	Token     secret.Text // of the account
	CAFile    string      // PEM certificates that count besides the system's
	UserAgent string
	// Patience is how long one call is repeated while the farm cannot be
	// reached. Default 20 seconds; negative: not at all.
	Patience time.Duration
	// Stall is how long a transfer may stand still before it is broken off and
	// gone on with. Default 1 minute.
	Stall time.Duration
	// Transport replaces the HTTP transport, for tests.
	Transport http.RoundTripper
}

// Client speaks to one farm. It may be used by several goroutines.
type Client struct {
	base     string
	token    secret.Text
	agent    string
	patience time.Duration
	stall    time.Duration
	http     *http.Client
}

// New makes a client. It sends nothing.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the farm's address %q is not of the form http://HOST:PORT or https://HOST:PORT", c.Server)
	}
	t := c.Transport
	if t == nil {
		if t, err = transport(c.CAFile); err != nil {
			return nil, err
		}
	}
	if strings.ContainsFunc(c.Token.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("the token is not one word of plain characters: it may have a line end too many")
	}
	if c.Patience == 0 {
		c.Patience = 20 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = time.Minute
	}
	return &Client{
		base: strings.TrimSuffix(u.String(), "/") + "/api/v1", token: c.Token, agent: c.UserAgent, patience: c.Patience, stall: c.Stall,
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func transport(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: recognising + time.Minute, // more than any answer is held back
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// Close gives the idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Server is the farm's address.
func (c *Client) Server() string { return strings.TrimSuffix(c.base, "/api/v1") }

// call is one request with a JSON body and a JSON answer.
type call struct {
	method string
	path   string
	query  url.Values
	in     any           // nil: no body
	out    any           // nil: the answer's body does not matter
	once   bool          // do not repeat when it may have been carried out
	hold   time.Duration // how long the farm may hold the answer back
}

// do carries a call out, with repeats. It returns the answer's status.
func (c *Client) do(ctx context.Context, k call) (int, error) {
	var body []byte
	if k.in != nil {
		var err error
		if body, err = json.Marshal(k.in); err != nil {
			return 0, fmt.Errorf("%s %s: %w", k.method, k.path, err)
		}
	}
	began := time.Now()
	for try := 0; ; try++ {
		status, err := c.try(ctx, k, body)
		if err == nil || ctx.Err() != nil || !repeatable(err, k.once) || time.Since(began) >= c.patience {
			return status, err
		}
		if !sleep(ctx, pause(err, try)) {
			return status, err
		}
	}
}

// try carries a call out once.
func (c *Client) try(ctx context.Context, k call, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, k.hold+time.Minute)
	defer cancel()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := c.request(ctx, k.method, k.path, k.query, r)
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.explain(err)
	}
	defer drain(resp)
	if err := failed(resp); err != nil {
		return resp.StatusCode, err
	}
	if k.out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, decode(resp, k.out)
}

// maxAnswer bounds a JSON answer.
const maxAnswer = 256 << 20

// decode reads a JSON answer.
func decode(resp *http.Response, out any) error {
	what := resp.Request.Method + " " + resp.Request.URL.Path
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return &answerError{fmt.Errorf("%s was answered with %q, not with JSON; is %s a Drover farm?", what, clip(resp.Header.Get("Content-Type")), resp.Request.URL.Host)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil { // it broke off: as good as lost
		return fmt.Errorf("read the answer of %s: %w", what, err)
	}
	if len(body) > maxAnswer {
		return &answerError{fmt.Errorf("the answer of %s has more than %d bytes", what, maxAnswer)}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &answerError{fmt.Errorf("the answer of %s cannot be read: %w", what, err)}
	}
	return nil
}

// answerError is an answer that came whole and makes no sense; another would
// not be better.
type answerError struct{ err error }

func (e *answerError) Error() string { return e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	u := c.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	return req, nil
}

// explain says what to do when the farm was not reached.
func (c *Client) explain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("the farm at %s cannot be reached: %w (is \"drover serve\" running there? --server or DROVER_SERVER names another)", c.Server(), op)
	}
	return err
}

// repeatable reports whether the same call may succeed a moment later. A call
// that must not be carried out twice is repeated only when it surely was not
// carried out at all.
func repeatable(err error, once bool) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Status == http.StatusServiceUnavailable || (e.Status == http.StatusTooManyRequests && e.Code != "unauthorized") ||
			(!once && (e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout))
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var local *fs.PathError
	var answer *answerError
	return !once && !errors.Is(err, context.Canceled) && !isCertificate(err) && !errors.As(err, &local) && !errors.As(err, &answer)
}

func isCertificate(err error) bool {
	var v *tls.CertificateVerificationError
	return errors.As(err, &v)
}

// pause is how long to wait before the next try: what the farm asked for, else
// growing, and never in step with other clients.
func pause(err error, try int) time.Duration {
	d := min(100*time.Millisecond<<min(try, 10), 3*time.Second)
	var e *Error
	if errors.As(err, &e) && e.after > 0 {
		// Never sooner than it asked for, and not all at the same moment.
		d = min(e.after, 10*time.Second)
		return d + rand.N(d/4+1)
	}
	return d/2 + rand.N(d)
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drain lets the connection be used again.
func drain(resp *http.Response) {
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
}

// get reads a document.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	out := new(T)
	_, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: out})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// send sends a document and reads the answer.
func send[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	out := new(T)
	_, err := c.do(ctx, call{method: method, path: path, in: in, out: out})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
