package frame

import (
	"bytes"
	"fmt"
	"math"
)

// hdrPixels is a Radiance picture's stored pixels: mantissas and exponents.
type hdrPixels struct {
	w, h int
	px   [][4]byte
}

// hdrSample has runs and differences, and no two lines alike.
func hdrSample(w, h int) hdrPixels {
	p := hdrPixels{w, h, make([][4]byte, w*h)}
	for i := range p.px {
		x, y := i%w, i/w
		p.px[i] = [4]byte{byte(128 + x/5%100), byte(200 - y%150), byte(3 * y), byte(120 + (x+y)/7%16)}
	}
	return p
}

func (p hdrPixels) value(x, y int) (v [3]float32) {
	px := p.px[y*p.w+x]
	for k := range v {
		if px[3] > 0 {
			v[k] = float32((float64(px[k]) + 0.5) * math.Pow(2, float64(px[3])-136))
		}
	}
	return v
}

// file writes the picture with the given header lines and size line.
func (p hdrPixels) file(header, size string, line func([][4]byte) []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#?RADIANCE\n%s\n%s\n", header, size)
	for i := 0; i < len(p.px); i += p.w {
		b.Write(line(p.px[i : i+p.w]))
	}
	return b.Bytes()
}

// std writes it as rpict does, with new run-lengths.
func (p hdrPixels) std() []byte {
	return p.file("FORMAT=32-bit_rle_rgbe\n", fmt.Sprintf("-Y %d +X %d", p.h, p.w), hdrNew)
}

func hdrFlat(px [][4]byte) (out []byte) {
	for _, p := range px {
		out = append(out, p[:]...)
	}
	return out
}

// hdrOld repeats pixels by pixels with mantissas of 1, in digits of 8 bits.
func hdrOld(px [][4]byte) (out []byte) {
	for i := 0; i < len(px); {
		out = append(out, px[i][:]...)
		n := 0
		for i+1+n < len(px) && px[i+1+n] == px[i] {
			n++
		}
		for rest := n; rest > 0; rest >>= 8 {
			out = append(out, 1, 1, 1, byte(rest))
		}
		i += 1 + n
	}
	return out
}

func hdrNew(px [][4]byte) []byte {
	n := len(px)
	out := []byte{2, 2, byte(n >> 8), byte(n)}
	for k := range 4 {
		for i := 0; i < n; {
			run := 1
			for run < 127 && i+run < n && px[i+run][k] == px[i][k] {
				run++
			}
			if run > 1 {
				out = append(out, byte(128+run), px[i][k])
			} else {
				out = append(out, 1, px[i][k])
			}
			i += run
		}
	}
	return out
}
