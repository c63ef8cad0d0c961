package native

import (
	"drover.farm/internal/lockout"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// knock asks for the farm from an address with an Authorization header.
func (b *bundle) knock(addr, authorization string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(b.t.Context(), get, Prefix+"/farm", nil)
	req.RemoteAddr = addr
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, req)
	return w
}

func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(1000, time.Second)})
	tok := b.token["sam"]
	for header, want := range map[string]int{
		"Bearer " + tok: 200, "bearer " + tok: 200, "BEARER   " + tok + " ": 200,
		"": 401, tok: 401, "Basic " + tok: 401, "Bearer": 401, "Bearer ": 401, "Bearer " + tok + "x": 401, "Bearer x" + tok: 401,
		"Bearer drv_": 401, "Bearer " + tok + " " + tok: 401,
	} {
		w := b.knock("192.0.2.1:1", header)
		if w.Code != want {
			t.Errorf("%q: %d, not %d", header, w.Code, want)
		}
		if want == 401 && w.Header().Get("WWW-Authenticate") != `Bearer realm="drover"` {
			t.Errorf("%q: %v", header, w.Header())
		}
	}
}

// TestFailuresAreLimited holds up who guesses, by address, and nobody who knows.
func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(3, time.Hour)})
	good := "Bearer " + b.token["sam"]
	for i := range 10 {
		if w := b.knock("192.0.2.1:1000", good); w.Code != 200 {
			t.Fatalf("a valid token was refused: %d", w.Code)
		}
		w := b.knock(fmt.Sprintf("192.0.2.1:%d", i+1), "Bearer wrong")
		want := 401
		if i >= 3 {
			want = 429
		}
		if w.Code != want {
			t.Errorf("attempt %d: %d, not %d", i, w.Code, want)
		}
		if s, err := strconv.Atoi(w.Header().Get("Retry-After")); want == 429 && (err != nil || s < 1) {
			t.Errorf("attempt %d: Retry-After %q", i, w.Header().Get("Retry-After"))
		}
	}
	if w := b.knock("192.0.2.1:1000", good); w.Code != 200 {
		t.Errorf("a valid token is held up: %d", w.Code)
	}
	if w := b.knock("192.0.2.2:1", "Bearer wrong"); w.Code != 401 {
		t.Errorf("another address is held up: %d", w.Code)
	}
	if w := b.knock("[::ffff:192.0.2.1]:1", ""); w.Code != 429 {
		t.Errorf("the same address in IPv6's words: %d", w.Code)
	}
	for i := range 4 {
		w := b.knock(fmt.Sprintf("[2001:db8:1:2::%d]:1", i+1), "")
		if want := map[bool]int{true: 401, false: 429}[i < 3]; w.Code != want {
			t.Errorf("address %d of one network: %d, not %d", i, w.Code, want)
		}
	}
	if w := b.knock("[2001:db8:1:3::1]:1", ""); w.Code != 401 {
		t.Errorf("another network: %d", w.Code)
	}
	if w := b.knock("@", ""); w.Code != 401 {
		t.Errorf("no address: %d", w.Code)
	}
}

func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.golden("not-found", b.send("sam", get, "/nothing/here", nil))
	b.golden("method-not-allowed", b.send("sam", put, "/jobs", nil))
	b.golden("method-of-literal", b.send("sam", get, "/blobs/missing", nil))
	if a := b.send("sam", http.MethodHead, "/jobs", nil); a.status != 200 || len(a.body) != 0 {
		t.Errorf("HEAD: %d %s", a.status, a.body)
	}
	b.golden("no-token", b.send("", get, "/jobs", nil))
	b.golden("no-role", b.send("rick", get, "/jobs", nil))
	b.golden("unknown-parameter", b.send("sam", get, "/jobs?sate=done", nil))
}
