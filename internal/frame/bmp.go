package frame

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// bmpHeader is the file header and the information header of a BMP file.
type bmpHeader struct {
	w, h    int
	topDown bool
	depth   int
	offset  int64
	palette [][4]byte
	mask    [4]uint32 // R, G, B, A of 16 and 32 bits a pixel
}

// decodeBMP reads an uncompressed BMP picture of 1, 4, 8, 16, 24 or 32 bits.
func decodeBMP(src *source, c *canvas) error {
	h, err := readBMPHeader(src)
	if err != nil {
		return broken(BMP, err, "its header")
	}
	if err := c.begin(h.w, h.h, h.mask[3] != 0); err != nil {
		return err
	}
	stride := (int64(h.w)*int64(h.depth) + 31) / 32 * 4
	if missing := h.offset + stride*int64(h.h) - src.size; missing > 0 {
		return truncated(BMP, "%d bytes of its pixels are missing", missing)
	}
	r := src.from(h.offset)
	line, row := make([]byte, stride), make([]byte, 4*h.w)
	for i := range h.h {
		if _, err := io.ReadFull(r, line); err != nil {
			return broken(BMP, err, "line %d of its pixels", i)
		}
		if !c.needsPixels() {
			continue
		}
		h.expand(line, row)
		y := h.h - 1 - i
		if h.topDown {
			y = i
		}
		c.rgba(y, 0, 1, row)
	}
	return nil
}

func readBMPHeader(src *source) (*bmpHeader, error) {
	var b [14 + 124]byte
	if err := src.full(b[:14+4], 0); err != nil {
		return nil, err
	}
	h := &bmpHeader{offset: int64(binary.LittleEndian.Uint32(b[10:]))}
	size := int64(binary.LittleEndian.Uint32(b[14:]))
	if size < 40 {
		return nil, unsupported(BMP, "its header is of the old kind of %d bytes", size)
	}
	if err := src.full(b[:14+min(size, 124)], 0); err != nil {
		return nil, err
	}
	w, height := int32(binary.LittleEndian.Uint32(b[18:])), int32(binary.LittleEndian.Uint32(b[22:]))
	h.topDown = height < 0
	h.w, h.h = int(w), abs(int(height))
	h.depth = int(binary.LittleEndian.Uint16(b[28:]))
	if planes := binary.LittleEndian.Uint16(b[26:]); planes != 1 {
		return nil, damaged(BMP, "it has %d planes", planes)
	}
	if h.offset < 14+size {
		return nil, damaged(BMP, "its pixels start inside its header")
	}
	return h, h.coding(src, b[:], size)
}

// coding reads how pixels are stored: palette, masks.
func (h *bmpHeader) coding(src *source, b []byte, size int64) error {
	compression := binary.LittleEndian.Uint32(b[30:])
	switch {
	case compression != 0 && compression != 3:
		return unsupported(BMP, "its pixels are stored by method %d", compression)
	case compression == 3 && h.depth != 16 && h.depth != 32:
		return damaged(BMP, "colour masks with %d bits a pixel", h.depth)
	}
	switch h.depth {
	case 1, 4, 8:
		return h.readPalette(src, 14+size, binary.LittleEndian.Uint32(b[46:]))
	case 16:
		h.mask = [4]uint32{0x7c00, 0x3e0, 0x1f, 0}
	case 24:
	case 32:
		h.mask = [4]uint32{0xff0000, 0xff00, 0xff, 0}
	default:
		return damaged(BMP, "it has %d bits a pixel", h.depth)
	}
	if compression != 3 {
		return nil
	}
	masks := b[54:70]
	if size < 52 {
		clear(masks)
		if err := src.full(masks[:12], 14+size); err != nil {
			return err
		}
	} else if size < 56 {
		clear(masks[12:])
	}
	for i := range h.mask {
		h.mask[i] = binary.LittleEndian.Uint32(masks[4*i:])
	}
	return nil
}

func (h *bmpHeader) readPalette(src *source, off int64, used uint32) error {
	n := uint32(1) << h.depth
	if used > 0 && used < n {
		n = used
	}
	b := make([]byte, 4*n)
	if err := src.full(b, off); err != nil {
		return err
	}
	h.palette = make([][4]byte, 1<<h.depth)
	for i := range h.palette {
		h.palette[i] = [4]byte{0, 0, 0, 255}
		if i < int(n) {
			h.palette[i] = [4]byte{b[4*i+2], b[4*i+1], b[4*i], 255}
		}
	}
	return nil
}

// expand turns a stored line into RGBA.
func (h *bmpHeader) expand(line, row []byte) {
	for x := range len(row) / 4 {
		px := row[4*x : 4*x+4]
		switch h.depth {
		case 24:
			px[0], px[1], px[2], px[3] = line[3*x+2], line[3*x+1], line[3*x], 255
		case 16:
			h.unmask(px, uint32(binary.LittleEndian.Uint16(line[2*x:])))
		case 32:
			h.unmask(px, binary.LittleEndian.Uint32(line[4*x:]))
		default:
			copy(px, h.palette[packed(line, x, h.depth)][:])
		}
	}
}

func (h *bmpHeader) unmask(px []byte, v uint32) {
	for k, mask := range h.mask {
		if mask == 0 {
			px[k] = 0
			if k == 3 {
				px[k] = 255
			}
			continue
		}
		shift := bits.TrailingZeros32(mask)
		top := uint64(mask >> shift)
		px[k] = byte((uint64(v&mask>>shift)*255 + top - 1) / top) // rounded up: what is not 0 stays so
	}
}
