package native

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// maxHashes is how many blobs one call may ask after.
const maxHashes = 100_000

// lookUps is how many blobs are looked up at once.
const lookUps = 16

// missing says which blobs have to be sent. Those that need not be are renewed,
// so that they stay until the job that refers to them is there.
func (d *door) missing(ctx context.Context, _ *call, in api.Hashes) (api.Hashes, error) {
	out := api.Hashes{SHA256: []string{}}
	if len(in.SHA256) > maxHashes {
		return out, farm.Errorf(farm.Invalid, "%d hashes are more than the %d that one call takes", len(in.SHA256), maxHashes)
	}
	seen := make(map[string]bool, len(in.SHA256))
	var ask []blob.Hash
	for _, s := range in.SHA256 {
		if seen[s] {
			continue
		}
		seen[s] = true
		h, err := parseHash(s)
		if err != nil {
			return out, err
		}
		ask = append(ask, h)
	}
	// A disk renews many in the time of one.
	gone := make([]bool, len(ask))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUps)
	for i, h := range ask {
		g.Go(func() error {
			_, err := d.Blobs.Touch(ctx, h)
			if gone[i] = errors.Is(err, blob.ErrNotFound); gone[i] {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	for i, h := range ask {
		if gone[i] {
			out.SHA256 = append(out.SHA256, h.String())
		}
	}
	return out, nil
}

func (d *door) getBlob(c *call) error {
	h, err := c.hash()
	if err != nil {
		return err
	}
	name, err := c.get("name")
	if err != nil {
		return err
	}
	if err := c.mayRead(c.ctx(), h); err != nil {
		return err
	}
	if name == "" {
		name = h.String()
	}
	return d.serveBlob(c, h, name)
}

// putBlob takes a file in one go. A client that waits for "100 Continue" is
// spared sending what the store has.
func (d *door) putBlob(c *call) error {
	h, err := c.hash()
	if err != nil {
		return err
	}
	if c.r.ContentLength > d.UploadLimit {
		return tooLarge(d.UploadLimit)
	}
	if c.r.Header.Get("Expect") != "" {
		info, err := d.Blobs.Touch(c.ctx(), h)
		if err == nil {
			return c.reply(http.StatusOK, api.Blob{SHA256: h.String(), Size: info.Size})
		} else if !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
	ctl := http.NewResponseController(c.w)
	body := &patient{r: http.MaxBytesReader(c.w, c.r.Body, d.UploadLimit), ctl: ctl, idle: d.Idle}
	var r io.Reader = body
	if n := c.r.ContentLength; n >= 0 {
		r = blob.WithSize(r, n)
	}
	info, err := d.Blobs.Put(c.ctx(), r, &h)
	if body.err != nil && !errors.Is(body.err, io.EOF) {
		return bodyError(body.err, d.UploadLimit)
	}
	if err != nil {
		c.w.Header().Set("Connection", "close") // the rest of the body is not read
		return err
	}
	return c.reply(http.StatusCreated, api.Blob{SHA256: info.SHA256.String(), Size: info.Size})
}

// patient reads a body that may take long as a whole, but not between two reads.
type patient struct {
	r    io.Reader
	ctl  *http.ResponseController
	idle time.Duration
	err  error // of the client's sending
}

func (p *patient) Read(b []byte) (int, error) {
	timed := p.ctl.SetReadDeadline(time.Now().Add(p.idle)) == nil
	n, err := p.r.Read(b)
	if err != nil {
		p.err = err
		if timed && !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = p.ctl.SetReadDeadline(time.Time{}) // see gather
		}
	}
	return n, err
}

type uploaderKey struct{}

// uploader is the account that makes an upload.
func uploader(ctx context.Context) string {
	login, _ := ctx.Value(uploaderKey{}).(string)
	return login
}

// upload passes a request on to the resumable uploads.
func (d *door) upload(c *call) error {
	d.tus.ServeHTTP(c.w, c.r.WithContext(context.WithValue(c.ctx(), uploaderKey{}, c.by.Login)))
	return nil
}
