package server

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestWhoAsksAndUnderWhichAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		public, peer      string
		tls               bool
		head              map[string]string
		remote, host, url string
	}{
		"plain":                     {peer: "9.9.9.9:5", remote: "9.9.9.9:5", host: "farm:7700", url: "http://farm:7700"},
		"TLS":                       {peer: "9.9.9.9:5", tls: true, remote: "9.9.9.9:5", host: "farm:7700", url: "https://farm:7700"},
		"a stranger's words":        {peer: "9.9.9.9:5", head: map[string]string{"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https"}, remote: "9.9.9.9:5", host: "farm:7700", url: "http://farm:7700"},
		"a proxy's words":           {peer: "10.0.0.1:5", head: map[string]string{"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Host": "f.example", "X-Forwarded-Proto": "HTTPS"}, remote: "1.1.1.1:0", host: "f.example", url: "https://f.example"},
		"a stranger before a proxy": {peer: "10.0.0.1:5", head: map[string]string{"X-Forwarded-For": "6.6.6.6, 1.1.1.1, 10.0.0.2"}, remote: "1.1.1.1:0", host: "farm:7700", url: "http://farm:7700"},
		"an address with a port":    {peer: "[::ffff:10.0.0.1]:5", head: map[string]string{"X-Forwarded-For": "[2001:db8::7]:99"}, remote: "[2001:db8::7]:0", host: "farm:7700", url: "http://farm:7700"},
		"rubbish from a proxy":      {peer: "10.0.0.1:5", head: map[string]string{"X-Forwarded-For": "unknown", "X-Forwarded-Proto": "gopher"}, remote: "10.0.0.1:5", host: "farm:7700", url: "http://farm:7700"},
		"a public address":          {public: "https://render.example", peer: "9.9.9.9:5", remote: "9.9.9.9:5", host: "farm:7700", url: "https://render.example"},
	} {
		o, err := newOrigin(c.public, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.RemoteAddr, r.Host = c.peer, "farm:7700"
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		for k, v := range c.head {
			r.Header.Set(k, v)
		}
		var got *http.Request
		o.wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
		if url := got.URL.Scheme + "://" + got.URL.Host; got.RemoteAddr != c.remote || got.Host != c.host || url != c.url {
			t.Errorf("%s: from %s to %s, links begin with %s; want %s, %s, %s", name, got.RemoteAddr, got.Host, url, c.remote, c.host, c.url)
		}
	}
}

func TestPublicAddressesAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"farm", "ftp://farm", "https://", "https://farm/path", "https://u:p@farm", "https://farm?x=1", "://"} {
		if _, err := newOrigin(bad, nil); err == nil {
			t.Errorf("%q is taken as a public address", bad)
		}
	}
}
