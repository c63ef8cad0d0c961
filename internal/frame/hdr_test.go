package frame

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"testing"
)

func readHDR(t testing.TB, b []byte, side int) *HDRImage {
	t.Helper()
	m, err := ReadHDR(bytes.NewReader(b), int64(len(b)), side)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHDRValues(t *testing.T) {
	t.Parallel()
	codings := map[string]func([][4]byte) []byte{"flat": hdrFlat, "old runs": hdrOld, "new runs": hdrNew}
	for name, line := range codings {
		for _, w := range []int{1, 7, 8, 40, 700} {
			if name == "new runs" && w < 8 {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d wide", name, w), func(t *testing.T) {
				t.Parallel()
				p := hdrSample(w, 9)
				b := p.file("FORMAT=32-bit_rle_rgbe\n", fmt.Sprintf("-Y 9 +X %d", w), line)
				m := readHDR(t, b, 0)
				for y := range 9 {
					for x := range w {
						if r, g, bl := m.At(x, y); [3]float32{r, g, bl} != p.value(x, y) {
							t.Fatalf("pixel %d,%d is %g %g %g, want %g", x, y, r, g, bl, p.value(x, y))
						}
					}
				}
				if w <= 40 {
					cutEverywhere(t, b, HDR, 0)
				}
			})
		}
	}
}

// The run of 300 pixels takes two digits.
func TestHDROldRunOfTwoDigits(t *testing.T) {
	t.Parallel()
	p := hdrPixels{301, 1, make([][4]byte, 301)}
	for i := range p.px {
		p.px[i] = [4]byte{200, 100, 50, 130}
	}
	b := p.file("", "-Y 1 +X 301", hdrOld)
	if want := []byte{200, 100, 50, 130, 1, 1, 1, 300 & 255, 1, 1, 1, 300 >> 8}; !bytes.HasSuffix(b, want) {
		t.Fatalf("the file ends in % x", b[len(b)-12:])
	}
	m := readHDR(t, b, 0)
	if r, g, bl := m.At(300, 0); [3]float32{r, g, bl} != p.value(300, 0) {
		t.Errorf("last pixel is %g %g %g", r, g, bl)
	}
}

func TestHDRTurned(t *testing.T) {
	t.Parallel()
	p := hdrSample(12, 9)
	last := func(x, n int) int { return n - 1 - x }
	same := func(x, _ int) int { return x }
	tests := []struct {
		size   string
		x, y   func(v, n int) int // where a stored pixel belongs
		turned bool
	}{
		{"-Y 9 +X 12", same, same, false},
		{"-Y 9 -X 12", last, same, false},
		{"+Y 9 +X 12", same, last, false},
		{"+Y 9 -X 12", last, last, false},
		{"+X 9 -Y 12", same, same, true},
		{"-X 9 -Y 12", last, same, true},
		{"+X 9 +Y 12", same, last, true},
		{"-X 9 +Y 12", last, last, true},
	}
	for _, tc := range tests {
		t.Run(tc.size, func(t *testing.T) {
			t.Parallel()
			m := readHDR(t, p.file("", tc.size, hdrNew), 0)
			for line := range 9 {
				for i := range 12 {
					x, y, w, h := i, line, 12, 9
					if tc.turned {
						x, y, w, h = line, i, 9, 12
					}
					if m.Width != w || m.Height != h {
						t.Fatalf("size is %dx%d", m.Width, m.Height)
					}
					if r, _, _ := m.At(tc.x(x, w), tc.y(y, h)); r != p.value(i, line)[0] {
						t.Fatalf("stored pixel %d of line %d is not at %d,%d", i, line, tc.x(x, w), tc.y(y, h))
					}
				}
			}
		})
	}
}

func TestHDRExposure(t *testing.T) {
	t.Parallel()
	p := hdrSample(16, 4)
	b := p.file("rpict -vp 0 0 1\nEXPOSURE=2.0\nSOFTWARE= x\nEXPOSURE= 4\nFORMAT=32-bit_rle_rgbe\n", "-Y 4 +X 16", hdrNew)
	m := readHDR(t, b, 0)
	if m.Exposure != 8 {
		t.Errorf("exposure is %g", m.Exposure)
	}
	if r, _, _ := m.At(3, 2); r != p.value(3, 2)[0]/8 {
		t.Errorf("value is %g, want %g", r, p.value(3, 2)[0]/8)
	}
}

func TestHDRXYZ(t *testing.T) {
	t.Parallel()
	// Equal energy white is Radiance's white: XYZ 1, 1, 1 is RGB 1, 1, 1.
	p := hdrPixels{8, 1, make([][4]byte, 8)}
	for i := range p.px {
		p.px[i] = [4]byte{128, 128, 128, 129}
	}
	m := readHDR(t, p.file("FORMAT=32-bit_rle_xyze\n", "-Y 1 +X 8", hdrNew), 0)
	r, g, b := m.At(0, 0)
	for _, v := range []float32{r, g, b} {
		if !near(float64(v), 128.5/128, 2e-4) {
			t.Errorf("white is %g %g %g", r, g, b)
		}
	}
}

func TestHDRFaults(t *testing.T) {
	t.Parallel()
	p := hdrSample(16, 4)
	good := p.std()
	line := func(b ...byte) func([][4]byte) []byte { return func([][4]byte) []byte { return b } }
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"bytes after the end", append(bytes.Clone(good), 1), ""},
		{"header only", good[:bytes.Index(good, []byte("+X 16\n"))+6], Truncated},
		{"another format", p.file("FORMAT=16-bit\n", "-Y 4 +X 16", hdrNew), Unsupported},
		{"exposure 0", p.file("EXPOSURE=0\n", "-Y 4 +X 16", hdrNew), Damaged},
		{"exposure that is not a number", p.file("EXPOSURE=NaN\n", "-Y 4 +X 16", hdrNew), Damaged},
		{"exposures beyond numbers", p.file("EXPOSURE=1e300\nEXPOSURE=1e300\n", "-Y 4 +X 16", hdrNew), Damaged},
		{"no size", p.file("", "hello", hdrNew), Damaged},
		{"size of 0", p.file("", "-Y 0 +X 16", hdrNew), Damaged},
		{"both the same axis", p.file("", "-Y 4 +Y 16", hdrNew), Damaged},
		{"no sign", p.file("", "-Y 4 =X 16", hdrNew), Damaged},
		{"size beyond all", p.file("", "-Y 2000000000 +X 2000000000", hdrNew), TooLarge},
		{"size beyond numbers", p.file("", "-Y 4 +X 99999999999999999999", hdrNew), Damaged},
		{"line of another length", p.file("", "-Y 4 +X 16", line(2, 2, 0, 15)), Damaged},
		{"run beyond the line", p.file("", "-Y 4 +X 16", line(2, 2, 0, 16, 128+17, 9)), Damaged},
		{"stretch beyond the line", p.file("", "-Y 4 +X 16", line(2, 2, 0, 16, 17, 9)), Damaged},
		{"stretch of 0", p.file("", "-Y 4 +X 16", line(2, 2, 0, 16, 0)), Damaged},
		{"old run at the start", p.file("", "-Y 4 +X 16", line(1, 1, 1, 3)), Damaged},
		{"old run beyond the line", p.file("", "-Y 4 +X 16", line(9, 9, 9, 9, 1, 1, 1, 16)), Damaged},
		{"old run of many digits", p.file("", "-Y 4 +X 16", line(bytes.Repeat([]byte{1, 1, 1, 0}, 20)...)), Damaged},
		{"endless header line", append([]byte("#?RADIANCE\n"), bytes.Repeat([]byte("x"), maxHDRLine+1)...), Damaged},
		{"endless header", append([]byte("#?RADIANCE\n"), bytes.Repeat([]byte("x\n"), maxHDRLines+1)...), Damaged},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{})
			wantKind(t, err, tc.kind)
		})
	}
}

// values is a picture of values made by hand.
func values(f Format, w int, px ...float32) *HDRImage {
	m := newHDRImage(f, w, len(px)/w)
	for i, v := range px {
		m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2], m.Pix[4*i+3] = v, v, v, 1
	}
	return m
}

func TestLuminance(t *testing.T) {
	t.Parallel()
	if got := values(HDR, 1, 2).Luminance(0, 0); !near(got, 358, 1e-6) {
		t.Errorf("Radiance's 2 W/(sr m2) is %g cd/m2", got)
	}
	if got := values(OpenEXR, 1, 2).Luminance(0, 0); !near(got, 2, 1e-6) {
		t.Errorf("2 is %g", got)
	}
	low, high, mean := values(OpenEXR, 5, 0, 1, 4, 16, float32(math.Inf(1))).Range()
	if low != 1 || high != 16 || !near(mean, 4, 1e-9) {
		t.Errorf("range is %g to %g, mean %g", low, high, mean)
	}
	if low, high, mean := values(OpenEXR, 2, 0, -1).Range(); low != 0 || high != 0 || mean != 0 {
		t.Errorf("range of nothing is %g to %g, mean %g", low, high, mean)
	}
}

func TestView(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	m := values(OpenEXR, 6, 0, 0.18, 1, 50, -3, nan)
	for _, tc := range []struct {
		stops float64
		want  [6]uint8
	}{
		{0, [6]uint8{0, 118, 255, 255, 0, 0}},
		{-1, [6]uint8{0, 85, 188, 255, 0, 0}},
		{2, [6]uint8{0, 221, 255, 255, 0, 0}},
	} {
		img := m.View(tc.stops)
		for x, want := range tc.want {
			if got := img.RGBAAt(x, 0); got != (color.RGBA{want, want, want, 255}) {
				t.Errorf("at %g stops pixel %d is %v, want %d", tc.stops, x, got, want)
			}
		}
	}
	m.alpha = true
	m.Pix[3] = 0
	if got := m.View(0).RGBAAt(0, 0); got != (color.RGBA{backdrop, backdrop, backdrop, 255}) {
		t.Errorf("a transparent pixel is %v", got)
	}
}

func TestToneMap(t *testing.T) {
	t.Parallel()
	// A room whose window is 10,000 times brighter than its corners.
	img := values(HDR, 6, 0, 0.01, 0.1, 1, 10, 100).ToneMap()
	for x := 1; x < 6; x++ {
		if a, b := img.RGBAAt(x-1, 0).G, img.RGBAAt(x, 0).G; a >= b {
			t.Errorf("pixel %d is %d, the brighter one after it %d", x-1, a, b)
		}
	}
	if got := img.RGBAAt(5, 0).G; got < 250 {
		t.Errorf("the brightest is %d", got)
	}
	if got := values(HDR, 1, 0).ToneMap().RGBAAt(0, 0).G; got != 0 {
		t.Errorf("black became %d", got)
	}
	m := values(HDR, 2, 3, 3)
	if got := m.View(m.AutoStops()).RGBAAt(0, 0).G; got != 118 {
		t.Errorf("the mean became %d, want middle grey", got)
	}
}

func TestFalseColour(t *testing.T) {
	t.Parallel()
	m := values(OpenEXR, 7, 0, 1, 10, 100, 1000, 5000, float32(math.NaN()))
	img, err := m.FalseColour(1, 1000, true)
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range []color.RGBA{FalseColourAt(0), FalseColourAt(0), FalseColourAt(1. / 3), FalseColourAt(2. / 3), FalseColourAt(1), FalseColourAt(1), FalseColourAt(0)} {
		if got := img.RGBAAt(x, 0); got != want {
			t.Errorf("logarithmic pixel %d is %v, want %v", x, got, want)
		}
	}
	if img, err = m.FalseColour(0, 20, false); err != nil || img.RGBAAt(2, 0) != FalseColourAt(0.5) {
		t.Errorf("half way is %v, %v", img.RGBAAt(2, 0), err)
	}
	for _, bad := range [][2]float64{{5, 5}, {5, 4}, {math.NaN(), 4}, {0, math.Inf(1)}} {
		if _, err := m.FalseColour(bad[0], bad[1], false); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if _, err := m.FalseColour(0, 4, true); err == nil {
		t.Error("a logarithmic scale from 0 was taken")
	}
	// The scale can be read without seeing colours: it only ever gets lighter.
	last := -1.0
	for i := range 101 {
		c := FalseColourAt(float64(i) / 100)
		l := 0.2126*srgbToLinear(float64(c.R)/255) + 0.7152*srgbToLinear(float64(c.G)/255) + 0.0722*srgbToLinear(float64(c.B)/255)
		if l < last {
			t.Errorf("step %d is darker than the one before it", i)
		}
		last = l
	}
}

func TestReadHDRSmaller(t *testing.T) {
	t.Parallel()
	p := hdrPixels{16, 8, make([][4]byte, 128)}
	for i := range p.px {
		p.px[i] = [4]byte{byte(128 + i%16/4), 128, 128, 129}
	}
	m := readHDR(t, p.std(), 4)
	if m.Width != 4 || m.Height != 2 {
		t.Fatalf("size is %dx%d", m.Width, m.Height)
	}
	for x := range 4 {
		if r, _, _ := m.At(x, 1); !near(float64(r), (128.5+float64(x))/128, 1e-6) {
			t.Errorf("average %d is %g", x, r)
		}
	}
	if _, err := ReadHDR(bytes.NewReader(nil), 0, -1); err == nil {
		t.Error("a side of -1 was taken")
	}
	big := plainEXR(1<<13, 1<<12, exrZIP, "R", "G", "B").headersOnly()
	_, err := ReadHDR(bytes.NewReader(big), int64(len(big)), 0)
	wantKind(t, err, TooLarge)
	png := encodePNG(t, sample(3, 3))
	_, err = ReadHDR(bytes.NewReader(png), int64(len(png)), 0)
	wantKind(t, err, WrongFormat)
	nothing := plainEXR(4, 4, exrZIP, "R", "G", "B")
	nothing.parts[0].display = exrBox{10, 10, 12, 12}
	b := nothing.file()
	if m := readHDR(t, b, 0); m.Width != 3 || len(m.Pix) != 36 {
		t.Errorf("a picture beside its window is %dx%d with %d values", m.Width, m.Height, len(m.Pix))
	}
}
