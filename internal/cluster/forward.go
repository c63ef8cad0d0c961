package cluster

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Headers by which one server of a farm tells another who really asked. They
// count only with the farm's secret, and are taken off what comes from outside.
const (
	headerSecret = "Drover-Forward-Secret"
	headerClient = "Drover-Forward-Client"
	headerScheme = "Drover-Forward-Scheme"
	headerDoor   = "Drover-Forward-Door"
)

// forwarder passes requests on to the writer.
type forwarder struct {
	node      *Node
	transport *http.Transport

	mu      sync.Mutex
	address string    // the writer's, as last read
	read    time.Time // when
}

func newForwarder(n *Node) *forwarder {
	return &forwarder{node: n, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		TLSClientConfig:     n.cfg.TLS,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // answers go on as they came
	}}
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }

// unwrap takes what another server says of a request that it has passed on: for
// which door it is, and whose it is. Of any other request that says nothing.
func (f *forwarder) unwrap(r *http.Request) (door string) {
	if secret := r.Header.Get(headerSecret); secret != "" && f.node.cfg.Secret != "" &&
		subtle.ConstantTimeCompare([]byte(secret), []byte(f.node.cfg.Secret)) == 1 {
		door = r.Header.Get(headerDoor)
		r.RemoteAddr = r.Header.Get(headerClient)
		if r.TLS == nil && r.Header.Get(headerScheme) == "https" {
			r.TLS = &tls.ConnectionState{} // the client's own connection was safe
		} else if r.Header.Get(headerScheme) == "http" {
			r.TLS = nil
		}
	}
	strip(r.Header)
	return door
}

func strip(h http.Header) {
	h.Del(headerSecret)
	h.Del(headerClient)
	h.Del(headerScheme)
	h.Del(headerDoor)
}

var errNoWriter = errors.New("the farm has no writer at the moment")

// pass finds the writer and hands the request over, for a door with a listener
// of its own or, with "", for the main listener. While there is no writer, or no
// connection to it, it waits for the next one: nothing of the request was sent.
func (f *forwarder) pass(door string, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), f.node.cfg.Hold)
	defer cancel()
	for {
		term, changed := f.node.current()
		if term != nil { // it is this server now
			serveDoor(term, door, w, r)
			return
		}
		if address, err := f.writer(ctx); err == nil && f.hand(address, door, w, r) {
			return
		}
		t := time.NewTimer(20 * time.Millisecond)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			unavailable(w, "the farm has no writer at the moment; try again in a few seconds")
			return
		}
		t.Stop()
	}
}

func unavailable(w http.ResponseWriter, detail string) {
	body, err := json.Marshal(map[string]any{"title": "Service Unavailable", "status": 503, "code": "unavailable", "detail": detail})
	if err != nil {
		body = nil
	}
	w.Header().Set("Retry-After", "2")
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write(append(body, '\n'))
}

// writer is the writer's address, read from the store at most every 20 ms.
func (f *forwarder) writer(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.address == "" || time.Since(f.read) >= 20*time.Millisecond {
		_, address, err := f.node.cfg.Elector.Writer(ctx)
		if err != nil {
			return "", err
		}
		f.address, f.read = address, time.Now()
	}
	if f.address == "" || f.address == f.node.cfg.Address {
		return "", errNoWriter // this server's own term, which is over or about to begin
	}
	return f.address, nil
}

// hand passes a request on as it is, and answers with whatever comes back as it
// comes. It returns false, with nothing answered and nothing of the body read,
// when no connection to the writer could be made.
func (f *forwarder) hand(address, door string, w http.ResponseWriter, r *http.Request) (handed bool) {
	target, err := url.Parse(address)
	if err != nil {
		return false
	}
	handed = true
	proxy := &httputil.ReverseProxy{
		Transport:     f.transport,
		FlushInterval: -1,
		Rewrite:       func(p *httputil.ProxyRequest) { f.rewrite(p, target, door) },
		ErrorLog:      slog.NewLogLogger(f.node.cfg.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var op *net.OpError
			if errors.As(err, &op) && op.Op == "dial" && r.Context().Err() == nil {
				handed = false
				return
			}
			f.node.cfg.Log.Debug("a request could not be passed on", "to", address, "err", err)
			unavailable(w, "the farm's writer went away in the middle of this request; try again")
		},
	}
	// Without a connection nothing of the body is read, and it must stay open for
	// the next try; the server closes it in the end.
	kept := r.WithContext(r.Context())
	kept.Body = io.NopCloser(r.Body)
	http.NewResponseController(w).EnableFullDuplex() // an answer may begin before the body ends
	proxy.ServeHTTP(w, kept)
	return handed
}

// rewrite makes the request that the writer gets: the client's own, host and
// query to the letter, with this server's word on who sent it.
func (f *forwarder) rewrite(p *httputil.ProxyRequest, target *url.URL, door string) {
	p.SetURL(target)
	p.Out.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery
	for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
		if v := p.In.Header.Values(h); len(v) > 0 {
			p.Out.Header[http.CanonicalHeaderKey(h)] = v
		}
	}
	scheme := "http"
	if p.In.TLS != nil {
		scheme = "https"
	}
	p.Out.Header.Set(headerSecret, f.node.cfg.Secret)
	p.Out.Header.Set(headerClient, p.In.RemoteAddr)
	p.Out.Header.Set(headerScheme, scheme)
	if door != "" {
		p.Out.Header.Set(headerDoor, door)
	}
}
