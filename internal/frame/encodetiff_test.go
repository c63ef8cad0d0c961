package frame

import (
	"encoding/binary"
	"image"
	"math"
)

// tiffOptions says how encodeTIFF writes.
type tiffOptions struct {
	order       binary.ByteOrder // little-endian by default
	bits        int              // a sample, 8 by default
	alpha       int              // extra sample kind, 0 for none
	grey        bool
	float       bool
	compression int
	predictor   int
	rows        int // lines a strip, 0 for one strip
	tile        int // side of tiles, 0 for strips
	more        map[uint16][]uint32
}

type tiffWriter struct {
	o     tiffOptions
	order binary.AppendByteOrder
	out   []byte
	dir   []byte
	n     int
}

// encodeTIFF writes m with strips or tiles first and the directory last, as
// libtiff does.
func encodeTIFF(m *image.NRGBA, o tiffOptions) []byte {
	w := &tiffWriter{o: o, order: binary.LittleEndian}
	magic := "II*\x00"
	if o.order == binary.BigEndian {
		w.order, magic = binary.BigEndian, "MM\x00*"
	}
	if w.o.bits == 0 {
		w.o.bits = 8
	}
	w.o.compression, w.o.predictor = max(1, o.compression), max(1, o.predictor)
	w.out = append([]byte(magic), 0, 0, 0, 0)
	width, height := m.Rect.Dx(), m.Rect.Dy()
	tw, th := width, o.rows
	if th == 0 {
		th = height
	}
	if o.tile > 0 {
		tw, th = o.tile, o.tile
	}
	var offsets, sizes []uint32
	for y := 0; y < height; y += th {
		for x := 0; x < width; x += tw {
			lines := th
			if o.tile == 0 {
				lines = min(th, height-y)
			}
			packed := w.pack(w.lines(m, image.Rect(x, y, x+tw, y+lines)))
			offsets, sizes = append(offsets, uint32(len(w.out))), append(sizes, uint32(len(packed)))
			w.out = append(w.out, packed...)
		}
	}
	w.directory(width, height, tw, th, offsets, sizes)
	return w.out
}

func (w *tiffWriter) samples() int {
	n := 3
	if w.o.grey {
		n = 1
	}
	if w.o.alpha != 0 {
		n++
	}
	return n
}

func (w *tiffWriter) directory(width, height, tw, th int, offsets, sizes []uint32) {
	o, n := w.o, w.samples()
	at := len(w.out)
	fields := 11 + len(o.more)
	if o.alpha != 0 {
		fields++
	}
	if o.tile > 0 {
		fields++
	}
	w.out = append(w.out, make([]byte, 2+12*fields+4)...)
	w.order.(binary.ByteOrder).PutUint32(w.out[4:], uint32(at))
	bits := make([]uint32, n)
	for i := range bits {
		bits[i] = uint32(o.bits)
	}
	photometric, format := uint32(tiffRGB), uint32(tiffUint)
	if o.grey {
		photometric = tiffBlackIsZero
	}
	if o.float {
		format = tiffFloat
	}
	w.field(tiffWidth, uint32(width))
	w.field(tiffHeight, uint32(height))
	w.field(tiffBits, bits...)
	w.field(tiffCompression, uint32(o.compression))
	w.field(tiffPhotometric, photometric)
	w.field(tiffSamples, uint32(n))
	if o.tile > 0 {
		w.field(tiffTileWidth, uint32(tw))
		w.field(tiffTileHeight, uint32(th))
		w.field(tiffTileOffsets, offsets...)
		w.field(tiffTileCounts, sizes...)
	} else {
		w.field(tiffRowsPerStrip, uint32(th))
		w.field(tiffStripOffsets, offsets...)
		w.field(tiffStripCounts, sizes...)
	}
	w.field(tiffPredictor, uint32(o.predictor))
	if o.alpha != 0 {
		w.field(tiffExtraSamples, uint32(o.alpha))
	}
	w.field(tiffSampleFormat, format)
	for tag, v := range o.more { // the last field of a tag counts
		w.field(tag, v...)
	}
	copy(w.out[at:], w.order.AppendUint16(nil, uint16(w.n)))
	copy(w.out[at+2:], w.dir)
}

// field adds an entry of 32-bit numbers.
func (w *tiffWriter) field(tag uint16, v ...uint32) {
	w.n++
	w.dir = w.order.AppendUint16(w.dir, tag)
	w.dir = w.order.AppendUint16(w.dir, 4)
	w.dir = w.order.AppendUint32(w.dir, uint32(len(v)))
	if len(v) == 1 {
		w.dir = w.order.AppendUint32(w.dir, v[0])
		return
	}
	w.dir = w.order.AppendUint32(w.dir, uint32(len(w.out)))
	for _, x := range v {
		w.out = w.order.AppendUint32(w.out, x)
	}
}

// lines returns the samples of a window, predicted.
func (w *tiffWriter) lines(m *image.NRGBA, box image.Rectangle) [][]byte {
	var all [][]byte
	for y := box.Min.Y; y < box.Max.Y; y++ {
		var v []uint32
		for x := box.Min.X; x < box.Max.X; x++ {
			c := m.NRGBAAt(x, y)
			px := []uint32{uint32(c.R), uint32(c.G), uint32(c.B)}
			if w.o.grey {
				px = px[1:2]
			}
			if w.o.alpha != 0 {
				px = append(px, uint32(c.A))
			}
			v = append(v, px...)
		}
		all = append(all, w.line(v))
	}
	return all
}

func (w *tiffWriter) line(v []uint32) (b []byte) {
	n := w.samples()
	for i := range v {
		switch {
		case w.o.float:
			v[i] = math.Float32bits(float32(v[i]) / 255)
		case w.o.bits > 8:
			v[i] *= 0x01010101 >> (32 - w.o.bits)
		}
	}
	if w.o.predictor == 3 {
		for shift := 24; shift >= 0; shift -= 8 {
			for _, x := range v {
				b = append(b, byte(x>>shift))
			}
		}
		for i := len(b) - 1; i >= n; i-- {
			b[i] -= b[i-n]
		}
		return b
	}
	for i := len(v) - 1; i >= n && w.o.predictor == 2; i-- {
		v[i] -= v[i-n]
	}
	for _, x := range v {
		switch w.o.bits {
		case 8:
			b = append(b, byte(x))
		case 16:
			b = w.order.AppendUint16(b, uint16(x))
		case 32:
			b = w.order.AppendUint32(b, x)
		}
	}
	return b
}

func (w *tiffWriter) pack(lines [][]byte) (out []byte) {
	var all []byte
	for _, l := range lines {
		all = append(all, l...)
		if w.o.compression == 32773 {
			out = append(out, packRuns(l)...)
		}
	}
	switch w.o.compression {
	case 5:
		return lzwLiterals(all)
	case 8, 32946:
		return deflate(all)
	case 32773:
		return out
	}
	return all
}

// packRuns writes PackBits: runs, stretches and the code that means nothing.
func packRuns(b []byte) (out []byte) {
	out = append(out, 128)
	for i := 0; i < len(b); {
		n := 1
		for n < 128 && i+n < len(b) && b[i+n] == b[i] {
			n++
		}
		if n > 1 {
			out = append(out, byte(257-n), b[i])
		} else {
			out = append(out, 0, b[i])
		}
		i += n
	}
	return out
}

// lzwLiterals writes TIFF's LZW without ever using its dictionary: codes of 9
// bits, cleared before they would grow.
func lzwLiterals(b []byte) (out []byte) {
	acc, n := uint32(0), 0
	put := func(code uint32) {
		acc, n = acc<<9|code, n+9
		for n >= 8 {
			out = append(out, byte(acc>>(n-8)))
			n -= 8
		}
	}
	for i, v := range b {
		if i%200 == 0 {
			put(256)
		}
		put(uint32(v))
	}
	put(257)
	return append(out, byte(acc<<(8-n)))
}
