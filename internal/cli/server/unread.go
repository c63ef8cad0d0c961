package server

import (
	"net/http"
	"time"
)

// Unread gives a client time to send what its request still owes of its body,
// and no longer. Before it takes a connection's next request, or closes it,
// net/http reads what a handler has left of the body, for as long as the client
// likes: whoever announced a body and never sent it would hold a connection for
// good, signed in or not.
//
// A handler that waits for a body sets deadlines of its own. Those that expect
// none, because of the method, have the time from the start.
func Unread(next http.Handler, wait time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl, ok := w.(interface{ SetReadDeadline(time.Time) error })
		if !ok || r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
		default:
			_ = ctl.SetReadDeadline(time.Now().Add(wait)) // without deadlines there is nothing to be done
		}
		defer func() { _ = ctl.SetReadDeadline(time.Now().Add(wait)) }()
		next.ServeHTTP(w, r)
	})
}
