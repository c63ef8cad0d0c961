package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Huffman coding of 16-bit words as PIZ and DWA use it: canonical codes of up
// to 58 bits, and one symbol beyond the words that repeats the word before it.
const (
	hufSymbols   = 1<<16 + 1
	hufMaxLen    = 58
	hufShortZero = 59 // code lengths 59 to 62 stand for 2 to 5 unused symbols
	hufLongZero  = 63 // followed by 8 bits: 6 and more unused symbols
	hufLookup    = 12 // bits that one look-up decodes
)

var errHuf = errors.New("its Huffman codes make no sense")

// hufDecoder decodes with one set of codes at a time. Its tables are used again.
type hufDecoder struct {
	lens  []byte                // code length of each symbol
	order []int32               // symbols by length, then number
	first [hufMaxLen + 2]uint64 // first code of each length
	start [hufMaxLen + 2]int    // where a length's symbols start in order
	count [hufMaxLen + 2]int
	quick [1 << hufLookup]uint32 // symbol<<6 | length, 0 for longer codes
}

// bitReader reads bits, the most significant first. Beyond the end it reads
// zeros and counts them.
type bitReader struct {
	in   []byte
	acc  uint64
	n    int // bits in acc
	over int // bits that were made up
}

// fill makes at least 57 bits ready. That is one less than the longest code
// may have, but such a code would take a chunk of 10^11 words to come about.
func (b *bitReader) fill() {
	for b.n <= 56 {
		b.acc <<= 8
		if len(b.in) > 0 {
			b.acc |= uint64(b.in[0])
			b.in = b.in[1:]
		} else {
			b.over += 8
		}
		b.n += 8
	}
}

func (b *bitReader) take(n int) uint64 {
	if b.n < n {
		b.fill()
	}
	b.n -= n
	return b.acc >> b.n & (1<<n - 1)
}

// past reports whether more bits were taken than there were.
func (b *bitReader) past() bool { return b.over > b.n }

// decode fills all of out. in starts with the lowest and the highest symbol,
// an unused word, the number of coded bits and another unused word.
func (d *hufDecoder) decode(out []uint16, in []byte) error {
	if len(in) < 20 {
		if len(out) == 0 {
			return nil
		}
		return io.ErrUnexpectedEOF
	}
	lo, hi := binary.LittleEndian.Uint32(in), binary.LittleEndian.Uint32(in[4:])
	nBits := uint64(binary.LittleEndian.Uint32(in[12:]))
	if lo >= hufSymbols || hi >= hufSymbols || lo > hi {
		return errHuf
	}
	table := &bitReader{in: in[20:]}
	if err := d.readLengths(table, int(lo), int(hi)); err != nil {
		return err
	}
	if err := d.build(int(lo), int(hi)); err != nil {
		return err
	}
	// The codes start at the byte after the table.
	used := len(in) - 20 - len(table.in) - (table.n-table.over)/8
	codes := in[20+used:]
	if nBits > 8*uint64(len(codes)) {
		return io.ErrUnexpectedEOF
	}
	return d.words(out, codes, int(nBits), int32(hi))
}

func (d *hufDecoder) readLengths(r *bitReader, lo, hi int) error {
	lens := grow(&d.lens, hufSymbols)
	clear(lens)
	for i := lo; i <= hi; {
		l := int(r.take(6))
		run := 0
		switch {
		case l == hufLongZero:
			run = int(r.take(8)) + 6
		case l >= hufShortZero:
			run = l - hufShortZero + 2
		default:
			lens[i] = byte(l)
			run = 1
		}
		if r.past() {
			return io.ErrUnexpectedEOF
		}
		if i += run; i > hi+1 {
			return errHuf
		}
	}
	return nil
}

// build assigns the codes: longer codes are the smaller numbers.
func (d *hufDecoder) build(lo, hi int) error {
	clear(d.count[:])
	for _, l := range d.lens[lo : hi+1] {
		d.count[l]++
	}
	d.count[0] = 0
	var code uint64
	at := 0
	for l := hufMaxLen; l > 0; l-- {
		d.first[l], d.start[l] = code, at
		at += d.count[l]
		code += uint64(d.count[l])
		if code > 1<<l {
			return errHuf
		}
		code >>= 1
	}
	order, next := grow(&d.order, at), d.start
	clear(d.quick[:])
	for s := lo; s <= hi; s++ {
		l := int(d.lens[s])
		if l == 0 {
			continue
		}
		order[next[l]] = int32(s)
		if l <= hufLookup {
			c := d.first[l] + uint64(next[l]-d.start[l])
			for i := c << (hufLookup - l); i < (c+1)<<(hufLookup-l); i++ {
				d.quick[i] = uint32(s)<<6 | uint32(l)
			}
		}
		next[l]++
	}
	return nil
}

// symbol decodes one symbol.
func (d *hufDecoder) symbol(r *bitReader) (int32, error) {
	if r.n < hufMaxLen {
		r.fill()
	}
	if q := d.quick[r.acc>>(r.n-hufLookup)&(1<<hufLookup-1)]; q != 0 {
		r.n -= int(q & 63)
		return int32(q >> 6), nil
	}
	for l := hufLookup + 1; l <= min(hufMaxLen, r.n); l++ {
		if c := r.acc >> (r.n - l) & (1<<l - 1); c >= d.first[l] && c-d.first[l] < uint64(d.count[l]) {
			r.n -= l
			return d.order[d.start[l]+int(c-d.first[l])], nil
		}
	}
	return 0, errHuf
}

// words decodes nBits bits of in, where symbol again repeats.
func (d *hufDecoder) words(out []uint16, in []byte, nBits int, again int32) error {
	r := &bitReader{in: in[:(nBits+7)/8]}
	for i := 0; i < len(out); {
		s, err := d.symbol(r)
		if err != nil {
			return err
		}
		if s != again {
			out[i] = uint16(s)
			i++
		} else {
			n := int(r.take(8))
			if i == 0 || n > len(out)-i {
				return fmt.Errorf("a run of %d words: %w", n, errHuf)
			}
			for k := range n {
				out[i+k] = out[i-1]
			}
			i += n
		}
		if r.past() {
			return io.ErrUnexpectedEOF
		}
	}
	if left := 8*len(r.in) + r.n - r.over; left >= 8 {
		return errBeyond
	}
	return nil
}
