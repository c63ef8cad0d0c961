package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"testing"
)

func TestJPEGPixels(t *testing.T) {
	t.Parallel()
	m := image.NewNRGBA(image.Rect(0, 0, 45, 33))
	for y := range 33 {
		for x := range 45 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(100 + x), uint8(90 + 2*y), 130, 255})
		}
	}
	for name, m := range map[string]image.Image{"colour": m, "grey": convert(m, image.NewGray(m.Rect))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := encodeJPEG(t, m)
			sameColours(t, pixels(t, b), m, 8)
			cutEverywhere(t, b, JPEG, 0)
		})
	}
}

func TestJPEGFaults(t *testing.T) {
	t.Parallel()
	good := encodeJPEG(t, sample(64, 48))
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	sof, sos := bytes.Index(good, []byte{0xff, 0xc0}), bytes.Index(good, []byte{0xff, 0xda})
	end := []byte{0xff, 0xd9}
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"bytes after the end", append(bytes.Clone(good), "more"...), ""},
		{"cut, with an end mark put on", append(bytes.Clone(good[:len(good)*3/4]), end...), Damaged},
		{"no pixels", append(bytes.Clone(good[:sos]), end...), Truncated},
		{"no picture", []byte{0xff, 0xd8, 0xff, 0xd9}, Damaged},
		{"a scan of another component", edit(func(b []byte) []byte { b[sos+5] = 9; return b }), Truncated},
		{"arithmetic coding", edit(func(b []byte) []byte { b[sof+1] = 0xc9; return b }), Unsupported},
		{"12 bits", edit(func(b []byte) []byte { b[sof+4] = 12; return b }), Unsupported},
		{"no width", edit(func(b []byte) []byte { b[sof+7], b[sof+8] = 0, 0; return b }), Damaged},
		{"more pixels than bits", edit(func(b []byte) []byte { b[sof+5], b[sof+7] = 0x20, 0x20; return b }), Truncated},
		{"65535 pixels a side", edit(func(b []byte) []byte { copy(b[sof+5:], "\xff\xff\xff\xff"); return b }), TooLarge},
		{"too many pixels for this kind", edit(func(b []byte) []byte { copy(b[sof+5:], "\x3f\xff\x3f\xff"); return b }), TooLarge},
		{"too many progressive pixels", edit(func(b []byte) []byte { b[sof+1] = 0xc2; copy(b[sof+5:], "\x20\x00\x20\x00"); return b }), TooLarge},
		{"a segment of 1 byte", []byte{0xff, 0xd8, 0xff, 0xe0, 0, 1, 0xff, 0xd9}, Damaged},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{})
			wantKind(t, err, tc.kind)
		})
	}
}

func TestBMPPixels(t *testing.T) {
	t.Parallel()
	m := sample(21, 13)
	four := color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{200, 2, 3, 255}, color.NRGBA{1, 200, 3, 255}, color.NRGBA{255, 255, 255, 255}}
	for name, m := range map[string]image.Image{
		"24 bits": m,
		"palette": convert(m, image.NewPaletted(m.Rect, four)),
		"grey":    convert(m, image.NewGray(m.Rect)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := encodeBMP(t, m)
			sameColours(t, pixels(t, b), m, 0)
			cutEverywhere(t, b, BMP, 0)
		})
	}
}

func TestBMPKinds(t *testing.T) {
	t.Parallel()
	two := []byte{9, 8, 7, 0, 30, 20, 10, 0}
	sixteen := append(append(bytes.Clone(two), two...), make([]byte, 48)...)
	masks := append(append(le32(0x0000ff00), le32(0x00ff0000)...), le32(0x3f)...)
	tests := []struct {
		name                     string
		w, h, depth, compression int
		extra                    []byte
		lines                    [][]byte
		want                     [3]int // of the pixel at 1,0
	}{
		{"1 bit", 2, 1, 1, 0, two, [][]byte{{0x40}}, [3]int{10, 20, 30}},
		{"4 bits", 2, 1, 4, 0, sixteen, [][]byte{{0x03}}, [3]int{10, 20, 30}},
		{"15 bits", 2, 1, 16, 0, nil, [][]byte{{0, 0, 0x1f, 0x7c}}, [3]int{255, 0, 255}},
		{"32 bits", 2, 2, 32, 0, nil, [][]byte{{0, 0, 0, 0, 30, 20, 10, 0}, {0, 0, 0, 0, 0, 0, 0, 0}}, [3]int{10, 20, 30}},
		{"masks", 2, 1, 32, 3, masks, [][]byte{{0, 0, 0, 0, 0x3f, 10, 20, 99}}, [3]int{10, 20, 255}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bmpOf(tc.w, tc.h, tc.depth, tc.compression, tc.extra, tc.lines)
			if got := rgb(pixels(t, b).At(1, 0)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			cutEverywhere(t, b, BMP, 0)
		})
	}
}

func TestBMPFaults(t *testing.T) {
	t.Parallel()
	line := [][]byte{{1, 2, 3, 4, 5, 6}}
	edit := func(f func(b []byte)) []byte { b := bmpOf(2, 1, 24, 0, nil, line); f(b); return b }
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"good", edit(func([]byte) {}), ""},
		{"old header", edit(func(b []byte) { b[14] = 12 }), Unsupported},
		{"run-lengths", edit(func(b []byte) { b[30] = 1 }), Unsupported},
		{"2 planes", edit(func(b []byte) { b[26] = 2 }), Damaged},
		{"17 bits", edit(func(b []byte) { b[28] = 17 }), Damaged},
		{"masks for 24 bits", edit(func(b []byte) { b[30] = 3 }), Damaged},
		{"pixels in the header", edit(func(b []byte) { b[10] = 20 }), Damaged},
		{"negative width", edit(func(b []byte) { copy(b[18:], le32(-4)) }), Damaged},
		{"smallest height", edit(func(b []byte) { copy(b[22:], le32(-1<<31)) }), TooLarge},
		{"larger than its file", edit(func(b []byte) { copy(b[18:], le32(10000, 10000)) }), Truncated},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{})
			wantKind(t, err, tc.kind)
		})
	}
}

func TestTGAPixels(t *testing.T) {
	t.Parallel()
	m := flat(19, 11, color.NRGBA{8, 16, 24, 255})
	for i := range 60 {
		m.SetNRGBA(i*7%19, i%11, color.NRGBA{uint8(8 * (i % 31)), uint8(248 - 8*(i%30)), uint8(8 * (i % 7)), 255})
	}
	for _, kind := range []byte{1, 2, 3, 9, 10, 11} {
		for _, o := range []tgaOptions{{depth: 8}, {depth: 8, topDown: true}, {depth: 15}, {depth: 16, mirror: true}, {depth: 24}, {depth: 24, topDown: true, mirror: true}, {depth: 32}} {
			if o.kind = kind; (kind&7 == 2) == (o.depth == 8) || kind&7 != 2 && o.depth != 8 {
				continue
			}
			t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
				t.Parallel()
				b := encodeTGA(m, o)
				var want image.Image = m
				most := 0
				switch {
				case kind&7 == 3:
					grey := image.NewGray(m.Rect)
					for i := range grey.Pix {
						grey.Pix[i] = m.Pix[4*i+1]
					}
					want = grey
				case o.depth < 24:
					most = 8
				}
				sameColours(t, pixels(t, b), want, most)
				cutEverywhere(t, b, TARGA, 0)
			})
		}
	}
}

func TestTGAFaults(t *testing.T) {
	t.Parallel()
	edit := func(o tgaOptions, f func(b []byte) []byte) []byte { return f(encodeTGA(sample(5, 4), o)) }
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"with an id and a footer", edit(tgaOptions{kind: 2, depth: 24}, func(b []byte) []byte {
			b[0] = 3
			return append(append(append(bytes.Clone(b[:18]), "abc"...), b[18:]...), "TRUEVISION-XFILE.\x00"...)
		}), ""},
		{"run beyond the end", edit(tgaOptions{kind: 10, depth: 24}, func(b []byte) []byte {
			return append(b[:18], 0x80|99, 1, 2, 3)
		}), Damaged},
		{"beyond the palette", edit(tgaOptions{kind: 1, depth: 8}, func(b []byte) []byte { b[len(b)-1] = 255; return b }), Damaged},
		{"no palette", edit(tgaOptions{kind: 1, depth: 8}, func(b []byte) []byte { b[1] = 0; return b }), NotAPicture},
		{"kind 4", edit(tgaOptions{kind: 2, depth: 24}, func(b []byte) []byte { b[2] = 4; return b }), NotAPicture},
		{"no width", edit(tgaOptions{kind: 2, depth: 24}, func(b []byte) []byte { b[12] = 0; return b }), NotAPicture},
		{"larger than its file", edit(tgaOptions{kind: 10, depth: 24}, func(b []byte) []byte { copy(b[12:], "\xff\x0f\xff\x0f"); return b }), Truncated},
		{"too large", edit(tgaOptions{kind: 10, depth: 24}, func(b []byte) []byte { copy(b[12:], "\xff\xff\xff\xff"); return b }), TooLarge},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{})
			wantKind(t, err, tc.kind)
		})
	}
}

func TestTIFFPixels(t *testing.T) {
	t.Parallel()
	m := sample(37, 29)
	for _, o := range []tiffOptions{
		{}, {order: binary.BigEndian}, {rows: 7}, {tile: 16}, {tile: 32, compression: 5},
		{bits: 16}, {bits: 16, order: binary.BigEndian, predictor: 2, compression: 8, rows: 5}, {bits: 16, predictor: 2, compression: 32946},
		{bits: 32, predictor: 2, compression: 8}, {bits: 32},
		{compression: 5}, {compression: 5, predictor: 2, rows: 3}, {compression: 8, rows: 4}, {compression: 32773}, {compression: 32773, rows: 10, predictor: 2},
		{grey: true}, {grey: true, bits: 16, compression: 8, predictor: 2}, {grey: true, alpha: tiffUnassociated},
		{alpha: tiffUnassociated}, {alpha: tiffAssociated, compression: 5}, {alpha: tiffUnassociated, bits: 16, order: binary.BigEndian},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			t.Parallel()
			b := encodeTIFF(m, o)
			var want image.Image = m
			if o.grey {
				grey := image.NewGray(m.Rect)
				for i := range grey.Pix {
					grey.Pix[i] = m.Pix[4*i+1]
				}
				want = grey
			}
			sameColours(t, pixels(t, b), want, 0)
			cutEverywhere(t, b, TIFF, 4) // the offset of a next directory, which nothing needs
		})
	}
}

func TestTIFFFloat(t *testing.T) {
	t.Parallel()
	m := sample(20, 18)
	for _, o := range []tiffOptions{
		{}, {predictor: 3, compression: 8}, {predictor: 3, compression: 5, order: binary.BigEndian, alpha: tiffUnassociated}, {tile: 16, predictor: 3}, {grey: true},
	} {
		o.float, o.bits = true, 32
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			t.Parallel()
			b := encodeTIFF(m, o)
			got, err := ReadHDR(bytes.NewReader(b), int64(len(b)), 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range m.Pix {
				if o.grey {
					v = m.Pix[i&^3+1]
				}
				if want := float32(v) / 255; i%4 < 3 && got.Pix[i] != want {
					t.Fatalf("value %d is %g, want %g", i, got.Pix[i], want)
				}
			}
		})
	}
}

func TestTIFFKinds(t *testing.T) {
	t.Parallel()
	one := func(more map[uint16][]uint32) []byte {
		return encodeTIFF(flat(16, 1, color.NRGBA{0, 0x40, 0, 255}), tiffOptions{grey: true, more: more})
	}
	colours := make([]uint32, 3*256)
	colours[0x40], colours[256+0x40], colours[512+0x40] = 0x0100, 0x8000, 0xffff
	tests := []struct {
		name string
		b    []byte
		want [3]int
		kind Kind
	}{
		{"white is zero", one(map[uint16][]uint32{tiffPhotometric: {tiffWhiteIsZero}}), [3]int{191, 191, 191}, ""},
		{"palette", one(map[uint16][]uint32{tiffPhotometric: {tiffPalette}, tiffColorMap: colours}), [3]int{1, 128, 255}, ""},
		{"palette too short", one(map[uint16][]uint32{tiffPhotometric: {tiffPalette}, tiffColorMap: colours[:700]}), [3]int{}, Damaged},
		{"1 bit", one(map[uint16][]uint32{tiffBits: {1}}), [3]int{255, 255, 255}, ""},
		{"4 bits", one(map[uint16][]uint32{tiffBits: {4}}), [3]int{0, 0, 0}, ""},
		{"12 bits", one(map[uint16][]uint32{tiffBits: {12}}), [3]int{}, Unsupported},
		{"CMYK", one(map[uint16][]uint32{tiffPhotometric: {5}}), [3]int{}, Unsupported},
		{"JPEG inside", one(map[uint16][]uint32{tiffCompression: {7}}), [3]int{}, Unsupported},
		{"signed", one(map[uint16][]uint32{tiffSampleFormat: {2}}), [3]int{}, Unsupported},
		{"bits reversed", one(map[uint16][]uint32{tiffFillOrder: {2}}), [3]int{}, Unsupported},
		{"predictor 9", one(map[uint16][]uint32{tiffPredictor: {9}}), [3]int{}, Unsupported},
		{"no samples", one(map[uint16][]uint32{tiffSamples: {0}}), [3]int{}, Damaged},
		{"too few samples", one(map[uint16][]uint32{tiffPhotometric: {tiffRGB}}), [3]int{}, Damaged},
		{"channels apart", encodeTIFF(sample(4, 4), tiffOptions{more: map[uint16][]uint32{tiffPlanar: {2}}}), [3]int{}, Unsupported},
		{"tiles of 5", one(map[uint16][]uint32{tiffTileWidth: {5}, tiffTileHeight: {5}}), [3]int{}, Damaged},
		{"no height", one(map[uint16][]uint32{tiffHeight: {0}}), [3]int{}, Damaged},
		{"too large", one(map[uint16][]uint32{tiffWidth: {1 << 31}}), [3]int{}, TooLarge},
		{"strips without offsets", one(map[uint16][]uint32{tiffRowsPerStrip: {1}, tiffHeight: {9}}), [3]int{}, Damaged},
		{"strip of 3 bytes", one(map[uint16][]uint32{tiffStripCounts: {3}}), [3]int{}, Damaged},
		{"strip beyond the file", one(map[uint16][]uint32{tiffStripOffsets: {1 << 30}}), [3]int{}, Truncated},
		{"BigTIFF", []byte("II+\x00\x08\x00\x00\x00"), [3]int{}, Unsupported},
		{"empty directory", []byte("II*\x00\x08\x00\x00\x00\x00\x00"), [3]int{}, Damaged},
		{"directory beyond the file", []byte("II*\x00\xff\x00\x00\x00"), [3]int{}, Truncated},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{AllowBlack: true})
			wantKind(t, err, tc.kind)
			if tc.kind != "" {
				return
			}
			if got := rgb(pixels(t, tc.b).At(1, 0)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
