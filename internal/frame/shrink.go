package frame

import (
	"image"
	"image/color"
	"math"
)

// backdrop is the grey behind transparent pixels of thumbnails and views.
const backdrop = 0x50

// shrinker averages a picture's pixels into the boxes of a smaller one as the
// lines come by, so that the picture itself is never held.
type shrinker struct {
	sw, sh, tw, th int
	alpha          bool
	edge           []int // edge[tx] is the first source column of box tx; tw+1 of them

	sum []uint64  // 8-bit pictures: R, G, B times alpha, and alpha times 255
	lin []float64 // float pictures: R, G, B, A; nil until the first line
}

// fit returns w and h scaled down so that the longer one is at most side.
func fit(w, h, side int) (int, int) {
	long := max(w, h)
	if long <= side {
		return w, h
	}
	return max(1, w*side/long), max(1, h*side/long)
}

func newShrinker(w, h, side int, alpha bool) *shrinker {
	tw, th := fit(w, h, side)
	s := &shrinker{sw: w, sh: h, tw: tw, th: th, alpha: alpha, edge: make([]int, tw+1)}
	for tx := range s.edge {
		s.edge[tx] = boxEdge(tx, tw, w)
	}
	return s
}

// boxEdge returns the first of n source pixels whose i*t/n is at least box.
func boxEdge(box, t, n int) int { return (box*n + t - 1) / t }

func (s *shrinker) rgba(y, x0, dx int, row []byte) {
	if s.sum == nil {
		s.sum = make([]uint64, 4*s.tw*s.th)
	}
	line := s.sum[4*s.tw*(y*s.th/s.sh):][:4*s.tw]
	tx := x0 * s.tw / s.sw
	for x := x0; len(row) >= 4; {
		for x >= s.edge[tx+1] {
			tx++
		}
		n := min((s.edge[tx+1]-x+dx-1)/dx, len(row)/4)
		s.box(line[4*tx:4*tx+4], row[:4*n])
		row, x = row[4*n:], x+n*dx
	}
}

// box adds the pixels of run to one box.
func (s *shrinker) box(sum []uint64, run []byte) {
	var r, g, b, a uint32 // a run is at most MaxSide pixels
	if !s.alpha {
		for i := 0; i+3 < len(run); i += 4 {
			r += uint32(run[i])
			g += uint32(run[i+1])
			b += uint32(run[i+2])
		}
		r64, n := uint64(255), uint64(len(run)/4)
		sum[0] += r64 * uint64(r)
		sum[1] += r64 * uint64(g)
		sum[2] += r64 * uint64(b)
		sum[3] += r64 * 255 * n
		return
	}
	for ; len(run) >= 4; run = run[4:] {
		v := uint32(run[3])
		sum[0] += uint64(v * uint32(run[0]))
		sum[1] += uint64(v * uint32(run[1]))
		sum[2] += uint64(v * uint32(run[2]))
		a += v
	}
	sum[3] += 255 * uint64(a)
}

func (s *shrinker) linear(y, x0 int, row []float32) {
	if s.lin == nil {
		s.lin = make([]float64, 4*s.tw*s.th)
	}
	line := s.lin[4*s.tw*(y*s.th/s.sh):][:4*s.tw]
	tx := x0 * s.tw / s.sw
	for x := x0; len(row) >= 4; tx++ {
		n := min(s.edge[tx+1]-x, len(row)/4)
		var sum [4]float64
		for run := row[:4*n]; len(run) >= 4; run = run[4:] {
			sum[0] += float64(tame(run[0]))
			sum[1] += float64(tame(run[1]))
			sum[2] += float64(tame(run[2]))
			sum[3] += float64(tame(run[3]))
		}
		for k, v := range sum {
			line[4*tx+k] += v
		}
		row, x = row[4*n:], x+n
	}
}

// tame keeps a broken value from spoiling its box: what is not a number is 0,
// what is infinite merely very bright.
func tame(v float32) float32 {
	if v-v == 0 {
		return v
	}
	if v != v {
		return 0
	}
	return float32(math.Copysign(1e30, float64(v)))
}

// boxPixels returns the number of source pixels in box (tx, ty).
func (s *shrinker) boxPixels(tx, ty int) int {
	rows := boxEdge(ty+1, s.th, s.sh) - boxEdge(ty, s.th, s.sh)
	return rows * (s.edge[tx+1] - s.edge[tx])
}

// floats returns the averaged values of a float picture.
func (s *shrinker) floats(f Format) *HDRImage {
	m := newHDRImage(f, s.tw, s.th)
	m.alpha = s.alpha
	if s.lin == nil {
		return m
	}
	for ty := range s.th {
		for tx := range s.tw {
			i, n := 4*(ty*s.tw+tx), float64(s.boxPixels(tx, ty))
			for k := range 4 {
				m.Pix[i+k] = float32(s.lin[i+k] / n)
			}
		}
	}
	return m
}

// image returns the thumbnail, opaque.
func (s *shrinker) image(f Format) image.Image {
	if s.lin != nil {
		if m := s.floats(f); f == HDR {
			return m.ToneMap()
		} else {
			return m.View(0)
		}
	}
	img := image.NewRGBA(image.Rect(0, 0, s.tw, s.th))
	for ty := range s.th {
		for tx := range s.tw {
			img.SetRGBA(tx, ty, s.pixel(tx, ty))
		}
	}
	return img
}

func (s *shrinker) pixel(tx, ty int) color.RGBA {
	px := color.RGBA{backdrop, backdrop, backdrop, 255}
	if s.sum == nil {
		return px
	}
	i, whole := 4*(ty*s.tw+tx), uint64(255*255*s.boxPixels(tx, ty))
	behind := backdrop * (whole - min(whole, s.sum[i+3])) / 255
	mix := func(v uint64) uint8 { return uint8(min(255, (255*(v+behind)+whole/2)/whole)) }
	px.R, px.G, px.B = mix(s.sum[i]), mix(s.sum[i+1]), mix(s.sum[i+2])
	return px
}
