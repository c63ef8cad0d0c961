package frame

import (
	"encoding/binary"
	"io"
	"math"
	"sync"
)

// unB44 undoes B44 and B44A: 4x4 blocks of halfs in 14 bytes, or 3 where all
// are the same. Channels follow one another; those that are not half are plain.
func (d *exrCodec) unB44(p *exrPart, b exrBox, out, in []byte) error {
	planes := grow(&d.tmp, len(out))
	at := planes
	for i := range p.channels {
		ch := &p.channels[i]
		w, h := samples(ch.xs, b.x0, b.x1), samples(ch.ys, b.y0, b.y1)
		n := w * h * ch.bytes()
		if ch.kind == exrHalf {
			rest, err := b44Plane(at[:n], w, h, in, ch.linear)
			if err != nil {
				return err
			}
			in = rest
		} else {
			if len(in) < n {
				return io.ErrUnexpectedEOF
			}
			copy(at[:n], in)
			in = in[n:]
		}
		at = at[n:]
	}
	if len(in) > 0 {
		return errBeyond
	}
	p.interleave(b, out, planes)
	return nil
}

// interleave puts whole channels one after another into lines.
func (p *exrPart) interleave(b exrBox, out, planes []byte) {
	next := make([]int, len(p.channels))
	at := 0
	for i := range p.channels {
		ch := &p.channels[i]
		next[i] = at
		at += samples(ch.xs, b.x0, b.x1) * samples(ch.ys, b.y0, b.y1) * ch.bytes()
	}
	p.eachRow(b, func(i, w int) error {
		n := w * p.channels[i].bytes()
		copy(out[:n], planes[next[i]:])
		next[i] += n
		out = out[n:]
		return nil
	})
}

// b44Plane unpacks the blocks of one channel and returns what follows them.
func b44Plane(dst []byte, w, h int, in []byte, linear bool) ([]byte, error) {
	var s [16]uint16
	for y := 0; y < h; y += 4 {
		for x := 0; x < w; x += 4 {
			n := 14
			if len(in) >= 3 && in[2] >= 13<<2 {
				n = 3
			}
			if len(in) < n {
				return nil, io.ErrUnexpectedEOF
			}
			b44Block(&s, in[:n])
			in = in[n:]
			for j := range min(4, h-y) {
				for i := range min(4, w-x) {
					v := s[4*j+i]
					if linear {
						v = b44Log()[v]
					}
					binary.LittleEndian.PutUint16(dst[2*((y+j)*w+x+i):], v)
				}
			}
		}
	}
	return in, nil
}

// b44Block unpacks one block: a first value, a shift, and 15 differences of 6
// bits, down the first column and then along the lines.
func b44Block(s *[16]uint16, b []byte) {
	s[0] = binary.BigEndian.Uint16(b)
	if len(b) == 3 {
		for i := range s {
			s[i] = s[0]
		}
	} else {
		shift := b[2] >> 2
		bit := 22 // the differences start behind the shift
		diff := func(from uint16) uint16 {
			v := uint16(b[bit/8]) << 8
			if bit/8+1 < len(b) {
				v |= uint16(b[bit/8+1])
			}
			v = v >> (10 - bit%8) & 63
			bit += 6
			return from + v<<shift - 32<<shift
		}
		for i := 4; i < 16; i += 4 {
			s[i] = diff(s[i-4])
		}
		for x := 1; x < 4; x++ {
			for y := 0; y < 16; y += 4 {
				s[y+x] = diff(s[y+x-1])
			}
		}
	}
	for i, v := range s {
		if v&0x8000 != 0 {
			s[i] = v & 0x7fff
		} else {
			s[i] = ^v
		}
	}
}

// b44Log is the curve that channels marked as linear are stored through,
// undone: 8 * ln(v).
var b44Log = sync.OnceValue(func() *[1 << 16]uint16 {
	var t [1 << 16]uint16
	for i := range t {
		if i&0x7c00 == 0x7c00 || i > 0x8000 {
			continue
		}
		t[i] = floatToHalf(float32(8 * math.Log(float64(halfToFloat(uint16(i))))))
	}
	return &t
})
