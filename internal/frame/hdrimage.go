package frame

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// MaxFloatPixels is the largest number of pixels of an HDRImage.
const MaxFloatPixels = 1 << 24

// HDRImage is a picture of light values rather than of display colours.
type HDRImage struct {
	Width, Height int
	// Pix holds red, green, blue and alpha of each pixel, line by line from the
	// top left, linear, alpha multiplied in. For a Radiance picture colours are
	// radiance in watts per steradian and square metre: the exposure of the
	// file is divided out.
	Pix []float32
	// Exposure is the product of the EXPOSURE lines of a Radiance picture, 1
	// for other formats. Value times Exposure is what the file has stored.
	Exposure float64
	Format   Format

	alpha bool // some of the picture may be transparent
	// When the values are averaged down, the picture's lines go here.
	shrink *shrinker
}

func newHDRImage(f Format, w, h int) *HDRImage {
	return &HDRImage{Width: w, Height: h, Pix: make([]float32, 4*w*h), Exposure: 1, Format: f}
}

// ReadHDR reads the values of a whole Radiance, OpenEXR or float TIFF picture.
// With side above 0 the values are averaged down to a picture whose longer side
// is at most that; with 0 the picture must have at most MaxFloatPixels pixels.
// Errors are those of Prove; a picture of another format is a WrongFormat fault.
func ReadHDR(r io.ReaderAt, size int64, side int) (*HDRImage, error) {
	if side < 0 || side > MaxThumbnail {
		return nil, fmt.Errorf("picture of %d pixels: the longer side must be 0 to %d", side, MaxThumbnail)
	}
	m := &HDRImage{Exposure: 1}
	c := &canvas{want: Want{AllowBlack: true}, float: m, side: side}
	if err := decode(r, size, c); err != nil {
		return nil, err
	}
	if c.info.StructureOnly {
		return nil, unsupported(c.info.Format, "its deep samples make no picture without compositing")
	}
	if c.low {
		return nil, &Fault{Kind: WrongFormat, Format: c.info.Format, Message: fmt.Sprintf("the %s picture has display colours: only Radiance, OpenEXR and float TIFF pictures have values", c.info.Format)}
	}
	if m.shrink != nil {
		small := m.shrink.floats(m.Format)
		m.Width, m.Height, m.Pix, m.shrink = small.Width, small.Height, small.Pix, nil
	}
	if m.Pix == nil { // no line of the file is inside the picture
		m.Pix = make([]float32, 4*m.Width*m.Height)
	}
	return m, nil
}

// open prepares for a picture of w by h pixels.
func (m *HDRImage) open(f Format, w, h, side int) error {
	m.Format, m.Width, m.Height = f, w, h
	if side > 0 {
		m.shrink = newShrinker(w, h, side, true)
		return nil
	}
	if w*h > MaxFloatPixels {
		return &Fault{Kind: TooLarge, Format: f, Message: fmt.Sprintf("the picture is %dx%d, more than the %d pixels whose values Drover holds at once: ask for a smaller view", w, h, MaxFloatPixels)}
	}
	return nil
}

// take keeps the values of part of a line.
func (m *HDRImage) take(y, x0 int, row []float32) {
	if m.shrink != nil {
		m.shrink.linear(y, x0, row)
		return
	}
	if m.Pix == nil {
		m.Pix = make([]float32, 4*m.Width*m.Height)
	}
	copy(m.Pix[4*(y*m.Width+x0):], row)
}

// At returns the red, green and blue value of a pixel. It must be inside.
func (m *HDRImage) At(x, y int) (r, g, b float32) {
	px := m.Pix[4*(y*m.Width+x):]
	return px[0], px[1], px[2]
}

// Luminance returns the brightness of a pixel: of a Radiance picture in candela
// per square metre (179 lumens a watt, Radiance's primaries), of others as the
// relative luminance of Rec. 709.
func (m *HDRImage) Luminance(x, y int) float64 {
	return m.luminance(m.Pix[4*(y*m.Width+x):])
}

func (m *HDRImage) luminance(px []float32) float64 {
	r, g, b := float64(px[0]), float64(px[1]), float64(px[2])
	if m.Format == HDR {
		return 179 * (0.2651*r + 0.6701*g + 0.0648*b)
	}
	return 0.2126*r + 0.7152*g + 0.0722*b
}

// Range returns the smallest and the largest luminance above 0, and the
// logarithmic mean of all above 0; all 0 for a picture without any.
func (m *HDRImage) Range() (low, high, mean float64) {
	sum, n := 0.0, 0
	for i := 0; i+3 < len(m.Pix); i += 4 {
		l := m.luminance(m.Pix[i:])
		if !(l > 0) || math.IsInf(l, 0) {
			continue
		}
		if n == 0 {
			low, high = l, l
		}
		low, high = min(low, l), max(high, l)
		sum += math.Log(l)
		n++
	}
	if n == 0 {
		return 0, 0, 0
	}
	return low, high, math.Exp(sum / float64(n))
}

// AutoStops returns the exposure in stops that makes the mean luminance a
// middle grey. It suits View.
func (m *HDRImage) AutoStops() float64 {
	_, _, mean := m.Range()
	if mean == 0 {
		return 0
	}
	unit := m.luminance([]float32{1, 1, 1})
	return math.Log2(0.18 * unit / mean)
}

// View returns the picture as a display shows it: values times 2^stops through
// the sRGB curve, what is brighter than the display cut off, over grey where it
// is transparent.
func (m *HDRImage) View(stops float64) *image.RGBA {
	gain := math.Exp2(stops)
	return m.paint(func(px []float32) (r, g, b float64) {
		return gain * float64(px[0]), gain * float64(px[1]), gain * float64(px[2])
	})
}

// ToneMap returns the picture with its whole range of brightness fitted to a
// display (Reinhard's global operator with the mean luminance as middle grey).
func (m *HDRImage) ToneMap() *image.RGBA {
	_, high, mean := m.Range()
	if mean == 0 {
		return m.View(0)
	}
	key := 0.18 / mean
	white := max(high*key, 1)
	return m.paint(func(px []float32) (r, g, b float64) {
		l := m.luminance(px)
		if !(l > 0) {
			return 0, 0, 0
		}
		v := l * key
		gain := v * (1 + v/(white*white)) / (1 + v) / l * m.luminance([]float32{1, 1, 1})
		return gain * float64(px[0]), gain * float64(px[1]), gain * float64(px[2])
	})
}

// paint makes a display picture of what shade makes of each pixel.
func (m *HDRImage) paint(shade func(px []float32) (r, g, b float64)) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	behind := srgbToLinear(backdrop / 255.0)
	for i := 0; i+3 < len(m.Pix); i += 4 {
		r, g, b := shade(m.Pix[i : i+4])
		if m.alpha {
			rest := behind * (1 - min(1, max(0, float64(m.Pix[i+3]))))
			r, g, b = r+rest, g+rest, b+rest
		}
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = srgb(r), srgb(g), srgb(b), 255
	}
	return img
}

// srgb returns the 8-bit display value of linear light (IEC 61966-2-1).
func srgb(v float64) uint8 {
	switch {
	case !(v > 0):
		return 0
	case v >= 1:
		return 255
	case v <= 0.0031308:
		v *= 12.92
	default:
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return uint8(v*255 + 0.5)
}

func srgbToLinear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// falseColours goes from dark to light and from blue to yellow, so that the
// order can be read without seeing colours.
var falseColours = [...]color.RGBA{
	{16, 12, 60, 255}, {36, 52, 132, 255}, {30, 108, 142, 255},
	{40, 158, 128, 255}, {120, 198, 84, 255}, {248, 228, 48, 255},
}

// FalseColour returns a picture whose colours stand for luminance: the darkest
// for low and below, the lightest for high and above, with equal steps of the
// value between them, or of its logarithm. high must be above low, and low above
// 0 for logarithmic steps.
func (m *HDRImage) FalseColour(low, high float64, logarithmic bool) (*image.RGBA, error) {
	if !(high > low) || math.IsInf(high-low, 0) || logarithmic && !(low > 0) {
		return nil, fmt.Errorf("false colours from %g to %g: the second must be larger, and the first above 0 for logarithmic steps", low, high)
	}
	img := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i := 0; i+3 < len(m.Pix); i += 4 {
		l := m.luminance(m.Pix[i:])
		at := (l - low) / (high - low)
		if logarithmic {
			at = math.Log(l/low) / math.Log(high/low)
		}
		c := FalseColourAt(at)
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, 255
	}
	return img, nil
}

// FalseColourAt returns the colour of FalseColour's scale at 0 (low) to 1
// (high), for a legend.
func FalseColourAt(at float64) color.RGBA {
	last := len(falseColours) - 1
	if !(at > 0) {
		return falseColours[0]
	}
	if at >= 1 {
		return falseColours[last]
	}
	i := int(at * float64(last))
	a, b, t := falseColours[i], falseColours[i+1], at*float64(last)-float64(i)
	mix := func(x, y uint8) uint8 { return uint8(float64(x)*(1-t) + float64(y)*t + 0.5) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}
