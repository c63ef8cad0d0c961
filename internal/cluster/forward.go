package cluster

import (
	"context"
	"crypto/subtle"
	"errors"
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
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     30 * time.Second,
	}}
}

// accept serves a request of this server's own clients or one that another
// server has passed on.
func (f *forwarder) accept(h http.Handler, w http.ResponseWriter, r *http.Request) {
	if secret := r.Header.Get(headerSecret); secret != "" && f.node.cfg.Secret != "" &&
		subtle.ConstantTimeCompare([]byte(secret), []byte(f.node.cfg.Secret)) == 1 {
		r.RemoteAddr = r.Header.Get(headerClient)
		if r.Header.Get(headerScheme) == "https" {
			r.URL.Scheme = "https"
		}
	}
	strip(r.Header)
	h.ServeHTTP(w, r)
}

func strip(h http.Header) {
	h.Del(headerSecret)
	h.Del(headerClient)
	h.Del(headerScheme)
}

var errNoWriter = errors.New("the farm has no writer at the moment")

// pass finds the writer and hands the request over. While there is none, or it
// cannot be reached before anything of the request was sent, it waits for the
// next one.
func (f *forwarder) pass(w http.ResponseWriter, r *http.Request) {
	strip(r.Header)
	ctx, cancel := context.WithTimeout(r.Context(), f.node.cfg.Hold)
	defer cancel()
	for {
		leader, _, changed := f.node.handlers()
		if leader != nil { // it is this server now
			f.accept(leader, w, r)
			return
		}
		address, err := f.writer(ctx)
		if err == nil && f.reachable(ctx, address) {
			f.proxy(address).ServeHTTP(w, r)
			return
		}
		t := time.NewTimer(20 * time.Millisecond)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			unavailable(w)
			return
		}
		t.Stop()
	}
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write([]byte(`{"title":"Service Unavailable","status":503,"code":"unavailable","detail":"the farm has no writer at the moment; try again in a few seconds"}` + "\n"))
}

// writer is the writer's address, read from the store at most every 20 ms.
func (f *forwarder) writer(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.address != "" && time.Since(f.read) < 20*time.Millisecond {
		return f.address, nil
	}
	_, address, err := f.node.cfg.Elector.Writer(ctx)
	if err != nil {
		return "", err
	}
	f.address, f.read = address, time.Now()
	if address == "" || address == f.node.cfg.Address {
		return "", errNoWriter // this server's own last term, which is over
	}
	return address, nil
}

// reachable makes sure, before a request is given away whose body can be sent
// only once, that the writer takes connections.
func (f *forwarder) reachable(ctx context.Context, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	c, err := f.transport.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// proxy passes a request on as it is, and answers with whatever comes back as
// it comes.
func (f *forwarder) proxy(address string) *httputil.ReverseProxy {
	target, _ := url.Parse(address)
	return &httputil.ReverseProxy{
		Transport:     f.transport,
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
				if v := p.In.Header.Values(h); len(v) > 0 {
					p.Out.Header[http.CanonicalHeaderKey(h)] = v
				}
			}
			p.Out.Header.Set(headerSecret, f.node.cfg.Secret)
			p.Out.Header.Set(headerClient, p.In.RemoteAddr)
			if p.In.TLS != nil {
				p.Out.Header.Set(headerScheme, "https")
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			f.node.cfg.Log.Debug("a request could not be passed on", "to", address, "err", err)
			unavailable(w)
		},
	}
}
