package frame

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oneOfEach is a picture of 64x48 in each format; black makes it black.
func oneOfEach(t testing.TB, black bool) map[Format][]byte { return eachFormat(t, 64, 48, black) }

func eachFormat(t testing.TB, w, h int, black bool) map[Format][]byte {
	m := sample(w, h)
	hdr, exr := hdrSample(w, h), plainEXR(w, h, exrZIP, "R", "G", "B", "A")
	if black {
		m = flat(w, h, color.NRGBA{0, 0, 0, 255})
		clear(hdr.px)
		exr.value = func(_, channel, _, _ int) float64 { return []float64{1, 0, 0, 0}[channel] }
	}
	return map[Format][]byte{
		PNG: encodePNG(t, m), JPEG: encodeJPEG(t, m), BMP: encodeBMP(t, m), TIFF: encodeTIFF(m, tiffOptions{compression: 8, rows: 9}),
		TARGA: encodeTGA(m, tgaOptions{kind: 10, depth: 24}), HDR: hdr.std(), OpenEXR: exr.file(),
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	for f, b := range oneOfEach(t, false) {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			info, err := prove(b, Want{Format: f, Width: 64, Height: 48})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Info{Format: f, Width: 64, Height: 48}, info); diff != "" {
				t.Error(diff)
			}
			if _, err := prove(b, Want{}); err != nil {
				t.Error(err)
			}
			other := PNG
			if f == PNG {
				other = "TARGA_RAW"
			}
			for _, tc := range []struct {
				w    Want
				kind Kind
			}{
				{Want{Format: other}, WrongFormat},
				{Want{Width: 65}, WrongSize},
				{Want{Height: 47}, WrongSize},
				{Want{Width: 48, Height: 64}, WrongSize},
				{Want{Format: "CINEON"}, Unsupported},
			} {
				_, err := prove(b, tc.w)
				wantKind(t, err, tc.kind)
			}
			cutEverywhere(t, b, f, map[Format]int{TIFF: 4}[f])
		})
	}
}

func TestProveBlack(t *testing.T) {
	t.Parallel()
	for f, b := range oneOfEach(t, true) {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			info, err := prove(b, Want{})
			wantKind(t, err, Black)
			if !info.Black {
				t.Error("not marked black")
			}
			if info, err = prove(b, Want{AllowBlack: true}); err != nil || !info.Black {
				t.Errorf("black allowed: %+v, %v", info, err)
			}
			thumb, _, err := ProveThumbnail(bytes.NewReader(b), int64(len(b)), Want{}, 32)
			wantKind(t, err, Black)
			if got := decodeThumb(t, thumb).Bounds(); got != image.Rect(0, 0, 32, 24) {
				t.Errorf("thumbnail is %v", got)
			}
		})
	}
}

// One sample that shows something, in the last pixel, is enough; single steps of
// 8 bits, as dithering leaves them, show nothing.
func TestProveAlmostBlack(t *testing.T) {
	t.Parallel()
	m := flat(64, 48, color.NRGBA{0, 0, 0, 255})
	noise := flat(64, 48, color.NRGBA{0, 0, 0, 255})
	for i := range 48 {
		noise.SetNRGBA(i, i, color.NRGBA{1, 0, 1, 255})
	}
	if info, err := prove(encodePNG(t, noise), Want{}); KindOf(err) != Black || !info.Black {
		t.Errorf("dithered black: %+v, %v", info, err)
	}
	m.SetNRGBA(63, 47, color.NRGBA{0, 0, 2, 255})
	wide := image.NewRGBA64(m.Rect)
	for i := 7; i < len(wide.Pix); i += 8 {
		wide.Pix[i], wide.Pix[i-1] = 255, 255
	}
	wide.Pix[len(wide.Pix)-4] = 2 // the high byte of the last blue
	dark := hdrPixels{64, 48, make([][4]byte, 64*48)}
	dark.px[64*48-1] = [4]byte{0, 0, 128, 1}
	exr := plainEXR(64, 48, exrPIZ, "R", "G", "B")
	exr.value = func(_, channel, x, y int) float64 {
		if channel == 2 && x == 63 && y == 47 {
			return 1.0 / (1 << 24)
		}
		return 0
	}
	for name, b := range map[string][]byte{
		"PNG": encodePNG(t, m), "PNG of 16 bits": encodePNG(t, wide), "BMP": encodeBMP(t, m), "TARGA": encodeTGA(m, tgaOptions{kind: 10, depth: 24}),
		"TIFF": encodeTIFF(m, tiffOptions{compression: 5}), "TIFF of 16 bits": encodeTIFF(m, tiffOptions{bits: 16}), "HDR": dark.std(), "OPEN_EXR": exr.file(),
	} {
		if info, err := prove(b, Want{}); err != nil || info.Black {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}

// A picture that is nowhere opaque shows nothing, whatever its colours.
func TestProveTransparent(t *testing.T) {
	t.Parallel()
	clear, exr := flat(9, 9, color.NRGBA{200, 100, 50, 0}), plainEXR(9, 9, exrZIP, "R", "G", "B", "A")
	exr.value = func(_, channel, _, _ int) float64 { return min(float64(channel), 1) }
	for name, b := range map[string][]byte{
		"PNG": encodePNG(t, clear), "TIFF": encodeTIFF(clear, tiffOptions{alpha: tiffUnassociated}), "TARGA": encodeTGA(clear, tgaOptions{kind: 2, depth: 32}), "OPEN_EXR": exr.file(),
	} {
		_, err := prove(b, Want{})
		if wantKind(t, err, Black); !bytes.Contains([]byte(err.Error()), []byte("transparent")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProveNoPicture(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		b    []byte
		want Format
		kind Kind
	}{
		"empty":              {nil, "", Truncated},
		"empty PNG":          {nil, PNG, Truncated},
		"text":               {[]byte("Error: cannot open display\n"), PNG, NotAPicture},
		"zeros":              {make([]byte, 5000), "", NotAPicture},
		"start of a PNG":     {[]byte("\x89PN"), PNG, Truncated},
		"start of something": {[]byte("\x89PN"), "", NotAPicture},
		"magic only":         {[]byte("\x89PNG\r\n\x1a\n"), "", Truncated},
		"BM and no more":     {[]byte("BM"), "", Truncated},
		"a PNG in text mode": {[]byte("\x89PNG\n\x1a\n\x00\x00\x00\rIHDR........."), PNG, NotAPicture},
		"a GIF":              {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"), "", NotAPicture},
	} {
		_, err := prove(tc.b, Want{Format: tc.want})
		if KindOf(err) != tc.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A disk that fails says nothing about the picture.
func TestProveBrokenDisk(t *testing.T) {
	t.Parallel()
	for f, b := range oneOfEach(t, false) {
		for _, at := range []int64{0, 10, int64(len(b)) / 2, int64(len(b)) - 1} {
			_, err := Prove(brokenDisk{b, at}, int64(len(b)), Want{})
			if !errors.Is(err, errDisk) || KindOf(err) != "" {
				t.Errorf("%s failing from byte %d: %v", f, at, err)
			}
		}
	}
}

// A file may be shorter than it was when its size was asked for.
func TestProveShrunkFile(t *testing.T) {
	t.Parallel()
	for f, b := range oneOfEach(t, false) {
		_, err := Prove(bytes.NewReader(b[:len(b)/2]), int64(len(b)), Want{})
		if KindOf(err) != Truncated {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestThumbnail(t *testing.T) {
	t.Parallel()
	// The left half red, the right half blue.
	m := flat(600, 300, color.NRGBA{255, 0, 0, 255})
	for y := range 300 {
		for x := 300; x < 600; x++ {
			m.SetNRGBA(x, y, color.NRGBA{0, 0, 255, 255})
		}
	}
	exr := plainEXR(600, 300, exrZIP, "R", "G", "B")
	exr.value = func(_, channel, x, _ int) float64 {
		if channel == 0 && x >= 300 || channel == 2 && x < 300 {
			return 1
		}
		return 0
	}
	for name, b := range map[string][]byte{
		"PNG": encodePNG(t, m), "interlaced PNG": interlaced(m), "JPEG": encodeJPEG(t, m), "BMP": encodeBMP(t, m),
		"TIFF in tiles": encodeTIFF(m, tiffOptions{tile: 64, compression: 8}), "TARGA": encodeTGA(m, tgaOptions{kind: 10, depth: 24}), "OPEN_EXR": exr.file(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			thumb, info, err := Thumbnail(bytes.NewReader(b), int64(len(b)), 100)
			if err != nil || info.Width != 600 || info.Height != 300 {
				t.Fatalf("got %+v, %v", info, err)
			}
			img := decodeThumb(t, thumb)
			if img.Bounds() != image.Rect(0, 0, 100, 50) {
				t.Fatalf("size is %v", img.Bounds())
			}
			for _, at := range []struct {
				x    int
				want [3]int
			}{{5, [3]int{255, 0, 0}}, {40, [3]int{255, 0, 0}}, {60, [3]int{0, 0, 255}}, {95, [3]int{0, 0, 255}}} {
				got := rgb(img.At(at.x, 25))
				for k := range 3 {
					if abs(got[k]-at.want[k]) > 6 {
						t.Fatalf("column %d is %v, want %v", at.x, got, at.want)
					}
				}
			}
		})
	}
}

func TestThumbnailSizes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ w, h, side, tw, th int }{
		{1920, 1080, 320, 320, 180}, {1080, 1920, 320, 180, 320}, {20, 10, 320, 20, 10}, {3000, 1, 100, 100, 1}, {1, 3000, 7, 1, 7}, {5, 5, 1, 1, 1}, {100, 99, 64, 64, 63},
	} {
		b := encodeBMP(t, flat(tc.w, tc.h, color.NRGBA{40, 80, 120, 255}))
		thumb, _, err := Thumbnail(bytes.NewReader(b), int64(len(b)), tc.side)
		if err != nil {
			t.Fatal(err)
		}
		img := decodeThumb(t, thumb)
		if got := img.Bounds().Size(); got != image.Pt(tc.tw, tc.th) {
			t.Errorf("%dx%d in %d is %v", tc.w, tc.h, tc.side, got)
		}
		if got := rgb(img.At(0, tc.th-1)); abs(got[0]-40) > 3 || abs(got[1]-80) > 3 || abs(got[2]-120) > 3 {
			t.Errorf("%dx%d in %d has the colour %v", tc.w, tc.h, tc.side, got)
		}
	}
	for _, side := range []int{0, -1, MaxThumbnail + 1} {
		if _, _, err := Thumbnail(bytes.NewReader(nil), 0, side); err == nil || KindOf(err) != "" {
			t.Errorf("side %d: %v", side, err)
		}
	}
}

// Values that are not numbers spoil their own pixels only.
func TestThumbnailOfBrokenValues(t *testing.T) {
	t.Parallel()
	w := plainEXR(40, 40, exrNone, "R", "G", "B")
	for i := range w.parts[0].channels {
		w.parts[0].channels[i].kind = exrFloat
	}
	w.value = func(_, _, x, y int) float64 {
		if x == 5 && y == 5 {
			return math.NaN()
		}
		return 0.5
	}
	b := w.file()
	thumb, info, err := Thumbnail(bytes.NewReader(b), int64(len(b)), 20)
	if err != nil || info.Black {
		t.Fatalf("got %+v, %v", info, err)
	}
	if got := rgb(decodeThumb(t, thumb).At(10, 10)); abs(got[0]-188) > 3 {
		t.Errorf("a sound pixel is %v", got)
	}
}

func TestFaultSentences(t *testing.T) {
	t.Parallel()
	b := encodePNG(t, sample(64, 48))
	for _, tc := range []struct {
		b    []byte
		w    Want
		want string
	}{
		{b, Want{Width: 1920, Height: 1080}, "the picture is 64x48, 1920x1080 was asked for"},
		{b, Want{Height: 1080}, "the picture is 64x48, a height of 1080 was asked for"},
		{b, Want{Width: 1920}, "the picture is 64x48, a width of 1920 was asked for"},
		{b, Want{Format: "OPEN_EXR_MULTILAYER"}, "the picture is PNG, OPEN_EXR_MULTILAYER was asked for"},
		{b[:200], Want{}, "the PNG picture is cut short: it ends in its pixels"},
		{nil, Want{}, "the file is empty"},
	} {
		if _, err := prove(tc.b, tc.w); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestFamily(t *testing.T) {
	t.Parallel()
	for f, want := range map[Format]Format{PNG: PNG, "TARGA_RAW": TARGA, "OPEN_EXR_MULTILAYER": OpenEXR} {
		if got, known := f.Family(); got != want || !known {
			t.Errorf("%s is %s, %v", f, got, known)
		}
	}
	if got, known := Format("FFMPEG").Family(); got != "FFMPEG" || known {
		t.Errorf("FFMPEG is %s, %v", got, known)
	}
}

func TestContactSheet(t *testing.T) {
	t.Parallel()
	var cells []Cell
	add := func(label string, b []byte) {
		cells = append(cells, Cell{label, bytes.NewReader(b), int64(len(b))})
	}
	add("0001", encodePNG(t, flat(320, 180, color.NRGBA{255, 0, 0, 255})))
	add("0002", encodeBMP(t, flat(320, 180, color.NRGBA{0, 255, 0, 255})))
	add("0003 with a name that does not fit", encodePNG(t, flat(180, 320, color.NRGBA{0, 0, 255, 255})))
	add("broken", []byte("no picture"))
	cells = append(cells, Cell{Label: "missing"})
	var out bytes.Buffer
	if err := ContactSheet(&out, cells, 3); err != nil {
		t.Fatal(err)
	}
	info, err := Prove(bytes.NewReader(out.Bytes()), int64(out.Len()), Want{Format: PNG})
	if err != nil || info.Width != 3*166+6 || info.Height != 2*(160+16+6)+6 {
		t.Fatalf("got %+v, %v", info, err)
	}
	sheet := pixels(t, out.Bytes())
	for i, want := range [][3]int{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}} {
		got := rgb(sheet.At(6+166*i+80, 6+80))
		for k := range 3 {
			if abs(got[k]-want[k]) > 6 {
				t.Errorf("picture %d is %v, want %v", i+1, got, want)
			}
		}
	}
	ink := rgb(inkColour)
	if got := rgb(sheet.At(6, 6+182)); got != ink {
		t.Errorf("the corner of a broken picture is %v, not a cross", got)
	}
	labels := 0
	for x := range 166 {
		for y := range labelHigh {
			if rgb(sheet.At(6+x, 6+160+y)) == ink {
				labels++
			}
		}
	}
	if labels < 20 {
		t.Errorf("the first label has %d dots", labels)
	}
}

func TestContactSheetFaults(t *testing.T) {
	t.Parallel()
	one := []Cell{{Label: "x"}}
	for name, err := range map[string]error{
		"no cells":   ContactSheet(io.Discard, nil, 3),
		"no columns": ContactSheet(io.Discard, one, 0),
		"many":       ContactSheet(io.Discard, make([]Cell, MaxCells+1), 3),
		"disk":       ContactSheet(io.Discard, []Cell{{Picture: brokenDisk{make([]byte, 100), 0}, Size: 100}}, 3),
		"writer":     ContactSheet(brokenWriter{}, one, 1),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

func ExampleFormat_Family() {
	f, _ := Format("OPEN_EXR_MULTILAYER").Family()
	fmt.Println(f)
	// Output: OPEN_EXR
}
