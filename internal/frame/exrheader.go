package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Flags in the version field of a file.
const (
	exrTiledFlag     = 0x200
	exrLongNames     = 0x400
	exrDeepFlag      = 0x800
	exrMultipartFlag = 0x1000
)

// exrFile is the headers of a file and where its offset tables are.
type exrFile struct {
	multipart bool
	parts     []*exrPart
	counts    []int64 // chunks of each part
	tables    int64   // offset of the first table
	used      int64   // bytes of the chunks that were read so far
}

// exrHead reads headers and counts the bytes.
type exrHead struct {
	src *source
	r   *bufio.Reader
	at  int64
}

func (h *exrHead) read(b []byte) error {
	n, err := io.ReadFull(h.r, b)
	h.at += int64(n)
	return early(err)
}

func (h *exrHead) skip(n int64) error {
	if n > h.src.size-h.at {
		return io.ErrUnexpectedEOF
	}
	h.at += n
	h.r.Reset(h.src.section(h.at, h.src.size))
	return nil
}

// name reads a name up to its zero byte.
func (h *exrHead) name() (string, error) {
	var b []byte
	for {
		c, err := h.r.ReadByte()
		if err != nil {
			return "", early(err)
		}
		h.at++
		if c == 0 {
			return string(b), nil
		}
		if len(b) == maxEXRName {
			return "", fmt.Errorf("a name is longer than %d bytes", maxEXRName)
		}
		b = append(b, c)
	}
}

func readEXRHeaders(src *source) (*exrFile, error) {
	h := &exrHead{src: src, r: src.from(0)}
	var b [8]byte
	if err := h.read(b[:]); err != nil {
		return nil, err
	}
	version := binary.LittleEndian.Uint32(b[4:])
	if version&0xff != 2 || version&^(0xff|exrTiledFlag|exrLongNames|exrDeepFlag|exrMultipartFlag) != 0 {
		return nil, unsupported(OpenEXR, "its version is %#x", version)
	}
	f := &exrFile{multipart: version&exrMultipartFlag != 0}
	for len(f.parts) == 0 || f.multipart {
		p, err := readEXRPart(h)
		if err != nil {
			return nil, err
		}
		if p == nil {
			break
		}
		if len(f.parts) == maxEXRParts {
			return nil, fmt.Errorf("it has more than %d parts", maxEXRParts)
		}
		f.parts = append(f.parts, p)
		n, err := p.complete(version, f.multipart)
		if err != nil {
			return nil, err
		}
		f.counts = append(f.counts, n)
	}
	if len(f.parts) == 0 {
		return nil, errors.New("it has no parts")
	}
	f.tables = h.at
	return f, nil
}

// readEXRPart reads the attributes of a part; nil for none.
func readEXRPart(h *exrHead) (*exrPart, error) {
	p := &exrPart{compression: -1, chunks: -1, data: exrBox{0, 0, -1, -1}, display: exrBox{0, 0, -1, -1}}
	for i := 0; ; i++ {
		name, err := h.name()
		if err != nil {
			return nil, err
		}
		if name == "" {
			if i == 0 {
				return nil, nil
			}
			return p, nil
		}
		if i == maxEXRAttributes {
			return nil, fmt.Errorf("it has more than %d attributes", maxEXRAttributes)
		}
		kind, err := h.name()
		if err != nil {
			return nil, err
		}
		var b [4]byte
		if err := h.read(b[:]); err != nil {
			return nil, err
		}
		if err := p.attribute(h, name, kind, int64(int32(binary.LittleEndian.Uint32(b[:])))); err != nil {
			return nil, fmt.Errorf("attribute %.40q: %w", name, err)
		}
	}
}

// exrFixed are the sizes of the attributes that are read and have one.
var exrFixed = map[string]int64{"compression": 1, "dataWindow": 16, "displayWindow": 16, "tiles": 9, "chunkCount": 4}

func (p *exrPart) attribute(h *exrHead, name, kind string, size int64) error {
	if size < 0 {
		return fmt.Errorf("its size is %d", size)
	}
	switch name {
	case "channels":
		return p.readChannels(h, size)
	case "type":
		if kind != "string" || size > maxEXRName {
			return fmt.Errorf("a %.40q of %d bytes", kind, size)
		}
		b := make([]byte, size)
		err := h.read(b)
		p.kind = string(b)
		return err
	}
	n, known := exrFixed[name]
	if !known {
		return h.skip(size)
	}
	if size != n {
		return fmt.Errorf("it has %d bytes, not %d", size, n)
	}
	var b [16]byte
	if err := h.read(b[:n]); err != nil {
		return err
	}
	return p.fixed(name, b)
}

func (p *exrPart) fixed(name string, b [16]byte) error {
	word := func(i int) int { return int(int32(binary.LittleEndian.Uint32(b[4*i:]))) }
	switch name {
	case "compression":
		p.compression = int(b[0])
	case "chunkCount":
		p.chunks = int64(word(0))
	case "dataWindow":
		p.data = exrBox{word(0), word(1), word(2), word(3)}
	case "displayWindow":
		p.display = exrBox{word(0), word(1), word(2), word(3)}
	case "tiles":
		p.tw, p.th = word(0), word(1)
		p.levels, p.roundUp = b[8]&15, b[8]>>4 == 1
		if p.tw < 1 || p.th < 1 || p.tw > MaxSide || p.th > MaxSide || p.levels > 2 || b[8]>>4 > 1 {
			return fmt.Errorf("tiles of %dx%d in mode %#x", p.tw, p.th, b[8])
		}
	}
	return nil
}

func (p *exrPart) readChannels(h *exrHead, size int64) error {
	end := h.at + size
	for {
		name, err := h.name()
		if err != nil {
			return err
		}
		if name == "" {
			break
		}
		if len(p.channels) == maxEXRChannels {
			return fmt.Errorf("more than %d channels", maxEXRChannels)
		}
		var b [16]byte
		if err := h.read(b[:]); err != nil {
			return err
		}
		ch := exrChannel{name: name, kind: int(binary.LittleEndian.Uint32(b[:])), linear: b[4] != 0,
			xs: int(int32(binary.LittleEndian.Uint32(b[8:]))), ys: int(int32(binary.LittleEndian.Uint32(b[12:])))}
		if ch.kind > exrFloat || ch.xs < 1 || ch.ys < 1 {
			return fmt.Errorf("channel %.40q is of type %d, every %dx%d pixels", name, ch.kind, ch.xs, ch.ys)
		}
		p.channels = append(p.channels, ch)
	}
	if h.at != end {
		return fmt.Errorf("it has %d bytes, not %d", size, size+h.at-end)
	}
	return nil
}

// complete checks that a part says all it must, and counts its chunks.
func (p *exrPart) complete(version uint32, multipart bool) (int64, error) {
	p.tiled = version&exrTiledFlag != 0
	p.deep = version&exrDeepFlag != 0
	if multipart || p.deep {
		p.tiled = p.kind == "tiledimage" || p.kind == "deeptile"
		p.deep = p.kind == "deepscanline" || p.kind == "deeptile"
		if !p.tiled && !p.deep && p.kind != "scanlineimage" {
			return 0, unsupported(OpenEXR, "a part is of type %.40q", p.kind)
		}
	}
	if len(p.channels) == 0 {
		return 0, errors.New("it lists no channels")
	}
	if p.compression < 0 || p.compression >= len(exrLines) {
		return 0, unsupported(OpenEXR, "its compression is number %d", p.compression)
	}
	for _, b := range []exrBox{p.data, p.display} {
		if b.w() < 1 || b.h() < 1 {
			return 0, fmt.Errorf("its window is %dx%d", b.w(), b.h())
		}
		if b.w() > MaxSide || b.h() > MaxSide || int64(b.w())*int64(b.h()) > MaxPixels {
			return 0, &Fault{Kind: TooLarge, Format: OpenEXR, Message: fmt.Sprintf("the OPEN_EXR picture is %dx%d, larger than Drover reads", b.w(), b.h())}
		}
	}
	if p.tiled && p.tw == 0 {
		return 0, errors.New("it has no tile size")
	}
	n := p.countChunks()
	if p.chunks >= 0 && p.chunks != n {
		return 0, fmt.Errorf("it claims %d chunks, its size needs %d", p.chunks, n)
	}
	return n, nil
}
