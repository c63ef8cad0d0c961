package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// steepHuf writes words below n with codes of length word+1: 1, 01, 001 and so
// on, the last two of one length. Symbol n, the second of them, repeats.
func steepHuf(words []uint16, n int) []byte {
	var table, data hufBits
	for s := range n + 1 {
		table.put(uint64(min(s+1, n)), 6)
	}
	bits := 0
	for _, w := range words {
		if int(w) == n-1 { // all zeros
			data.put(0, n)
			bits += n
			continue
		}
		data.put(1, int(w)+1)
		bits += int(w) + 1
	}
	// The repeat symbol is the larger of the two longest codes.
	data.put(1, n)
	data.put(3, 8)
	bits += n + 8
	t := table.flush()
	return append(append(le32(0, n, len(t), bits, 0), t...), data.flush()...)
}

func TestHufLongCodes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 11, 12, 13, 20, 40, hufMaxLen} {
		var words []uint16
		for i := range 200 {
			words = append(words, uint16(i*i%n))
		}
		words = append(words, 2)
		got := make([]uint16, len(words)+3)
		var d hufDecoder
		if err := d.decode(got, steepHuf(words, n)); err != nil {
			t.Fatalf("codes of up to %d bits: %v", n, err)
		}
		if diff := cmp.Diff(append(words, 2, 2, 2), got); diff != "" {
			t.Fatalf("codes of up to %d bits: %s", n, diff)
		}
	}
}

func TestHufFaults(t *testing.T) {
	t.Parallel()
	words := []uint16{0, 1, 2, 3, 4, 4, 4}
	good := steepHuf(words, 9)
	edit := func(f func(b []byte)) []byte { b := slices.Clone(good); f(b); return b }
	lengths := func(hi int, l ...int) []byte {
		var table hufBits
		for _, v := range l {
			table.put(uint64(v), 6)
		}
		return append(append(le32(0, hi, 0, 64, 0), table.flush()...), make([]byte, 8)...)
	}
	for name, b := range map[string][]byte{
		"no head":                   good[:19],
		"lowest above highest":      edit(func(b []byte) { b[0] = 200 }),
		"symbol beyond all":         edit(func(b []byte) { binary.LittleEndian.PutUint32(b[4:], hufSymbols) }),
		"more bits than bytes":      edit(func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 1<<31) }),
		"fewer bits than words":     edit(func(b []byte) { b[12] = 8 }),
		"more bits than words":      append(edit(func(b []byte) { b[12] += 40 }), make([]byte, 9)...),
		"table cut short":           good[:22],
		"a run as the first word":   append(lengths(1, 1, 1)[:22], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"more codes than there are": lengths(2, 1, 1, 1),
		"zeros beyond the table":    lengths(2, 1, hufLongZero, 63),
		"a code that nobody has":    lengths(1, 0, 3),
	} {
		var d hufDecoder
		if err := d.decode(make([]uint16, len(words)+3), b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var d hufDecoder
	if err := d.decode(nil, nil); err != nil {
		t.Errorf("nothing from nothing: %v", err)
	}
}

// damagedChunk unpacks a changed chunk of a codec.
func damagedChunk(compression int, style dwaStyle, edit func(b []byte) []byte) error {
	w := plainEXR(17, 30, compression, "R", "G", "B", "A", "Z")
	w.value, w.dwa = gentle, style
	box := exrBox{0, 0, 16, 29}
	raw := w.raw(0, box)
	var d exrCodec
	_, err := d.unpack(w.parts[0], box, edit(w.pack(w.parts[0], box, raw)), len(raw))
	return err
}

func TestPIZFaults(t *testing.T) {
	t.Parallel()
	if err := damagedChunk(exrPIZ, dwaStyle{}, slices.Clone); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(b []byte) []byte{
		"no head":             func(b []byte) []byte { return b[:3] },
		"bitmap beyond all":   func(b []byte) []byte { b[2], b[3] = 0, 0x20; return b },
		"bitmap cut short":    func(b []byte) []byte { return b[:4000] },
		"no size":             func(b []byte) []byte { return b[:4+pizBitmap+2] },
		"size beyond the end": func(b []byte) []byte { b[4+pizBitmap+3] = 0x7f; return b },
		"size of nothing":     func(b []byte) []byte { clear(b[4+pizBitmap:][:4]); return b },
	} {
		if err := damagedChunk(exrPIZ, dwaStyle{}, edit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDWAFaults(t *testing.T) {
	t.Parallel()
	style := dwaStyle{version: 2, huffman: true}
	if err := damagedChunk(exrDWAA, style, slices.Clone); err != nil {
		t.Fatal(err)
	}
	number := func(i int, change func(v uint64) uint64) func(b []byte) []byte {
		return func(b []byte) []byte {
			at := b[8*i:]
			binary.LittleEndian.PutUint64(at, change(binary.LittleEndian.Uint64(at)))
			return b
		}
	}
	more := func(v uint64) uint64 { return v + 1 }
	less := func(v uint64) uint64 { return v - 1 }
	huge := func(uint64) uint64 { return 1 << 62 }
	rules := 8 * dwaNumbers
	for name, edit := range map[string]func(b []byte) []byte{
		"no head":              func(b []byte) []byte { return b[:80] },
		"no rules":             func(b []byte) []byte { return b[:rules+1] },
		"rules beyond the end": func(b []byte) []byte { b[rules+1] = 0xff; return b },
		"rules of 1 byte":      func(b []byte) []byte { b[rules], b[rules+1] = 1, 0; return b },
		"rules cut short":      func(b []byte) []byte { b[rules]--; return b },
		"a rule of method 3":   func(b []byte) []byte { b[rules+4] |= 12; return b },
		"version 3":            number(dwaVersion, more),
		"plain too small":      number(dwaPlainRaw, less),
		"plain stream short":   number(dwaPlainPacked, less),
		"coefficients missing": number(dwaACCount, less),
		"coefficients left":    number(dwaACCount, more),
		"blocks missing":       number(dwaDCCount, less),
		"runs too large":       number(dwaRLERaw, more),
		"runs unpack to less":  number(dwaRLEUnpacked, more),
		"coding 5":             number(dwaACCoding, func(uint64) uint64 { return 5 }),
		"a huge number":        number(dwaDCPacked, huge),
		"streams cut short":    func(b []byte) []byte { return b[:len(b)-5] },
	} {
		if err := damagedChunk(exrDWAA, style, edit); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRunLengthFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"plain bytes missing":   {[]byte{0xfe, 1}, io.ErrUnexpectedEOF},
		"byte of a run missing": {[]byte{3}, io.ErrUnexpectedEOF},
		"too few":               {[]byte{2, 9}, io.ErrUnexpectedEOF},
		"run too long":          {[]byte{4, 9}, errBeyond},
		"too many plain":        {[]byte{0xfb, 1, 2, 3, 4, 5}, errBeyond},
		"exactly enough":        {[]byte{1, 9, 0xfe, 1, 2}, nil},
	} {
		if err := unRLE(make([]byte, 4), tc.in); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
