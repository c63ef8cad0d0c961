package frame

import (
	"bytes"
	"fmt"
	"image/jpeg"
)

// canvas receives the lines of a picture while it is decoded, in any order and
// each pixel at most once, and keeps only what was asked for: whether there is
// anything to see, the thumbnail, or the float values.
type canvas struct {
	want  Want
	info  Info
	thumb int       // longer side of the thumbnail, 0 for none
	float *HDRImage // receives the values of a float picture, nil for none
	side  int       // longer side of float, 0 for the picture's own size
	low   bool      // the picture has display colours, not values

	colour  bool // a colour sample that shows something was seen
	visible bool // an alpha sample other than 0 was seen, or there is no alpha

	shrink *shrinker
}

// begin checks the size in the header against the limits and the wish, before
// anything is allocated for it.
func (c *canvas) begin(w, h int, alpha bool) error {
	f := c.info.Format
	if w < 1 || h < 1 {
		return damaged(f, "its size is %dx%d", w, h)
	}
	c.info.Width, c.info.Height = w, h
	if w > MaxSide || h > MaxSide || int64(w)*int64(h) > MaxPixels {
		return &Fault{Kind: TooLarge, Format: f, Message: fmt.Sprintf("the picture is %dx%d, larger than the %d pixels a side and %d in all that Drover reads", w, h, MaxSide, MaxPixels)}
	}
	if c.want.Width != 0 && c.want.Width != w || c.want.Height != 0 && c.want.Height != h {
		return &Fault{Kind: WrongSize, Format: f, Message: fmt.Sprintf("the picture is %dx%d, %s was asked for", w, h, wanted(c.want))}
	}
	c.visible = !alpha
	if c.thumb > 0 {
		c.shrink = newShrinker(w, h, c.thumb, alpha)
	}
	if c.float != nil {
		c.float.alpha = alpha
		return c.float.open(f, w, h, c.side)
	}
	return nil
}

func wanted(w Want) string {
	switch {
	case w.Width == 0:
		return fmt.Sprintf("a height of %d", w.Height)
	case w.Height == 0:
		return fmt.Sprintf("a width of %d", w.Width)
	}
	return fmt.Sprintf("%dx%d", w.Width, w.Height)
}

// needsPixels reports whether lines are still of use. Once false it stays
// false: a decoder then only has to see that the rest is whole.
func (c *canvas) needsPixels() bool {
	return c.shrink != nil || c.float != nil || !c.colour || !c.visible
}

// dither is the greatest sample of 8 bits that still shows nothing: renderers
// spread the error of rounding (Blender's dithering does so by default), which
// leaves single steps in a picture of pure black.
const dither = 1

// rgba takes pixels of line y at columns x0, x0+dx, ...: 4 bytes each, alpha not
// multiplied in. A sample that was not 0 before it was reduced to 8 bits must
// not be 0 here.
func (c *canvas) rgba(y, x0, dx int, row []byte) {
	for i := 0; i+3 < len(row) && !(c.colour && c.visible); i += 4 {
		c.colour = c.colour || max(row[i], row[i+1], row[i+2]) > dither
		c.visible = c.visible || row[i+3] != 0
	}
	if c.shrink != nil {
		c.shrink.rgba(y, x0, dx, row)
	}
	c.low = true
}

// linear takes pixels of line y from column x0 on: 4 floats each, linear light,
// alpha multiplied in.
func (c *canvas) linear(y, x0 int, row []float32) {
	for i := 0; i+3 < len(row) && !(c.colour && c.visible); i += 4 {
		c.colour = c.colour || row[i] != 0 || row[i+1] != 0 || row[i+2] != 0
		c.visible = c.visible || row[i+3] != 0
	}
	if c.shrink != nil {
		c.shrink.linear(y, x0, row)
	}
	if c.float != nil {
		c.float.take(y, x0, row)
	}
}

// finish is called after the last line of a whole picture.
func (c *canvas) finish() error {
	c.info.Black = !c.info.StructureOnly && !(c.colour && c.visible)
	if !c.info.Black || c.want.AllowBlack {
		return nil
	}
	what := "wholly black"
	if c.colour {
		what = "wholly transparent"
	}
	return &Fault{Kind: Black, Format: c.info.Format, Message: "the picture is " + what + "; if that is right, allow black frames for the job"}
}

func (c *canvas) thumbnail() ([]byte, error) {
	if c.info.StructureOnly {
		return nil, unsupported(c.info.Format, "its deep samples make no picture without compositing")
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, c.shrink.image(c.info.Format), &jpeg.Options{Quality: 85}); err != nil {
		return nil, fmt.Errorf("encode thumbnail: %w", err)
	}
	return buf.Bytes(), nil
}
