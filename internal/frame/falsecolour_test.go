package frame_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"drover.farm/internal/frame"
)

// flat is a Radiance picture without run-lengths: each pixel grey, of a
// mantissa of 128 and an exponent, so of 2^(e-129) before the exposure.
func flat(exposure string, exponents ...byte) *bytes.Reader {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#?RADIANCE\n%sFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X %d\n", exposure, len(exponents))
	for _, e := range exponents {
		b.Write([]byte{128, 128, 128, e})
	}
	return bytes.NewReader(b.Bytes())
}

func decodePNG(t *testing.T, r *bytes.Reader, s frame.Scale) image.Image {
	t.Helper()
	var out bytes.Buffer
	if err := frame.FalseColourPNG(&out, r, r.Size(), s); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestFalseColourPNG(t *testing.T) {
	t.Parallel()
	// The darkest is 0.5·179 cd/m², the lightest 1024 times that.
	for name, header := range map[string]string{"as stored": "", "with an exposure, which is divided out": "EXPOSURE=4\n"} {
		img := decodePNG(t, flat(header, 128, 133, 138), frame.Scale{})
		if got := img.Bounds(); got.Dx() < 3+90 || got.Dy() < 100 {
			t.Errorf("%s: the picture with its legend is %v", name, got)
		}
		for x, want := range []color.RGBA{frame.FalseColourAt(0), frame.FalseColourAt(0.5), frame.FalseColourAt(1)} {
			if got := color.RGBAModel.Convert(img.At(x, 0)); !near(got.(color.RGBA), want) {
				t.Errorf("%s: pixel %d is %v, want %v", name, x, got, want)
			}
		}
	}
	given := frame.Scale{Low: 1000, High: 2000, Linear: true}
	img := decodePNG(t, flat("", 128, 138), given)
	if img.At(0, 0) != color.Color(frame.FalseColourAt(0)) || img.At(1, 0) != color.Color(frame.FalseColourAt(1)) {
		t.Errorf("by a given range: %v %v", img.At(0, 0), img.At(1, 0))
	}
	if given.At(0.5) != 1500 || (frame.Scale{Low: 1, High: 100}).At(0.5) != 10 {
		t.Error("the legend does not tell what colours stand for")
	}
	// One value, none at all, and one that hides behind a far brighter one.
	for _, exponents := range [][]byte{{130}, {0}, {60, 138, 140}} {
		decodePNG(t, flat("", exponents...), frame.Scale{})
		decodePNG(t, flat("", exponents...), frame.Scale{Linear: true})
	}
	bad := strings.NewReader("no picture")
	if err := frame.FalseColourPNG(&bytes.Buffer{}, bad, bad.Size(), frame.Scale{}); frame.KindOf(err) == "" {
		t.Errorf("no picture: %v", err)
	}
}

func near(a, b color.RGBA) bool {
	d := func(x, y uint8) bool { return max(x, y)-min(x, y) <= 2 }
	return d(a.R, b.R) && d(a.G, b.G) && d(a.B, b.B)
}

func TestParseScale(t *testing.T) {
	t.Parallel()
	if s, err := frame.ParseScale("10-1.5e3", false, 64); err != nil || s != (frame.Scale{Side: 64, Low: 10, High: 1500}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := frame.ParseScale("0-5", true, 0); err != nil || s.High != 5 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"5", "5-", "5-1", "0-5", "-1-5", "a-b", "1-2-3", "1-2x", "1-Inf", "NaN-1", "1-1e300"} {
		if s, err := frame.ParseScale(bad, false, 0); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}
