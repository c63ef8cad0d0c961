package frame

import (
	"fmt"
	"io"
)

// pngLines undoes the filters of lines and turns them into RGBA.
type pngLines struct {
	h         *pngHeader
	c         *canvas
	cur, prev []byte // filter byte and line
	row       []byte // RGBA
}

func newPNGLines(h *pngHeader, c *canvas) *pngLines {
	n := 1 + (h.w*h.bitsPerPixel()+7)/8
	return &pngLines{h: h, c: c, cur: make([]byte, n), prev: make([]byte, n), row: make([]byte, 4*h.w)}
}

// read reads the n lines of w pixels of one pass.
func (l *pngLines) read(r io.Reader, pass pngPass, w, n int) error {
	bits := l.h.bitsPerPixel()
	size := 1 + (w*bits+7)/8
	cur, prev := l.cur[:size], l.prev[:size]
	clear(prev)
	for i := range n {
		if _, err := io.ReadFull(r, cur); err != nil {
			return early(err)
		}
		if cur[0] > 4 {
			return fmt.Errorf("line %d has filter %d", pass.y0+i*pass.dy, cur[0])
		}
		if !l.c.needsPixels() && l.h.colour != pngPalette { // a palette's entries must be there
			continue
		}
		unfilter(cur[0], cur[1:], prev[1:], (bits+7)/8)
		if err := l.expand(cur[1:], l.row[:4*w]); err != nil {
			return err
		}
		l.c.rgba(pass.y0+i*pass.dy, pass.x0, pass.dx, l.row[:4*w])
		cur, prev = prev, cur
	}
	return nil
}

// unfilter undoes a line's filter in place, PNG specification section 9.
func unfilter(filter byte, cur, prev []byte, bpp int) {
	switch filter {
	case 1:
		for i := bpp; i < len(cur); i++ {
			cur[i] += cur[i-bpp]
		}
	case 2:
		for i, p := range prev {
			cur[i] += p
		}
	case 3:
		for i := range min(bpp, len(cur)) {
			cur[i] += prev[i] / 2
		}
		for i := bpp; i < len(cur); i++ {
			cur[i] += uint8((int(cur[i-bpp]) + int(prev[i])) / 2)
		}
	case 4:
		paeth(cur, prev, bpp)
	}
}

func paeth(cur, prev []byte, bpp int) {
	prev = prev[:len(cur)]
	for k := range min(bpp, len(cur)) {
		var a, c int
		for i := k; i < len(cur); i += bpp {
			b := int(prev[i])
			pa, pb := b-c, a-c
			pc := abs(pa + pb)
			pa, pb = abs(pa), abs(pb)
			switch {
			case pa <= pb && pa <= pc:
			case pb <= pc:
				a = b
			default:
				a = c
			}
			a = (a + int(cur[i])) & 255
			cur[i] = byte(a)
			c = b
		}
	}
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

// expand turns an unfiltered line into RGBA.
func (l *pngLines) expand(line, row []byte) error {
	h := l.h
	switch {
	case h.colour == pngRGBA && h.depth == 8:
		copy(row, line)
	case h.colour == pngRGB && h.depth == 8 && !h.keyed:
		for i, j := 0, 0; i < len(row); i, j = i+4, j+3 {
			row[i], row[i+1], row[i+2], row[i+3] = line[j], line[j+1], line[j+2], 255
		}
	case h.colour == pngPalette:
		return l.expandPalette(line, row)
	default:
		l.expandSamples(line, row)
	}
	return nil
}

func (l *pngLines) expandPalette(line, row []byte) error {
	for x := range len(row) / 4 {
		v := int(packed(line, x, l.h.depth))
		if v >= l.h.entries {
			return fmt.Errorf("palette entry %d of %d", v, l.h.entries)
		}
		copy(row[4*x:4*x+4], l.h.palette[v][:])
	}
	return nil
}

// expandSamples handles grey and colour of any depth.
func (l *pngLines) expandSamples(line, row []byte) {
	h := l.h
	per := h.bitsPerPixel() / h.depth
	colours := per - 1 + per%2
	for x := range len(row) / 4 {
		var v [4]uint16
		for k := range per {
			v[k] = packed(line, x*per+k, h.depth)
		}
		alpha := byte(255)
		if colours < per {
			alpha = eightBits(v[colours], h.depth)
		} else if h.keyed && v[0] == h.key[0] && (colours == 1 || v[1] == h.key[1] && v[2] == h.key[2]) {
			alpha = 0
		}
		px := row[4*x : 4*x+4]
		for k := range 3 {
			px[k] = eightBits(v[min(k, colours-1)], h.depth)
		}
		px[3] = alpha
	}
}

// packed returns sample i of a line of big-endian samples of 1 to 16 bits.
func packed(line []byte, i, depth int) uint16 {
	switch depth {
	case 16:
		return uint16(line[2*i])<<8 | uint16(line[2*i+1])
	case 8:
		return uint16(line[i])
	}
	bit := i * depth
	return uint16(line[bit/8]>>(8-depth-bit%8)) & (1<<depth - 1)
}

// eightBits scales a sample of 1 to 16 bits to 8. What is not 0 stays so.
func eightBits(v uint16, depth int) byte {
	switch {
	case depth == 8:
		return byte(v)
	case depth < 8:
		return byte(int(v) * 255 / (1<<depth - 1))
	case v > 0 && v < 1<<8:
		return 1
	}
	return byte(v >> 8)
}
