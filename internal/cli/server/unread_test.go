package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWhoNeverSendsItsBodyIsLetGo: however a handler answers, a connection whose
// client announced a body and sends none ends.
func TestWhoNeverSendsItsBodyIsLetGo(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 10_000) // does not wait in a buffer for the handler's end
	for name, c := range map[string]struct {
		method string
		h      http.HandlerFunc
	}{
		"a short answer":     {"POST", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }},
		"one that is closed": {"PUT", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }},
		"nothing to be read": {"GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(long) }},
		"another method":     {"DELETE", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }},
		"a deadline of its own": {"POST", func(w http.ResponseWriter, r *http.Request) {
			ctl := http.NewResponseController(w)
			_ = ctl.SetReadDeadline(time.Now())
			if _, err := r.Body.Read(make([]byte, 10)); err == nil {
				w.WriteHeader(500)
			}
			_ = ctl.SetReadDeadline(time.Time{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(Unread(c.h, 50*time.Millisecond))
			t.Cleanup(srv.Close)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(srv.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if _, err := io.WriteString(conn, c.method+" / HTTP/1.1\r\nHost: farm\r\nContent-Length: 1000\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			if answer, err := io.ReadAll(conn); err != nil { // until the server closes it
				t.Errorf("after %q: %v", answer[:min(len(answer), 100)], err)
			}
		})
	}
}

// TestConnectionsAreUsedAgain: what counts is what is owed, so that a client that
// sends all keeps its connection, however long it waits then.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	const wait = 50 * time.Millisecond
	srv := httptest.NewServer(Unread(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), wait))
	t.Cleanup(srv.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for range 2 {
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: farm\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1000)
		n, err := conn.Read(answer)
		if err != nil || !strings.HasSuffix(string(answer[:n]), "body") {
			t.Fatalf("%q, %v", answer[:n], err)
		}
		<-time.After(2 * wait)
	}
}
