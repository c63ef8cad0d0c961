package frame

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// exrCodec unpacks chunks. Its buffers are used again from chunk to chunk.
type exrCodec struct {
	out, tmp []byte
	words    []uint16
	z        io.ReadCloser
	huf      hufDecoder
	lut      []uint16
	dwa      dwaDecoder
}

// Largest number of bytes that one packed byte can stand for. What claims more
// is damaged, so memory stays in proportion to the file.
var exrRatio = [...]int{exrNone: 1, exrRLE: 64, exrZIPS: 1040, exrZIP: 1040, exrPIZ: 512, exrPXR24: 1400, exrB44: 11, exrB44A: 11, exrDWAA: 32768, exrDWAB: 32768}

var errBeyond = errors.New("its bytes unpack to more than its pixels")

// unpack returns the raw bytes of the window b, line by line and in a line
// channel by channel. They are good until the next call.
func (d *exrCodec) unpack(p *exrPart, b exrBox, in []byte, raw int) ([]byte, error) {
	if len(in) == raw {
		return in, nil // what would not get smaller is stored as it is
	}
	// 64 KiB are free for the fixed parts of PIZ and DWA chunks.
	if raw > len(in)*exrRatio[p.compression]+64<<10 {
		return nil, fmt.Errorf("%d bytes cannot hold its %d bytes of pixels", len(in), raw)
	}
	out := grow(&d.out, raw)
	var err error
	switch p.compression {
	case exrNone:
		return nil, fmt.Errorf("it has %d bytes for pixels of %d", len(in), raw)
	case exrRLE:
		tmp := grow(&d.tmp, raw)
		if err = unRLE(tmp, in); err == nil {
			unshuffle(out, tmp)
		}
	case exrZIPS, exrZIP:
		tmp := grow(&d.tmp, raw)
		if err = d.inflate(tmp, in); err == nil {
			unshuffle(out, tmp)
		}
	case exrPXR24:
		err = d.unPXR24(p, b, out, in)
	case exrPIZ:
		err = d.unPIZ(p, b, out, in)
	case exrB44, exrB44A:
		err = d.unB44(p, b, out, in)
	case exrDWAA, exrDWAB:
		err = d.unDWA(p, b, out, in)
	}
	return out, err
}

func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	*buf = (*buf)[:n]
	return *buf
}

// inflate fills all of dst from a zlib stream, which must end there.
func (d *exrCodec) inflate(dst, in []byte) error {
	var err error
	if d.z == nil {
		d.z, err = zlib.NewReader(bytes.NewReader(in))
	} else {
		err = d.z.(zlib.Resetter).Reset(bytes.NewReader(in), nil)
	}
	if err != nil {
		return early(err)
	}
	if _, err := io.ReadFull(d.z, dst); err != nil {
		return early(err)
	}
	var more [1]byte
	if n, err := io.ReadFull(d.z, more[:]); n > 0 {
		return errBeyond
	} else if err != io.EOF {
		return err
	}
	return nil
}

// unRLE fills all of dst from run-lengths: a count below 0 is followed by that
// many plain bytes, any other by a byte that comes once more than it says.
func unRLE(dst, in []byte) error {
	for len(in) > 0 {
		n := int(int8(in[0]))
		in = in[1:]
		if n < 0 {
			n = -n
			if n > len(in) {
				return io.ErrUnexpectedEOF
			}
			if n > len(dst) {
				return errBeyond
			}
			copy(dst, in[:n])
			in, dst = in[n:], dst[n:]
			continue
		}
		n++
		if len(in) == 0 {
			return io.ErrUnexpectedEOF
		}
		if n > len(dst) {
			return errBeyond
		}
		for i := range n {
			dst[i] = in[0]
		}
		in, dst = in[1:], dst[n:]
	}
	if len(dst) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// unshuffle undoes what OpenEXR does to bytes before RLE and deflate:
// differences, and the even bytes before the odd ones.
func unshuffle(out, in []byte) {
	if len(in) == 0 {
		return
	}
	prev := in[0]
	for i := 1; i < len(in); i++ {
		prev += in[i] - 128
		in[i] = prev
	}
	half := (len(in) + 1) / 2
	even, odd := in[:half], in[half:]
	for i, v := range odd {
		out[2*i], out[2*i+1] = even[i], v
	}
	if len(in)%2 == 1 {
		out[len(in)-1] = even[half-1]
	}
}

// eachRow calls f for each channel of each line of the window that has samples
// there, in the order of raw bytes. It stops at the first error.
func (p *exrPart) eachRow(b exrBox, f func(channel, width int) error) error {
	for y := b.y0; y <= b.y1; y++ {
		for i := range p.channels {
			ch := &p.channels[i]
			if floorDiv(y, ch.ys)*ch.ys != y {
				continue
			}
			if err := f(i, samples(ch.xs, b.x0, b.x1)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unPXR24 undoes Pixar's 24-bit compression: deflate over differences, stored
// as planes of bytes, the most significant first; the lowest byte of floats is
// dropped.
func (d *exrCodec) unPXR24(p *exrPart, b exrBox, out, in []byte) error {
	packed := 0
	p.eachRow(b, func(i, w int) error {
		packed += w * pxrBytes(p.channels[i].kind)
		return nil
	})
	tmp := grow(&d.tmp, packed)
	if err := d.inflate(tmp, in); err != nil {
		return err
	}
	return p.eachRow(b, func(i, w int) error {
		n, size := pxrBytes(p.channels[i].kind), p.channels[i].bytes()
		var v uint32
		for x := range w {
			var diff uint32
			for k := range n {
				diff |= uint32(tmp[k*w+x]) << (8 * (size - 1 - k))
			}
			v += diff
			for k := range size {
				out[x*size+k] = byte(v >> (8 * k))
			}
		}
		tmp, out = tmp[n*w:], out[size*w:]
		return nil
	})
}

func pxrBytes(kind int) int {
	switch kind {
	case exrHalf:
		return 2
	case exrFloat:
		return 3
	}
	return 4
}
