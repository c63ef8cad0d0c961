package frame

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
)

// rendered is a picture like a render: smooth, with grain.
func rendered(w, h int) *image.NRGBA {
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			n := r.IntN(8)
			m.SetNRGBA(x, y, color.NRGBA{uint8(x*200/w + n), uint8(y*200/h + n), uint8(100 + (x/64+y/64)%2*50 + n), 255})
		}
	}
	return m
}

func benchmarkFormats(b *testing.B, run func(file []byte) error) {
	m := rendered(1920, 1080)
	exr := plainEXR(1920, 1080, exrZIP, "R", "G", "B", "A")
	exr.value = func(_, channel, x, y int) float64 {
		if channel == 0 {
			return 1
		}
		return float64(m.Pix[m.PixOffset(x, y)+3-channel]) / 255
	}
	piz := *exr.parts[0]
	piz.compression = exrPIZ
	for _, tc := range []struct {
		name string
		file func() []byte
	}{
		{"PNG", func() []byte { return encodePNG(b, m) }},
		{"JPEG", func() []byte { return encodeJPEG(b, m) }},
		{"EXR-ZIP", exr.file},
		{"EXR-PIZ", func() []byte { w := *exr; w.parts = []*exrPart{&piz}; return w.file() }},
		{"TIFF-LZW", func() []byte { return encodeTIFF(m, tiffOptions{compression: 5, rows: 16}) }},
		{"TARGA", func() []byte { return encodeTGA(m, tgaOptions{kind: 10, depth: 24}) }},
		{"HDR", hdrSample(1920, 1080).std},
	} {
		b.Run(tc.name, func(b *testing.B) {
			file := tc.file()
			b.ReportAllocs()
			for b.Loop() {
				if err := run(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProve(b *testing.B) {
	benchmarkFormats(b, func(file []byte) error {
		_, err := Prove(bytes.NewReader(file), int64(len(file)), Want{Width: 1920, Height: 1080})
		return err
	})
}

func BenchmarkProveThumbnail(b *testing.B) {
	benchmarkFormats(b, func(file []byte) error {
		_, _, err := ProveThumbnail(bytes.NewReader(file), int64(len(file)), Want{Width: 1920, Height: 1080}, 320)
		return err
	})
}
