package frame

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"strconv"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Scale says what the colours of a false-colour picture stand for.
type Scale struct {
	Side      int     // longer side of the picture; 0 keeps its size
	Low, High float64 // luminance of the darkest and the lightest colour; both 0 for the picture's own
	Linear    bool    // equal steps of luminance rather than of its logarithm
}

// maxDecades bounds the range that a logarithmic scale gets of itself: a few
// pixels of almost nothing would leave no colour for the rest.
const maxDecades = 1e4

// FalseColourPNG writes a picture of light values as a PNG in false colours of
// luminance (candela per square metre for Radiance pictures, relative luminance
// for others), with a legend to the right of it. Errors are those of ReadHDR and
// of FalseColour.
func FalseColourPNG(w io.Writer, r io.ReaderAt, size int64, s Scale) error {
	m, err := ReadHDR(r, size, s.Side)
	if err != nil {
		return err
	}
	if s.Low == 0 && s.High == 0 {
		s = s.of(m)
	}
	img, err := m.FalseColour(s.Low, s.High, !s.Linear)
	if err != nil {
		return err
	}
	return png.Encode(w, s.legend(img, m.Format == HDR))
}

// of is the scale with the range of a picture.
func (s Scale) of(m *HDRImage) Scale {
	low, high, _ := m.Range()
	if high == 0 {
		low, high = 1, 10 // it is black
	}
	low = max(low, high/maxDecades)
	if s.Linear {
		low = 0
	} else if low >= high {
		low = high / 10 // one value all over
	}
	s.Low, s.High = low, high
	return s
}

// Sizes in a legend, in pixels.
const (
	legendWide = 96
	legendBar  = 16
	legendGap  = 8
	legendHigh = 120 // at least: its labels need room
	legendLine = 13  // of text
)

// legend puts the scale beside the picture.
func (s Scale) legend(img *image.RGBA, candela bool) *image.RGBA {
	wide, high := img.Bounds().Dx(), img.Bounds().Dy()
	all := image.NewRGBA(image.Rect(0, 0, wide+legendWide, max(high, legendHigh)))
	draw.Draw(all, all.Bounds(), image.NewUniform(color.RGBA{24, 24, 24, 255}), image.Point{}, draw.Src)
	draw.Draw(all, img.Bounds(), img, image.Point{}, draw.Src)
	top, bottom := legendGap+legendLine, all.Bounds().Dy()-legendGap
	unit := "relative"
	if candela {
		unit = "cd/m2"
	}
	write(all, wide+legendGap, legendLine, unit)
	for y := top; y < bottom; y++ {
		c := FalseColourAt(float64(bottom-1-y) / float64(bottom-1-top))
		for x := range legendBar {
			all.SetRGBA(wide+legendGap+x, y, c)
		}
	}
	steps := len(falseColours) - 1
	for i := range steps + 1 {
		at := float64(i) / float64(steps)
		y := bottom - 1 - int(at*float64(bottom-1-top))
		write(all, wide+2*legendGap+legendBar, min(max(y+4, top+9), bottom), label(s.At(at)))
	}
	return all
}

// At is the luminance at 0 (Low) to 1 (High) of the scale.
func (s Scale) At(at float64) float64 {
	if s.Linear {
		return s.Low + at*(s.High-s.Low)
	}
	return s.Low * math.Pow(s.High/s.Low, at)
}

func label(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func write(to *image.RGBA, x, y int, text string) {
	d := font.Drawer{Dst: to, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// ParseScale reads "LOW-HIGH" for Low and High, "" for the picture's own range.
func ParseScale(text string, linear bool, side int) (Scale, error) {
	s := Scale{Side: side, Linear: linear}
	if text == "" {
		return s, nil
	}
	var rest string
	n, err := fmt.Sscanf(text+" .", "%g-%g %s", &s.Low, &s.High, &rest)
	if err != nil || n != 3 || rest != "." || !(s.High > s.Low) || s.Low < 0 || s.High > 1e30 || s.Low == 0 && !linear {
		return s, fmt.Errorf("%.40q is no range of luminance: give the lowest and the highest, such as 10-1000; 0 is only possible in a linear one", text)
	}
	return s, nil
}
