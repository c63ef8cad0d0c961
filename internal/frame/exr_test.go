package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameEXR compares the values of w's first part with what is read from it.
func sameEXR(t *testing.T, w *exrWriter, rel float64) {
	t.Helper()
	b := w.file()
	m, err := ReadHDR(bytes.NewReader(b), int64(len(b)), 0)
	if err != nil {
		t.Fatal(err)
	}
	p := w.parts[0]
	_, view := chooseEXRView(w.parts)
	for y := p.data.y0; y <= p.data.y1; y++ {
		for x := p.data.x0; x <= p.data.x1; x++ {
			for k, i := range view {
				if i < 0 || x < p.display.x0 || x > p.display.x1 || y < p.display.y0 || y > p.display.y1 {
					continue
				}
				got := float64(m.Pix[4*((y-p.display.y0)*m.Width+x-p.display.x0)+k])
				want := p.channels[i].stored(w.value(0, i, x, y))
				if !near(got, want, rel) {
					t.Fatalf("channel %s at %d,%d is %g, want %g", p.channels[i].name, x, y, got, want)
				}
			}
		}
	}
}

// exrCodings are all compressions with how exact they are.
var exrCodings = []struct {
	name        string
	compression int
	dwa         dwaStyle
	rel         float64
}{
	{name: "none", compression: exrNone},
	{name: "rle", compression: exrRLE},
	{name: "zips", compression: exrZIPS},
	{name: "zip", compression: exrZIP},
	{name: "piz", compression: exrPIZ},
	{name: "pxr24", compression: exrPXR24, rel: 1e-4},
	{name: "b44", compression: exrB44},
	{name: "b44a", compression: exrB44A},
	{name: "dwaa version 0", compression: exrDWAA, dwa: dwaStyle{version: 0}, rel: 0.03},
	{name: "dwaa version 2", compression: exrDWAA, dwa: dwaStyle{version: 2, huffman: true}, rel: 0.03},
	{name: "dwab version 1", compression: exrDWAB, dwa: dwaStyle{version: 1, huffman: true}, rel: 0.03},
}

// gentle is a sample without steps, which the test's B44 writer can hold.
func gentle(_, channel, x, y int) float64 {
	return 1 + float64(channel)*0.125 + float64(x+2*y)/1024
}

func TestEXRPixels(t *testing.T) {
	t.Parallel()
	for _, tc := range exrCodings {
		for _, kind := range []int{exrHalf, exrFloat, exrUint} {
			t.Run(fmt.Sprintf("%s, type %d", tc.name, kind), func(t *testing.T) {
				t.Parallel()
				w := plainEXR(45, 70, tc.compression, "R", "G", "B", "A", "Z")
				w.dwa = tc.dwa
				if tc.compression == exrB44 || tc.compression == exrB44A {
					w.value = gentle
				}
				for i := range w.parts[0].channels {
					w.parts[0].channels[i].kind = kind
				}
				w.parts[0].channels[4].kind = exrFloat // Z among halfs
				sameEXR(t, w, tc.rel)
				if _, err := prove(w.file(), Want{Format: OpenEXR, Width: 45, Height: 70}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestEXRTruncated(t *testing.T) {
	t.Parallel()
	for _, tc := range exrCodings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := plainEXR(9, 35, tc.compression, "R", "G", "B")
			w.value, w.dwa = gentle, tc.dwa
			cutEverywhere(t, w.file(), OpenEXR, 0)
		})
	}
}

// PIZ takes another form of its wavelet when there are more than 2^14 values.
func TestEXRPIZManyValues(t *testing.T) {
	t.Parallel()
	w := plainEXR(300, 64, exrPIZ, "R", "G", "B")
	w.value = func(_, channel, x, y int) float64 {
		return float64(halfToFloat(uint16(0x2000 + (y*300+x)*7919%21001 + channel)))
	}
	sameEXR(t, w, 0)
}

func TestEXRLayouts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(w *exrWriter)
	}{
		{"tiles", func(w *exrWriter) { p := w.parts[0]; p.tiled, p.tw, p.th = true, 16, 24 }},
		{"tiles in smaller and smaller levels", func(w *exrWriter) { p := w.parts[0]; p.tiled, p.tw, p.th, p.levels = true, 16, 16, 1 }},
		{"levels rounded up", func(w *exrWriter) {
			p := w.parts[0]
			p.tiled, p.tw, p.th, p.levels, p.roundUp = true, 16, 16, 1, true
		}},
		{"levels in both directions", func(w *exrWriter) { p := w.parts[0]; p.tiled, p.tw, p.th, p.levels = true, 16, 32, 2 }},
		{"a window that starts elsewhere", func(w *exrWriter) {
			p := w.parts[0]
			p.data, p.display = exrBox{-7, -20, 37, 49}, exrBox{-7, -20, 37, 49}
		}},
		{"a window larger than the picture", func(w *exrWriter) { w.parts[0].display = exrBox{5, 6, 30, 40} }},
		{"a window smaller than the picture", func(w *exrWriter) { w.parts[0].display = exrBox{-5, -6, 50, 80} }},
		{"grey", func(w *exrWriter) { w.parts[0].channels = []exrChannel{{name: "Y", kind: exrHalf, xs: 1, ys: 1}} }},
		{"grey with colour at half size", func(w *exrWriter) {
			w.parts[0].data, w.parts[0].display = exrBox{0, 0, 43, 69}, exrBox{0, 0, 43, 69}
			w.parts[0].channels = []exrChannel{{name: "BY", kind: exrHalf, xs: 2, ys: 2}, {name: "RY", kind: exrHalf, xs: 2, ys: 2}, {name: "Y", kind: exrHalf, xs: 1, ys: 1}}
		}},
		{"only depth", func(w *exrWriter) { w.parts[0].channels = []exrChannel{{name: "Z", kind: exrFloat, xs: 1, ys: 1}} }},
		{"attributes of all kinds", func(w *exrWriter) {
			w.extra = append(exrAttribute("comments", "string", bytes.Repeat([]byte("x"), 5000)), exrAttribute("preview", "preview", make([]byte, 70000))...)
		}},
	}
	for _, tc := range tests {
		for _, compression := range []int{exrZIP, exrPIZ, exrPXR24, exrB44, exrDWAA} {
			t.Run(fmt.Sprintf("%s, compression %d", tc.name, compression), func(t *testing.T) {
				t.Parallel()
				w := plainEXR(45, 70, compression, "R", "G", "B", "A")
				w.value, w.dwa = gentle, dwaStyle{version: 2}
				tc.edit(w)
				rel := 0.0
				if compression == exrDWAA {
					rel = 0.03
				} else if compression == exrPXR24 {
					rel = 1e-4
				}
				sameEXR(t, w, rel)
				b := w.file()
				for _, cut := range []int{1, len(b) / 3, len(b) - 20} {
					_, err := prove(b[:len(b)-cut], Want{})
					wantKind(t, err, Truncated)
				}
			})
		}
	}
}

func TestEXRLayers(t *testing.T) {
	t.Parallel()
	w := plainEXR(20, 12, exrZIP, "ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B", "ViewLayer.Combined.A",
		"ViewLayer.Depth.Z", "Aux.Normal.R", "Aux.Normal.G", "Aux.Normal.B")
	sameEXR(t, w, 0)
	info, err := prove(w.file(), Want{Format: "OPEN_EXR_MULTILAYER"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Aux.Normal", "ViewLayer.Combined", "ViewLayer.Depth"}, info.Layers); diff != "" {
		t.Error(diff)
	}
	_, view := chooseEXRView(w.parts)
	var names []string
	for _, i := range view {
		names = append(names, w.parts[0].channels[i].name)
	}
	if diff := cmp.Diff([]string{"ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B", "ViewLayer.Combined.A"}, names); diff != "" {
		t.Error(diff)
	}
}

// multipartEXR has a part of depth, then one of colours in tiles.
func multipartEXR() *exrWriter {
	depth, colour := plainEXR(30, 40, exrZIPS, "Z"), plainEXR(30, 40, exrPIZ, "R", "G", "B")
	depth.parts[0].kind, colour.parts[0].kind = "scanlineimage", "tiledimage"
	p := colour.parts[0]
	p.tiled, p.tw, p.th = true, 16, 16
	return &exrWriter{multipart: true, parts: []*exrPart{depth.parts[0], p}, value: exrSample}
}

func TestEXRParts(t *testing.T) {
	t.Parallel()
	w := multipartEXR()
	b := w.file()
	m, err := ReadHDR(bytes.NewReader(b), int64(len(b)), 0)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 40 {
		for x := range 30 {
			r, g, bl := m.At(x, y)
			for k, got := range []float32{bl, g, r} { // channels are sorted by name
				if want := w.parts[1].channels[k].stored(exrSample(1, k, x, y)); float64(got) != want {
					t.Fatalf("channel %d at %d,%d is %g, want %g", k, x, y, got, want)
				}
			}
		}
	}
	cutEverywhere(t, b, OpenEXR, 0)
}

func TestEXRDeep(t *testing.T) {
	t.Parallel()
	w := plainEXR(8, 40, exrZIPS, "R", "G", "B", "A", "Z")
	w.parts[0].kind, w.deep = "deepscanline", true
	b := w.file()
	info, err := prove(b, Want{})
	if err != nil || !info.StructureOnly || info.Black {
		t.Fatalf("got %+v, %v", info, err)
	}
	cutEverywhere(t, b, OpenEXR, 0)
	_, _, err = Thumbnail(bytes.NewReader(b), int64(len(b)), 32)
	wantKind(t, err, Unsupported)
	_, err = ReadHDR(bytes.NewReader(b), int64(len(b)), 0)
	wantKind(t, err, Unsupported)
}

// A renderer that is killed leaves zeros in the table of chunks.
func TestEXRNeverFinished(t *testing.T) {
	t.Parallel()
	w := plainEXR(8, 4, exrZIPS, "R", "G", "B")
	b := w.file()
	table := bytes.Index(b, binary.LittleEndian.AppendUint64(nil, uint64(firstChunk(t, b))))
	clear(b[table+8 : table+16])
	_, err := prove(b, Want{})
	wantKind(t, err, Truncated)
}

// firstChunk returns where the chunks of a file of one part begin.
func firstChunk(t *testing.T, b []byte) int64 {
	t.Helper()
	f, err := readEXRHeaders(&source{r: bytes.NewReader(b), size: int64(len(b))})
	if err != nil {
		t.Fatal(err)
	}
	return f.tables + 8*f.counts[0]
}

func TestEXRFaults(t *testing.T) {
	t.Parallel()
	base := func() *exrWriter { return plainEXR(16, 16, exrZIP, "R", "G", "B") }
	file := func(edit func(w *exrWriter)) []byte { w := base(); edit(w); return w.file() }
	patched := func(edit func(b []byte, chunk int)) []byte {
		b := base().file()
		edit(b, int(firstChunk(t, b)))
		return b
	}
	tests := []struct {
		name string
		b    []byte
		kind Kind
	}{
		{"version 3", patched(func(b []byte, _ int) { b[4] = 3 }), Unsupported},
		{"compression 77", patched(func(b []byte, _ int) { b[bytes.Index(b, []byte("compression\x00compression"))+28] = 77 }), Unsupported},
		{"no channels", file(func(w *exrWriter) { w.parts[0].channels = nil }), Damaged},
		{"sampling 0", file(func(w *exrWriter) {
			w.extra = exrAttribute("channels", "chlist", append([]byte("Q\x00"), append(le32(1, 0, 0, 1), 0)...))
		}), Damaged},
		{"window inside out", file(func(w *exrWriter) { w.extra = nil; w.parts[0].display = exrBox{5, 0, 4, 9} }), Damaged},
		{"window too large", patched(func(b []byte, _ int) {
			copy(b[bytes.Index(b, []byte("dataWindow\x00box2i"))+17+4:], le32(0, 0, 1<<20, 1<<20))
		}), TooLarge},
		{"window of 2^32", patched(func(b []byte, _ int) {
			copy(b[bytes.Index(b, []byte("dataWindow\x00box2i"))+17+4:], le32(-1<<31, -1<<31, 1<<31-1, 1<<31-1))
		}), TooLarge},
		{"negative attribute", file(func(w *exrWriter) { w.extra = append([]byte("x\x00y\x00"), le32(-5)...) }), Damaged},
		{"endless name", file(func(w *exrWriter) { w.extra = bytes.Repeat([]byte("x"), 300) }), Damaged},
		{"another line's chunk", patched(func(b []byte, at int) { b[at] = 9 }), Damaged},
		{"chunk of negative size", patched(func(b []byte, at int) { b[at+7] = 0xff }), Damaged},
		{"chunk inside the header", patched(func(b []byte, at int) { copy(b[at-8:], le32(9, 0)) }), Damaged},
		{"chunk beyond the file", patched(func(b []byte, at int) { copy(b[at-8:], le32(1<<30, 0)) }), Truncated},
		{"chunk that does not unpack", patched(func(b []byte, at int) { b[at+9] ^= 0xff }), Damaged},
		{"chunk with a wrong checksum", patched(func(b []byte, at int) { b[len(b)-1] ^= 1 }), Damaged},
		{"parts that never end", func() []byte {
			w := multipartEXR()
			b := w.file()
			return append(append([]byte{}, b[:8]...), bytes.Repeat(append(w.header(0), w.header(1)...), 200)...)
		}(), Damaged},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := prove(tc.b, Want{})
			wantKind(t, err, tc.kind)
		})
	}
}

// A chunk may not claim much more than its bytes can hold.
func TestEXRClaims(t *testing.T) {
	t.Parallel()
	for compression := exrRLE; compression <= exrDWAB; compression++ {
		p := plainEXR(1<<17, 1<<11, compression, "R").parts[0]
		box := exrBox{0, 0, 1<<17 - 1, exrLines[compression] - 1}
		raw, err := p.rawBytes(box)
		if err != nil {
			t.Fatal(err)
		}
		var d exrCodec
		if _, err := d.unpack(p, box, []byte{1, 2, 3}, int(raw)); err == nil {
			t.Errorf("compression %d: three bytes gave %d", compression, raw)
		}
		if cap(d.out) > 1<<20 {
			t.Errorf("compression %d took %d bytes for three", compression, cap(d.out))
		}
	}
	wide := plainEXR(1<<18, 1<<10, exrDWAB)
	for i := range 64 {
		wide.parts[0].channels = append(wide.parts[0].channels, exrChannel{name: fmt.Sprint(i), kind: exrFloat, xs: 1, ys: 1})
	}
	_, err := prove(wide.headersOnly(), Want{})
	wantKind(t, err, TooLarge)
}

// headersOnly is a file that ends in an empty first chunk.
func (w *exrWriter) headersOnly() []byte {
	b := append([]byte("\x76\x2f\x31\x01"), le32(2)...)
	b = append(b, w.header(0)...)
	n := int(w.parts[0].countChunks())
	at := len(b) + 8*n
	for range n {
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
	}
	return append(b, le32(0, 0)...)
}

// Chunks that lie over one another would be more work than the file is large.
func TestEXROverlap(t *testing.T) {
	t.Parallel()
	w := plainEXR(64, 8, exrNone, "R", "G", "B")
	b := w.file()
	at := int(firstChunk(t, b))
	size := 64 * 3 * 2
	for i := range 8 { // each chunk 40 bytes after the one before
		binary.LittleEndian.PutUint64(b[at-64+8*i:], uint64(at+40*i))
		copy(b[at+40*i:], le32(i, size))
	}
	_, err := prove(b[:at+40*7+8+size], Want{})
	wantKind(t, err, Damaged)
}

// Channels that are marked as linear go through a curve in B44.
func TestEXRB44Linear(t *testing.T) {
	t.Parallel()
	w := plainEXR(8, 8, exrB44, "R", "G", "B")
	w.value = func(_, _, _, _ int) float64 { return 1.5 }
	for i := range w.parts[0].channels {
		w.parts[0].channels[i].linear = true
	}
	b := w.file()
	if r, _, _ := readHDR(t, b, 0).At(3, 3); !near(float64(r), 8*math.Log(1.5), 1e-3) {
		t.Errorf("1.5 became %g", r)
	}
}

func TestHalf(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		h := uint16(i)
		f := halfToFloat(h)
		if f != f {
			if got := floatToHalf(f); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
				t.Fatalf("%#x became %#x", h, got)
			}
			continue
		}
		if got := floatToHalf(f); got != h {
			t.Fatalf("%#x became %g and that %#x", h, f, got)
		}
	}
	for _, tc := range []struct {
		f float32
		h uint16
	}{{1, 0x3c00}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00}, {1e-8, 0}, {5.97e-8, 1}, {-2, 0xc000}, {1.00048828125, 0x3c00}, {1.0014648, 0x3c02}} {
		if got := floatToHalf(tc.f); got != tc.h {
			t.Errorf("%g became %#x, want %#x", tc.f, got, tc.h)
		}
	}
}
