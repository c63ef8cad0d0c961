package frame

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func prove(b []byte, w Want) (Info, error) {
	return Prove(bytes.NewReader(b), int64(len(b)), w)
}

// pixels decodes b through a canvas that keeps every pixel: a thumbnail as
// large as the picture, before it becomes a JPEG.
func pixels(t testing.TB, b []byte) image.Image {
	t.Helper()
	c := &canvas{want: Want{AllowBlack: true}, thumb: MaxThumbnail}
	if err := decode(bytes.NewReader(b), int64(len(b)), c); err != nil {
		t.Fatal(err)
	}
	return c.shrink.image(c.info.Format)
}

// sameColours fails where got differs from want by more than most in a sample.
func sameColours(t testing.TB, got, want image.Image, most int) {
	t.Helper()
	if got.Bounds().Size() != want.Bounds().Size() {
		t.Fatalf("size %v, want %v", got.Bounds(), want.Bounds())
	}
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			g, w := rgb(got.At(x, y)), rgb(want.At(x, y))
			for k := range 3 {
				if abs(g[k]-w[k]) > most {
					t.Fatalf("pixel %d,%d is %v, want %v", x, y, g, w)
				}
			}
		}
	}
}

func rgb(c color.Color) [3]int {
	r, g, b, _ := c.RGBA()
	return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
}

// wantKind fails unless err is a fault of the kind, with a sentence.
func wantKind(t testing.TB, err error, kind Kind) {
	t.Helper()
	if KindOf(err) != kind || kind != "" && err.Error() == "" {
		t.Fatalf("error is %q (%v), want %q", KindOf(err), err, kind)
	}
	if kind == "" && err != nil {
		t.Fatal(err)
	}
}

// cutEverywhere fails unless proper beginnings of b are truncated pictures, but
// for the last keep bytes: all of them near both ends, and some 500 between.
func cutEverywhere(t testing.TB, b []byte, f Format, keep int) {
	t.Helper()
	last := len(b) - keep
	for n := range last {
		if n > 100 && n < last-100 && n%(1+last/500) != 0 {
			continue
		}
		if _, err := prove(b[:n], Want{Format: f}); KindOf(err) != Truncated {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
}

func decodeThumb(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func near(a, b, rel float64) bool {
	return math.Abs(a-b) <= rel*max(math.Abs(a), math.Abs(b), 1e-3)
}

var errDisk = errors.New("the disk is gone")

// brokenDisk is a file that fails from an offset on.
type brokenDisk struct {
	b  []byte
	at int64
}

func (d brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > d.at {
		return 0, errDisk
	}
	return copy(p, d.b[off:]), nil
}

func ExampleProve() {
	_, err := Prove(bytes.NewReader([]byte("<html>")), 6, Want{Format: PNG, Width: 320, Height: 180})
	fmt.Println(KindOf(err))
	fmt.Println(err)
	// Output:
	// not-a-picture
	// the file is not a picture in a format that Drover reads (PNG, JPEG, BMP, TIFF, TARGA, OPEN_EXR, HDR)
}
