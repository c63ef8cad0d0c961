package frame

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	maxHDRLine  = 2048 // bytes of a header line
	maxHDRLines = 4096
)

// hdrHeader is the information header of a Radiance picture and its size line.
type hdrHeader struct {
	xyz      bool
	exposure float64 // product of all EXPOSURE lines
	// Lines of n pixels as stored, which may be columns of the picture.
	n, lines int
	byColumn bool
	flipX    bool // the first pixel is the rightmost
	flipY    bool // the first pixel is the lowest
}

func (h *hdrHeader) size() (w, height int) {
	if h.byColumn {
		return h.lines, h.n
	}
	return h.n, h.lines
}

// readHDRHeader reads up to the size line and checks it all
// (Radiance file formats, "Picture File Format").
func readHDRHeader(r *bufio.Reader) (*hdrHeader, error) {
	h := &hdrHeader{exposure: 1}
	format := ""
	for i := 0; ; i++ {
		line, err := hdrLine(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if i == maxHDRLines {
			return nil, fmt.Errorf("it has more than %d lines", maxHDRLines)
		}
		key, value, _ := strings.Cut(line, "=")
		switch value = strings.TrimSpace(value); key {
		case "FORMAT":
			format = value
		case "EXPOSURE":
			e, err := strconv.ParseFloat(value, 64)
			if err != nil || !(e > 0) || math.IsInf(e, 0) {
				return nil, fmt.Errorf("EXPOSURE is %.40q, not a number above 0", value)
			}
			h.exposure *= e
		}
	}
	switch format {
	case "32-bit_rle_rgbe", "":
	case "32-bit_rle_xyze":
		h.xyz = true
	default:
		return nil, unsupported(HDR, "its pixels are %.40q", format)
	}
	if !(h.exposure > 0) || math.IsInf(h.exposure, 0) {
		return nil, fmt.Errorf("the product of its EXPOSURE lines is %g", h.exposure)
	}
	line, err := hdrLine(r)
	if err != nil {
		return nil, err
	}
	return h, h.parseSize(line)
}

// hdrLine reads a line without its end.
func hdrLine(r *bufio.Reader) (string, error) {
	var b []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", early(err)
		}
		if c == '\n' {
			return strings.TrimSuffix(string(b), "\r"), nil
		}
		if len(b) == maxHDRLine {
			return "", fmt.Errorf("a line is longer than %d bytes", maxHDRLine)
		}
		b = append(b, c)
	}
}

// parseSize reads "-Y 297 +X 400" and its turned and mirrored forms.
func (h *hdrHeader) parseSize(line string) error {
	f := strings.Fields(line)
	bad := fmt.Errorf("size line %.60q", line)
	if len(f) != 4 || len(f[0]) != 2 || len(f[2]) != 2 {
		return bad
	}
	axes := f[0][1:] + f[2][1:]
	lines, err1 := strconv.ParseInt(f[1], 10, 32)
	n, err2 := strconv.ParseInt(f[3], 10, 32)
	if axes != "YX" && axes != "XY" || err1 != nil || err2 != nil || lines < 1 || n < 1 {
		return bad
	}
	h.lines, h.n, h.byColumn = int(lines), int(n), axes == "XY"
	signs := map[byte]byte{axes[0]: f[0][0], axes[1]: f[2][0]}
	for _, s := range signs {
		if s != '+' && s != '-' {
			return bad
		}
	}
	h.flipX, h.flipY = signs['X'] == '-', signs['Y'] == '+'
	return nil
}

// decodeHDR reads a Radiance picture, flat or with either kind of run-lengths.
func decodeHDR(src *source, c *canvas) error {
	r := src.from(0)
	h, err := readHDRHeader(r)
	if err != nil {
		return broken(HDR, err, "its header")
	}
	w, height := h.size()
	if err := c.begin(w, height, false); err != nil {
		return err
	}
	if c.float != nil {
		c.float.Exposure = h.exposure
	}
	stored, row := make([]byte, 4*h.n), make([]float32, 4*h.n)
	for i := range h.lines {
		if err := readHDRLine(r, stored); err != nil {
			return broken(HDR, err, "line %d of %d of its pixels", i+1, h.lines)
		}
		if c.needsPixels() {
			h.floats(stored, row)
			h.paint(c, i, row)
		}
	}
	return nil
}

// readHDRLine reads the mantissas and exponents of a line.
func readHDRLine(r *bufio.Reader, dst []byte) error {
	n := len(dst) / 4
	if n >= 8 && n < 1<<15 {
		head, err := r.Peek(4)
		if err != nil {
			return early(err)
		}
		if head[0] == 2 && head[1] == 2 && head[2] < 128 {
			if got := int(head[2])<<8 | int(head[3]); got != n {
				return fmt.Errorf("it has %d pixels instead of %d", got, n)
			}
			r.Discard(4)
			return readNewRuns(r, dst)
		}
	}
	return readOldRuns(r, dst)
}

// readNewRuns reads the four components of a line apart, each as runs and
// stretches of bytes.
func readNewRuns(r *bufio.Reader, dst []byte) error {
	for k := range 4 {
		for i := k; i < len(dst); {
			code, err := r.ReadByte()
			if err != nil {
				return early(err)
			}
			n, run := int(code), code > 128
			if run {
				n -= 128
			}
			if n == 0 || n > (len(dst)-i+3)/4 {
				return fmt.Errorf("a run of %d goes beyond it", n)
			}
			var v byte
			for j := range n {
				if j == 0 || !run {
					if v, err = r.ReadByte(); err != nil {
						return early(err)
					}
				}
				dst[i] = v
				i += 4
			}
		}
	}
	return nil
}

// readOldRuns reads plain pixels, of which one with mantissas of 1 repeats the
// one before it; several of those in a row are digits of one number.
func readOldRuns(r *bufio.Reader, dst []byte) error {
	shift := 0
	for i := 0; i < len(dst); {
		px := dst[i : i+4]
		if _, err := io.ReadFull(r, px); err != nil {
			return early(err)
		}
		if px[0] != 1 || px[1] != 1 || px[2] != 1 {
			i, shift = i+4, 0
			continue
		}
		n := int(px[3]) << shift
		if i == 0 || shift > 16 || n > (len(dst)-i)/4 {
			return fmt.Errorf("a run of %d goes beyond it", n)
		}
		for ; n > 0; n-- {
			copy(dst[i:i+4], dst[i-4:i])
			i += 4
		}
		shift += 8
	}
	return nil
}

// rgbeScale[e] is the value of one step of a mantissa at exponent e.
var rgbeScale = func() (t [256]float64) {
	for e := 1; e < 256; e++ {
		t[e] = math.Ldexp(1, e-136)
	}
	return t
}()

// floats turns stored pixels into values: (mantissa + 0.5) * 2^(exponent-136),
// and 0 for exponent 0, with the exposure divided out.
func (h *hdrHeader) floats(stored []byte, row []float32) {
	for i := 0; i+3 < len(stored); i += 4 {
		px := row[i : i+4]
		px[0], px[1], px[2], px[3] = 0, 0, 0, 1
		if stored[i+3] == 0 {
			continue
		}
		scale := rgbeScale[stored[i+3]] / h.exposure
		for k := range 3 {
			px[k] = float32((float64(stored[i+k]) + 0.5) * scale)
		}
		if h.xyz {
			xyzToRGB(px)
		}
	}
}

// xyzToRGB turns CIE XYZ into Radiance's RGB (primaries of its color.h).
func xyzToRGB(px []float32) {
	x, y, z := px[0], px[1], px[2]
	px[0] = 2.5653*x - 1.1668*y - 0.3985*z
	px[1] = -1.0221*x + 1.9783*y + 0.0438*z
	px[2] = 0.0747*x - 0.2519*y + 1.1772*z
}

// paint feeds stored line i to the canvas the right way round.
func (h *hdrHeader) paint(c *canvas, i int, row []float32) {
	w, height := h.size()
	if h.byColumn {
		x := i
		if h.flipX {
			x = w - 1 - i
		}
		for j := range height {
			y := j
			if h.flipY {
				y = height - 1 - j
			}
			c.linear(y, x, row[4*j:4*j+4])
		}
		return
	}
	if h.flipX {
		for a, b := 0, len(row)-4; a < b; a, b = a+4, b-4 {
			for k := range 4 {
				row[a+k], row[b+k] = row[b+k], row[a+k]
			}
		}
	}
	if h.flipY {
		i = height - 1 - i
	}
	c.linear(i, 0, row)
}
