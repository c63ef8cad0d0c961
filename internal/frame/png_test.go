package frame

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"runtime"
	"testing"
)

func TestPNGPixels(t *testing.T) {
	t.Parallel()
	m := sample(37, 23)
	alpha := sample(37, 23)
	for i := 3; i < len(alpha.Pix); i += 4 {
		alpha.Pix[i] = byte(i)
	}
	seen := make(color.Palette, 200)
	for i := range seen {
		seen[i] = color.NRGBA{byte(i), byte(255 - i), byte(3 * i), 255}
	}
	tests := []struct {
		name string
		m    image.Image
	}{
		{"RGB", m},
		{"RGB of 16 bits", convert(m, image.NewRGBA64(m.Rect))},
		{"grey", convert(m, image.NewGray(m.Rect))},
		{"grey of 16 bits", convert(m, image.NewGray16(m.Rect))},
		{"palette", convert(m, image.NewPaletted(m.Rect, seen))},
		{"palette of 4 bits", convert(m, image.NewPaletted(m.Rect, seen[:13]))},
		{"palette of 2 bits", convert(m, image.NewPaletted(m.Rect, seen[:4]))},
		{"palette of 1 bit", convert(m, image.NewPaletted(m.Rect, seen[:2]))},
		{"one pixel", sample(1, 1)},
		{"one line", sample(300, 1)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := encodePNG(t, tc.m)
			sameColours(t, pixels(t, b), tc.m, 0)
			cutEverywhere(t, b, PNG, 0)
		})
	}
	t.Run("alpha", func(t *testing.T) {
		t.Parallel()
		want := over(alpha)
		sameColours(t, pixels(t, encodePNG(t, alpha)), want, 1)
		sameColours(t, pixels(t, encodePNG(t, convert(alpha, image.NewNRGBA64(alpha.Rect)))), want, 1)
	})
	for _, side := range []int{1, 2, 3, 5, 8, 9, 21} {
		t.Run(fmt.Sprintf("interlaced %d", side), func(t *testing.T) {
			t.Parallel()
			m := sample(side, side+2)
			b := interlaced(m)
			sameColours(t, pixels(t, b), m, 0)
			cutEverywhere(t, b, PNG, 0)
		})
	}
}

// over lays m over the backdrop.
func over(m *image.NRGBA) image.Image {
	out := image.NewNRGBA(m.Rect)
	for i, v := range m.Pix {
		a := int(m.Pix[i|3])
		if out.Pix[i] = 255; i%4 < 3 {
			out.Pix[i] = byte((int(v)*a + backdrop*(255-a) + 127) / 255)
		}
	}
	return out
}

// Files that the standard library's encoder does not write.
func TestPNGRaw(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		b     []byte
		black bool
		first color.NRGBA
	}{
		{"grey of 1 bit", rawPNG(3, 1, 1, pngGrey, 0, []byte{0, 0x80}), false, color.NRGBA{255, 255, 255, 255}},
		{"grey of 4 bits", rawPNG(3, 1, 4, pngGrey, 0, []byte{0, 0x8f, 0}), false, color.NRGBA{136, 136, 136, 255}},
		{"grey of 16 bits below what 8 can show", rawPNG(1, 1, 16, pngGrey, 0, []byte{0, 0, 1}), true, color.NRGBA{1, 1, 1, 255}},
		{"grey with alpha", rawPNG(1, 1, 8, pngGreyAlpha, 0, []byte{0, 99, 255}), false, color.NRGBA{99, 99, 99, 255}},
		{"grey, one value transparent", rawPNG(1, 1, 8, pngGrey, 0, []byte{0, 99}, pngChunk("tRNS", []byte{0, 99})), true, color.NRGBA{backdrop, backdrop, backdrop, 255}},
		{"RGB, one value transparent", rawPNG(1, 1, 8, pngRGB, 0, []byte{0, 9, 8, 7}, pngChunk("tRNS", []byte{0, 9, 0, 8, 0, 7})), true, color.NRGBA{backdrop, backdrop, backdrop, 255}},
		{"RGB, another value transparent", rawPNG(1, 1, 8, pngRGB, 0, []byte{0, 9, 8, 7}, pngChunk("tRNS", []byte{0, 9, 0, 8, 0, 6})), false, color.NRGBA{9, 8, 7, 255}},
		{"palette with alpha", rawPNG(1, 1, 8, pngPalette, 0, []byte{0, 1}, pngChunk("PLTE", []byte{1, 2, 3, 4, 5, 6}), pngChunk("tRNS", []byte{255, 0})), true, color.NRGBA{backdrop, backdrop, backdrop, 255}},
		{"chunks nobody knows", rawPNG(1, 1, 8, pngGrey, 0, []byte{0, 7}, pngChunk("teSt", make([]byte, 100_000)), pngChunk("emPt", nil)), false, color.NRGBA{7, 7, 7, 255}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			info, err := prove(tc.b, Want{AllowBlack: true})
			if err != nil || info.Black != tc.black {
				t.Fatalf("got %+v, %v", info, err)
			}
			if got := rgb(pixels(t, tc.b).At(0, 0)); got != rgb(tc.first) {
				t.Errorf("first pixel is %v, want %v", got, tc.first)
			}
		})
	}
}

// filtered returns lines of bytes with the given filters put on.
func filtered(lines [][]byte, bpp int, filters []byte) (out []byte) {
	prev := make([]byte, len(lines[0]))
	for y, line := range lines {
		f := filters[y%len(filters)]
		out = append(out, f)
		for i, v := range line {
			var a, b, c int
			if b = int(prev[i]); i >= bpp {
				a, c = int(line[i-bpp]), int(prev[i-bpp])
			}
			switch f {
			case 1:
				v -= byte(a)
			case 2:
				v -= byte(b)
			case 3:
				v -= byte((a + b) / 2)
			case 4:
				best := a
				if p := a + b - c; abs(p-b) < abs(p-best) {
					best = b
				}
				if p := a + b - c; abs(p-c) < abs(p-best) {
					best = c
				}
				v -= byte(best)
			}
			out = append(out, v)
		}
		prev = line
	}
	return out
}

func TestPNGFilters(t *testing.T) {
	t.Parallel()
	m := sample(17, 12)
	var lines, green [][]byte
	for y := range 12 {
		line := m.Pix[y*m.Stride:][:m.Stride]
		lines, green = append(lines, line), append(green, nil)
		for x := 1; x < len(line); x += 4 {
			green[y] = append(green[y], line[x])
		}
	}
	grey := image.NewGray(m.Rect)
	copy(grey.Pix, bytes.Join(green, nil))
	for _, filters := range [][]byte{{0}, {1}, {2}, {3}, {4}, {4, 3, 2, 1, 0}, {1, 4, 2, 3}} {
		sameColours(t, pixels(t, rawPNG(17, 12, 8, pngRGBA, 0, filtered(lines, 4, filters))), m, 0)
		sameColours(t, pixels(t, rawPNG(17, 12, 8, pngGrey, 0, filtered(green, 1, filters))), grey, 0)
	}
}

func TestPNGFaults(t *testing.T) {
	t.Parallel()
	good := encodePNG(t, sample(40, 30))
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	idat := bytes.Index(good, []byte("IDAT"))
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"bytes after the end", append(bytes.Clone(good), "more"...), ""},
		{"a bit of a pixel", edit(func(b []byte) []byte { b[idat+30] ^= 4; return b }), Damaged},
		{"a bit of the header", edit(func(b []byte) []byte { b[19] ^= 1; return b }), Damaged},
		{"no end mark", good[:len(good)-12], Truncated},
		{"end mark only", append(bytes.Clone(good[:33]), good[len(good)-12:]...), Damaged},
		{"too few lines", rawPNG(4, 4, 8, pngGrey, 0, make([]byte, 15)), Truncated},
		{"too many lines", rawPNG(4, 4, 8, pngGrey, 0, make([]byte, 25)), Damaged},
		{"filter 5", rawPNG(4, 1, 8, pngGrey, 0, []byte{5, 1, 1, 1, 1}), Damaged},
		{"depth 3", rawPNG(4, 1, 3, pngGrey, 0, make([]byte, 5)), Damaged},
		{"colour type 1", rawPNG(4, 1, 8, 1, 0, make([]byte, 5)), Damaged},
		{"interlace 2", rawPNG(4, 1, 8, pngGrey, 2, make([]byte, 5)), Damaged},
		{"size 0", rawPNG(0, 1, 8, pngGrey, 0, make([]byte, 5)), Damaged},
		{"size beyond all", rawPNG(1<<31-1, 1<<31-1, 8, pngGrey, 0, make([]byte, 5)), TooLarge},
		{"size beyond the format", rawPNG(1<<31, 1, 8, pngGrey, 0, make([]byte, 5)), Damaged},
		{"no palette", rawPNG(1, 1, 8, pngPalette, 0, []byte{0, 0}), Damaged},
		{"beyond the palette", rawPNG(1, 1, 8, pngPalette, 0, []byte{0, 9}, pngChunk("PLTE", []byte{1, 2, 3})), Damaged},
		{"palette of 4 bytes", rawPNG(1, 1, 8, pngPalette, 0, []byte{0, 0}, pngChunk("PLTE", []byte{1, 2, 3, 4})), Damaged},
		{"transparency of another kind", rawPNG(1, 1, 8, pngGreyAlpha, 0, []byte{0, 1, 1}, pngChunk("tRNS", []byte{1})), Damaged},
		{"pixels after other chunks", func() []byte {
			b := rawPNG(4, 1, 8, pngGrey, 0, []byte{0, 1, 1, 1, 1})
			return append(append(b[:len(b)-12:len(b)-12], pngChunk("teSt", nil)...), append(pngChunk("IDAT", nil), b[len(b)-12:]...)...)
		}(), Damaged},
		{"a huge chunk", append(bytes.Clone(good[:33]), 0xff, 0xff, 0xff, 0xff, 't', 'e', 'S', 't'), Damaged},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{AllowBlack: true})
			wantKind(t, err, tc.kind)
		})
	}
}

// A few bytes that claim gigabytes of pixels take no memory for them. Not
// parallel: it measures what the whole process allocates.
func TestBombs(t *testing.T) {
	line := make([]byte, 1000)
	tiled := plainEXR(1<<14, 1<<14, exrZIP, "R", "G", "B", "A")
	tiled.parts[0].tiled, tiled.parts[0].tw, tiled.parts[0].th = true, 1<<14, 1<<14
	jpg := encodeJPEG(t, sample(64, 48))
	copy(jpg[bytes.Index(jpg, []byte{0xff, 0xc0})+5:], "\x20\x00\x20\x00")
	for name, b := range map[string][]byte{
		"PNG":      rawPNG(1<<14, 1<<14, 16, pngRGBA, 0, line),
		"JPEG":     jpg,
		"BMP":      bmpOf(1<<14, 1<<14, 32, 0, nil, [][]byte{line}),
		"TARGA":    append([]byte{0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0x40, 32, 8}, line...),
		"TIFF":     encodeTIFF(sample(16, 16), tiffOptions{compression: 5, more: map[uint16][]uint32{tiffWidth: {1 << 14}, tiffHeight: {1 << 14}, tiffRowsPerStrip: {1 << 14}}}),
		"HDR":      []byte("#?RADIANCE\n\n-Y 16384 +X 16384\n\x02\x02\x40\x00"),
		"OPEN_EXR": append(tiled.headersOnly(), make([]byte, 100)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := ProveThumbnail(bytes.NewReader(b), int64(len(b)), Want{}, 64)
		runtime.ReadMemStats(&after)
		if kind := KindOf(err); kind != Truncated && kind != Damaged && kind != TooLarge {
			t.Errorf("%s: %v", name, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
			t.Errorf("%s: %d bytes were allocated for a file of %d", name, taken, len(b))
		}
	}
}
