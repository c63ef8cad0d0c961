package frame

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

// hufBits collects bits, the most significant first.
type hufBits struct {
	out []byte
	acc uint64
	n   int
}

func (b *hufBits) put(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		b.acc, b.n = b.acc<<1|v>>i&1, b.n+1
		if b.n == 8 {
			b.out, b.acc, b.n = append(b.out, byte(b.acc)), 0, 0
		}
	}
}

func (b *hufBits) flush() []byte {
	for b.n != 0 {
		b.put(0, 1)
	}
	return b.out
}

// packHuf writes words with short codes for the most frequent word and the
// repeat symbol, and codes of one length for the others.
func packHuf(words []uint16) []byte {
	count := make([]int, hufSymbols)
	for _, w := range words {
		count[w]++
	}
	often, others := 0, -1
	for s, n := range count {
		if n > count[often] {
			often = s
		}
		if n > 0 {
			others++
		}
	}
	// Behind codes 1 and 01, as many codes of one length as there can be.
	long := 2 + bits.Len(uint(max(others-1, 0)))
	for s := 0; others < 1<<(long-2); s++ {
		if count[s] == 0 {
			count[s] = 1
			others++
		}
	}
	again := hufSymbols - 1
	for count[again-1] == 0 {
		again--
	}
	lens := make([]int, again+1)
	for s := range lens {
		if count[s] > 0 {
			lens[s] = long
		}
	}
	lens[often], lens[again] = 1, 2
	code := func(s int) (uint64, int) {
		switch s {
		case often:
			return 1, 1
		case again:
			return 1, 2
		}
		at := uint64(0)
		for i := range s {
			if count[i] > 0 && i != often {
				at++
			}
		}
		return at, long
	}
	known := map[int]uint64{}
	var table, data hufBits
	for s := 0; s <= again; {
		run := 0
		for s+run <= again && lens[s+run] == 0 && run < 261 {
			run++
		}
		switch {
		case run >= 6:
			table.put(hufLongZero, 6)
			table.put(uint64(run-6), 8)
		case run >= 2:
			table.put(uint64(hufShortZero+run-2), 6)
		default:
			run = 1
			table.put(uint64(lens[s]), 6)
		}
		s += run
	}
	nBits := 0
	put := func(s int) {
		c, ok := known[s]
		n := lens[s]
		if !ok {
			c, n = code(s)
			known[s] = c
		}
		data.put(c, n)
		nBits += n
	}
	for i := 0; i < len(words); {
		put(int(words[i]))
		run := 0
		for run < 255 && i+1+run < len(words) && words[i+1+run] == words[i] {
			run++
		}
		if run > 8 {
			put(again)
			data.put(uint64(run), 8)
			nBits += 8
			i += run
		}
		i++
	}
	t := table.flush()
	out := le32(0, again, len(t), nBits, 0)
	return append(append(out, t...), data.flush()...)
}

// packPIZ is the inverse of unPIZ.
func packPIZ(p *exrPart, box exrBox, raw []byte) []byte {
	planes := exrPlanes(p, box, raw)
	words := make([]uint16, len(planes)/2)
	bitmap := make([]byte, pizBitmap)
	for i := range words {
		words[i] = binary.LittleEndian.Uint16(planes[2*i:])
		bitmap[words[i]/8] |= 1 << (words[i] % 8)
	}
	lut, top := make([]uint16, 1<<16), uint16(0)
	for v := 1; v < 1<<16; v++ {
		if bitmap[v/8]>>(v%8)&1 != 0 {
			top++
			lut[v] = top
		}
	}
	for i, v := range words {
		words[i] = lut[v]
	}
	at := words
	for i := range p.channels {
		ch := &p.channels[i]
		w, h, per := samples(ch.xs, box.x0, box.x1), samples(ch.ys, box.y0, box.y1), ch.bytes()/2
		for k := range per {
			wave(at[k:], w, per, h, per*w, top)
		}
		at = at[w*h*per:]
	}
	out := binary.LittleEndian.AppendUint16(nil, 0)
	out = binary.LittleEndian.AppendUint16(out, pizBitmap-1)
	out = append(out, bitmap...)
	huf := packHuf(words)
	return append(append(out, le32(len(huf))...), huf...)
}

// wave is the inverse of unwave.
func wave(a []uint16, nx, ox, ny, oy int, top uint16) {
	pair := func(a, b uint16) (uint16, uint16) {
		x := int(a+1<<15) + int(b)
		m, d := x>>1, a+1<<15-b
		if int(a+1<<15) < int(b) {
			m += 1 << 15
		}
		return uint16(m), d
	}
	if top < 1<<14 {
		pair = func(a, b uint16) (uint16, uint16) {
			return uint16((int(int16(a)) + int(int16(b))) >> 1), a - b
		}
	}
	for p := 1; 2*p <= min(nx, ny); p *= 2 {
		ox1, oy1 := ox*p, oy*p
		y := 0
		for ; y <= ny-2*p; y += 2 * p {
			x := 0
			for ; x <= nx-2*p; x += 2 * p {
				i := y*oy + x*ox
				i00, i01 := pair(a[i], a[i+ox1])
				i10, i11 := pair(a[i+oy1], a[i+ox1+oy1])
				a[i], a[i+oy1] = pair(i00, i10)
				a[i+ox1], a[i+ox1+oy1] = pair(i01, i11)
			}
			if nx&p != 0 {
				i := y*oy + x*ox
				a[i], a[i+oy1] = pair(a[i], a[i+oy1])
			}
		}
		if ny&p != 0 {
			for x := 0; x <= nx-2*p; x += 2 * p {
				i := y*oy + x*ox
				a[i], a[i+ox1] = pair(a[i], a[i+ox1])
			}
		}
	}
}

// dwaStyle says how DWA chunks are written.
type dwaStyle struct {
	version int
	huffman bool // for the coefficients, else deflate
}

// pack writes R, G and B of a layer as one set, Y alone, A as run-lengths and
// all else plain, without quantising.
func (s dwaStyle) pack(p *exrPart, box exrBox, raw []byte) []byte {
	planes := exrPlanes(p, box, raw)
	rules := dwaOldRules
	var list []byte
	if s.version == 2 {
		rules = nil
		for i, name := range []string{"R", "G", "B", "Y", "A"} {
			for _, kind := range []int{exrHalf, exrFloat} {
				r := dwaRule{name, kind, dwaDCT, i, false}
				if i > 2 {
					r.colour = -1
				}
				if name == "A" {
					r.scheme = dwaRLE
				}
				rules = append(rules, r)
				list = append(append(list, name...), 0, byte((r.colour+1)<<4|r.scheme<<2), byte(kind))
			}
		}
		list = append(binary.LittleEndian.AppendUint16(nil, uint16(len(list)+2)), list...)
	}
	plan := planDWA(p, box, rules)
	var plain, alpha []byte
	var ac, dc []uint16
	sets := map[string][]*dwaChannel{}
	for i := range plan {
		c := &plan[i]
		layer := c.name[:strings.LastIndexByte(c.name, '.')+1]
		if c.colour >= 0 {
			sets[layer] = append([]*dwaChannel{c}, sets[layer]...) // B, G, R in the file
		}
		if len(sets[layer]) == 3 && !c.done && c.colour >= 0 {
			forwardDCT(sets[layer], planes, &ac, &dc)
		}
	}
	for i := range plan {
		c := &plan[i]
		plane := planes[c.at : c.at+c.size()]
		switch {
		case c.scheme == dwaPlain:
			plain = append(plain, plane...)
		case c.scheme == dwaRLE:
			for k := range c.bytes() {
				for j := k; j < len(plane); j += c.bytes() {
					alpha = append(alpha, plane[j])
				}
			}
		case !c.done:
			forwardDCT([]*dwaChannel{c}, planes, &ac, &dc)
		}
	}
	return s.join(list, plain, alpha, ac, dc)
}

func (s dwaStyle) join(list, plain, alpha []byte, ac, dc []uint16) []byte {
	bytesOf := func(w []uint16) (b []byte) {
		for _, v := range w {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		return b
	}
	runs := exrRuns(alpha)
	packed := [][]byte{nil, nil, nil, nil}
	if len(plain) > 0 {
		packed[0] = deflate(plain)
	}
	coding := 1
	if len(ac) > 0 {
		if packed[1] = deflate(bytesOf(ac)); s.huffman {
			packed[1], coding = packHuf(ac), 0
		}
	}
	if len(dc) > 0 {
		packed[2] = deflate(exrShuffle(bytesOf(dc)))
	}
	if len(alpha) > 0 {
		packed[3] = deflate(runs)
	}
	var out []byte
	for _, n := range []int{s.version, len(plain), len(packed[0]), len(packed[1]), len(packed[2]), len(packed[3]), len(runs), len(alpha), len(ac), len(dc), coding} {
		out = binary.LittleEndian.AppendUint64(out, uint64(n))
	}
	out = append(out, list...)
	for _, b := range packed {
		out = append(out, b...)
	}
	return out
}

// forwardDCT transforms the blocks of a set by the definition of the transform.
func forwardDCT(set []*dwaChannel, planes []byte, ac, dc *[]uint16) {
	first := set[0]
	var means [3][]uint16
	for i := range first.blocks() {
		x0, y0 := i%((first.w+7)/8)*8, i/((first.w+7)/8)*8
		var f [3][64]float64
		for k, c := range set {
			c.done = true
			for j := range 64 {
				f[k][j] = dwaCode(c.plainValue(planes, min(x0+j%8, c.w-1), min(y0+j/8, c.h-1)))
			}
		}
		for j := range 64 {
			if r, g, b := f[0][j], f[1][j], f[2][j]; len(set) == 3 {
				f[0][j] = 0.2126*r + 0.7152*g + 0.0722*b
				f[1][j] = (b - f[0][j]) / 1.8556
				f[2][j] = (r - f[0][j]) / 1.5747
			}
		}
		for k := range set {
			means[k] = append(means[k], coefficient(&f[k], 0))
			last := 63
			for last > 0 && coefficient(&f[k], last)&0x7fff == 0 {
				last--
			}
			for j := 1; j <= last; j++ {
				*ac = append(*ac, coefficient(&f[k], j))
			}
			if last < 63 {
				*ac = append(*ac, 0xff00)
			}
		}
	}
	for k := range set {
		*dc = append(*dc, means[k]...)
	}
}

func (c *dwaChannel) plainValue(planes []byte, x, y int) float64 {
	at := planes[c.at+(y*c.w+x)*c.bytes():]
	if c.kind == exrHalf {
		return float64(halfToFloat(binary.LittleEndian.Uint16(at)))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(at)))
}

// dwaCode is the curve that dwaCurve undoes.
func dwaCode(v float64) float64 {
	if v <= 1 {
		return math.Pow(v, 1/2.2)
	}
	return math.Log(v)/2.2 + 1
}

// coefficient returns number j in zig-zag order of the block's transform, small
// ones as 0.
func coefficient(f *[64]float64, j int) uint16 {
	u, v := int(zigZag[j])%8, int(zigZag[j])/8
	sum := 0.0
	for i, x := range f {
		sum += x * math.Cos(float64(2*(i%8)+1)*float64(u)*math.Pi/16) * math.Cos(float64(2*(i/8)+1)*float64(v)*math.Pi/16)
	}
	for _, k := range []int{u, v} {
		if k == 0 {
			sum /= math.Sqrt2
		}
	}
	if sum /= 4; j > 0 && math.Abs(sum) < 1e-3 {
		return 0
	}
	return floatToHalf(float32(sum))
}
