package frame

import (
	"bufio"
	"encoding/binary"
	"io"
)

const tgaHeaderLen = 18

// tgaHeader is the header of a Targa file (Truevision TGA 2.0, "TGA file
// header").
type tgaHeader struct {
	idLen              int
	mapped             byte
	kind               byte // 1 mapped, 2 colour, 3 grey; +8 run-length
	mapFirst, mapCount int
	mapBits            int
	w, h               int
	depth              int
	descriptor         byte // bits 0-3 alpha bits, 4 right to left, 5 top down
}

func parseTGAHeader(b []byte) (tgaHeader, bool) {
	if len(b) < tgaHeaderLen {
		return tgaHeader{}, false
	}
	word := func(i int) int { return int(binary.LittleEndian.Uint16(b[i:])) }
	return tgaHeader{
		idLen: int(b[0]), mapped: b[1], kind: b[2],
		mapFirst: word(3), mapCount: word(5), mapBits: int(b[7]),
		w: word(12), h: word(14), depth: int(b[16]), descriptor: b[17],
	}, true
}

// plausible reports whether the header is one of a Targa picture. It is all
// there is to tell Targa from other files.
func (h tgaHeader) plausible() bool {
	if h.w == 0 || h.h == 0 || h.descriptor&0xc0 != 0 || h.mapped > 1 {
		return false
	}
	if h.mapped == 1 && h.mapBits != 15 && h.mapBits != 16 && h.mapBits != 24 && h.mapBits != 32 {
		return false
	}
	switch h.kind {
	case 1, 9:
		return h.mapped == 1 && h.mapCount > 0 && (h.depth == 8 || h.depth == 16)
	case 2, 10:
		return h.depth == 15 || h.depth == 16 || h.depth == 24 || h.depth == 32
	case 3, 11:
		return h.depth == 8 || h.depth == 16
	}
	return false
}

// tgaPixels reads the stored pixels one after another, runs undone.
type tgaPixels struct {
	r     *bufio.Reader
	size  int // bytes a pixel
	rle   bool
	left  int // pixels left in the packet
	run   bool
	pixel [4]byte
}

func (p *tgaPixels) line(dst []byte) error {
	if !p.rle {
		_, err := io.ReadFull(p.r, dst)
		return early(err)
	}
	for len(dst) > 0 {
		if p.left == 0 {
			if err := p.packet(); err != nil {
				return err
			}
		}
		n := min(p.left, len(dst)/p.size)
		if p.run {
			for i := 0; i < n*p.size; i += p.size {
				copy(dst[i:], p.pixel[:p.size])
			}
		} else if _, err := io.ReadFull(p.r, dst[:n*p.size]); err != nil {
			return early(err)
		}
		p.left -= n
		dst = dst[n*p.size:]
	}
	return nil
}

func (p *tgaPixels) packet() error {
	b, err := p.r.ReadByte()
	if err != nil {
		return early(err)
	}
	p.left, p.run = int(b&0x7f)+1, b&0x80 != 0
	if p.run {
		_, err = io.ReadFull(p.r, p.pixel[:p.size])
	}
	return early(err)
}

// decodeTGA reads a Targa picture, plain or run-length coded.
func decodeTGA(src *source, c *canvas) error {
	var head [tgaHeaderLen]byte
	if err := src.full(head[:], 0); err != nil {
		return broken(TARGA, err, "its header")
	}
	h, _ := parseTGAHeader(head[:])
	alpha := h.depth == 32 && h.descriptor&15 != 0 || h.kind&7 == 1 && h.mapBits == 32
	if err := c.begin(h.w, h.h, alpha); err != nil {
		return err
	}
	r := src.from(int64(tgaHeaderLen + h.idLen))
	colours, err := h.readMap(r)
	if err != nil {
		return broken(TARGA, err, "its palette")
	}
	p := &tgaPixels{r: r, size: (h.depth + 7) / 8, rle: h.kind >= 9}
	line, row := make([]byte, h.w*p.size), make([]byte, 4*h.w)
	for i := range h.h {
		if err := p.line(line); err != nil {
			return broken(TARGA, err, "line %d of %d of its pixels", i+1, h.h)
		}
		if !c.needsPixels() && h.kind&7 != 1 { // a palette's entries must be there
			continue
		}
		if err := h.expand(line, row, colours, alpha); err != nil {
			return err
		}
		y := h.h - 1 - i
		if h.descriptor&0x20 != 0 {
			y = i
		}
		c.rgba(y, 0, 1, row)
	}
	if p.left > 0 {
		return damaged(TARGA, "its last run of pixels goes beyond its size")
	}
	return nil
}

// readMap reads the palette, which pictures without need of one may have too.
func (h tgaHeader) readMap(r io.Reader) ([]byte, error) {
	if h.mapped == 0 {
		return nil, nil
	}
	b := make([]byte, h.mapCount*((h.mapBits+7)/8))
	_, err := io.ReadFull(r, b)
	return b, early(err)
}

// expand turns a stored line into RGBA.
func (h tgaHeader) expand(line, row, colours []byte, alpha bool) error {
	size := (h.depth + 7) / 8
	for x := range h.w {
		px, stored := row[4*x:4*x+4], line[x*size:(x+1)*size]
		switch h.kind & 7 {
		case 3:
			px[0], px[1], px[2], px[3] = stored[0], stored[0], stored[0], 255
		case 1:
			v := int(stored[0])
			if size == 2 {
				v |= int(stored[1]) << 8
			}
			entry := (h.mapBits + 7) / 8
			v -= h.mapFirst
			if v < 0 || v >= h.mapCount {
				return damaged(TARGA, "palette entry %d is not there", v+h.mapFirst)
			}
			tgaColour(px, colours[v*entry:(v+1)*entry])
		default:
			tgaColour(px, stored)
		}
		if !alpha {
			px[3] = 255
		}
	}
	if h.descriptor&0x10 != 0 {
		for i, j := 0, len(row)-4; i < j; i, j = i+4, j-4 {
			for k := range 4 {
				row[i+k], row[j+k] = row[j+k], row[i+k]
			}
		}
	}
	return nil
}

// tgaColour turns a stored colour of 2 to 4 bytes into RGBA.
func tgaColour(px, b []byte) {
	px[3] = 255
	switch len(b) {
	case 2:
		v := binary.LittleEndian.Uint16(b)
		for k := range 3 {
			px[k] = eightBits(v>>(10-5*k)&31, 5)
		}
	case 3:
		px[0], px[1], px[2] = b[2], b[1], b[0]
	case 4:
		px[0], px[1], px[2], px[3] = b[2], b[1], b[0], b[3]
	}
}
