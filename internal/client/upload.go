package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"sync/atomic"
	"time"
)

// upload sends one file, small ones in one request.
func (c *Client) upload(ctx context.Context, s Source, add func(int64)) error {
	f, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.Size > oneShot {
		if err := c.resumable(ctx, f, s, add); err != nil {
			return fmt.Errorf("send %s: %w", s.Path, err)
		}
		return nil
	}
	began := time.Now()
	for try := 0; ; try++ {
		counted := &counter{add: add}
		err := c.put(ctx, "/blobs/"+s.SHA256, nil, io.TeeReader(io.NewSectionReader(f, 0, s.Size), counted), s.Size)
		if err == nil {
			return nil
		}
		add(-counted.n.Load())
		if ctx.Err() != nil || !repeatable(err, false) || time.Since(began) >= c.patience || !sleep(ctx, pause(err, try)) {
			return fmt.Errorf("send %s: %w", s.Path, err)
		}
	}
}

// counter reports what passes.
type counter struct {
	add func(int64)
	n   atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	c.add(int64(len(p)))
	return len(p), nil
}

func (c *Client) put(ctx context.Context, path string, query url.Values, r io.Reader, size int64) (err error) {
	guard, ctx := c.guard(ctx)
	defer func() { err = guard.end(ctx, err) }()
	req, err := c.request(ctx, http.MethodPut, path, query, guard.reader(r))
	if err != nil {
		return err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer drain(resp)
	return failed(resp)
}

// resumable sends a file by the tus protocol (https://tus.io, version 1.0.0,
// core and creation): after a break it goes on where the farm has got to, and
// begins anew when the farm has dropped what it had.
func (c *Client) resumable(ctx context.Context, f *os.File, s Source, add func(int64)) error {
	up := upload{c: c, f: f, s: s, add: add}
	began := time.Now()
	for try := 0; ; try++ {
		before := up.best
		err := up.step(ctx)
		if err == nil {
			return nil
		}
		if up.best > before {
			try, began = 0, time.Now() // it moves
		}
		if ctx.Err() != nil || !up.goesOn(err) || time.Since(began) >= max(c.patience, time.Second) || !sleep(ctx, pause(err, try)) {
			return err
		}
		up.unsure = true
	}
}

// upload is a resumable upload under way.
type upload struct {
	c      *Client
	f      *os.File
	s      Source
	add    func(int64)
	where  string // its path below the API; "" before it was announced
	offset int64  // how much the farm has, as far as is known
	best   int64  // the greatest offset so far
	unsure bool   // the farm is to be asked for the offset first
}

// goesOn reports whether an upload can be gone on with after err.
func (u *upload) goesOn(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return repeatable(err, false)
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		if u.where == "" {
			return false
		}
		u.where = "" // dropped: announce it anew
		u.moved(0)
		return true
	case http.StatusConflict, http.StatusLocked, http.StatusRequestTimeout:
		return u.where != ""
	}
	return repeatable(err, false)
}

// moved notes how much the farm has.
func (u *upload) moved(offset int64) {
	u.add(offset - u.offset)
	u.offset, u.best = offset, max(u.best, offset)
}

// step goes on until the upload is complete or something fails.
func (u *upload) step(ctx context.Context) error {
	if u.where == "" {
		where, err := u.c.createUpload(ctx, u.s)
		if err != nil {
			return err
		}
		u.where, u.unsure = where, false
	}
	if u.unsure {
		now, err := u.c.uploadOffset(ctx, u.where)
		if err != nil {
			return err
		}
		if now > u.s.Size {
			return &answerError{fmt.Errorf("the farm says that it has %d of %d bytes", now, u.s.Size)}
		}
		u.moved(now)
		u.unsure = false
	}
	for u.offset < u.s.Size {
		next, err := u.c.patch(ctx, u.where, u.f, u.offset, min(piece, u.s.Size-u.offset), u.add)
		if err != nil {
			return err
		}
		u.offset, u.best = next, max(u.best, next)
	}
	return nil
}

// createUpload announces a file and returns the upload's path below the API.
func (c *Client) createUpload(ctx context.Context, s Source) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	req, err := c.request(ctx, http.MethodPost, "/uploads/", nil, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", id(s.Size))
	req.Header.Set("Upload-Metadata", "sha256 "+base64.StdEncoding.EncodeToString([]byte(s.SHA256)))
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.explain(err)
	}
	defer drain(resp)
	if err := failed(resp); err != nil {
		return "", err
	}
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Path == "" {
		return "", fmt.Errorf("the farm gave the upload no address")
	}
	// Only the last part counts: whatever is in front of the farm may have
	// another idea of the way to it.
	return "/uploads/" + url.PathEscape(path.Base(u.Path)), nil
}

// patch sends one piece and returns the offset after it.
func (c *Client) patch(ctx context.Context, where string, f *os.File, offset, n int64, add func(int64)) (next int64, err error) {
	counted := &counter{add: add}
	guard, ctx := c.guard(ctx)
	defer func() { err = guard.end(ctx, err) }()
	req, err := c.request(ctx, http.MethodPatch, where, nil, guard.reader(io.TeeReader(io.NewSectionReader(f, offset, n), counted)))
	if err != nil {
		return 0, err
	}
	req.ContentLength = n
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Offset", id(offset))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		add(-counted.n.Load())
		return 0, c.explain(err)
	}
	defer drain(resp)
	if err := failed(resp); err != nil {
		add(-counted.n.Load())
		return 0, err
	}
	next, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || next < offset || next > offset+n {
		return 0, fmt.Errorf("the farm answered with the offset %q", resp.Header.Get("Upload-Offset"))
	}
	add(next - offset - counted.n.Load())
	return next, nil
}

// uploadOffset asks how much of an upload has arrived.
func (c *Client) uploadOffset(ctx context.Context, where string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	req, err := c.request(ctx, http.MethodHead, where, nil, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.explain(err)
	}
	defer drain(resp)
	if err := failed(resp); err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || n < 0 {
		return 0, &answerError{fmt.Errorf("the farm answered with the offset %q", clip(resp.Header.Get("Upload-Offset")))}
	}
	return n, nil
}
