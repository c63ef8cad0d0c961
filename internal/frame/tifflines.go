package frame

import (
	"bufio"
	"compress/zlib"
	"fmt"
	"io"
	"math"

	"golang.org/x/image/tiff/lzw"
)

// decodeTIFF reads the first picture of a TIFF file (TIFF 6.0): strips or tiles
// of 1 to 32 bits a sample, not compressed or by LZW, deflate or PackBits.
func decodeTIFF(src *source, c *canvas) error {
	t, err := openTIFF(src)
	if err != nil {
		return broken(TIFF, err, "its directory")
	}
	l, err := t.layout()
	if l != nil && l.w > 0 && l.h > 0 {
		if err := c.begin(l.w, l.h, l.alpha != 0); err != nil {
			return err
		}
	}
	if err != nil {
		return broken(TIFF, err, "its directory")
	}
	if l.w < 1 || l.h < 1 {
		return c.begin(l.w, l.h, false)
	}
	// One code of LZW, 12 bits, stands for less than 4096 bytes.
	if int64(l.bytesPerLine()) > 4096*src.size {
		return truncated(TIFF, "%d bytes cannot hold a line of %d", src.size, l.bytesPerLine())
	}
	d := &tiffLines{t: t, l: l, c: c, line: make([]byte, l.bytesPerLine())}
	d.row, d.lin = make([]byte, 4*l.tw), make([]float32, 4*l.tw)
	for ty := range l.down {
		for tx := range l.across {
			if err := d.tile(tx, ty); err != nil {
				return broken(TIFF, err, "its pixels from column %d, line %d on", tx*l.tw, ty*l.th)
			}
		}
	}
	return nil
}

// tiffLines reads the lines of tiles and strips.
type tiffLines struct {
	t    *tiffFile
	l    *tiffLayout
	c    *canvas
	buf  bufio.Reader
	z    io.ReadCloser // nil until the first deflate stream
	line []byte
	tmp  []byte
	row  []byte
	lin  []float32
}

func (d *tiffLines) tile(tx, ty int) error {
	l := d.l
	i := int64(ty)*int64(l.across) + int64(tx)
	off, err := d.t.at(l.offsets, i)
	if err != nil {
		return err
	}
	lines := l.th
	if !l.tiled {
		lines = min(l.th, l.h-ty*l.th)
	}
	size, err := d.size(i, off, int64(lines))
	if err != nil {
		return err
	}
	r, err := d.unpack(d.t.src.section(off, size))
	if err != nil {
		return err
	}
	for y := range lines {
		if _, err := io.ReadFull(r, d.line); err != nil {
			return early(err)
		}
		if ty*l.th+y < l.h && d.c.needsPixels() {
			d.paint(tx*l.tw, ty*l.th+y)
		}
	}
	// The checksum of a deflate stream comes after its data. Some writers fill
	// the last strip up to its full height: that much may follow.
	_, err = io.Copy(io.Discard, io.LimitReader(r, int64(l.th-lines)*int64(len(d.line))+1))
	return err
}

// size returns the stored size of tile or strip i, all of which must be in the
// file. Files with one uncompressed strip may leave the size out.
func (d *tiffLines) size(i, off, lines int64) (int64, error) {
	raw := lines * int64(len(d.line))
	size := raw
	_, has := d.t.fields[d.l.sizes]
	if has {
		var err error
		if size, err = d.t.at(d.l.sizes, i); err != nil {
			return 0, err
		}
	} else if d.l.compression != tiffNoCompression {
		return 0, fmt.Errorf("the sizes of its strips are not given")
	}
	if d.l.compression == tiffNoCompression && size < raw {
		return 0, fmt.Errorf("%d bytes for pixels of %d", size, raw)
	}
	if off < 8 || off+size > d.t.src.size {
		return 0, truncated(TIFF, "bytes %d to %d of its pixels are beyond its end", off, off+size)
	}
	return size, nil
}

// unpack undoes the compression of a strip or tile. The reader is good until
// the next call.
func (d *tiffLines) unpack(r io.Reader) (io.Reader, error) {
	d.buf.Reset(r)
	switch d.l.compression {
	case tiffNoCompression:
		return &d.buf, nil
	case 5:
		return lzw.NewReader(&d.buf, lzw.MSB, 8), nil
	case 8, 32946:
		if d.z != nil {
			return d.z, d.z.(zlib.Resetter).Reset(&d.buf, nil)
		}
		var err error
		d.z, err = zlib.NewReader(&d.buf)
		return d.z, err
	case 32773:
		return &packBits{r: &d.buf}, nil
	}
	return nil, unsupported(TIFF, "its compression is number %d", d.l.compression)
}

// packBits undoes PackBits run-lengths, TIFF 6.0 section 9.
type packBits struct {
	r    *bufio.Reader
	left int
	run  bool
	b    byte
}

func (p *packBits) Read(dst []byte) (int, error) {
	for p.left == 0 {
		n, err := p.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if n == 128 {
			continue
		}
		if p.run = n > 128; !p.run {
			p.left = int(n) + 1
			break
		}
		if p.b, err = p.r.ReadByte(); err != nil {
			return 0, early(err)
		}
		p.left = 257 - int(n)
	}
	dst = dst[:min(len(dst), p.left)]
	p.left -= len(dst)
	if !p.run {
		n, err := io.ReadFull(p.r, dst)
		return n, early(err)
	}
	for i := range dst {
		dst[i] = p.b
	}
	return len(dst), nil
}

// paint feeds d.line, which is line y from column x0 on, to the canvas.
func (d *tiffLines) paint(x0, y int) {
	n := min(d.l.tw, d.l.w-x0)
	d.unpredict()
	if d.l.format == tiffFloat {
		d.floats(n)
		d.c.linear(y, x0, d.lin[:4*n])
		return
	}
	for x := range n {
		d.pixel(x, d.row[4*x:4*x+4])
	}
	d.c.rgba(y, x0, 1, d.row[:4*n])
}

// unpredict undoes horizontal differences, TIFF 6.0 section 14 and Adobe
// technical note 3 for floats, where bytes are sorted by significance.
func (d *tiffLines) unpredict() {
	b, s, order := d.line, d.l.samples, d.t.order
	switch {
	case d.l.predictor == 3:
		for i := s; i < len(b); i++ {
			b[i] += b[i-s]
		}
		n := len(b) / 4
		d.tmp = append(d.tmp[:0], b...)
		for i := range n {
			order.PutUint32(b[4*i:], uint32(d.tmp[i])<<24|uint32(d.tmp[n+i])<<16|uint32(d.tmp[2*n+i])<<8|uint32(d.tmp[3*n+i]))
		}
	case d.l.predictor == 1:
	case d.l.bits == 8:
		for i := s; i < len(b); i++ {
			b[i] += b[i-s]
		}
	case d.l.bits == 16:
		for i := 2 * s; i+1 < len(b); i += 2 {
			order.PutUint16(b[i:], order.Uint16(b[i:])+order.Uint16(b[i-2*s:]))
		}
	case d.l.bits == 32:
		for i := 4 * s; i+3 < len(b); i += 4 {
			order.PutUint32(b[i:], order.Uint32(b[i:])+order.Uint32(b[i-4*s:]))
		}
	}
}

// sample returns sample i of d.line in 8 bits.
func (d *tiffLines) sample(i int) byte {
	switch d.l.bits {
	case 8:
		return d.line[i]
	case 16:
		return eightBits(d.t.order.Uint16(d.line[2*i:]), 16)
	case 32:
		v := d.t.order.Uint32(d.line[4*i:])
		if v > 0 && v < 1<<24 {
			return 1
		}
		return byte(v >> 24)
	}
	return eightBits(packed(d.line, i, d.l.bits), d.l.bits)
}

func (d *tiffLines) pixel(x int, px []byte) {
	l, first := d.l, x*d.l.samples
	px[3] = 255
	switch l.photometric {
	case tiffPalette:
		v := int(packed(d.line, first, l.bits))
		copy(px, l.palette[v][:])
	case tiffRGB:
		for k := range 3 {
			px[k] = d.sample(first + k)
		}
	default:
		v := d.sample(first)
		if l.photometric == tiffWhiteIsZero {
			v = 255 - v
		}
		px[0], px[1], px[2] = v, v, v
	}
	if l.alpha == 0 {
		return
	}
	px[3] = d.sample(first + l.colours())
	if l.alpha == tiffAssociated && px[3] > 0 {
		for k := range 3 {
			px[k] = byte(min(255, int(px[k])*255/int(px[3])))
		}
	}
}

// floats turns the first n pixels of d.line into linear light.
func (d *tiffLines) floats(n int) {
	l := d.l
	value := func(i int) float32 { return math.Float32frombits(d.t.order.Uint32(d.line[4*i:])) }
	for x := range n {
		px, first := d.lin[4*x:4*x+4], x*l.samples
		for k := range 3 {
			px[k] = value(first + min(k, l.colours()-1))
		}
		px[3] = 1
		if l.alpha != 0 {
			px[3] = value(first + l.colours())
		}
		if l.alpha == tiffUnassociated {
			for k := range 3 {
				px[k] *= px[3]
			}
		}
	}
}
