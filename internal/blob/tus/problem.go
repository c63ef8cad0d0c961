package tus

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"

	"drover.farm/internal/blob"
)

// statusMismatch is the status of tus for content that is not what was
// announced (Checksum Mismatch).
const statusMismatch = 460

// answer is what a client is told of an error.
type answer struct {
	is     error
	status int
	code   string
	// detail replaces the error's own text, where that could say too much.
	detail string
}

// answers maps errors; the first that matches counts.
var answers = []answer{
	{is: blob.ErrNotFound, status: http.StatusNotFound, code: "not_found", detail: "there is no such upload: it was removed, has expired, or never was"},
	{is: blob.ErrOffset, status: http.StatusConflict, code: "offset"},
	{is: blob.ErrMismatch, status: statusMismatch, code: "mismatch"},
	{is: blob.ErrTooLarge, status: http.StatusRequestEntityTooLarge, code: "too_large"},
	{is: blob.ErrBusy, status: http.StatusLocked, code: "busy", detail: "another request is writing this upload: try again soon"},
	{is: blob.ErrFull, status: http.StatusInsufficientStorage, code: "full", detail: "the farm has no room for this file"},
	{is: blob.ErrTooMany, status: http.StatusTooManyRequests, code: "too_many"},
	{is: blob.ErrIncomplete, status: http.StatusBadRequest, code: "incomplete"},
	{is: blob.ErrInvalid, status: http.StatusBadRequest, code: "invalid"},
	{is: blob.ErrClosed, status: http.StatusServiceUnavailable, code: "unavailable", detail: "the farm is stopping: try again soon"},
	{is: os.ErrDeadlineExceeded, status: http.StatusRequestTimeout, code: "timeout", detail: "nothing came for too long: ask for the offset and go on"},
}

func answerOf(err error) answer {
	for _, a := range answers {
		if errors.Is(err, a.is) {
			return a
		}
	}
	var sent *bodyError
	if errors.As(err, &sent) {
		return answer{status: http.StatusBadRequest, code: "cut", detail: "the body was cut off: ask for the offset and go on"}
	}
	return answer{status: http.StatusInternalServerError, code: "internal", detail: "a fault of the farm: try again"}
}

// isFinal tells whether an upload that failed so can never succeed, or not
// without being made anew.
func isFinal(err error) bool {
	for _, final := range []error{blob.ErrMismatch, blob.ErrTooLarge, blob.ErrInvalid, blob.ErrFull, blob.ErrNotFound} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

func isGone(err error) bool { return errors.Is(err, blob.ErrNotFound) }

// fail answers with an error.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	a := answerOf(err)
	if a.status == http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		h.log.Error("an upload failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	var off *blob.OffsetError
	if errors.As(err, &off) {
		w.Header().Set("Upload-Offset", strconv.FormatInt(off.Want, 10))
	}
	if a.detail == "" {
		a.detail = err.Error()
	}
	switch a.status {
	case http.StatusLocked, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close") // rather than read what is too much
	}
	h.problem(w, a.status, a.code, a.detail)
}

func (h *handler) badType(w http.ResponseWriter) {
	h.problem(w, http.StatusUnsupportedMediaType, "type", "the body must have the Content-Type "+offsetType)
}

// problem answers by RFC 9457, with a code for programs.
func (h *handler) problem(w http.ResponseWriter, status int, code, detail string) {
	writeProblem(w, status, code, detail)
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	title := http.StatusText(status)
	if status == statusMismatch {
		title = "Checksum Mismatch"
	}
	text, _ := json.Marshal(struct { // strings and a number: cannot fail
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{title, status, code, detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away misses it
}
