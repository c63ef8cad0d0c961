package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// origin tells handlers who really asks and under which address the farm is
// known to them: it sets RemoteAddr and Host from what a trusted proxy says, and
// URL.Scheme and URL.Host to what absolute links begin with.
type origin struct {
	public  *url.URL // nil: as the client says
	proxies []netip.Prefix
}

func newOrigin(public string, proxies []netip.Prefix) (*origin, error) {
	o := &origin{proxies: proxies}
	if public == "" {
		return o, nil
	}
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("public_url is %q; write it as https://HOST or https://HOST:PORT, without a path", public)
	}
	o.public = u
	return o, nil
}

func (o *origin) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := *r.URL
		r = r.WithContext(r.Context()) // a copy whose headers are the request's own: nothing here changes them
		r.URL = &u
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		if len(o.proxies) > 0 {
			if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && o.trusts(peer.Addr()) {
				scheme = o.forwarded(r, scheme)
			}
		}
		r.URL.Scheme, r.URL.Host = scheme, r.Host
		if o.public != nil {
			r.URL.Scheme, r.URL.Host = o.public.Scheme, o.public.Host
		}
		next.ServeHTTP(w, r)
	})
}

func (o *origin) trusts(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range o.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded takes what the proxy says over into r and returns the scheme.
func (o *origin) forwarded(r *http.Request, scheme string) string {
	if a, ok := o.client(r.Header.Values("X-Forwarded-For")); ok {
		r.RemoteAddr = net.JoinHostPort(a.String(), "0")
	}
	if h := lastPart(r.Header.Values("X-Forwarded-Host")); h != "" {
		r.Host = h
	}
	if p := strings.ToLower(lastPart(r.Header.Values("X-Forwarded-Proto"))); p == "http" || p == "https" {
		return p
	}
	return scheme
}

// client is the last address of the list that is no proxy of ours: those before
// it are only what a stranger said.
func (o *origin) client(lists []string) (netip.Addr, bool) {
	parts := strings.Split(strings.Join(lists, ","), ",")
	var last netip.Addr
	for i := len(parts) - 1; i >= 0; i-- {
		text := strings.TrimSpace(parts[i])
		a, err := netip.ParseAddr(text)
		if err != nil {
			ap, err := netip.ParseAddrPort(text)
			if err != nil {
				break
			}
			a = ap.Addr()
		}
		last = a.Unmap()
		if !o.trusts(last) {
			break
		}
	}
	return last, last.IsValid()
}

func lastPart(lists []string) string {
	all := strings.Join(lists, ",")
	return strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
}
