package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"drover.farm/internal/api"
)

const (
	// parallel is how many files travel at once.
	parallel = 4
	// oneShot is up to which size a file is sent in one request; larger ones go
	// as resumable uploads.
	oneShot = 8 << 20
	// piece is how much of a resumable upload goes in one request.
	piece = 64 << 20
	// askMissing is how many hashes are asked about at once.
	askMissing = 1000
)

// Hash reads a file and returns its SHA-256 and size.
func Hash(ctx context.Context, path string) (api.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return api.File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, &contextReader{ctx, f})
	if err != nil {
		return api.File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return api.File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Missing returns which of the hashes the farm's store lacks.
func (c *Client) Missing(ctx context.Context, hashes []string) ([]string, error) {
	var out []string
	for len(hashes) > 0 {
		n := min(len(hashes), askMissing)
		l, err := send[api.Hashes](ctx, c, http.MethodPost, "/blobs/missing", api.Hashes{SHA256: hashes[:n]})
		if err != nil {
			return nil, err
		}
		out, hashes = append(out, l.SHA256...), hashes[n:]
	}
	return out, nil
}

// Source is a file to send: where it is and what it holds.
type Source struct {
	Path   string
	SHA256 string
	Size   int64
}

// Progress is told how much of an upload is done; called by several goroutines.
type Progress func(sent, total int64)

// UploadMissing sends the files whose content the farm lacks, each content
// once. It returns how many bytes that was.
func (c *Client) UploadMissing(ctx context.Context, files []Source, progress Progress) (int64, error) {
	byHash := make(map[string]Source, len(files))
	hashes := make([]string, 0, len(files))
	for _, f := range files {
		if _, ok := byHash[f.SHA256]; !ok {
			byHash[f.SHA256] = f
			hashes = append(hashes, f.SHA256)
		}
	}
	missing, err := c.Missing(ctx, hashes)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, h := range missing {
		total += byHash[h].Size
	}
	var sent atomic.Int64
	add := func(n int64) {
		if s := sent.Add(n); progress != nil {
			progress(s, total)
		}
	}
	add(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, h := range missing {
		g.Go(func() error { return c.upload(ctx, byHash[h], add) })
	}
	return total, g.Wait()
}

// Upload sends the file unless the farm has its content already, and returns
// its SHA256 and Size.
func (c *Client) Upload(ctx context.Context, path string) (api.File, error) {
	f, err := Hash(ctx, path)
	if err != nil {
		return api.File{}, err
	}
	if _, err := c.UploadMissing(ctx, []Source{{path, f.SHA256, f.Size}}, nil); err != nil {
		return api.File{}, err
	}
	return f, nil
}

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
		if !repeatable(err, false) || time.Since(began) >= c.patience || !sleep(ctx, pause(err, try)) {
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

func (c *Client) put(ctx context.Context, path string, query url.Values, r io.Reader, size int64) error {
	req, err := c.request(ctx, http.MethodPut, path, query, r)
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
// core and creation): after a break it goes on where the farm has got to.
func (c *Client) resumable(ctx context.Context, f *os.File, s Source, add func(int64)) error {
	where, err := c.createUpload(ctx, s)
	if err != nil {
		return err
	}
	var offset int64
	began := time.Now()
	for try := 0; offset < s.Size; try++ {
		next, err := c.patch(ctx, where, f, offset, min(piece, s.Size-offset), add)
		if err == nil {
			offset, try, began = next, 0, time.Now()
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		var e *Error
		if errors.As(err, &e) && e.Status != http.StatusConflict && e.Status != http.StatusLocked && !repeatable(err, false) {
			return err
		}
		if time.Since(began) >= max(c.patience, time.Second) || !sleep(ctx, pause(err, try)) {
			return err
		}
		now, herr := c.uploadOffset(ctx, where)
		if herr != nil {
			if errors.As(herr, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
				return err // the farm dropped it
			}
			continue
		}
		if now > offset {
			began = time.Now() // it moves
		}
		add(now - offset)
		offset = now
	}
	return nil
}

// createUpload announces a file and returns the upload's path below the API.
func (c *Client) createUpload(ctx context.Context, s Source) (string, error) {
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
	return "/uploads/" + url.PathEscape(filepath.Base(u.Path)), nil
}

// patch sends one piece and returns the offset after it.
func (c *Client) patch(ctx context.Context, where string, f *os.File, offset, n int64, add func(int64)) (int64, error) {
	counted := &counter{add: add}
	req, err := c.request(ctx, http.MethodPatch, where, nil, io.TeeReader(io.NewSectionReader(f, offset, n), counted))
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
	next, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || next < offset || next > offset+n {
		return 0, fmt.Errorf("the farm answered with the offset %q", resp.Header.Get("Upload-Offset"))
	}
	add(next - offset - counted.n.Load())
	return next, nil
}

// uploadOffset asks how much of an upload has arrived.
func (c *Client) uploadOffset(ctx context.Context, where string) (int64, error) {
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
	return strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
}

// partLocks keeps two downloads of one target from writing one file.
var partLocks sync.Map

// Download writes a blob to path, complete and verified, or not at all. A break
// is gone on from where it was, also by a later call.
func (c *Client) Download(ctx context.Context, hash string, size int64, path string) error {
	if _, busy := partLocks.LoadOrStore(path, true); busy {
		return fmt.Errorf("%s is being downloaded already", path)
	}
	defer partLocks.Delete(path)
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	began := time.Now()
	for try := 0; ; try++ {
		before, _ := f.Seek(0, io.SeekEnd)
		err := c.fetch(ctx, hash, size, f)
		if err == nil {
			break
		}
		if after, _ := f.Seek(0, io.SeekEnd); after > before {
			try, began = 0, time.Now()
		}
		if ctx.Err() != nil || !repeatable(err, false) || time.Since(began) >= c.patience || !sleep(ctx, pause(err, try)) {
			return err
		}
	}
	if err := verify(ctx, f, hash, size); err != nil {
		return errors.Join(err, f.Truncate(0))
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// fetch appends what is missing of the blob.
func (c *Client) fetch(ctx context.Context, hash string, size int64, f *os.File) error {
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have == size {
		return nil
	}
	if have > size {
		have = 0
		if err := f.Truncate(0); err != nil {
			return err
		}
	}
	req, err := c.request(ctx, http.MethodGet, "/blobs/"+hash, nil, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		req.Header.Set("Range", "bytes="+id(have)+"-")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if err := failed(resp); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusPartialContent {
		if err := f.Truncate(0); err != nil {
			return err
		}
		have = 0
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, size-have+1))
	if err != nil {
		return fmt.Errorf("download %s: %w", hash, err)
	}
	if have+n < size {
		return fmt.Errorf("download %s: %w after %d of %d bytes", hash, io.ErrUnexpectedEOF, have+n, size)
	}
	return nil
}

// verify compares the file with what it should be.
func verify(ctx context.Context, f *os.File, hash string, size int64) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, &contextReader{ctx, f})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != size || got != hash {
		return fmt.Errorf("what was downloaded as %s has the hash %s and %d bytes, not %d", hash, got, n, size)
	}
	return nil
}
