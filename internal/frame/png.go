package frame

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

const pngMagicLen = 8

// Colour types, PNG specification section 11.2.1.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

// pngHeader is the IHDR chunk with what other chunks add to it.
type pngHeader struct {
	w, h      int
	depth     int
	colour    byte
	interlace bool
	palette   [256][4]byte // with the alpha of tRNS
	entries   int
	key       [3]uint16 // tRNS of grey and RGB: the sample values that are transparent
	keyed     bool
}

// pngChunks reads the chunks of a file one after another and checks the
// checksum of each.
type pngChunks struct {
	r    *bufio.Reader
	kind string
	left uint32
	crc  hash.Hash32
}

// next starts the next chunk. The one before must have been read to its end.
func (p *pngChunks) next() error {
	var head [8]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return early(err)
	}
	p.left = binary.BigEndian.Uint32(head[:])
	p.kind = string(head[4:])
	if p.left > 1<<31-1 {
		return fmt.Errorf("chunk %q claims %d bytes", p.kind, p.left)
	}
	p.crc.Reset()
	p.crc.Write(head[4:])
	return nil
}

// Read reads the body of the chunk; after its end and a right checksum, io.EOF.
func (p *pngChunks) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.r.Read(b[:min(uint32(len(b)), p.left)])
	p.crc.Write(b[:n])
	p.left -= uint32(n)
	if err != nil {
		return n, early(err)
	}
	if p.left == 0 {
		return n, p.check()
	}
	return n, nil
}

func (p *pngChunks) check() error {
	var sum [4]byte
	if _, err := io.ReadFull(p.r, sum[:]); err != nil {
		return early(err)
	}
	if binary.BigEndian.Uint32(sum[:]) != p.crc.Sum32() {
		return fmt.Errorf("chunk %q has a wrong checksum", p.kind)
	}
	return nil
}

// body returns the whole body of the chunk, which may have at most most bytes.
func (p *pngChunks) body(most int) ([]byte, error) {
	if p.left > uint32(most) {
		return nil, fmt.Errorf("chunk %q has %d bytes, at most %d are right", p.kind, p.left, most)
	}
	b := make([]byte, p.left)
	if len(b) == 0 {
		return b, p.check()
	}
	_, err := io.ReadFull(p, b)
	return b, early(err)
}

func (p *pngChunks) skip() error {
	if p.left == 0 {
		return p.check()
	}
	_, err := io.Copy(io.Discard, p)
	return err
}

// pngData is the body of consecutive IDAT chunks as one stream. At its end the
// chunk after them has been started.
type pngData struct {
	*pngChunks
	ended bool
}

func (d *pngData) Read(b []byte) (int, error) {
	for !d.ended {
		if d.left > 0 {
			return d.pngChunks.Read(b)
		}
		if err := d.next(); err != nil {
			return 0, err
		}
		d.ended = d.kind != "IDAT"
		if !d.ended && d.left == 0 {
			if err := d.check(); err != nil {
				return 0, err
			}
		}
	}
	return 0, io.EOF
}

// decodePNG reads a PNG picture (W3C PNG specification, third edition).
func decodePNG(src *source, c *canvas) error {
	p := &pngChunks{r: src.from(pngMagicLen), crc: crc32.NewIEEE()}
	h, err := readPNGHeader(p)
	if err != nil {
		return broken(PNG, err, "its header")
	}
	alpha := h.colour == pngGreyAlpha || h.colour == pngRGBA
	if err := c.begin(h.w, h.h, alpha); err != nil {
		return err
	}
	if err := readPNGTables(p, h); err != nil {
		return broken(PNG, err, "its chunks before the pixels")
	}
	if h.keyed || h.colour == pngPalette && h.transparent() {
		if err := c.begin(h.w, h.h, true); err != nil {
			return err
		}
	}
	if err := readPNGPixels(p, h, c); err != nil {
		return broken(PNG, err, "its pixels")
	}
	for p.kind != "IEND" {
		if p.kind == "IDAT" || p.kind == "IHDR" || p.kind == "PLTE" {
			return damaged(PNG, "chunk %q after the pixels", p.kind)
		}
		if err := p.skip(); err != nil {
			return broken(PNG, err, "a chunk after the pixels")
		}
		if err := p.next(); err != nil {
			return broken(PNG, err, "the chunks after the pixels: its end mark is missing")
		}
	}
	if err := p.skip(); err != nil {
		return broken(PNG, err, "its end mark")
	}
	return nil
}

func readPNGHeader(p *pngChunks) (*pngHeader, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.kind != "IHDR" || p.left != 13 {
		return nil, fmt.Errorf("first chunk is %q of %d bytes, not IHDR of 13", p.kind, p.left)
	}
	b, err := p.body(13)
	if err != nil {
		return nil, err
	}
	w, h := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if w > 1<<31-1 || h > 1<<31-1 {
		return nil, fmt.Errorf("its size is %dx%d", w, h)
	}
	head := &pngHeader{w: int(w), h: int(h), depth: int(b[8]), colour: b[9], interlace: b[12] == 1}
	depths := map[byte]string{pngGrey: "\x01\x02\x04\x08\x10", pngRGB: "\x08\x10", pngPalette: "\x01\x02\x04\x08", pngGreyAlpha: "\x08\x10", pngRGBA: "\x08\x10"}
	ok := false
	for _, d := range []byte(depths[b[9]]) {
		ok = ok || d == b[8]
	}
	if !ok || b[10] != 0 || b[11] != 0 || b[12] > 1 {
		return nil, fmt.Errorf("header has colour type %d, depth %d, compression %d, filter %d, interlace %d", b[9], b[8], b[10], b[11], b[12])
	}
	return head, nil
}

// readPNGTables reads the chunks up to the first IDAT, which it starts.
func readPNGTables(p *pngChunks, h *pngHeader) error {
	for {
		if err := p.next(); err != nil {
			return err
		}
		var err error
		switch p.kind {
		case "IDAT":
			if h.colour == pngPalette && h.entries == 0 {
				return fmt.Errorf("no palette before the pixels")
			}
			return nil
		case "IEND", "IHDR":
			return fmt.Errorf("chunk %q before any pixels", p.kind)
		case "PLTE":
			err = h.readPalette(p)
		case "tRNS":
			err = h.readTransparency(p)
		default:
			err = p.skip()
		}
		if err != nil {
			return err
		}
	}
}

func (h *pngHeader) readPalette(p *pngChunks) error {
	b, err := p.body(768)
	if err != nil {
		return err
	}
	if len(b)%3 != 0 || len(b) == 0 || h.entries > 0 {
		return fmt.Errorf("palette of %d bytes", len(b))
	}
	h.entries = len(b) / 3
	for i := range h.entries {
		h.palette[i] = [4]byte{b[3*i], b[3*i+1], b[3*i+2], 255}
	}
	return nil
}

func (h *pngHeader) readTransparency(p *pngChunks) error {
	b, err := p.body(256)
	if err != nil {
		return err
	}
	switch {
	case h.colour == pngPalette && len(b) <= h.entries:
		for i, a := range b {
			h.palette[i][3] = a
		}
		return nil
	case h.colour == pngGrey && len(b) == 2:
		g := binary.BigEndian.Uint16(b)
		h.key, h.keyed = [3]uint16{g, g, g}, true
		return nil
	case h.colour == pngRGB && len(b) == 6:
		for i := range h.key {
			h.key[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		h.keyed = true
		return nil
	}
	return fmt.Errorf("transparency chunk of %d bytes for colour type %d", len(b), h.colour)
}

func (h *pngHeader) transparent() bool {
	for _, e := range h.palette[:h.entries] {
		if e[3] != 255 {
			return true
		}
	}
	return false
}

func (h *pngHeader) bitsPerPixel() int {
	samples := map[byte]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}
	return samples[h.colour] * h.depth
}

// pngPass is one of the pictures that an interlaced one is sent as: the pixels
// at columns x0, x0+dx, ... of lines y0, y0+dy, ...
type pngPass struct{ x0, y0, dx, dy int }

var (
	pngWhole = []pngPass{{0, 0, 1, 1}}
	pngAdam7 = []pngPass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
)

// readPNGPixels unpacks the IDAT stream and leaves p at the chunk after it.
func readPNGPixels(p *pngChunks, h *pngHeader, c *canvas) error {
	data := &pngData{pngChunks: p}
	if p.left == 0 {
		if err := p.check(); err != nil {
			return err
		}
	}
	z, err := zlib.NewReader(data)
	if err != nil {
		return err
	}
	defer z.Close()
	passes := pngWhole
	if h.interlace {
		passes = pngAdam7
	}
	lines := newPNGLines(h, c)
	for _, pass := range passes {
		w, n := (h.w-pass.x0+pass.dx-1)/pass.dx, (h.h-pass.y0+pass.dy-1)/pass.dy
		if w < 1 || n < 1 {
			continue
		}
		if err := lines.read(z, pass, w, n); err != nil {
			return err
		}
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(z, 1)); err != nil {
		return err
	} else if n > 0 {
		return fmt.Errorf("more pixels than its size has")
	}
	_, err = io.Copy(io.Discard, data)
	return err
}
