package frame

import (
	"encoding/binary"
	"fmt"
	"io"
)

const pizBitmap = 1 << 16 / 8

// unPIZ undoes PIZ: Huffman codes, then a wavelet for each channel, then the
// list of words that occur.
func (d *exrCodec) unPIZ(p *exrPart, b exrBox, out, in []byte) error {
	top, in, err := d.pizWords(in)
	if err != nil {
		return err
	}
	if len(in) < 4 {
		return io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint32(in)
	if in = in[4:]; uint64(n) > uint64(len(in)) {
		return io.ErrUnexpectedEOF
	}
	words := grow(&d.words, len(out)/2)
	if err := d.huf.decode(words, in[:n]); err != nil {
		return err
	}
	at := words
	for i := range p.channels {
		ch := &p.channels[i]
		w, h, per := samples(ch.xs, b.x0, b.x1), samples(ch.ys, b.y0, b.y1), ch.bytes()/2
		for k := range per {
			if w > 0 && h > 0 {
				unwave(at[k:], w, per, h, per*w, top)
			}
		}
		at = at[w*h*per:]
	}
	planes := grow(&d.tmp, len(out))
	for i, v := range words {
		binary.LittleEndian.PutUint16(planes[2*i:], d.lut[v])
	}
	p.interleave(b, out, planes)
	return nil
}

// pizWords reads the bitmap of words that occur into d.lut. It returns the
// number of the last one and what follows the bitmap.
func (d *exrCodec) pizWords(in []byte) (uint16, []byte, error) {
	if len(in) < 4 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	lo, hi := int(binary.LittleEndian.Uint16(in)), int(binary.LittleEndian.Uint16(in[2:]))
	in = in[4:]
	if hi >= pizBitmap {
		return 0, nil, fmt.Errorf("its list of values ends at %d", hi)
	}
	lut := grow(&d.lut, 1<<16)
	clear(lut)
	n := 1 // 0 is always one of the words
	if lo <= hi {
		if hi-lo+1 > len(in) {
			return 0, nil, io.ErrUnexpectedEOF
		}
		for i, bits := range in[:hi-lo+1] {
			for k := range 8 {
				if v := 8*(lo+i) + k; v != 0 && bits>>k&1 != 0 {
					lut[n] = uint16(v)
					n++
				}
			}
		}
		in = in[hi-lo+1:]
	}
	return uint16(n - 1), in, nil
}

// unwave undoes the two-dimensional Haar wavelet of a plane in place. Sample
// (x, y) is a[x*ox+y*oy]. Up to 14 bits the plain form is used, else the one
// that wraps around.
func unwave(a []uint16, nx, ox, ny, oy int, top uint16) {
	pair := unpair16
	if top < 1<<14 {
		pair = unpair14
	}
	step := 1
	for step <= min(nx, ny) {
		step *= 2
	}
	for p2 := step / 2; p2 > 1; p2 /= 2 {
		p := p2 / 2
		ox1, oy1 := ox*p, oy*p
		y := 0
		for ; y <= ny-p2; y += p2 {
			x := 0
			for ; x <= nx-p2; x += p2 {
				i := y*oy + x*ox
				i00, i10 := pair(a[i], a[i+oy1])
				i01, i11 := pair(a[i+ox1], a[i+ox1+oy1])
				a[i], a[i+ox1] = pair(i00, i01)
				a[i+oy1], a[i+ox1+oy1] = pair(i10, i11)
			}
			if nx&p != 0 {
				i := y*oy + x*ox
				a[i], a[i+oy1] = pair(a[i], a[i+oy1])
			}
		}
		if ny&p != 0 {
			for x := 0; x <= nx-p2; x += p2 {
				i := y*oy + x*ox
				a[i], a[i+ox1] = pair(a[i], a[i+ox1])
			}
		}
	}
}

// unpair14 returns two values from their mean and difference.
func unpair14(l, h uint16) (uint16, uint16) {
	d := int(int16(h))
	a := int(int16(l)) + d&1 + d>>1
	return uint16(a), uint16(a - d)
}

// unpair16 is unpair14 modulo 2^16.
func unpair16(l, h uint16) (uint16, uint16) {
	b := l - h>>1
	return h + b - 1<<15, b
}
