package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"

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
// once. It returns how many bytes it sent.
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
	err = g.Wait()
	return sent.Load(), err
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
