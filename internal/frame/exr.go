package frame

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of OpenEXR files beyond those of all pictures.
const (
	maxEXRParts      = 256
	maxEXRAttributes = 4096
	maxEXRChannels   = 1024
	maxEXRName       = 255
	maxEXRChunk      = 1 << 30 // unpacked bytes
)

// Compression methods of OpenEXR ("OpenEXR File Layout", compression).
const (
	exrNone = iota
	exrRLE
	exrZIPS
	exrZIP
	exrPIZ
	exrPXR24
	exrB44
	exrB44A
	exrDWAA
	exrDWAB
)

// exrLines is the number of lines in a chunk for each compression.
var exrLines = [...]int{exrNone: 1, exrRLE: 1, exrZIPS: 1, exrZIP: 16, exrPIZ: 32, exrPXR24: 16, exrB44: 32, exrB44A: 32, exrDWAA: 32, exrDWAB: 256}

// Sample types of OpenEXR.
const (
	exrUint = iota
	exrHalf
	exrFloat
)

type exrChannel struct {
	name   string
	kind   int
	linear bool // "pLinear": a hint of how eyes see it, which B44 and DWA use
	xs, ys int  // one sample for each xs columns and ys lines
}

func (ch *exrChannel) bytes() int {
	if ch.kind == exrHalf {
		return 2
	}
	return 4
}

// layer returns the name without its last part, "" for plain R, G, B, A.
func (ch *exrChannel) layer() string {
	return strings.TrimSuffix(ch.name[:strings.LastIndexByte(ch.name, '.')+1], ".")
}

// exrBox is a window of pixels, both corners inside it.
type exrBox struct{ x0, y0, x1, y1 int }

func (b exrBox) w() int { return b.x1 - b.x0 + 1 }
func (b exrBox) h() int { return b.y1 - b.y0 + 1 }

// exrPart is the header of one part of a file. Most files have one.
type exrPart struct {
	channels      []exrChannel
	data, display exrBox
	compression   int
	kind          string // type attribute; "" in files of one part
	chunks        int64  // chunkCount attribute; -1 without one
	tiled, deep   bool
	tw, th        int // tile size
	levels        byte
	roundUp       bool
}

// lines is the number of lines in a chunk that is not a tile.
func (p *exrPart) lines() int { return exrLines[p.compression] }

// decodeEXR reads an OpenEXR file: every chunk of every part must be there and
// unpack to its size. The colours of the picture are those of the plain R, G, B
// and A channels, else of the layer that is Blender's combined pass, else of
// the first layer with colours.
func decodeEXR(src *source, c *canvas) error {
	f, err := readEXRHeaders(src)
	if err != nil {
		return broken(OpenEXR, err, "its header")
	}
	part, view := chooseEXRView(f.parts)
	c.info.Layers = f.layers()
	display := f.parts[part].display
	if err := c.begin(display.w(), display.h(), view.has(3)); err != nil {
		return err
	}
	at, end := f.tables, f.tables
	for _, n := range f.counts {
		end += 8 * n
	}
	for i, p := range f.parts {
		r := &exrReader{src: src, f: f, p: p, part: i, tables: end, c: c}
		if i == part {
			r.view = view
		}
		if err := r.read(at, f.counts[i]); err != nil {
			return err
		}
		at += 8 * f.counts[i]
	}
	c.info.StructureOnly = f.parts[part].deep
	return nil
}

// layers returns the names of all layers in file order.
func (f *exrFile) layers() []string {
	var names []string
	for _, p := range f.parts {
		for i := range p.channels {
			if l := p.channels[i].layer(); l != "" && !slices.Contains(names, l) {
				names = append(names, l)
			}
		}
	}
	return names
}

// exrView is the channels of a part that are shown: indexes of red, green, blue
// and alpha, -1 for none. A grey picture has the same index three times.
type exrView [4]int

var noEXRView = exrView{-1, -1, -1, -1}

func (v exrView) has(k int) bool { return v[k] >= 0 }

// chooseEXRView returns the part and the channels that are the picture.
func chooseEXRView(parts []*exrPart) (int, exrView) {
	best, bestPart, bestRank := noEXRView, 0, 0
	for i, p := range parts {
		var seen []string
		for k := range p.channels {
			layer := p.channels[k].layer()
			if slices.Contains(seen, layer) {
				continue
			}
			seen = append(seen, layer)
			if v, rank := p.viewOf(layer); rank > bestRank {
				best, bestPart, bestRank = v, i, rank
			}
		}
	}
	return bestPart, best
}

// viewOf returns the channels of a layer to show and how fit they are.
func (p *exrPart) viewOf(layer string) (exrView, int) {
	v, first := noEXRView, -1
	grey := -1
	for i := range p.channels {
		ch := &p.channels[i]
		if ch.layer() != layer || ch.xs != 1 || ch.ys != 1 {
			continue
		}
		if first < 0 {
			first = i
		}
		name := ch.name[strings.LastIndexByte(ch.name, '.')+1:]
		if k := strings.Index("RGBA", name); len(name) == 1 && k >= 0 {
			v[k] = i
		} else if name == "Y" || name == "V" {
			grey = i
		}
	}
	combined := layer == "Combined" || strings.HasSuffix(layer, ".Combined")
	switch {
	case v.has(0) && v.has(1) && v.has(2) && layer == "":
		return v, 6
	case v.has(0) && v.has(1) && v.has(2) && combined:
		return v, 5
	case v.has(0) && v.has(1) && v.has(2):
		return v, 4
	case grey >= 0 && layer == "":
		return exrView{grey, grey, grey, v[3]}, 3
	case grey >= 0:
		return exrView{grey, grey, grey, v[3]}, 2
	case first >= 0:
		return exrView{first, first, first, -1}, 1
	}
	return noEXRView, 0
}

// rawBytes returns the unpacked size of the channels in a window, as it is
// stored: line by line, in a line channel by channel.
func (p *exrPart) rawBytes(b exrBox) (int64, error) {
	var n int64
	for i := range p.channels {
		ch := &p.channels[i]
		n += int64(samples(ch.xs, b.x0, b.x1)) * int64(samples(ch.ys, b.y0, b.y1)) * int64(ch.bytes())
	}
	if n > maxEXRChunk {
		return 0, &Fault{Kind: TooLarge, Format: OpenEXR, Message: fmt.Sprintf("the OPEN_EXR picture has chunks of %d bytes, more than the %d that Drover unpacks at once", n, int64(maxEXRChunk))}
	}
	return n, nil
}

// samples counts the multiples of s from a to b.
func samples(s, a, b int) int { return floorDiv(b, s) - floorDiv(a-1, s) }

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
