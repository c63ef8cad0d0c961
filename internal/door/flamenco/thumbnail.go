package flamenco

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"

	"drover.farm/internal/farm"
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
	picture, err := d.blobBytes(r.Context(), file)
	if err != nil {
		return err
	}
	if _, err := frame.Prove(bytes.NewReader(picture), int64(len(picture)), frame.Want{Format: frame.PNG, AllowBlack: true}); err != nil {
		return wrong("file", "it is no whole PNG picture: "+err.Error())
	}
	task := *id
	if x := d.at(task); x != nil && x.post != nil {
		task = x.post.ID
	}
	if d.up.base != "" && task < firstForeign {
		d.spawn(func() {
			if err := d.up.thumbnail(d.ctx, task, picture); err != nil {
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

// passThumbnail sends the server the thumbnail of a frame that the farm has. The
// workers' own are lost with the Blender of today, which quotes the names that
// their parser looks for.
func (d *Door) passThumbnail(task int64, k farm.TaskKey) {
	if d.up.base == "" {
		return
	}
	d.spawn(func() {
		if err := d.sendThumbnail(d.ctx, task, k); err != nil && d.ctx.Err() == nil {
			d.log.Warn("a thumbnail was not passed on", "task", task, "err", err)
		}
	})
}

func (d *Door) sendThumbnail(ctx context.Context, task int64, k farm.TaskKey) error {
	t, err := d.farm.Task(ctx, k)
	if err != nil || len(t.Outputs) == 0 || t.Outputs[0].Thumb == "" {
		return err
	}
	var small, out bytes.Buffer
	if err := d.copyBlob(ctx, &small, farm.File{Name: "thumbnail", SHA256: t.Outputs[0].Thumb}); err != nil {
		return err
	}
	m, err := jpeg.Decode(&small)
	if err != nil {
		return fmt.Errorf("read a thumbnail: %w", err)
	}
	if err := png.Encode(&out, m); err != nil {
		return fmt.Errorf("write a thumbnail: %w", err)
	}
	return d.up.thumbnail(ctx, task, out.Bytes())
}
