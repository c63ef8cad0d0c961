package frame

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"golang.org/x/image/bmp"
)

// sample is a picture in which each pixel is different and none is black.
func sample(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(1 + (x*251/w+7*y)%255), uint8(1 + y*250/h), uint8(1 + (x*y)%255), 255})
		}
	}
	return m
}

// flat is a picture of one colour.
func flat(w, h int, c color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	return m
}

// convert draws m into an image of another kind.
func convert[T interface {
	image.Image
	Set(x, y int, c color.Color)
}](m image.Image, to T) T {
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			to.Set(x, y, m.At(x, y))
		}
	}
	return to
}

func encode(t testing.TB, f func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(t testing.TB, m image.Image) []byte {
	return encode(t, func(w io.Writer) error { return png.Encode(w, m) })
}

func encodeJPEG(t testing.TB, m image.Image) []byte {
	return encode(t, func(w io.Writer) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 95}) })
}

func encodeBMP(t testing.TB, m image.Image) []byte {
	return encode(t, func(w io.Writer) error { return bmp.Encode(w, m) })
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// pngChunk returns one chunk of a PNG file.
func pngChunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// rawPNG returns a PNG file of a header, pixel bytes with their filters, and
// chunks before the pixels.
func rawPNG(w, h int, depth, colour, interlace byte, lines []byte, before ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(w))
	head = binary.BigEndian.AppendUint32(head, uint32(h))
	b := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(head, depth, colour, 0, 0, interlace))...)
	for _, c := range before {
		b = append(b, c...)
	}
	packed := deflate(lines)
	half := len(packed) / 2
	b = append(b, pngChunk("IDAT", packed[:half])...)
	b = append(b, pngChunk("IDAT", packed[half:])...)
	return append(b, pngChunk("IEND", nil)...)
}

// interlaced returns m as an Adam7 PNG of 8-bit RGBA.
func interlaced(m *image.NRGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	var lines []byte
	for _, p := range pngAdam7 {
		if p.x0 >= w {
			continue
		}
		for y := p.y0; y < h; y += p.dy {
			lines = append(lines, 0)
			for x := p.x0; x < w; x += p.dx {
				lines = append(lines, m.Pix[m.PixOffset(x, y):][:4]...)
			}
		}
	}
	return rawPNG(w, h, 8, pngRGBA, 1, lines)
}

// tgaOptions says how encodeTGA writes.
type tgaOptions struct {
	kind    byte
	depth   int
	topDown bool
	mirror  bool
}

// encodeTGA writes all kinds of Targa. Palettes are one entry a colour of m.
func encodeTGA(m *image.NRGBA, o tgaOptions) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	head := make([]byte, tgaHeaderLen)
	head[2], head[16] = o.kind, byte(o.depth)
	binary.LittleEndian.PutUint16(head[12:], uint16(w))
	binary.LittleEndian.PutUint16(head[14:], uint16(h))
	if o.depth == 32 {
		head[17] = 8
	}
	if o.topDown {
		head[17] |= 0x20
	}
	if o.mirror {
		head[17] |= 0x10
	}
	var palette []byte
	var px [][]byte
	for i := range w * h {
		x, y := i%w, h-1-i/w
		if o.topDown {
			y = i / w
		}
		if o.mirror {
			x = w - 1 - x
		}
		c := m.NRGBAAt(x, y)
		switch o.kind & 7 {
		case 1:
			entry := []byte{c.B, c.G, c.R}
			at := 0
			for at < len(palette) && !bytes.Equal(palette[at:at+3], entry) {
				at += 3
			}
			if at == len(palette) {
				palette = append(palette, entry...)
			}
			px = append(px, []byte{byte(at / 3)})
		case 3:
			px = append(px, []byte{c.G})
		default:
			px = append(px, tgaBytes(c, o.depth))
		}
	}
	if len(palette) > 0 {
		head[1], head[7] = 1, 24
		binary.LittleEndian.PutUint16(head[5:], uint16(len(palette)/3))
	}
	out := append(head, palette...)
	if o.kind < 8 {
		return append(out, bytes.Join(px, nil)...)
	}
	return append(out, tgaRuns(px)...)
}

func tgaBytes(c color.NRGBA, depth int) []byte {
	switch depth {
	case 15, 16:
		return binary.LittleEndian.AppendUint16(nil, uint16(c.R>>3)<<10|uint16(c.G>>3)<<5|uint16(c.B>>3))
	case 24:
		return []byte{c.B, c.G, c.R}
	}
	return []byte{c.B, c.G, c.R, c.A}
}

// tgaRuns writes runs where pixels are the same and pairs of pixels elsewhere.
func tgaRuns(px [][]byte) (out []byte) {
	for i := 0; i < len(px); {
		n := 1
		for n < 128 && i+n < len(px) && bytes.Equal(px[i], px[i+n]) {
			n++
		}
		if n == 1 && i+1 < len(px) {
			out = append(append(append(out, 1), px[i]...), px[i+1]...)
			i += 2
			continue
		}
		out = append(append(out, byte(0x80|(n-1))), px[i]...)
		i += n
	}
	return out
}

// bmpOf returns a BMP file of a depth, palette or masks, and ready lines from
// the top.
func bmpOf(w, h, depth, compression int, extra []byte, lines [][]byte) []byte {
	b := make([]byte, 54)
	copy(b, "BM")
	binary.LittleEndian.PutUint32(b[10:], uint32(54+len(extra)))
	binary.LittleEndian.PutUint32(b[14:], 40)
	binary.LittleEndian.PutUint32(b[18:], uint32(w))
	binary.LittleEndian.PutUint32(b[22:], uint32(-h))
	b[26], b[28], b[30] = 1, byte(depth), byte(compression)
	b = append(b, extra...)
	for _, l := range lines {
		b = append(b, l...)
		for range (4 - len(l)%4) % 4 {
			b = append(b, 0)
		}
	}
	return b
}
