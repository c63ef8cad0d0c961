package frame

import (
	"encoding/binary"
	"fmt"
)

// Tags of the picture file directory, TIFF 6.0 section 8 and its supplements.
const (
	tiffWidth         = 256
	tiffHeight        = 257
	tiffBits          = 258
	tiffCompression   = 259
	tiffPhotometric   = 262
	tiffFillOrder     = 266
	tiffStripOffsets  = 273
	tiffSamples       = 277
	tiffRowsPerStrip  = 278
	tiffStripCounts   = 279
	tiffPlanar        = 284
	tiffPredictor     = 317
	tiffColorMap      = 320
	tiffTileWidth     = 322
	tiffTileHeight    = 323
	tiffTileOffsets   = 324
	tiffTileCounts    = 325
	tiffExtraSamples  = 338
	tiffSampleFormat  = 339
	tiffEntryLen      = 12
	maxTIFFTags       = 4096
	tiffUint          = 1
	tiffFloat         = 3
	tiffWhiteIsZero   = 0
	tiffBlackIsZero   = 1
	tiffRGB           = 2
	tiffPalette       = 3
	tiffAssociated    = 1
	tiffUnassociated  = 2
	tiffNoCompression = 1
)

// tiffField is an entry of the directory: count numbers of size bytes at off.
type tiffField struct {
	size, count, off int64
}

// tiffFile is a TIFF file's first directory.
type tiffFile struct {
	src    *source
	order  binary.ByteOrder
	fields map[uint16]tiffField
}

// tiffSizes are the sizes of the field types, TIFF 6.0 section 2.
var tiffSizes = map[uint16]int64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

func openTIFF(src *source) (*tiffFile, error) {
	var b [8]byte
	if err := src.full(b[:], 0); err != nil {
		return nil, err
	}
	t := &tiffFile{src: src, order: binary.LittleEndian, fields: map[uint16]tiffField{}}
	if b[0] == 'M' {
		t.order = binary.BigEndian
	}
	if t.order.Uint16(b[2:]) == 43 {
		return nil, unsupported(TIFF, "it is a BigTIFF file")
	}
	ifd := int64(t.order.Uint32(b[4:]))
	if err := src.full(b[:2], ifd); err != nil {
		return nil, err
	}
	n := int(t.order.Uint16(b[:]))
	if n == 0 || n > maxTIFFTags {
		return nil, fmt.Errorf("directory of %d entries", n)
	}
	dir := make([]byte, n*tiffEntryLen)
	if err := src.full(dir, ifd+2); err != nil {
		return nil, err
	}
	for i := range n {
		if err := t.field(dir[i*tiffEntryLen:], ifd+2+int64(i*tiffEntryLen)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// field notes an entry of the directory. All its values must be in the file,
// also those that nobody asks for: writers put them at the end, where a file
// that is cut short misses them.
func (t *tiffFile) field(e []byte, at int64) error {
	tag, kind := t.order.Uint16(e), t.order.Uint16(e[2:])
	f := tiffField{size: tiffSizes[kind], count: int64(t.order.Uint32(e[4:])), off: at + 8}
	if f.size*f.count > 4 {
		f.off = int64(t.order.Uint32(e[8:]))
	}
	if f.off+f.size*f.count > t.src.size {
		return truncated(TIFF, "the values of tag %d are beyond its end", tag)
	}
	if kind == 1 || kind == 3 || kind == 4 {
		t.fields[tag] = f
	}
	return nil
}

// at returns number i of a field.
func (t *tiffFile) at(tag uint16, i int64) (int64, error) {
	f := t.fields[tag]
	if i >= f.count {
		return 0, fmt.Errorf("tag %d has %d values, %d are needed", tag, f.count, i+1)
	}
	var b [4]byte
	if err := t.src.full(b[:f.size], f.off+i*f.size); err != nil {
		return 0, err
	}
	switch f.size {
	case 1:
		return int64(b[0]), nil
	case 2:
		return int64(t.order.Uint16(b[:])), nil
	}
	return int64(t.order.Uint32(b[:])), nil
}

// one returns the first number of a field, or otherwise if the file has none.
func (t *tiffFile) one(tag uint16, otherwise int64) (int64, error) {
	if _, ok := t.fields[tag]; !ok {
		return otherwise, nil
	}
	return t.at(tag, 0)
}

// tiffLayout says how pixels are stored.
type tiffLayout struct {
	w, h           int
	bits           int // a sample
	samples        int // a pixel
	format         int64
	photometric    int64
	compression    int64
	predictor      int64
	alpha          int64 // tiffAssociated, tiffUnassociated or 0
	tiled          bool
	tw, th         int // size of a tile or strip
	across, down   int // number of them
	offsets, sizes uint16
	palette        [][4]byte
}

// colours is the number of samples of a pixel that are colour.
func (l *tiffLayout) colours() int {
	if l.photometric == tiffRGB {
		return 3
	}
	return 1
}

func (l *tiffLayout) bytesPerLine() int { return (l.tw*l.samples*l.bits + 7) / 8 }

// layout reads the fields that say how pixels are stored.
func (t *tiffFile) layout() (*tiffLayout, error) {
	var l tiffLayout
	var err error
	get := func(tag uint16, otherwise int64) int64 {
		v, e := t.one(tag, otherwise)
		if err == nil && e != nil {
			err = e
		}
		return v
	}
	l.w, l.h = int(get(tiffWidth, 0)), int(get(tiffHeight, 0))
	l.bits, l.samples = int(get(tiffBits, 1)), int(get(tiffSamples, 1))
	l.format, l.photometric = get(tiffSampleFormat, tiffUint), get(tiffPhotometric, -1)
	l.compression, l.predictor = get(tiffCompression, tiffNoCompression), get(tiffPredictor, 1)
	planar, fill := get(tiffPlanar, 1), get(tiffFillOrder, 1)
	extra := get(tiffExtraSamples, 0)
	l.tw, l.th = int(get(tiffTileWidth, 0)), int(get(tiffTileHeight, 0))
	rows := int(get(tiffRowsPerStrip, int64(l.h)))
	if err != nil {
		return nil, err
	}
	if planar != 1 && l.samples > 1 {
		return nil, unsupported(TIFF, "it stores its channels apart")
	}
	if fill != 1 {
		return nil, unsupported(TIFF, "its bits are stored in reverse order")
	}
	l.grid(rows)
	if l.samples > l.colours() && (extra == tiffAssociated || extra == tiffUnassociated) {
		l.alpha = extra
	}
	return &l, l.check(t)
}

// grid works out the strips or tiles.
func (l *tiffLayout) grid(rows int) {
	l.tiled = l.tw > 0 || l.th > 0
	l.offsets, l.sizes = tiffTileOffsets, tiffTileCounts
	if !l.tiled {
		l.tw, l.th = l.w, max(min(rows, l.h), 1)
		l.offsets, l.sizes = tiffStripOffsets, tiffStripCounts
	}
	if l.tw > 0 && l.th > 0 {
		l.across, l.down = (l.w+l.tw-1)/l.tw, (l.h+l.th-1)/l.th
	}
}

func (l *tiffLayout) check(t *tiffFile) error {
	for i := range min(int64(l.samples), 64, t.fields[tiffBits].count) {
		bits, err := t.at(tiffBits, i)
		if err != nil {
			return err
		}
		if int(bits) != l.bits {
			return unsupported(TIFF, "its channels have different depths")
		}
	}
	switch {
	case l.samples < 1 || l.samples > 64 || l.tw < 1 || l.th < 1 || l.tw > MaxSide || l.th > MaxSide, l.tiled && (l.tw%16 != 0 || l.th%16 != 0):
		return fmt.Errorf("%d samples a pixel in tiles of %dx%d", l.samples, l.tw, l.th)
	case l.format == tiffFloat && l.bits != 32, l.format != tiffFloat && l.format != tiffUint:
		return unsupported(TIFF, "its samples are of kind %d with %d bits", l.format, l.bits)
	case l.photometric < tiffWhiteIsZero || l.photometric > tiffPalette:
		return unsupported(TIFF, "its colours are of kind %d", l.photometric)
	case l.samples < l.colours():
		return fmt.Errorf("%d samples a pixel for colours of kind %d", l.samples, l.photometric)
	case l.predictor < 1 || l.predictor > 3 || l.predictor == 3 && l.format != tiffFloat:
		return unsupported(TIFF, "its predictor is %d", l.predictor)
	}
	switch l.bits {
	case 1, 2, 4:
		if l.samples != 1 || l.predictor != 1 {
			return unsupported(TIFF, "%d samples of %d bits", l.samples, l.bits)
		}
	case 8, 16, 32:
	default:
		return unsupported(TIFF, "it has %d bits a sample", l.bits)
	}
	if l.photometric == tiffPalette {
		return l.readPalette(t)
	}
	return nil
}

func (l *tiffLayout) readPalette(t *tiffFile) error {
	if l.bits > 8 || l.format != tiffUint {
		return unsupported(TIFF, "its palette has %d bits", l.bits)
	}
	n := int64(1) << l.bits
	l.palette = make([][4]byte, n)
	for i := range n {
		l.palette[i][3] = 255
		for k := range int64(3) {
			v, err := t.at(tiffColorMap, k*n+i)
			if err != nil {
				return err
			}
			l.palette[i][k] = eightBits(uint16(v), 16)
		}
	}
	return nil
}
