package lockout

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	t.Parallel()
	c := New(2, time.Hour)
	a, b := Source("192.0.2.1/32"), Source("192.0.2.2/32")
	for range 2 {
		if _, ok := c.Fail(a); !ok {
			t.Fatal("a failure within the burst was refused")
		}
	}
	wait, ok := c.Fail(a)
	if ok || wait <= 0 || wait > time.Hour {
		t.Errorf("after the burst: wait %v, ok %v; want to be told to wait up to an hour", wait, ok)
	}
	if _, ok := c.Fail(b); !ok {
		t.Error("another address was held up")
	}
	c.Refund(a)
	if _, ok := c.Fail(a); !ok {
		t.Error("what was given back could not be used")
	}
	if _, ok := c.Fail(a); ok {
		t.Error("more was given back than had been paid")
	}
}

func TestRefundNeverExceedsTheBurst(t *testing.T) {
	t.Parallel()
	c := New(1, time.Hour)
	a := Source("192.0.2.1/32")
	for range 5 {
		c.Refund(a)
	}
	if _, ok := c.Fail(a); !ok {
		t.Fatal("the first failure was refused")
	}
	if _, ok := c.Fail(a); ok {
		t.Error("refunds were saved up beyond the burst")
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:1234":            "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":      "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"nonsense":                  "unknown",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if got := strings.TrimPrefix(string(Address(r)), "address "); got != want {
			t.Errorf("Address(%s) = %s, want %s", remote, got, want)
		}
	}
}
