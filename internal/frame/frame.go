package frame

import (
	"fmt"
	"io"
)

// Format is the name of a picture format, as Blender's file_format setting
// spells it.
type Format string

// The formats that are read.
const (
	PNG     Format = "PNG"
	JPEG    Format = "JPEG"
	BMP     Format = "BMP"
	TIFF    Format = "TIFF"
	TARGA   Format = "TARGA"
	OpenEXR Format = "OPEN_EXR"
	HDR     Format = "HDR"
)

// Family returns the format that a setting of Blender's names: variants that
// are one format on disk (TARGA_RAW, OPEN_EXR_MULTILAYER) become that format.
// known is false for a format that this package does not read.
func (f Format) Family() (family Format, known bool) {
	switch f {
	case PNG, JPEG, BMP, TIFF, TARGA, OpenEXR, HDR:
		return f, true
	case "TARGA_RAW":
		return TARGA, true
	case "OPEN_EXR_MULTILAYER":
		return OpenEXR, true
	}
	return f, false
}

// Limits of what is read. A picture beyond them is a TooLarge fault.
const (
	// MaxPixels is the largest number of pixels of a picture.
	MaxPixels = 1 << 28
	// MaxSide is the largest width and the largest height in pixels.
	MaxSide = 1 << 18
	// MaxThumbnail is the largest longer side of a thumbnail in pixels.
	MaxThumbnail = 2048
)

// Want is what a picture was asked to be. The zero value takes any whole
// picture that is not black.
type Want struct {
	// Format is the format asked for in any of Blender's spellings; "" is any.
	Format Format
	// Width and Height are in pixels; 0 is any.
	Width, Height int
	// AllowBlack accepts a picture that is wholly black or wholly transparent.
	AllowBlack bool
}

// Info is what a picture was found to be. Beside an error it holds as much as
// was read before the error.
type Info struct {
	Format        Format
	Width, Height int
	// Black is true when every colour sample of the picture is zero (of 8 bits: at
	// most one step above it, as dithering leaves it), or every
	// pixel is fully transparent.
	Black bool
	// Layers names the layers of an OpenEXR picture in file order, without the
	// plain R, G, B and A; nil for the other formats.
	Layers []string
	// StructureOnly is true when every chunk was found whole but the pixels
	// could not be looked at (deep OpenEXR samples); Black is then false.
	StructureOnly bool
}

// Prove reads the whole picture of size bytes in r and says whether it is what
// was asked for. The error is a *Fault unless r itself failed: then it is r's
// error, wrapped, and says nothing about the picture. Bytes after the end of
// the picture are not an error. r is used by one goroutine until Prove returns.
func Prove(r io.ReaderAt, size int64, w Want) (Info, error) {
	c := &canvas{want: w}
	err := decode(r, size, c)
	return c.info, err
}

// Thumbnail reads the whole picture and returns it as a JPEG whose longer side
// is at most max pixels (never enlarged); high-range pictures are tone-mapped
// and transparent ones laid over grey. A black picture has a thumbnail too.
// Errors are those of Prove.
func Thumbnail(r io.ReaderAt, size int64, max int) (jpeg []byte, info Info, err error) {
	return ProveThumbnail(r, size, Want{AllowBlack: true}, max)
}

// ProveThumbnail is Prove and Thumbnail in one reading of the picture. There is
// no thumbnail beside an error, except for a picture whose only fault is to be
// black: people want to see it.
func ProveThumbnail(r io.ReaderAt, size int64, w Want, max int) (jpeg []byte, info Info, err error) {
	if max < 1 || max > MaxThumbnail {
		return nil, Info{}, fmt.Errorf("thumbnail of %d pixels: the longer side must be 1 to %d", max, MaxThumbnail)
	}
	c := &canvas{want: w, thumb: max}
	err = decode(r, size, c)
	if err != nil && KindOf(err) != Black {
		return nil, c.info, err
	}
	jpeg, thumbErr := c.thumbnail()
	if thumbErr != nil {
		return nil, c.info, thumbErr
	}
	return jpeg, c.info, err
}

// decode finds the format of the picture and feeds all its lines to c.
func decode(r io.ReaderAt, size int64, c *canvas) error {
	src := &source{r: r, size: size}
	err := decodeSource(src, c)
	if src.err != nil {
		return fmt.Errorf("read picture: %w", src.err)
	}
	return err
}

func decodeSource(src *source, c *canvas) error {
	want := Format("")
	if c.want.Format != "" {
		family, known := c.want.Format.Family()
		if !known {
			return &Fault{Kind: Unsupported, Message: fmt.Sprintf("the format %s was asked for, which Drover cannot check: choose PNG, JPEG, BMP, TIFF, TARGA, OPEN_EXR or HDR", c.want.Format)}
		}
		want = family
	}
	format, err := sniff(src, want)
	if err != nil {
		return err
	}
	c.info.Format = format
	if want != "" && want != format {
		return &Fault{Kind: WrongFormat, Format: format, Message: fmt.Sprintf("the picture is %s, %s was asked for", format, c.want.Format)}
	}
	if err := decoders[format](src, c); err != nil {
		return err
	}
	return c.finish()
}

// decoders read a picture of their format from the start of src to the end of
// its last line, and call canvas.begin before any line.
var decoders = map[Format]func(*source, *canvas) error{
	PNG:     decodePNG,
	JPEG:    decodeJPEG,
	BMP:     decodeBMP,
	TIFF:    decodeTIFF,
	TARGA:   decodeTGA,
	OpenEXR: decodeEXR,
	HDR:     decodeHDR,
}
