package frame

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// small reports whether b claims few enough pixels to be worth fuzzing.
func small(b []byte) bool {
	info, _ := prove(b, Want{Width: -1}) // stops at the size
	return info.Width*info.Height <= 1<<18
}

// FuzzProve feeds every reader. Whatever comes, a thumbnail and the float
// values are to be had just where the proof says so.
func FuzzProve(f *testing.F) {
	for _, b := range eachFormat(f, 9, 5, false) {
		f.Add(b)
	}
	f.Add(encodeTGA(sample(5, 5), tgaOptions{kind: 9, depth: 8}))
	f.Add(encodeTIFF(sample(9, 9), tiffOptions{compression: 32773, predictor: 2, rows: 2}))
	f.Add(encodeTIFF(sample(9, 9), tiffOptions{compression: 8, predictor: 3, float: true, bits: 32, tile: 16}))
	f.Add(hdrSample(9, 3).file("EXPOSURE=2\n", "+X 3 -Y 9", hdrOld))
	f.Add(interlaced(sample(9, 9)))
	f.Add(bmpOf(2, 1, 16, 0, nil, [][]byte{{0, 0, 0x1f, 0x7c}}))
	f.Add(multipartEXR().file())
	for _, tc := range exrCodings {
		w := plainEXR(9, 9, tc.compression, "R", "G", "B", "A")
		w.value, w.dwa = gentle, tc.dwa
		f.Add(w.file())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !small(b) {
			return
		}
		info, err := prove(b, Want{AllowBlack: true})
		if err != nil && KindOf(err) == "" {
			t.Fatalf("no fault: %v", err)
		}
		thumb, again, thumbErr := Thumbnail(bytes.NewReader(b), int64(len(b)), 16)
		if (err == nil) != (thumbErr == nil) && !info.StructureOnly {
			t.Fatalf("proof says %v, thumbnail %v", err, thumbErr)
		}
		if diff := cmp.Diff(info, again); diff != "" && err == nil {
			t.Fatal(diff)
		}
		if thumbErr == nil {
			decodeThumb(t, thumb)
		}
		if m, valueErr := ReadHDR(bytes.NewReader(b), int64(len(b)), 16); valueErr == nil && (err != nil || len(m.Pix) != 4*m.Width*m.Height) {
			t.Fatalf("proof says %v, but there are values", err)
		}
	})
}

// against fuzzes a format beside another reader of it: pictures that both read
// must be the same, and those that the other reads must be read, but for faults
// of the kinds in less.
func against(f *testing.F, format Format, other func(b []byte) (image.Image, error), less ...Kind) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if !small(b) {
			return
		}
		want, otherErr := other(b)
		info, err := prove(b, Want{AllowBlack: true, Format: format})
		if otherErr != nil || want.Bounds().Empty() {
			return
		}
		if err != nil {
			for _, k := range less {
				if KindOf(err) == k {
					return
				}
			}
			t.Fatalf("refused: %v", err)
		}
		if size := want.Bounds().Size(); size != image.Pt(info.Width, info.Height) {
			t.Fatalf("size %dx%d, want %v", info.Width, info.Height, size)
		}
		if m, ok := want.(interface{ Opaque() bool }); ok && m.Opaque() {
			sameColours(t, pixels(t, b), want, 1)
		}
	})
}

func FuzzPNGAgainstStandard(f *testing.F) {
	m := sample(9, 7)
	f.Add(encodePNG(f, m))
	f.Add(encodePNG(f, convert(m, image.NewRGBA64(m.Rect))))
	f.Add(encodePNG(f, convert(m, image.NewGray16(m.Rect))))
	f.Add(interlaced(m))
	f.Add(rawPNG(1, 1, 8, pngPalette, 0, []byte{0, 1}, pngChunk("PLTE", []byte{1, 2, 3, 4, 5, 6}), pngChunk("tRNS", []byte{255, 0})))
	f.Add(rawPNG(3, 1, 4, pngGrey, 0, []byte{0, 0x8f, 0}))
	against(f, PNG, func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) })
}

func FuzzBMPAgainstOther(f *testing.F) {
	m := sample(9, 7)
	f.Add(encodeBMP(f, m))
	f.Add(encodeBMP(f, convert(m, image.NewGray(m.Rect))))
	f.Add(bmpOf(2, 1, 32, 0, nil, [][]byte{{30, 20, 10, 0, 3, 2, 1, 0}}))
	against(f, BMP, func(b []byte) (image.Image, error) { return bmp.Decode(bytes.NewReader(b)) })
}

func FuzzTIFFAgainstOther(f *testing.F) {
	m := sample(9, 7)
	for _, o := range []tiffOptions{{}, {bits: 16, compression: 8, predictor: 2}, {compression: 5, rows: 2}, {compression: 32773}, {tile: 16, grey: true}} {
		f.Add(encodeTIFF(m, o))
	}
	against(f, TIFF, func(b []byte) (image.Image, error) { return tiff.Decode(bytes.NewReader(b)) }, Unsupported, Truncated, Damaged)
}

// FuzzEXRChunk feeds each codec of OpenEXR alone, where a change is not caught
// by headers and checksums before it.
func FuzzEXRChunk(f *testing.F) {
	for _, tc := range exrCodings {
		w := plainEXR(17, 9, tc.compression, "R", "G", "B", "A", "Z")
		w.value, w.dwa = gentle, tc.dwa
		box := exrBox{0, 0, 16, min(9, exrLines[tc.compression]) - 1}
		f.Add(byte(tc.compression), byte(0), w.pack(w.parts[0], box, w.raw(0, box)))
	}
	f.Fuzz(func(t *testing.T, compression, kinds byte, b []byte) {
		p := plainEXR(17, 9, int(compression)%len(exrLines), "R", "G", "B", "A", "Z").parts[0]
		for i := range p.channels {
			p.channels[i].kind = int(kinds>>i) % 3
			p.channels[i].linear = kinds&1 != 0
		}
		box := exrBox{0, 0, 16, min(9, p.lines()) - 1}
		raw, err := p.rawBytes(box)
		if err != nil {
			t.Fatal(err)
		}
		var d exrCodec
		for range 2 { // the second time with used buffers
			out, err := d.unpack(p, box, bytes.Clone(b), int(raw))
			if err == nil && len(out) != int(raw) {
				t.Fatalf("%d bytes, want %d", len(out), raw)
			}
		}
	})
}
