package frame

import (
	"encoding/binary"
	"math"
	"slices"
)

// exrWriter writes OpenEXR files of one or more parts.
type exrWriter struct {
	parts     []*exrPart
	value     func(part, channel, x, y int) float64
	multipart bool
	deep      bool
	extra     []byte // attributes before the rest
	dwa       dwaStyle
}

// plainEXR is a file of one part of the channels, all half, sampled everywhere.
func plainEXR(w, h, compression int, names ...string) *exrWriter {
	p := &exrPart{compression: compression, data: exrBox{0, 0, w - 1, h - 1}, display: exrBox{0, 0, w - 1, h - 1}}
	slices.Sort(names)
	for _, n := range names {
		p.channels = append(p.channels, exrChannel{name: n, kind: exrHalf, xs: 1, ys: 1})
	}
	return &exrWriter{parts: []*exrPart{p}, value: exrSample}
}

// exrSample is smooth with a step in it, different for each channel, above 0.
func exrSample(part, channel, x, y int) float64 {
	v := 0.1 + float64(channel)*0.25 + float64(x)/64 + float64(y*y)/4096 + float64(part)
	if x > 20 && y > 20 {
		v *= 3
	}
	return v
}

// stored is the value as the channel can hold it.
func (ch *exrChannel) stored(v float64) float64 {
	switch ch.kind {
	case exrHalf:
		return float64(halfToFloat(floatToHalf(float32(v))))
	case exrFloat:
		return float64(float32(v))
	}
	return math.Floor(1000 * v)
}

func (ch *exrChannel) append(b []byte, v float64) []byte {
	switch ch.kind {
	case exrHalf:
		return binary.LittleEndian.AppendUint16(b, floatToHalf(float32(v)))
	case exrFloat:
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	}
	return binary.LittleEndian.AppendUint32(b, uint32(ch.stored(v)))
}

func le32(v ...int) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(x)))
	}
	return b
}

func exrAttribute(name, kind string, value []byte) []byte {
	b := append([]byte(name+"\x00"+kind+"\x00"), le32(len(value))...)
	return append(b, value...)
}

func (w *exrWriter) header(i int) (b []byte) {
	p := w.parts[i]
	if i == 0 {
		b = append(b, w.extra...)
	}
	var list []byte
	for _, ch := range p.channels {
		list = append(append(list, ch.name...), 0)
		linear := 0
		if ch.linear {
			linear = 1
		}
		list = append(list, le32(ch.kind, linear, ch.xs, ch.ys)...)
	}
	b = append(b, exrAttribute("channels", "chlist", append(list, 0))...)
	b = append(b, exrAttribute("compression", "compression", []byte{byte(p.compression)})...)
	b = append(b, exrAttribute("dataWindow", "box2i", le32(p.data.x0, p.data.y0, p.data.x1, p.data.y1))...)
	b = append(b, exrAttribute("displayWindow", "box2i", le32(p.display.x0, p.display.y0, p.display.x1, p.display.y1))...)
	b = append(b, exrAttribute("lineOrder", "lineOrder", []byte{0})...)
	if p.tiled {
		mode := p.levels
		if p.roundUp {
			mode |= 16
		}
		b = append(b, exrAttribute("tiles", "tiledesc", append(le32(p.tw, p.th), mode))...)
	}
	if p.kind != "" {
		b = append(b, exrAttribute("type", "string", []byte(p.kind))...)
	}
	if w.multipart {
		b = append(b, exrAttribute("chunkCount", "int", le32(int(p.countChunks())))...)
	}
	return append(b, 0)
}

// file returns the whole file.
func (w *exrWriter) file() []byte {
	version := 2
	if w.multipart {
		version |= exrMultipartFlag
	} else if w.parts[0].tiled && !w.deep {
		version |= exrTiledFlag
	}
	if w.deep {
		version |= exrDeepFlag
	}
	out := append([]byte("\x76\x2f\x31\x01"), le32(version)...)
	chunks := 0
	for i, p := range w.parts {
		out = append(out, w.header(i)...)
		chunks += int(p.countChunks())
	}
	if w.multipart {
		out = append(out, 0)
	}
	table := len(out)
	out = append(out, make([]byte, 8*chunks)...)
	for i, p := range w.parts {
		p.eachChunk(func(ch exrChunk) error {
			binary.LittleEndian.PutUint64(out[table:], uint64(len(out)))
			table += 8
			out = append(out, w.chunk(i, ch)...)
			return nil
		})
	}
	return out
}

func (w *exrWriter) chunk(part int, ch exrChunk) (b []byte) {
	p := w.parts[part]
	if w.multipart {
		b = le32(part)
	}
	if p.tiled {
		b = append(b, le32(ch.coords[:]...)...)
	} else {
		b = append(b, le32(ch.coords[0])...)
	}
	if w.deep {
		b = binary.LittleEndian.AppendUint64(b, 4)
		b = binary.LittleEndian.AppendUint64(b, 6)
		b = binary.LittleEndian.AppendUint64(b, 8)
		return append(b, "table-data"...)
	}
	raw := w.raw(part, ch.box)
	packed := w.pack(p, ch.box, raw)
	if len(packed) >= len(raw) {
		packed = raw
	}
	return append(append(b, le32(len(packed))...), packed...)
}

// raw returns the window's samples line by line.
func (w *exrWriter) raw(part int, box exrBox) (b []byte) {
	p := w.parts[part]
	for y := box.y0; y <= box.y1; y++ {
		for i := range p.channels {
			ch := &p.channels[i]
			if y%ch.ys != 0 {
				continue
			}
			for x := box.x0; x <= box.x1; x++ {
				if x%ch.xs == 0 {
					b = ch.append(b, w.value(part, i, x, y))
				}
			}
		}
	}
	return b
}

// exrPlanes returns the channels of raw one after another.
func exrPlanes(p *exrPart, box exrBox, raw []byte) (out []byte) {
	per := make([][]byte, len(p.channels))
	p.eachRow(box, func(i, w int) error {
		n := w * p.channels[i].bytes()
		per[i] = append(per[i], raw[:n]...)
		raw = raw[n:]
		return nil
	})
	for _, b := range per {
		out = append(out, b...)
	}
	return out
}

func (w *exrWriter) pack(p *exrPart, box exrBox, raw []byte) []byte {
	switch p.compression {
	case exrRLE:
		return exrRuns(exrShuffle(raw))
	case exrZIPS, exrZIP:
		return deflate(exrShuffle(raw))
	case exrPXR24:
		return packPXR24(p, box, raw)
	case exrPIZ:
		return packPIZ(p, box, raw)
	case exrB44, exrB44A:
		return packB44(p, box, raw)
	case exrDWAA, exrDWAB:
		return w.dwa.pack(p, box, raw)
	}
	return raw
}

func exrShuffle(raw []byte) []byte {
	var out []byte
	for start := range 2 {
		for i := start; i < len(raw); i += 2 {
			out = append(out, raw[i])
		}
	}
	for i := len(out) - 1; i > 0; i-- {
		out[i] += 128 - out[i-1]
	}
	return out
}

// exrRuns writes runs and single plain bytes.
func exrRuns(b []byte) (out []byte) {
	for i := 0; i < len(b); {
		n := 1
		for n < 128 && i+n < len(b) && b[i+n] == b[i] {
			n++
		}
		if n > 1 {
			out = append(out, byte(n-1), b[i])
		} else {
			out = append(out, 0xff, b[i])
		}
		i += n
	}
	return out
}

func packPXR24(p *exrPart, box exrBox, raw []byte) []byte {
	var out []byte
	p.eachRow(box, func(i, w int) error {
		size, n := p.channels[i].bytes(), pxrBytes(p.channels[i].kind)
		row := make([]byte, n*w)
		var prev uint32
		for x := range w {
			var v uint32
			for k := range size {
				v |= uint32(raw[x*size+k]) << (8 * k)
			}
			v &^= 1<<(8*(size-n)) - 1
			for k := range n {
				row[k*w+x] = byte((v - prev) >> (8 * (size - 1 - k)))
			}
			prev = v
		}
		out, raw = append(out, row...), raw[w*size:]
		return nil
	})
	return deflate(out)
}

// packB44 stores each block by its first value and steps of 0 to 31, which is
// exact for values that are that near each other.
func packB44(p *exrPart, box exrBox, raw []byte) (out []byte) {
	planes := exrPlanes(p, box, raw)
	for i := range p.channels {
		ch := &p.channels[i]
		w, h := samples(ch.xs, box.x0, box.x1), samples(ch.ys, box.y0, box.y1)
		n := w * h * ch.bytes()
		if ch.kind != exrHalf {
			out = append(out, planes[:n]...)
		} else {
			for y := 0; y < h; y += 4 {
				for x := 0; x < w; x += 4 {
					out = append(out, packBlock(planes[:n], w, h, x, y)...)
				}
			}
		}
		planes = planes[n:]
	}
	return out
}

func packBlock(plane []byte, w, h, x0, y0 int) []byte {
	var t [16]uint16
	for i := range t {
		x, y := min(x0+i%4, w-1), min(y0+i/4, h-1)
		t[i] = binary.LittleEndian.Uint16(plane[2*(y*w+x):]) | 0x8000
	}
	out := binary.BigEndian.AppendUint16(nil, t[0])
	if slices.Min(t[:]) == slices.Max(t[:]) {
		return append(out, 0xfc)
	}
	bits := []int{} // 15 differences behind a shift of 0
	for i := 4; i < 16; i += 4 {
		bits = append(bits, int(t[i])-int(t[i-4])+32)
	}
	for x := 1; x < 4; x++ {
		for y := 0; y < 16; y += 4 {
			bits = append(bits, int(t[y+x])-int(t[y+x-1])+32)
		}
	}
	acc, n := uint64(0), 6
	for _, v := range bits {
		if v < 0 || v > 63 {
			panic("the sample is too steep for the test's B44 writer")
		}
		acc, n = acc<<6|uint64(v), n+6
		for n >= 8 {
			out = append(out, byte(acc>>(n-8)))
			n -= 8
		}
	}
	return out
}
