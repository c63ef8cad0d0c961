package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
)

// prover looks at rendered frames, as many at once as it has places.
type prover struct {
	blobs blob.Store
	side  int // of thumbnails
	place chan struct{}
}

var _ farm.Prover = (*prover)(nil)

func newProver(blobs blob.Store, atOnce, side int) *prover {
	if atOnce <= 0 {
		atOnce = runtime.GOMAXPROCS(0)
	}
	return &prover{blobs: blobs, side: min(max(side, 16), frame.MaxThumbnail), place: make(chan struct{}, atOnce)}
}

// formats are the picture formats by the extensions of file names.
var formats = map[string]frame.Format{
	".png": frame.PNG, ".jpg": frame.JPEG, ".jpeg": frame.JPEG, ".bmp": frame.BMP, ".tif": frame.TIFF, ".tiff": frame.TIFF,
	".tga": frame.TARGA, ".exr": frame.OpenEXR, ".hdr": frame.HDR, ".pic": frame.HDR,
}

// Prove reads a file that a task put out, if its name is that of a picture. One
// of the format that the job asked for must be as the job says; others, such as
// passes that a scene writes beside its frames, must be whole.
func (p *prover) Prove(ctx context.Context, f farm.File, want farm.Check) (farm.File, error) {
	format, known := formats[strings.ToLower(path.Ext(f.Name))]
	if !known {
		return f, nil
	}
	w := frame.Want{Format: format, AllowBlack: true}
	if asked, known := frame.Format(want.Format).Family(); want.Format == "" || known && asked == format {
		w.Width, w.Height, w.AllowBlack = want.Width, want.Height, want.AllowBlack
	}
	select {
	case p.place <- struct{}{}:
		defer func() { <-p.place }()
	case <-ctx.Done():
		return f, ctx.Err()
	}
	return p.look(ctx, f, w)
}

func (p *prover) look(ctx context.Context, f farm.File, w frame.Want) (farm.File, error) {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return f, farm.Errorf(farm.Invalid, "%q is no SHA-256", f.SHA256)
	}
	file, err := p.blobs.Open(ctx, h)
	if err != nil {
		return f, fmt.Errorf("open the picture %s: %w", f.SHA256, err)
	}
	defer file.Close()
	thumb, info, err := frame.ProveThumbnail(file, file.Size(), w, p.side)
	var fault *frame.Fault
	if errors.As(err, &fault) {
		return f, &farm.Error{Code: farm.Invalid, Message: fault.Message, Err: fault}
	} else if err != nil {
		return f, fmt.Errorf("read the picture %s: %w", f.SHA256, err)
	}
	f.Width, f.Height = info.Width, info.Height
	if len(thumb) == 0 {
		return f, nil
	}
	i, err := p.blobs.Put(ctx, blob.WithSize(bytes.NewReader(thumb), int64(len(thumb))), nil)
	if errors.Is(err, blob.ErrFull) {
		return f, nil // a frame is worth more than its thumbnail
	} else if err != nil {
		return f, fmt.Errorf("keep the thumbnail of %s: %w", f.SHA256, err)
	}
	f.Thumb = i.SHA256.String()
	return f, nil
}
