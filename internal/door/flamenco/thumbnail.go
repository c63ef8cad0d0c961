package flamenco

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"drover.farm/internal/frame"
)

const maxThumbnail = 16 << 20

// postThumbnail takes the small picture that a worker made of a frame: it is
// passed on to the server.
func (d *Door) postThumbnail(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody, "file")
	if err != nil {
		return err
	}
	id, err := a.integer("task_id", 0, 1<<62)
	if err != nil {
		return err
	}
	file := a.files["file"]
	switch {
	case id == nil:
		return wrong("task_id", missing)
	case file == nil:
		return wrong("file", missing)
	case !strings.HasSuffix(strings.ToLower(file.name), ".png"):
		return wrong("file", "a thumbnail is a .png")
	case file.blob.Size > maxThumbnail:
		return tooLarge(maxThumbnail)
	}
	png, err := d.blobBytes(r.Context(), file)
	if err != nil {
		return err
	}
	if _, err := frame.Prove(bytes.NewReader(png), int64(len(png)), frame.Want{Format: frame.PNG, AllowBlack: true}); err != nil {
		return wrong("file", "it is no whole PNG picture: "+err.Error())
	}
	task := *id
	if x := d.at(task); x != nil && x.post != nil {
		task = x.post.ID
	}
	if d.up.base != "" && task < firstForeign {
		d.jobs.Go(func() {
			if err := d.up.thumbnail(d.ctx, task, png); err != nil {
				d.log.Warn("a thumbnail was not passed on", "task", task, "err", err)
			}
		})
	}
	send(w, http.StatusOK, nil)
	return nil
}

func (d *Door) blobBytes(ctx context.Context, u *upload) ([]byte, error) {
	f, err := d.cfg.Blobs.Open(ctx, u.blob.SHA256)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
