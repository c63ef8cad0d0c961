package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

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
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = c.complete(ctx, hash, size, f)
	if errors.Is(err, errContent) && info.Size() > 0 {
		// What an earlier call left may be damaged; once more without it.
		err = c.complete(ctx, hash, size, f)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// errContent means that content is not what its hash says.
var errContent = errors.New("what was downloaded is damaged")

// complete brings the file to its end, with repeats, and verifies it. A file
// that turns out wrong is emptied.
func (c *Client) complete(ctx context.Context, hash string, size int64, f *os.File) error {
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
	err := verify(ctx, f, hash, size)
	if errors.Is(err, errContent) {
		return errors.Join(err, f.Truncate(0))
	}
	return err
}

// fetch appends what is missing of the blob.
func (c *Client) fetch(ctx context.Context, hash string, size int64, f *os.File) (err error) {
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
	guard, ctx := c.guard(ctx)
	defer func() { err = guard.end(ctx, err) }()
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
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+id(have)+"-") {
		if resp.StatusCode == http.StatusPartialContent {
			return &answerError{fmt.Errorf("download %s: the farm sent the range %q, not that from %d on", hash, clip(resp.Header.Get("Content-Range")), have)}
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		have = 0
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(guard.reader(resp.Body), size-have+1))
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
		return fmt.Errorf("%w: it should have the hash %s and %d bytes; it has %s and %d", errContent, hash, size, got, n)
	}
	return nil
}
