package frame

import (
	"encoding/binary"
	"io"
	"math"
	"strings"
	"sync"
)

// channels puts the channels into planes, one after another: first the sets of
// red, green and blue of each layer, then the rest in file order.
func (w *dwaDecoder) channels(plan []dwaChannel, planes []byte) error {
	var layers []string
	sets := map[string]*[3]*dwaChannel{}
	for i := range plan {
		c := &plan[i]
		layer := c.name[:strings.LastIndexByte(c.name, '.')+1]
		if sets[layer] == nil {
			layers = append(layers, layer)
			sets[layer] = &[3]*dwaChannel{}
		}
		if c.colour >= 0 {
			sets[layer][c.colour] = c
		}
	}
	for _, layer := range layers {
		set := sets[layer]
		if !together(set) {
			continue
		}
		if err := w.dct(set[:], planes); err != nil {
			return err
		}
	}
	for i := range plan {
		c := &plan[i]
		dst := planes[c.at : c.at+c.size()]
		switch {
		case c.scheme == dwaPlain:
			w.plain = w.plain[copy(dst, w.plain):]
		case c.scheme == dwaRLE:
			w.mix(c, dst)
		case !c.done:
			if err := w.dct([]*dwaChannel{c}, planes); err != nil {
				return err
			}
		}
	}
	if len(w.ac) > 0 {
		return errDWA
	}
	return nil
}

// together reports whether a layer's colours are coded as one set.
func together(set *[3]*dwaChannel) bool {
	for _, c := range set {
		if c == nil || c.scheme != dwaDCT || c.xs != set[0].xs || c.ys != set[0].ys {
			return false
		}
	}
	return true
}

// mix puts the planes of bytes of a run-length channel together.
func (w *dwaDecoder) mix(c *dwaChannel, dst []byte) {
	n, size := c.w*c.h, c.bytes()
	for k := range size {
		for i, v := range w.rle[k*n : (k+1)*n] {
			dst[i*size+k] = v
		}
	}
	w.rle = w.rle[n*size:]
}

// zigZag is the place of each coefficient in its block.
var zigZag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// dct decodes the blocks of one channel, or of three coded as one.
func (w *dwaDecoder) dct(set []*dwaChannel, planes []byte) error {
	first := set[0]
	blocks := first.blocks()
	dc := w.dc[:blocks*len(set)]
	w.dc = w.dc[len(dc):]
	var f [3][64]float32
	across := (first.w + 7) / 8
	for i := range blocks {
		for k := range set {
			if err := w.block(&f[k], dc[k*blocks+i]); err != nil {
				return err
			}
		}
		if len(set) == 3 {
			fromYCC(&f)
		}
		for k, c := range set {
			c.store(&f[k], i%across*8, i/across*8, planes[c.at:c.at+c.size()], len(set) == 3)
			c.done = true
		}
	}
	return nil
}

// block reads the coefficients of a block and transforms them back. A word of
// 0xff00 ends the block, 0xff01 to 0xffff are runs of zeros.
func (w *dwaDecoder) block(f *[64]float32, dc uint16) error {
	half := halfTable()
	clear(f[:])
	f[0] = half[dc]
	flat := true
	for i := 1; i < 64; {
		if len(w.ac) == 0 {
			return io.ErrUnexpectedEOF
		}
		v := w.ac[0]
		w.ac = w.ac[1:]
		switch {
		case v == 0xff00:
			i = 64
		case v > 0xff00:
			i += int(v & 0xff)
		default:
			f[zigZag[i]] = half[v]
			flat = false
			i++
		}
	}
	if flat {
		v := f[0] * (dctA * dctA)
		for i := range f {
			f[i] = v
		}
		return nil
	}
	inverseDCT(f)
	return nil
}

const (
	dctA = 0.35355339
	dctB = 0.49039264
	dctC = 0.46193977
	dctD = 0.41573481
	dctE = 0.27778512
	dctF = 0.19134172
	dctG = 0.09754516
)

// inverseDCT transforms the lines of a block, then its columns.
func inverseDCT(f *[64]float32) {
	for i := 0; i < 64; i += 8 {
		idct8(f, i, 1)
	}
	for i := range 8 {
		idct8(f, i, 8)
	}
}

func idct8(f *[64]float32, at, step int) {
	var v [8]float32
	for i := range v {
		v[i] = f[at+i*step]
	}
	b := [4]float32{
		dctB*v[1] + dctD*v[3] + dctE*v[5] + dctG*v[7],
		dctD*v[1] - dctG*v[3] - dctB*v[5] - dctE*v[7],
		dctE*v[1] - dctB*v[3] + dctG*v[5] + dctD*v[7],
		dctG*v[1] - dctE*v[3] + dctD*v[5] - dctB*v[7],
	}
	t0, t3 := dctA*(v[0]+v[4]), dctA*(v[0]-v[4])
	t1, t2 := dctC*v[2]+dctF*v[6], dctF*v[2]-dctC*v[6]
	g := [4]float32{t0 + t1, t3 + t2, t3 - t2, t0 - t1}
	for i := range 4 {
		f[at+i*step] = g[i] + b[i]
		f[at+(7-i)*step] = g[i] - b[i]
	}
}

// fromYCC turns brightness and two colour differences (Rec. 709) into RGB.
func fromYCC(f *[3][64]float32) {
	for i := range 64 {
		y, cb, cr := f[0][i], f[1][i], f[2][i]
		f[0][i] = y + 1.5747*cr
		f[1][i] = y - 0.1873*cb - 0.4682*cr
		f[2][i] = y + 1.8556*cb
	}
}

// store writes a block at (x0, y0) into the channel's plane.
func (c *dwaChannel) store(f *[64]float32, x0, y0 int, plane []byte, inSet bool) {
	curve := dwaCurve()
	for y := range min(8, c.h-y0) {
		for x := range min(8, c.w-x0) {
			v := floatToHalf(f[8*y+x])
			if inSet || !c.linear {
				v = curve[v]
			}
			i := (y0+y)*c.w + x0 + x
			if c.kind == exrHalf {
				binary.LittleEndian.PutUint16(plane[2*i:], v)
			} else {
				binary.LittleEndian.PutUint32(plane[4*i:], math.Float32bits(halfTable()[v]))
			}
		}
	}
}

// dwaCurve turns stored halfs into linear light: gamma 2.2 up to 1, beyond it
// exponential.
var dwaCurve = sync.OnceValue(func() *[1 << 16]uint16 {
	var t [1 << 16]uint16
	for i := range t {
		if i&0x7c00 == 0x7c00 {
			continue
		}
		f := float64(halfToFloat(uint16(i)))
		v := math.Pow(math.Abs(f), 2.2)
		if math.Abs(f) > 1 {
			v = math.Exp(2.2 * (math.Abs(f) - 1))
		}
		t[i] = floatToHalf(float32(math.Copysign(v, f)))
	}
	return &t
})
