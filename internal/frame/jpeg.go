package frame

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
)

// jpegFrame is what the markers of a JPEG file say of its picture.
type jpegFrame struct {
	w, h        int
	components  []byte
	scanned     map[byte]bool // components that a scan has data for
	progressive bool
}

// decodeJPEG reads a JPEG picture. The markers are walked first, because the
// decoder allocates the picture as soon as it has seen its size.
func decodeJPEG(src *source, c *canvas) error {
	f, err := walkJPEG(src.from(0))
	if f != nil && f.w > 0 {
		if err := c.begin(f.w, f.h, false); err != nil {
			return err
		}
	}
	if err != nil {
		return broken(JPEG, err, "its markers")
	}
	if err := f.fits(src.size); err != nil {
		return err
	}
	img, err := jpeg.Decode(src.from(0))
	var variant jpeg.UnsupportedError
	if errors.As(err, &variant) {
		return unsupported(JPEG, "it uses %s", string(variant))
	}
	if err != nil {
		return broken(JPEG, err, "its pixels")
	}
	if b := img.Bounds(); b.Dx() != f.w || b.Dy() != f.h {
		return damaged(JPEG, "two sizes, %dx%d and %dx%d", f.w, f.h, b.Dx(), b.Dy())
	}
	paint(c, img)
	return nil
}

// The decoder holds the whole picture at 3 bytes a pixel, and for progressive
// ones 12 more, so fewer pixels are allowed than in other formats.
const (
	maxJPEGPixels        = 1 << 27
	maxProgressivePixels = 1 << 25
)

// fits reports a picture that is too large, or that claims more blocks of 8x8
// pixels than the file has bits.
func (f *jpegFrame) fits(size int64) error {
	limit := int64(maxJPEGPixels)
	if f.progressive {
		limit = maxProgressivePixels
	}
	if int64(f.w)*int64(f.h) > limit {
		return &Fault{Kind: TooLarge, Format: JPEG, Message: fmt.Sprintf("the JPEG picture is %dx%d, larger than the %d pixels that Drover reads of this kind", f.w, f.h, limit)}
	}
	if blocks := int64((f.w+7)/8) * int64((f.h+7)/8); blocks > 8*size {
		return truncated(JPEG, "%d bytes cannot hold %dx%d pixels", size, f.w, f.h)
	}
	return nil
}

// walkJPEG reads the markers from start to end of image and sees that a scan
// for each component and the end mark are there.
func walkJPEG(r *bufio.Reader) (*jpegFrame, error) {
	f := &jpegFrame{scanned: map[byte]bool{}}
	var soi [2]byte
	if _, err := io.ReadFull(r, soi[:]); err != nil {
		return f, early(err)
	}
	marker, err := nextMarker(r)
	for ; err == nil; marker, err = nextMarker(r) {
		switch {
		case marker == 0xd9: // EOI
			return f, f.complete()
		case marker >= 0xd0 && marker <= 0xd7 || marker == 0x01: // RSTn, TEM: no length
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			f.progressive = marker&3 == 2
			err = f.size(r)
		case marker == 0xda:
			err = f.scan(r)
		default:
			_, err = segment(r)
		}
		if err != nil {
			return f, err
		}
	}
	return f, err
}

func (f *jpegFrame) complete() error {
	if f.w == 0 {
		return errors.New("no picture before its end mark")
	}
	for _, id := range f.components {
		if !f.scanned[id] {
			return fmt.Errorf("no pixels for component %d: %w", id, io.ErrUnexpectedEOF)
		}
	}
	return nil
}

func (f *jpegFrame) size(r *bufio.Reader) error {
	b, err := segment(r)
	if err != nil {
		return err
	}
	if len(b) < 6 || len(b) < 6+3*int(b[5]) || f.w != 0 {
		return errors.New("frame header makes no sense")
	}
	f.h, f.w = int(b[1])<<8|int(b[2]), int(b[3])<<8|int(b[4])
	if f.w == 0 || f.h == 0 {
		return fmt.Errorf("its size is %dx%d", f.w, f.h)
	}
	for i := range int(b[5]) {
		f.components = append(f.components, b[6+3*i])
	}
	return nil
}

func (f *jpegFrame) scan(r *bufio.Reader) error {
	b, err := segment(r)
	if err != nil {
		return err
	}
	if len(b) < 1 || len(b) < 1+2*int(b[0]) {
		return errors.New("scan header makes no sense")
	}
	for i := range int(b[0]) {
		f.scanned[b[1+2*i]] = true
	}
	return nil
}

// nextMarker skips to the next marker. Bytes before it are pixel data.
func nextMarker(r *bufio.Reader) (byte, error) {
	for {
		if _, err := r.ReadSlice(0xff); err == bufio.ErrBufferFull {
			continue
		} else if err != nil {
			return 0, early(err)
		}
		b := byte(0xff)
		for b == 0xff {
			var err error
			if b, err = r.ReadByte(); err != nil {
				return 0, early(err)
			}
		}
		if b != 0 {
			return b, nil
		}
	}
}

// segment returns the body of the segment behind a marker.
func segment(r *bufio.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, early(err)
	}
	size := int(n[0])<<8 | int(n[1])
	if size < 2 {
		return nil, fmt.Errorf("segment of %d bytes", size)
	}
	b := make([]byte, size-2)
	_, err := io.ReadFull(r, b)
	return b, early(err)
}

// paint feeds a decoded opaque picture to the canvas while it has use for it.
func paint(c *canvas, img image.Image) {
	b := img.Bounds()
	row := image.NewRGBA(image.Rect(0, 0, b.Dx(), 1))
	for y := 0; y < b.Dy() && c.needsPixels(); y++ {
		if m, ok := img.(*image.YCbCr); ok {
			yccRow(row.Pix, m, y)
		} else {
			draw.Draw(row, row.Rect, img, image.Pt(b.Min.X, b.Min.Y+y), draw.Src)
		}
		c.rgba(y, 0, 1, row.Pix)
	}
}

func yccRow(dst []byte, m *image.YCbCr, y int) {
	b := m.Rect
	for x := range b.Dx() {
		i, j := m.YOffset(b.Min.X+x, b.Min.Y+y), m.COffset(b.Min.X+x, b.Min.Y+y)
		px := dst[4*x : 4*x+4]
		px[0], px[1], px[2] = color.YCbCrToRGB(m.Y[i], m.Cb[j], m.Cr[j])
		px[3] = 255
	}
}
