package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The numbers at the start of a DWA chunk, 8 bytes each.
const (
	dwaVersion = iota
	dwaPlainRaw
	dwaPlainPacked
	dwaACPacked
	dwaDCPacked
	dwaRLEPacked
	dwaRLEUnpacked
	dwaRLERaw
	dwaACCount
	dwaDCCount
	dwaACCoding
	dwaNumbers
)

// How a DWA chunk stores a channel.
const (
	dwaPlain = iota
	dwaDCT
	dwaRLE
)

// dwaRule says how channels of a name and type are stored.
type dwaRule struct {
	suffix string
	kind   int
	scheme int
	colour int // 0 to 2 for red, green and blue that are coded together, else -1
	fold   bool
}

// dwaOldRules are the rules of chunks before version 2, which bring none.
var dwaOldRules = func() (rules []dwaRule) {
	names := [][]string{{"r", "red"}, {"g", "grn", "green"}, {"b", "blu", "blue"}, {"y", "by", "ry"}}
	for colour, set := range names {
		if colour == 3 {
			colour = -1
		}
		for _, name := range set {
			rules = append(rules, dwaRule{name, exrHalf, dwaDCT, colour, true}, dwaRule{name, exrFloat, dwaDCT, colour, true})
		}
	}
	for _, kind := range []int{exrUint, exrHalf, exrFloat} {
		rules = append(rules, dwaRule{"a", kind, dwaRLE, -1, true})
	}
	return rules
}()

// dwaDecoder holds a chunk's streams while its channels are put together.
type dwaDecoder struct {
	ac, dc       []uint16
	plain, rle   []byte
	acBuf, dcBuf []uint16
	plainBuf     []byte
	rleBuf       []byte
	packed       []byte
}

var errDWA = errors.New("its sizes contradict each other")

// unDWA undoes DWAA and DWAB: colours as quantised cosine transforms of 8x8
// blocks, alpha as run-lengths, other channels deflated.
func (d *exrCodec) unDWA(p *exrPart, b exrBox, out, in []byte) error {
	var n [dwaNumbers]int
	if len(in) < 8*dwaNumbers {
		return io.ErrUnexpectedEOF
	}
	for i := range n {
		v := binary.LittleEndian.Uint64(in[8*i:])
		if v > maxEXRChunk {
			return errDWA
		}
		n[i] = int(v)
	}
	in = in[8*dwaNumbers:]
	rules := dwaOldRules
	if n[dwaVersion] > 2 {
		return unsupported(OpenEXR, "its DWA chunks are of version %d", n[dwaVersion])
	}
	if n[dwaVersion] == 2 {
		var err error
		if rules, in, err = readDWARules(in); err != nil {
			return err
		}
	}
	plan := planDWA(p, b, rules)
	if err := d.dwaStreams(n, plan, in); err != nil {
		return err
	}
	planes := grow(&d.tmp, len(out))
	if err := d.dwa.channels(plan, planes); err != nil {
		return err
	}
	p.interleave(b, out, planes)
	return nil
}

func readDWARules(in []byte) ([]dwaRule, []byte, error) {
	if len(in) < 2 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint16(in))
	if size < 2 || size > len(in) {
		return nil, nil, errDWA
	}
	var rules []dwaRule
	for list := in[2:size]; len(list) > 0; {
		end := bytes.IndexByte(list, 0)
		if end < 0 || end > 128 || len(list) < end+3 {
			return nil, nil, errDWA
		}
		v, kind := list[end+1], list[end+2]
		r := dwaRule{suffix: string(list[:end]), kind: int(kind), scheme: int(v >> 2 & 3), colour: int(v>>4) - 1, fold: v&1 != 0}
		if r.colour > 2 || r.scheme > dwaRLE || r.kind > exrFloat {
			return nil, nil, errDWA
		}
		rules = append(rules, r)
		list = list[end+3:]
	}
	return rules, in[size:], nil
}

// dwaChannel is a channel as a chunk has it.
type dwaChannel struct {
	*exrChannel
	w, h, at int // size, and place among the channels one after another
	scheme   int
	colour   int
	done     bool
}

func (c *dwaChannel) size() int   { return c.w * c.h * c.bytes() }
func (c *dwaChannel) blocks() int { return (c.w + 7) / 8 * ((c.h + 7) / 8) }

// planDWA applies the rules to the channels of a window.
func planDWA(p *exrPart, b exrBox, rules []dwaRule) []dwaChannel {
	plan, at := make([]dwaChannel, len(p.channels)), 0
	for i := range plan {
		ch := &p.channels[i]
		c := &plan[i]
		*c = dwaChannel{exrChannel: ch, w: samples(ch.xs, b.x0, b.x1), h: samples(ch.ys, b.y0, b.y1), at: at, colour: -1}
		at += c.size()
		suffix := ch.name[strings.LastIndexByte(ch.name, '.')+1:]
		for _, r := range rules {
			if r.kind == ch.kind && (r.suffix == suffix || r.fold && strings.EqualFold(r.suffix, suffix)) {
				c.scheme = r.scheme
				if r.colour >= 0 {
					c.colour = r.colour
				}
			}
		}
	}
	return plan
}

// dwaStreams unpacks the four streams of a chunk, whose sizes must be those
// that the channels need.
func (d *exrCodec) dwaStreams(n [dwaNumbers]int, plan []dwaChannel, in []byte) error {
	var need [3]int
	blocks := 0
	for i := range plan {
		need[plan[i].scheme] += plan[i].size()
		if plan[i].scheme == dwaDCT {
			blocks += plan[i].blocks()
		}
	}
	if n[dwaPlainRaw] != need[dwaPlain] || n[dwaRLERaw] != need[dwaRLE] || n[dwaDCCount] != blocks || n[dwaACCount] > 63*blocks || n[dwaRLEUnpacked] > 2*n[dwaRLERaw]+2 {
		return errDWA
	}
	var part [4][]byte
	for i, size := range []int{n[dwaPlainPacked], n[dwaACPacked], n[dwaDCPacked], n[dwaRLEPacked]} {
		if size > len(in) {
			return io.ErrUnexpectedEOF
		}
		part[i], in = in[:size], in[size:]
	}
	w := &d.dwa
	w.plain, w.rle = grow(&w.plainBuf, n[dwaPlainRaw]), grow(&w.rleBuf, n[dwaRLERaw])
	w.ac, w.dc = grow(&w.acBuf, n[dwaACCount]), grow(&w.dcBuf, n[dwaDCCount])
	if len(w.plain) > 0 {
		if err := d.inflate(w.plain, part[0]); err != nil {
			return fmt.Errorf("its plain channels: %w", err)
		}
	}
	if err := d.dwaCoefficients(n[dwaACCoding], part[1], part[2]); err != nil {
		return err
	}
	if len(w.rle) == 0 {
		return nil
	}
	runs := grow(&w.packed, n[dwaRLEUnpacked])
	if err := d.inflate(runs, part[3]); err != nil {
		return fmt.Errorf("its run-length channels: %w", err)
	}
	return unRLE(w.rle, runs)
}

// dwaCoefficients unpacks the first coefficient of all blocks and the others.
func (d *exrCodec) dwaCoefficients(coding int, ac, dc []byte) error {
	w := &d.dwa
	switch {
	case len(w.ac) == 0:
	case coding == 0:
		if err := d.huf.decode(w.ac, ac); err != nil {
			return err
		}
	case coding == 1:
		raw := grow(&w.packed, 2*len(w.ac))
		if err := d.inflate(raw, ac); err != nil {
			return err
		}
		for i := range w.ac {
			w.ac[i] = binary.LittleEndian.Uint16(raw[2*i:])
		}
	default:
		return errDWA
	}
	if len(w.dc) == 0 {
		return nil
	}
	raw := grow(&w.packed, 4*len(w.dc))
	mixed, sorted := raw[:2*len(w.dc)], raw[2*len(w.dc):]
	if err := d.inflate(sorted, dc); err != nil {
		return err
	}
	unshuffle(mixed, sorted)
	for i := range w.dc {
		w.dc[i] = binary.LittleEndian.Uint16(mixed[2*i:])
	}
	return nil
}
