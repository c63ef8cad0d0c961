package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
)

// Error is an error that the farm answered with. Its text is the farm's own
// sentence, meant for people.
type Error struct {
	Status int    // of the HTTP answer
	Code   string // as api.Problem has it; "" when it was no farm that answered
	Detail string
	after  time.Duration // Retry-After
}

// Error returns the farm's sentence.
func (e *Error) Error() string { return e.Detail }

// ErrorCode returns the code of the farm's problem.
func (e *Error) ErrorCode() string { return e.Code }

// RetryAfter is how long the farm asked to wait, 0 when it did not.
func (e *Error) RetryAfter() time.Duration { return e.after }

// codes are those of api.Problem. Uploads have finer ones of their own, which
// their status tells well enough.
var codes = []string{"invalid", "unauthorized", "forbidden", "not_found", "conflict", "gone", "full", "unavailable", "internal"}

// failed turns an answer that is no success into an *Error.
func failed(resp *http.Response) error {
	if resp.StatusCode < 300 {
		return nil
	}
	e := &Error{Status: resp.StatusCode}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.after = time.Duration(min(s, 3600)) * time.Second
	}
	var p api.Problem
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	ours := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")
	switch {
	case resp.StatusCode < 400:
		e.Detail = fmt.Sprintf("the server answered %s to %q: give that as the farm's address", resp.Status, clip(resp.Header.Get("Location")))
	case ours && json.Unmarshal(body, &p) == nil && p.Detail != "":
		e.Code, e.Detail = p.Code, p.Detail
	case ours: // the answer to HEAD has no body
		e.Detail = "the farm answered " + resp.Status
	default:
		e.Detail = fmt.Sprintf("the server answered %s; is it a Drover farm?", resp.Status)
	}
	if ours && !slices.Contains(codes, e.Code) {
		e.Code = codeOf(resp.StatusCode)
	}
	return e
}

// codeOf is the code that goes with a status.
func codeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusConflict:
		return "conflict"
	case http.StatusGone:
		return "gone"
	case http.StatusInsufficientStorage:
		return "full"
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusLocked:
		return "unavailable"
	}
	if status >= 500 {
		return "internal"
	}
	return "invalid"
}

// clip shortens foreign text for a message.
func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
