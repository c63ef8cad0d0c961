package vray

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"

	"drover.farm/internal/renderer"
)

// grid is how a frame is cut into tiles.
type grid struct{ columns, rows int }

func (g grid) String() string { return fmt.Sprintf("%dx%d", g.columns, g.rows) }

// parseGrid reads COLUMNSxROWS, at most 64 each.
func parseGrid(text string) (g grid, err error) {
	var rest string
	if n, _ := fmt.Sscanf(text+" ", "%dx%d%s", &g.columns, &g.rows, &rest); n != 2 || g.columns < 1 || g.rows < 1 || g.columns > 64 || g.rows > 64 {
		return grid{1, 1}, fmt.Errorf("the tiles %q are not COLUMNSxROWS, such as 2x2, with at most 64 of each", text)
	}
	return g, nil
}

// tile is the region of tile n, counted from 1 by rows, in pixels from the upper
// left; its lower right corner lies outside.
func (g grid) tile(n, width, height int) image.Rectangle {
	c, r := (n-1)%g.columns, (n-1)/g.columns
	return image.Rect(c*width/g.columns, r*height/g.rows, (c+1)*width/g.columns, (r+1)*height/g.rows)
}

// tileFolder is where tiles lie below the output folder.
const tileFolder = "tiles"

// tileName is the file of a tile below the output folder.
func tileName(pattern string, frame int64, tile int, ext string) string {
	return filepath.Join(tileFolder, fmt.Sprintf("%s.tile%d%s", renderer.FrameName(pattern, frame), tile, ext))
}

// maxPixels bounds a picture that is put together.
const maxPixels = 1 << 29

// join puts the tiles of a frame together. V-Ray writes a picture of full size
// for a region, with the rest empty.
func join(dir, pattern string, frame int64, g grid) error {
	var whole *image.NRGBA64
	for n := 1; n <= g.columns*g.rows; n++ {
		tile, err := readPNG(filepath.Join(dir, tileName(pattern, frame, n, ".png")))
		if err != nil {
			return fmt.Errorf("read tile %d of frame %d: %w", n, frame, err)
		}
		b := tile.Bounds()
		if whole == nil {
			whole = image.NewNRGBA64(image.Rect(0, 0, b.Dx(), b.Dy()))
		}
		if b.Dx() != whole.Rect.Dx() || b.Dy() != whole.Rect.Dy() {
			return &renderer.Fault{Party: renderer.JobFault, Message: fmt.Sprintf("tile %d of frame %d is %dx%d pixels, the first one %dx%d", n, frame, b.Dx(), b.Dy(), whole.Rect.Dx(), whole.Rect.Dy())}
		}
		at := g.tile(n, b.Dx(), b.Dy())
		draw.Draw(whole, at, tile, b.Min.Add(at.Min), draw.Src)
	}
	f, err := os.Create(filepath.Join(dir, renderer.FrameName(pattern, frame)+".png"))
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, whole), f.Close())
}

func readPNG(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil {
		return nil, err
	}
	if c.Width*c.Height > maxPixels {
		return nil, fmt.Errorf("%dx%d pixels are too many", c.Width, c.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	return png.Decode(f)
}
